/* What a received descriptor really is, asked of the kernel: the sender's word is not enough. */
#include "common/rule.h"
#include "ipc/table.h"
#include <netinet/in.h>
#include <sys/socket.h>

struct socket_facts {
    int domain, type, protocol, listening;
    bool bound, connected;
};

static bool option(int fd, int name, int *out)
{
    socklen_t size = sizeof *out;
    return getsockopt(fd, SOL_SOCKET, name, out, &size) == 0 && size == sizeof *out;
}

static bool facts_of(int fd, struct socket_facts *facts)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    /* The first question fails for anything that is no socket; fstat(2) would need a call that also takes
     * paths. */
    if (!option(fd, SO_DOMAIN, &facts->domain) || !option(fd, SO_TYPE, &facts->type) ||
        !option(fd, SO_PROTOCOL, &facts->protocol) || !option(fd, SO_ACCEPTCONN, &facts->listening))
        return false;
    facts->connected = getpeername(fd, (struct sockaddr *)&name, &size) == 0;
    size = sizeof name;
    facts->bound = false;
    if (getsockname(fd, (struct sockaddr *)&name, &size) == 0) {
        if (name.ss_family == AF_INET)
            facts->bound = ((struct sockaddr_in *)&name)->sin_port != 0;
        else if (name.ss_family == AF_INET6)
            facts->bound = ((struct sockaddr_in6 *)&name)->sin6_port != 0;
    }
    return true;
}

bool ipc_fd_is(int fd, enum ipc_fd_kind kind, uint8_t protocol)
{
    struct socket_facts f;
    if (kind == IPC_FD_BY_PROTOCOL)
        kind = protocol == RULE_TCP ? IPC_FD_TCP_CONNECTED : IPC_FD_UDP_CONNECTED;
    if (!facts_of(fd, &f))
        return false;
    bool inet = f.domain == AF_INET || f.domain == AF_INET6;
    bool tcp = inet && f.type == SOCK_STREAM && f.protocol == IPPROTO_TCP;
    bool udp = inet && f.type == SOCK_DGRAM && f.protocol == IPPROTO_UDP;
    switch (kind) {
    case IPC_FD_TCP_CONNECTED:
        /* A client may have gone before it is handed over: then it has no peer any more, but it still is
         * bound. */
        return tcp && !f.listening && (f.connected || f.bound);
    case IPC_FD_TCP_LISTENER:
        return tcp && f.listening;
    case IPC_FD_UDP_BOUND:
        return udp && f.bound && !f.connected;
    case IPC_FD_UDP_CONNECTED:
        return udp && f.connected;
    case IPC_FD_LINK:
        return f.domain == AF_UNIX && f.type == SOCK_SEQPACKET && f.connected;
    case IPC_FD_UNIX_LISTENER:
        return f.domain == AF_UNIX && f.type == SOCK_STREAM && f.listening;
    case IPC_FD_UNIX_CLIENT:
        return f.domain == AF_UNIX && f.type == SOCK_STREAM && !f.listening;
    case IPC_FD_BY_PROTOCOL:
        break; /* resolved above */
    }
    return false;
}
