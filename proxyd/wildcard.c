/* One socket for both families: IPV6_V6ONLY is set explicitly either way, since its default is the host's
 * setting. */
#include "proxyd/wildcard.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/netaddr.h"

#include <string.h>

bool wildcard_family_missing(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

/* `at`: its address may be of zeros, for all of its family. */
static int bind_family(int type, const struct netsock *at, int v6_only, int *out)
{
    static const int on = 1;
    struct sockaddr_storage address;
    const socklen_t length = netsock_to_sockaddr(at, &address);
    const sa_family_t family = address.ss_family;
    FD_AUTO int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NX_ESYS;
    if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
        return NX_ESYS;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)))
        return NX_ESYS;
    if (bind(fd, (const struct sockaddr *)&address, length))
        return NX_ESYS;
    *out = fd_release(&fd);
    return NX_OK;
}

int wildcard_bind(int type, enum wildcard_family family, uint16_t port, int *fd)
{
    const struct netsock any4 = {.addr.family = NETADDR_V4, .port = port};
    const struct netsock any6 = {.addr.family = NETADDR_V6, .port = port};
    if (family == WILDCARD_V4)
        return bind_family(type, &any4, 0, fd);
    int err = bind_family(type, &any6, family == WILDCARD_V6_ONLY, fd);
    if (err != NX_OK && family == WILDCARD_DUAL && wildcard_family_missing(errno))
        err = bind_family(type, &any4, 0, fd);
    return err;
}

int wildcard_bind_at(int type, const struct netaddr *address, uint16_t port, int *fd)
{
    const struct netsock at = {.addr = *address, .port = port};
    return address->family == NETADDR_NONE ? wildcard_bind(type, WILDCARD_DUAL, port, fd)
                                           : bind_family(type, &at, 1, fd);
}

void wildcard_failure(struct failure *failure, const char *who, const struct netaddr *address, uint16_t port,
                      int error)
{
    char text[NETADDR_TEXT_MAX];
    const enum ipc_outcome outcome = failure_from_errno(error);
    if (outcome == IPC_IN_USE)
        failure_set(failure, outcome,
                    "%s: port %u is in use by another program: stop that program or choose another port", who,
                    port);
    else if (outcome == IPC_NOT_PERMITTED && port < 1024)
        failure_set(
            failure, outcome,
            "%s: port %u needs a right that this process does not have: choose a port from 1024 on, or set "
            "the sysctl net.ipv4.ip_unprivileged_port_start to %u",
            who, port, port);
    else if (address && address->family != NETADDR_NONE)
        failure_set(failure, outcome,
                    "%s: port %u cannot be opened at %s, where the operator's policy wants it: %s", who, port,
                    netaddr_format(address, text), strerror(error));
    else
        failure_set(failure, outcome, "%s: port %u cannot be opened: %s", who, port, strerror(error));
}

uint16_t wildcard_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    struct netsock local;
    if (getsockname(fd, (struct sockaddr *)&address, &length) ||
        netsock_from_sockaddr((const struct sockaddr *)&address, length, &local) != NX_OK)
        return 0;
    return local.port;
}
