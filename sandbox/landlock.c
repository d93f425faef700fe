/* Landlock: the file system, TCP ports, other processes and abstract sockets, as far as the kernel's ABI
 * knows them.
 *
 * Everything that the ABI can forbid is forbidden, then the spec's paths are granted for reading, or for
 * writing. Descriptors that were opened before, or arrive over IPC, keep working: Landlock judges the
 * opening. Signals and abstract Unix sockets are scoped to the process itself (and what it starts); the
 * signal that tells of a parent's death comes from the parent's side and still arrives, and unnamed socket
 * pairs are no abstract sockets, so the IPC links are not affected.
 *
 * Rights by ABI: 1 files; 2 moving between folders (REFER); 3 truncate; 4 TCP bind and connect; 5 ioctl on
 * devices; 6 scopes. The structure and numbers are spelt out here: the kernel's interface is stable, and the
 * headers we build with are older than the kernels we run on. */
#include "sandbox/layers.h"

#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_REG = 1 << 8,
    FS_RIGHTS_1 = (1 << 13) - 1, /* execute, read, write, list, remove and make of every kind */
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
};

struct ruleset_attr {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

/* What the ABI can forbid; returns how much of the structure that kernel knows. */
static size_t ruleset_for_abi(long abi, bool no_tcp, struct ruleset_attr *attr)
{
    *attr = (struct ruleset_attr){.handled_access_fs = FS_RIGHTS_1};
    if (abi >= 2)
        attr->handled_access_fs |= FS_REFER;
    if (abi >= 3)
        attr->handled_access_fs |= FS_TRUNCATE;
    if (abi >= 5)
        attr->handled_access_fs |= FS_IOCTL_DEV;
    if (abi >= 4 && no_tcp)
        attr->handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 6)
        attr->scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    if (abi >= 6)
        return sizeof *attr;
    return abi >= 4 ? offsetof(struct ruleset_attr, scoped)
                    : offsetof(struct ruleset_attr, handled_access_net);
}

/* Grants reading, and `more` rights for what is below a folder. */
static int path_grant(int ruleset, const struct sandbox_path *path, uint64_t more)
{
    int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return path->may_be_missing && (errno == ENOENT || errno == ENOTDIR) ? NX_OK : NX_ESYS;
    struct stat status;
    int err = fstat(fd, &status) ? NX_ESYS : NX_OK;
    if (!err) {
        const struct path_beneath_attr rule = {
            .allowed_access = S_ISDIR(status.st_mode) ? FS_READ_FILE | FS_READ_DIR | more : FS_READ_FILE,
            .parent_fd = fd,
        };
        err = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) ? NX_ESYS : NX_OK;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

static int paths_grant(int ruleset, const struct ruleset_attr *handled, const struct sandbox_spec *spec)
{
    const struct sandbox_path *paths = spec->read_only;
    int err = NX_OK;
    for (size_t i = 0; paths && paths[i].path && !err; i++)
        err = path_grant(ruleset, &paths[i], 0);
    paths = spec->read_write;
    for (size_t i = 0; paths && paths[i].path && !err; i++)
        err = path_grant(ruleset, &paths[i],
                         (FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE) &
                             handled->handled_access_fs);
#ifdef NEXD_SANITIZE /* reports read debug information from anywhere; Clang's start a program for it */
    const struct sandbox_path everything = {"/", false};
    err = err ? err : path_grant(ruleset, &everything, FS_EXECUTE);
#endif
    return err;
}

int layer_landlock(const struct sandbox_spec *spec, struct sandbox_facts *facts)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (abi < 1)
        return errno == ENOSYS || errno == EOPNOTSUPP ? NX_ENOTSUP : NX_ESYS;
    struct ruleset_attr attr;
    size_t size = ruleset_for_abi(abi, spec->no_tcp, &attr);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return NX_ESYS;
    int err = paths_grant(ruleset, &attr, spec);
    if (!err && syscall(SYS_landlock_restrict_self, ruleset, 0))
        err = NX_ESYS;
    int saved = errno;
    close(ruleset);
    errno = saved;
    if (!err) {
        facts->landlock_abi = (uint32_t)abi;
        facts->fs = attr.handled_access_fs;
        facts->net = attr.handled_access_net;
        facts->scoped = attr.scoped;
    }
    return err;
}
