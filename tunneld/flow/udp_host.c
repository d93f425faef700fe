/* Receiving; see udp_host.h. Answers leave from the address that the client sent to (RFC 1122, 4.1.3.5),
 * which on a wildcard socket takes packet information both ways. */
#include "tunneld/flow/udp_host.h"
#include "common/err.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { DATAGRAM_MAX = 65536, CONTROL_MAX = 128 };

static uint8_t buffers[UDP_HOST_BATCH][DATAGRAM_MAX];

static void local_address(const struct msghdr *message, struct netaddr *out)
{
    memset(out, 0, sizeof *out);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
         c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            out->family = NETADDR_V6;
            memcpy(out->bytes, &info.ipi6_addr, 16);
            netaddr_unmap(out);
            return;
        }
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            out->family = NETADDR_V4;
            memcpy(out->bytes, &info.ipi_addr, 4);
            return;
        }
    }
}

int udp_host_receive(int fd, bool connected, struct udp_host_datagram *out)
{
    struct mmsghdr messages[UDP_HOST_BATCH];
    struct iovec iov[UDP_HOST_BATCH];
    struct sockaddr_storage names[UDP_HOST_BATCH];
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_MAX];
    } controls[UDP_HOST_BATCH];
    memset(messages, 0, sizeof messages);
    for (size_t i = 0; i < UDP_HOST_BATCH; i++) {
        iov[i] = (struct iovec){.iov_base = buffers[i], .iov_len = DATAGRAM_MAX};
        messages[i].msg_hdr.msg_iov = &iov[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        if (connected)
            continue;
        messages[i].msg_hdr.msg_name = &names[i];
        messages[i].msg_hdr.msg_namelen = sizeof names[i];
        messages[i].msg_hdr.msg_control = &controls[i];
        messages[i].msg_hdr.msg_controllen = sizeof controls[i];
    }
    int n = recvmmsg(fd, messages, UDP_HOST_BATCH, MSG_DONTWAIT, NULL);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        struct udp_host_datagram *d = &out[kept];
        memset(d, 0, sizeof *d);
        d->data = buffers[i];
        d->length = messages[i].msg_len;
        if (!connected) {
            if (netsock_from_sockaddr((struct sockaddr *)&names[i], messages[i].msg_hdr.msg_namelen,
                                      &d->from) != NX_OK)
                continue;
            local_address(&messages[i].msg_hdr, &d->to);
        }
        kept++;
    }
    return n < 0 ? -1 : kept;
}
