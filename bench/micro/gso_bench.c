/* UDP through the kernel's loopback in the sizes of tunnel traffic: a system call a datagram, one for a
 * batch, and one segmented message, each with and without coalescing at the receiver. The receiver's side is
 * in the figures: both are one thread's work, as everything in tunneld is. */
#include "bench/micro/micro.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 44, SIZE = 1452, BUFFER = 65536, RECEIVE = 64 };

enum way { WAY_SINGLY, WAY_BATCH, WAY_SEGMENTED };

struct path {
    int from, to;
    enum way way;
    size_t received;
};

static uint8_t text[BATCH * SIZE], in[RECEIVE][BUFFER];

static void send_batch(const struct path *path)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec iov[BATCH];
    if (path->way == WAY_SEGMENTED) {
        union {
            struct cmsghdr align;
            uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
        } control = {0};
        uint16_t size = SIZE;
        struct iovec all = {text, sizeof text};
        struct msghdr m = {
            .msg_iov = &all, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(c), &size, sizeof size);
        micro_expect(sendmsg(path->from, &m, 0) == (ssize_t)sizeof text, "a segmented message");
        return;
    }
    for (size_t i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){text + i * SIZE, SIZE};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
        if (path->way == WAY_SINGLY)
            micro_expect(sendmsg(path->from, &messages[i].msg_hdr, 0) == SIZE, "a datagram");
    }
    if (path->way == WAY_BATCH)
        micro_expect(sendmmsg(path->from, messages, BATCH, 0) == BATCH, "a batch");
}

static size_t receive_some(int fd)
{
    struct mmsghdr messages[RECEIVE] = {0};
    struct iovec iov[RECEIVE];
    size_t bytes = 0;
    for (size_t i = 0; i < RECEIVE; i++) {
        iov[i] = (struct iovec){in[i], BUFFER};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(fd, messages, RECEIVE, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        micro_expect(memcmp(in[i], text, SIZE) == 0, "what a datagram holds");
        bytes += messages[i].msg_len;
    }
    return bytes;
}

static void run(void *arg)
{
    struct path *path = arg;
    send_batch(path);
    size_t bytes = 0;
    for (int tries = 0; bytes < sizeof text && tries < 1000; tries++)
        bytes += receive_some(path->to);
    micro_expect(bytes == sizeof text, "how much arrived");
}

static void sockets_make(struct path *path, bool coalesced)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int one = 1;
    path->from = socket(AF_INET, SOCK_DGRAM, 0);
    path->to = socket(AF_INET, SOCK_DGRAM, 0);
    micro_expect(bind(path->to, (struct sockaddr *)&at, sizeof at) == 0 &&
                     getsockname(path->to, (struct sockaddr *)&at, &length) == 0 &&
                     connect(path->from, (struct sockaddr *)&at, sizeof at) == 0,
                 "sockets");
    if (coalesced)
        micro_expect(setsockopt(path->to, SOL_UDP, UDP_GRO, &one, sizeof one) == 0, "UDP_GRO");
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"a call a datagram", "sendmmsg", "UDP_SEGMENT"};
    struct micro micro = micro_start(argc, argv);
    for (size_t i = 0; i < BATCH; i++)
        memset(text + i * SIZE, 0x5a, SIZE);
    for (enum way way = WAY_SINGLY; way <= WAY_SEGMENTED; way++) {
        for (int coalesced = 0; coalesced <= 1; coalesced++) {
            struct path path = {.way = way};
            sockets_make(&path, coalesced != 0);
            double ns = micro_best_ns(&micro, run, &path, BATCH);
            printf("udp %u bytes, %-18s %-10s: %7.1f ns a datagram  %6.2f Gbit/s\n", (unsigned)SIZE,
                   names[way], coalesced ? "and GRO" : "", ns, SIZE * 8 / ns);
            close(path.from);
            close(path.to);
        }
    }
    return 0;
}
