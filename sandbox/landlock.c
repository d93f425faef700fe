/* Landlock: the file system, TCP ports, other processes and abstract sockets, as far as the kernel's ABI
 * knows them.
 *
 * Everything that the ABI can forbid is forbidden, then the spec's paths are granted for reading, or for
 * writing, and its ports. Of a supervisor, reading and executing are left alone: its children inherit what
 * holds it, and their programs have to be found and loaded. Descriptors that were opened before, or arrive
 * over IPC, keep working: Landlock judges the opening. Signals and abstract Unix sockets are scoped to the
 * process itself (and what it starts); the signal that tells of a parent's death comes from the parent's side
 * and still arrives, and unnamed socket pairs are no abstract sockets, so the IPC links are not affected.
 *
 * Rights by ABI: 1 files; 2 moving between folders (REFER); 3 truncate; 4 TCP bind and connect; 5 ioctl on
 * devices; 6 scopes. The structure and numbers are spelt out here: the kernel's interface is stable, and the
 * headers we build with are older than the kernels we run on. */
#include "sandbox/layers.h"

#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
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

struct net_port_attr {
    uint64_t allowed_access, port;
};

/* What the ABI can forbid and the spec wants; returns how much of the structure that kernel knows. */
static size_t ruleset_for_abi(long abi, const struct sandbox_spec *spec, struct ruleset_attr *attr)
{
    *attr = (struct ruleset_attr){.handled_access_fs = FS_RIGHTS_1};
    if (abi >= 2)
        attr->handled_access_fs |= FS_REFER;
    if (abi >= 3)
        attr->handled_access_fs |= FS_TRUNCATE;
    if (abi >= 5 && !spec->may_fork)
        attr->handled_access_fs |= FS_IOCTL_DEV;
    if (spec->may_fork)
        attr->handled_access_fs &= ~(uint64_t)(FS_EXECUTE | FS_READ_FILE | FS_READ_DIR);
    if (abi >= 4 && (spec->no_tcp || spec->tcp_bind))
        attr->handled_access_net |= NET_BIND_TCP;
    if (abi >= 4 && (spec->no_tcp || spec->tcp_connect))
        attr->handled_access_net |= NET_CONNECT_TCP;
    if (abi >= 6) /* a supervisor may have to reach an abstract notification socket */
        attr->scoped = spec->may_fork ? SCOPE_SIGNAL : SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    if (abi >= 6)
        return sizeof *attr;
    return abi >= 4 ? offsetof(struct ruleset_attr, scoped)
                    : offsetof(struct ruleset_attr, handled_access_net);
}

/* Grants what `rights` has of what is handled at all; to a file, what makes sense for one. */
static int path_grant(int ruleset, const struct ruleset_attr *handled, const struct sandbox_path *path,
                      uint64_t rights)
{
    int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return path->may_be_missing && (errno == ENOENT || errno == ENOTDIR) ? NX_OK : NX_ESYS;
    struct stat status;
    int err = fstat(fd, &status) ? NX_ESYS : NX_OK;
    if (!err) {
        const struct path_beneath_attr rule = {
            .allowed_access =
                (S_ISDIR(status.st_mode) ? rights : rights & FS_READ_FILE) & handled->handled_access_fs,
            .parent_fd = fd,
        };
        if (rule.allowed_access)
            err = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) ? NX_ESYS : NX_OK;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

/* Of a folder that is not there yet: the nearest one above, in which it may be made. */
static int folder_grant(int ruleset, const struct ruleset_attr *handled, const struct sandbox_path *folder)
{
    uint64_t rights = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE;
    char path[PATH_MAX];
    size_t length = strlen(folder->path);
    if (length >= sizeof path) {
        errno = ENAMETOOLONG;
        return NX_ESYS;
    }
    memcpy(path, folder->path, length + 1);
    while (folder->may_be_missing && access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR)) {
        char *slash = strrchr(path, '/');
        if (slash)
            slash[slash == path] = '\0';
        else
            memcpy(path, ".", sizeof ".");
        rights |= FS_MAKE_DIR;
    }
    const struct sandbox_path there = {path, folder->may_be_missing};
    return path_grant(ruleset, handled, &there, rights);
}

static int paths_grant(int ruleset, const struct ruleset_attr *handled, const struct sandbox_spec *spec)
{
    const struct sandbox_path *paths = spec->read_only;
    int err = NX_OK;
    for (size_t i = 0; paths && paths[i].path && !err; i++)
        err = path_grant(ruleset, handled, &paths[i], FS_READ_FILE | FS_READ_DIR);
    paths = spec->read_write;
    for (size_t i = 0; paths && paths[i].path && !err; i++)
        err = folder_grant(ruleset, handled, &paths[i]);
    paths = spec->removable;
    for (size_t i = 0; paths && paths[i].path && !err; i++)
        err = path_grant(ruleset, handled, &paths[i], FS_REMOVE_FILE);
#ifdef NEXD_SANITIZE /* reports read debug information from anywhere; Clang's start a program for it */
    const struct sandbox_path everything = {"/", false};
    err = err ? err : path_grant(ruleset, handled, &everything, FS_READ_FILE | FS_READ_DIR | FS_EXECUTE);
#endif
    return err;
}

static int ports_grant(int ruleset, uint64_t handled, uint64_t right, const struct sandbox_ports *ports)
{
    for (size_t i = 0; ports && handled & right && i < ports->count; i++) {
        const struct net_port_attr rule = {.allowed_access = right, .port = ports->ports[i]};
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0))
            return NX_ESYS;
    }
    return NX_OK;
}

int layer_landlock(const struct sandbox_spec *spec, struct sandbox_facts *facts)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (abi < 1)
        return errno == ENOSYS || errno == EOPNOTSUPP ? NX_ENOTSUP : NX_ESYS;
    struct ruleset_attr attr;
    size_t size = ruleset_for_abi(abi, spec, &attr);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return NX_ESYS;
    int err = paths_grant(ruleset, &attr, spec);
    if (!err)
        err = ports_grant(ruleset, attr.handled_access_net, NET_BIND_TCP, spec->tcp_bind);
    if (!err)
        err = ports_grant(ruleset, attr.handled_access_net, NET_CONNECT_TCP, spec->tcp_connect);
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
