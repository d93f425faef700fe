/* What leaves by UDP sockets of the host waits here until the end of a batch: a datagram by itself costs more
 * in system calls than in everything else together. It is copied, so that nobody has to keep its bytes.
 *
 *   queued:    A1 B1 A2 A3 B2            by flow, in order
 *   flushed:   sendmmsg(A: A1 A2 A3), sendmmsg(B: B1 B2)
 *
 * Datagrams of one size to one place are one message with UDP_SEGMENT, which the kernel takes through its
 * stack once and cuts for the receiver. Where it cannot (a network card without checksums, a size past the
 * path's), they leave one by one. What the kernel does not take is dropped, as UDP is. */
#include "common/log.h"
#include "tunneld/flow/udp_host.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

enum {
    QUEUE_MAX = 128,
    ARENA_BYTES = 256 << 10,
    SEGMENTS_MAX = 64,       /* UDP_MAX_SEGMENTS of Linux before 6.9 */
    SEGMENTED_BYTES = 65507, /* the largest UDP payload over IPv4 */
    CONTROL_MAX = 128,
};

struct queued {
    struct udp_host_way way;
    uint8_t *data;
    size_t length;
    bool done;
};

/* One message of a flow: datagrams of one size, the last of them perhaps shorter. */
struct group {
    struct iovec *iov;
    size_t count, bytes;
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_MAX];
    } control;
};

static struct queued queue[QUEUE_MAX];
static uint8_t arena[ARENA_BYTES] __attribute__((aligned(64)));
static size_t queue_count, arena_used;
static size_t dropped;
static bool segmentation = true;

/* -- Names and control messages ---------------------------------------------------------------------------
 */

/* On an AF_INET6 socket an IPv4 client is ::ffff:a.b.c.d. */
static socklen_t name_fill(const struct udp_host_way *way, struct sockaddr_storage *out)
{
    if (!way->v6 || way->to.addr.family == NETADDR_V6)
        return netsock_to_sockaddr(&way->to, out);
    struct netsock mapped = {.addr.family = NETADDR_V6, .port = way->to.port};
    mapped.addr.bytes[10] = mapped.addr.bytes[11] = 0xff;
    memcpy(mapped.addr.bytes + 12, way->to.addr.bytes, 4);
    return netsock_to_sockaddr(&mapped, out);
}

static void control_add(struct msghdr *message, int level, int type, const void *data, size_t length)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(c), data, length);
    message->msg_controllen += CMSG_SPACE(length);
}

/* Answers leave from the address that the client sent to. */
static void control_add_source(struct msghdr *message, const struct udp_host_way *way)
{
    if (!way->v6) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, way->from.bytes, 4);
        control_add(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
        return;
    }
    struct in6_pktinfo info = {0};
    if (way->from.family == NETADDR_V4) {
        info.ipi6_addr.s6_addr[10] = info.ipi6_addr.s6_addr[11] = 0xff;
        memcpy(info.ipi6_addr.s6_addr + 12, way->from.bytes, 4);
    } else {
        memcpy(&info.ipi6_addr, way->from.bytes, 16);
    }
    control_add(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

static void message_fill(struct msghdr *message, struct group *group, const struct udp_host_way *way,
                         struct sockaddr_storage *name, socklen_t name_length)
{
    *message = (struct msghdr){.msg_iov = group->iov, .msg_iovlen = group->count};
    if (name_length > 0) {
        message->msg_name = name;
        message->msg_namelen = name_length;
    }
    memset(&group->control, 0, sizeof group->control);
    message->msg_control = &group->control;
    if (name_length > 0 && way->from.family != NETADDR_NONE)
        control_add_source(message, way);
    if (group->count > 1) {
        uint16_t size = (uint16_t)group->iov[0].iov_len;
        control_add(message, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    if (message->msg_controllen == 0)
        message->msg_control = NULL;
}

/* -- Sending ----------------------------------------------------------------------------------------------
 */

static bool group_takes(const struct group *group, size_t length)
{
    size_t segment = group->iov[0].iov_len;
    return segmentation && segment > 0 && length > 0 && length <= segment &&
           group->iov[group->count - 1].iov_len == segment && group->count < SEGMENTS_MAX &&
           group->bytes + length <= SEGMENTED_BYTES;
}

static void group_send_singly(const struct msghdr *segmented, const struct group *group,
                              const struct udp_host_way *way)
{
    for (size_t i = 0; i < group->count; i++) {
        struct group one = {.iov = &group->iov[i], .count = 1};
        struct msghdr message;
        message_fill(&message, &one, way, segmented->msg_name, segmented->msg_namelen);
        dropped += sendmsg(way->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
    }
}

static void group_failed(const struct msghdr *message, const struct group *group,
                         const struct udp_host_way *way, int err)
{
    if (group->count == 1 || (err != EINVAL && err != EIO && err != EMSGSIZE && err != ENOPROTOOPT)) {
        dropped += group->count;
        return;
    }
    if (segmentation && (err == EIO || err == ENOPROTOOPT)) {
        segmentation = false;
        log_info("UDP segmentation is not available for services: datagrams are sent one by one");
    }
    group_send_singly(message, group, way);
}

static void groups_send(struct group *groups, size_t count, const struct udp_host_way *way)
{
    static struct mmsghdr messages[QUEUE_MAX];
    struct sockaddr_storage name;
    socklen_t name_length = way->to.port != 0 ? name_fill(way, &name) : 0;
    for (size_t i = 0; i < count; i++)
        message_fill(&messages[i].msg_hdr, &groups[i], way, &name, name_length);
    for (size_t at = 0; at < count;) {
        int n = sendmmsg(way->fd, messages + at, (unsigned)(count - at), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            at += (size_t)n;
        else {
            group_failed(&messages[at].msg_hdr, &groups[at], way, errno);
            at++;
        }
    }
}

static bool way_equal(const struct udp_host_way *a, const struct udp_host_way *b)
{
    return a->fd == b->fd && netsock_equal(&a->to, &b->to) && netaddr_equal(&a->from, &b->from);
}

/* Sends what waits for the same way as the entry at `first`. */
static void way_flush(size_t first)
{
    static struct group groups[QUEUE_MAX];
    static struct iovec iov[QUEUE_MAX];
    size_t iov_count = 0, group_count = 0;
    const struct udp_host_way *way = &queue[first].way;
    for (size_t i = first; i < queue_count; i++) {
        struct queued *q = &queue[i];
        if (q->done || !way_equal(way, &q->way))
            continue;
        q->done = true;
        struct group *group = group_count > 0 ? &groups[group_count - 1] : NULL;
        iov[iov_count] = (struct iovec){.iov_base = q->data, .iov_len = q->length};
        if (group == NULL || !group_takes(group, q->length)) {
            group = &groups[group_count++];
            group->iov = &iov[iov_count];
            group->count = group->bytes = 0;
        }
        iov_count++;
        group->count++;
        group->bytes += q->length;
    }
    groups_send(groups, group_count, way);
}

size_t udp_host_flush(void)
{
    for (size_t i = 0; i < queue_count; i++)
        if (!queue[i].done)
            way_flush(i);
    queue_count = arena_used = 0;
    size_t lost = dropped;
    dropped = 0;
    return lost;
}

void udp_host_send(const struct udp_host_way *way, const uint8_t *data, size_t length)
{
    if (queue_count == QUEUE_MAX || arena_used + length > ARENA_BYTES) {
        size_t lost = udp_host_flush();
        dropped = lost; /* told by the owner's own flush */
    }
    if (length > 0)
        memcpy(arena + arena_used, data, length);
    queue[queue_count++] = (struct queued){.way = *way, .data = arena + arena_used, .length = length};
    arena_used += length;
}
