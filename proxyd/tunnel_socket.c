/* Two sockets instead of one for both families: tunneld's batches of one family need no look at each address.
 *
 * Path MTU discovery is left to the host's default for the outer packets to be fragmented where a path needs
 * it, as the kernel's WireGuard does: IP_PMTUDISC_DONT clears the DF bit that Linux sets otherwise. */
#include "proxyd/tunnel_socket.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "proxyd/wildcard.h"

#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { TUNNEL_BUFFER_BYTES = 4 << 20, PORT_TRIES = 32 };

/* All of them are improvements that a host may refuse. */
static void tunnel_options_set(int fd, int family)
{
    static const int on = 1, bytes = TUNNEL_BUFFER_BYTES;
    static const int dont4 = IP_PMTUDISC_DONT, dont6 = IPV6_PMTUDISC_DONT;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)))
        log_debug("UDP_GRO: %s", strerror(errno));
    const int result = family == AF_INET
                           ? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont4, sizeof(dont4))
                           : setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &dont6, sizeof(dont6));
    if (result)
        log_debug("path MTU discovery stays on: %s", strerror(errno));
}

/* One try. NX_OK; NX_EAGAIN: the port that was free in IPv4 is not in IPv6; NX_ESYS: errno. */
static int tunnel_bind_pair(uint16_t port, struct tunnel_sockets *out)
{
    FD_AUTO int udp4 = -1, udp6 = -1;
    if (wildcard_bind(SOCK_DGRAM, WILDCARD_V4, port, &udp4) != NX_OK)
        return NX_ESYS;
    const uint16_t bound = wildcard_port(udp4);
    if (bound == 0)
        return NX_ESYS;
    if (wildcard_bind(SOCK_DGRAM, WILDCARD_V6_ONLY, bound, &udp6) != NX_OK) {
        if (errno == EADDRINUSE && port == 0)
            return NX_EAGAIN;
        if (!wildcard_family_missing(errno))
            return NX_ESYS;
    }
    tunnel_options_set(udp4, AF_INET);
    if (udp6 >= 0)
        tunnel_options_set(udp6, AF_INET6);
    *out = (struct tunnel_sockets){.port = bound, .udp4 = fd_release(&udp4), .udp6 = fd_release(&udp6)};
    return NX_OK;
}

int tunnel_sockets_bind(uint16_t port, struct tunnel_sockets *out, struct failure *failure)
{
    int err = NX_EAGAIN;
    for (int i = 0; i < PORT_TRIES && err == NX_EAGAIN; i++)
        err = tunnel_bind_pair(port, out);
    if (err == NX_OK)
        return err;
    if (err == NX_EAGAIN)
        failure_set(failure, IPC_IN_USE, "tunnel: no UDP port is free in both IPv4 and IPv6");
    else
        wildcard_failure(failure, "tunnel (UDP)", NULL, port, errno);
    return NX_ESYS;
}
