/* Which descriptors a process holds, counted by kind. A socket's kind is asked of the socket itself, through
 * a duplicate (pidfd_getfd), since it may be of a network that /proc shows nobody; where that is not
 * permitted it is a "socket". */
#include "nexd/report/report.h"

#include "common/fd.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TARGET_BYTES = 256 };

static void count(struct report_process *out, const char *name)
{
    for (size_t i = 0; i < out->kind_count; i++) {
        if (strcmp(out->kinds[i].name, name) == 0) {
            out->kinds[i].count++;
            return;
        }
    }
    if (out->kind_count == REPORT_KINDS_MAX) /* the last one stands for all further ones */
        snprintf(out->kinds[--out->kind_count].name, sizeof out->kinds[0].name, "others");
    struct report_kind *kind = &out->kinds[out->kind_count++];
    if (strcmp(kind->name, "others") != 0) {
        snprintf(kind->name, sizeof kind->name, "%.47s", name);
        kind->count = 0;
    }
    kind->count++;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) ? -1 : value;
}

static const char *type_name(int family, int type, int protocol)
{
    if (family == AF_UNIX)
        return type == SOCK_SEQPACKET ? "unix seqpacket"
               : type == SOCK_STREAM  ? "unix stream"
                                      : "unix datagram";
    if (family != AF_INET && family != AF_INET6)
        return family == AF_NETLINK ? "netlink" : family == AF_PACKET ? "packet" : "socket of another family";
    if (type == SOCK_STREAM && protocol == IPPROTO_TCP)
        return "tcp";
    return type == SOCK_DGRAM && protocol == IPPROTO_UDP ? "udp" : "raw internet";
}

static void count_socket(struct report_process *out, int pidfd, int number)
{
    char name[48];
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    FD_AUTO int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    if (fd < 0) {
        count(out, "socket");
        return;
    }
    bool listens = option(fd, SO_ACCEPTCONN) > 0;
    bool has_peer = getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
    snprintf(name, sizeof name, "%s%s",
             type_name(option(fd, SO_DOMAIN), option(fd, SO_TYPE), option(fd, SO_PROTOCOL)),
             listens    ? " listening"
             : has_peer ? " connected"
                        : "");
    count(out, name);
}

void report_descriptors_read(pid_t pid, struct report_process *out)
{
    char path[64], target[TARGET_BYTES], name[TARGET_BYTES + 8];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    if (!folder)
        return;
    FD_AUTO int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    while ((entry = readdir(folder))) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (entry->d_name[0] == '.' || length < 0)
            continue;
        target[length] = '\0';
        if (strncmp(target, "socket:", 7) == 0) {
            count_socket(out, pidfd, atoi(entry->d_name));
            continue;
        }
        if (strncmp(target, "pipe:", 5) == 0)
            snprintf(name, sizeof name, "pipe");
        else if (strncmp(target, "anon_inode:", 11) == 0)
            snprintf(name, sizeof name, "%s", target + 11);
        else
            snprintf(name, sizeof name, "file %s", target);
        count(out, name);
    }
    closedir(folder);
    out->descriptors_known = true;
}
