/* A UDP relay that makes a path worse on purpose, where the kernel's netem is not at hand.
 *
 *     end A  <-->  side 0  ==            ==  side 1  <-->  end B
 *                             link model
 *     end C  <-->  side 0  ==            ==  side 1  <-->  end D
 *
 * What arrives on one side of a pair leaves on the other. Each further --side0 begins another pair; all share
 * the link, its rate and its queue, in each direction. The address of an end is the one given, or that of the
 * last datagram which came from it. Datagrams are taken and sent in batches (UDP_GRO, UDP_SEGMENT), so that
 * the relay is not what is measured. `--dark-from`/`--dark-for` lose everything for a while. Figures hold for
 * each direction: a round trip takes twice the delay. SIGUSR1 prints counters, as the end does. */
#include "bench/path/link.h"
#include "common/netaddr.h"
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    BUFFER_BYTES = 65536,
    SEGMENTS_MAX = 64,
    SEGMENTED_BYTES_MAX = 65000,
    READS_A_TURN = 32,
    SEND_TRIES = 20,
    SOCKET_BUFFER = 32 << 20,
    POOL_DEFAULT = 131072,
    GATHER_NS = 50000, /* a busy relay pauses so long, that system calls carry batches */
    WAIT_MAX_NS = 200000000,
    PAIRS_MAX = 16,
    NS_PER_S = 1000000000
};

struct side {
    int fd;
    struct sockaddr_storage peer;
    socklen_t peer_length;
    bool peer_fixed;
    struct datagram *batch[SEGMENTS_MAX]; /* about to leave here, of one size but for the last */
    size_t batch_count, batch_bytes;
};

/* Two for each pair: side 0 is even. */
static struct side sides[2 * PAIRS_MAX];
static unsigned side_count;
static struct link_state links[2]; /* by the side at which a direction begins */
static struct link_model model = {.queue_ns = 100000000};
static uint64_t dark_from_ns = UINT64_MAX, dark_until_ns;
static volatile sig_atomic_t stop, report;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* -- In -------------------------------------------------------------------------------------- */

static void cut(unsigned at, const uint8_t *data, size_t length, size_t segment, uint64_t now)
{
    struct link_state *link = &links[at % 2];
    for (; length > 0; data += segment, length -= segment) {
        if (segment > length)
            segment = length;
        struct datagram *datagram = segment <= DATAGRAM_MAX ? datagram_get() : NULL;
        if (datagram == NULL) {
            link->counters.too_long += segment > DATAGRAM_MAX;
            link->counters.pool_drop += segment <= DATAGRAM_MAX;
            continue;
        }
        datagram->length = (uint16_t)segment;
        datagram->out = (uint8_t)(at ^ 1);
        memcpy(datagram->data, data, segment);
        if (now >= dark_from_ns && now < dark_until_ns) {
            link->counters.lost++;
            datagram_put(datagram);
        } else {
            link_admit(&model, link, datagram, now);
        }
    }
}

/* False: nothing was there. */
static bool side_read(unsigned at)
{
    static uint8_t buffer[BUFFER_BYTES];
    struct side *s = &sides[at];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct sockaddr_storage from;
    struct iovec iov = {.iov_base = buffer, .iov_len = sizeof buffer};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(s->fd, &message, MSG_DONTWAIT);
    if (n <= 0)
        return false;
    size_t segment = (size_t)n;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c != NULL && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
        int size;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        segment = (size_t)size;
    }
    if (!s->peer_fixed) {
        s->peer = from;
        s->peer_length = message.msg_namelen;
    }
    cut(at, buffer, (size_t)n, segment, now_ns());
    return true;
}

/* -- Out ------------------------------------------------------------------------------------- */

static bool batch_send(struct side *s)
{
    struct iovec iov[SEGMENTS_MAX];
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control = {0};
    for (size_t i = 0; i < s->batch_count; i++)
        iov[i] = (struct iovec){.iov_base = s->batch[i]->data, .iov_len = s->batch[i]->length};
    struct msghdr message = {
        .msg_name = &s->peer, .msg_namelen = s->peer_length, .msg_iov = iov, .msg_iovlen = s->batch_count};
    if (s->batch_count > 1) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        memcpy(CMSG_DATA(c), &s->batch[0]->length, sizeof(uint16_t));
    }
    for (unsigned tries = 0; tries < SEND_TRIES; tries++) {
        if (sendmsg(s->fd, &message, MSG_DONTWAIT) >= 0)
            return true;
        struct pollfd p = {.fd = s->fd, .events = POLLOUT};
        if (errno == EAGAIN || errno == ENOBUFS)
            (void)poll(&p, 1, 5);
        else if (errno != EINTR && errno != ECONNREFUSED)
            return false;
    }
    return false;
}

static void batch_flush(struct side *s)
{
    if (s->batch_count == 0)
        return;
    struct link_counters *counters = &links[(s - sides) % 2 ^ 1].counters;
    uint64_t now = now_ns();
    bool sent = s->peer_length > 0 && batch_send(s);
    for (size_t i = 0; i < s->batch_count; i++) {
        uint64_t late_ns = now > s->batch[i]->due_ns ? now - s->batch[i]->due_ns : 0;
        counters->late_sum_ns += late_ns;
        if (late_ns > counters->late_max_ns)
            counters->late_max_ns = late_ns;
        datagram_put(s->batch[i]);
    }
    counters->out += sent ? s->batch_count : 0;
    counters->out_bytes += sent ? s->batch_bytes : 0;
    counters->send_drop += sent ? 0 : s->batch_count;
    s->batch_count = s->batch_bytes = 0;
}

static void leave(struct datagram *datagram)
{
    struct side *s = &sides[datagram->out];
    /* In one call: segments of one size, the last may be shorter. */
    if (s->batch_count > 0 &&
        (s->batch_count == SEGMENTS_MAX || s->batch_bytes + datagram->length > SEGMENTED_BYTES_MAX ||
         s->batch[s->batch_count - 1]->length != s->batch[0]->length ||
         datagram->length > s->batch[0]->length))
        batch_flush(s);
    s->batch[s->batch_count++] = datagram;
    s->batch_bytes += datagram->length;
}

/* -- Life ------------------------------------------------------------------------------------ */

static void print_counters(void)
{
    printf("{");
    for (int d = 0; d < 2; d++) {
        const struct link_counters *t = &links[d].counters;
        printf("%s\"%s\":{\"in\":%lu,\"in_bytes\":%lu,\"out\":%lu,\"out_bytes\":%lu,\"lost\":%lu,"
               "\"queue_drop\":%lu,\"pool_drop\":%lu,\"send_drop\":%lu,\"too_long\":%lu,\"duplicated\":%lu,"
               "\"reordered\":%lu,\"late_mean_us\":%.1f,\"late_max_us\":%.1f}",
               d ? "," : "", d ? "ba" : "ab", t->in, t->in_bytes, t->out, t->out_bytes, t->lost,
               t->queue_drop, t->pool_drop, t->send_drop, t->too_long, t->duplicated, t->reordered,
               t->out ? (double)t->late_sum_ns / 1e3 / (double)t->out : 0.0, (double)t->late_max_ns / 1e3);
    }
    printf("}\n");
    fflush(stdout);
}

static socklen_t address(const char *text, struct sockaddr_storage *out)
{
    struct netsock parsed;
    if (netsock_parse(text, &parsed) != 0) {
        fprintf(stderr, "impair: %s is not ADDRESS:PORT\n", text);
        exit(2);
    }
    return netsock_to_sockaddr(&parsed, out);
}

static int side_open(const char *text)
{
    struct sockaddr_storage at;
    socklen_t length = address(text, &at);
    int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), big = SOCKET_BUFFER, on = 1;
    if (fd < 0)
        fail("socket");
    static const int forced[2] = {SO_RCVBUFFORCE, SO_SNDBUFFORCE}, plain[2] = {SO_RCVBUF, SO_SNDBUF};
    for (int i = 0; i < 2; i++)
        if (setsockopt(fd, SOL_SOCKET, forced[i], &big, sizeof big) != 0)
            (void)setsockopt(fd, SOL_SOCKET, plain[i], &big, sizeof big);
    if (bind(fd, (struct sockaddr *)&at, length) != 0)
        fail(text);
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0)
        fail("UDP_GRO");
    return fd;
}

static double number(const char *text, double low, double high)
{
    char *end;
    double x = strtod(text, &end);
    if (*end != '\0' || !(x >= low && x <= high)) {
        fprintf(stderr, "impair: %s must be a number from %g to %g\n", text, low, high);
        exit(2);
    }
    return x;
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        report = 1;
    else
        stop = 1;
}

static const struct option options[] = {
    {"side0", 1, 0, 'a'},     {"side1", 1, 0, 'b'},     {"peer0", 1, 0, 'A'},   {"peer1", 1, 0, 'B'},
    {"delay-ms", 1, 0, 'd'},  {"jitter-ms", 1, 0, 'j'}, {"loss", 1, 0, 'l'},    {"rate-mbit", 1, 0, 'r'},
    {"queue-ms", 1, 0, 'q'},  {"duplicate", 1, 0, 'D'}, {"reorder", 1, 0, 'o'}, {"seed", 1, 0, 's'},
    {"dark-from", 1, 0, 'f'}, {"dark-for", 1, 0, 'F'},  {"pool", 1, 0, 'p'},    {0},
};

/* Of the pair that was begun last. */
static bool peer_set(unsigned which, const char *text)
{
    if (side_count == 0)
        return false;
    struct side *s = &sides[((side_count - 1) & ~1U) + which];
    s->peer_length = address(text, &s->peer);
    s->peer_fixed = true;
    return true;
}

static size_t arguments(int argc, char **argv, uint64_t begin_ns)
{
    size_t pool = POOL_DEFAULT;
    double dark_for = 0;
    int c;
    bool fine = true;
    link_seed(1);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'a':
        case 'b':
            /* Side 0 begins a pair, side 1 ends it. */
            fine = fine && side_count % 2 == (c == 'b') && side_count < 2 * PAIRS_MAX;
            if (fine)
                sides[side_count++].fd = side_open(optarg);
            break;
        case 'A':
        case 'B':
            fine = fine && peer_set(c == 'B', optarg);
            break;
        case 'd':
            model.delay_ns = (uint64_t)(number(optarg, 0, 1500) * 1e6);
            break;
        case 'j':
            model.jitter_ns = (uint64_t)(number(optarg, 0, 500) * 1e6);
            break;
        case 'l':
            model.loss = number(optarg, 0, 1);
            break;
        case 'r':
            model.rate = (uint64_t)(number(optarg, 0, 1e6) * 1e6);
            break;
        case 'q':
            model.queue_ns = (uint64_t)(number(optarg, 0, 1000) * 1e6);
            break;
        case 'D':
            model.duplicate = number(optarg, 0, 1);
            break;
        case 'o':
            model.reorder = number(optarg, 0, 1);
            break;
        case 's':
            link_seed(strtoull(optarg, NULL, 10));
            break;
        case 'f':
            dark_from_ns = begin_ns + (uint64_t)(number(optarg, 0, 86400) * 1e9);
            break;
        case 'F':
            dark_for = number(optarg, 0, 86400);
            break;
        case 'p':
            pool = (size_t)number(optarg, 1024, 1 << 20);
            break;
        default:
            fine = false;
        }
    }
    if (!fine || side_count == 0 || side_count % 2 != 0) {
        fprintf(stderr,
                "usage: impair --side0 ADDR:PORT --side1 ADDR:PORT [--peer0 ADDR:PORT] [--peer1 ADDR:PORT]\n"
                "  [--side0 ... for each further pair over the same link]\n"
                "  [--delay-ms N] [--jitter-ms N] [--loss P] [--rate-mbit N] [--queue-ms N] [--duplicate P]\n"
                "  [--reorder P] [--dark-from S --dark-for S] [--seed N] [--pool DATAGRAMS]\n");
        exit(2);
    }
    if (dark_from_ns != UINT64_MAX)
        dark_until_ns = dark_from_ns + (uint64_t)(dark_for * 1e9);
    return pool;
}

static void sleep_until_work(uint64_t now)
{
    uint64_t next = wheel_next_ns(), wait_ns = WAIT_MAX_NS;
    if (next != UINT64_MAX) {
        struct timespec gather = {.tv_nsec = GATHER_NS};
        nanosleep(&gather, NULL);
        wait_ns = next > now + GATHER_NS ? next - now - GATHER_NS : 0;
    }
    if (wait_ns > WAIT_MAX_NS)
        wait_ns = WAIT_MAX_NS;
    struct timespec wait = {.tv_nsec = (long)wait_ns};
    struct pollfd p[2 * PAIRS_MAX];
    for (unsigned i = 0; i < side_count; i++)
        p[i] = (struct pollfd){.fd = sides[i].fd, .events = POLLIN};
    if (ppoll(p, side_count, &wait, NULL) <= 0)
        return;
    for (unsigned i = 0; i < side_count; i++)
        if (p[i].revents & POLLERR) { /* an ICMP error: read it off */
            int error;
            socklen_t length = sizeof error;
            (void)getsockopt(sides[i].fd, SOL_SOCKET, SO_ERROR, &error, &length);
        }
    /* In turn, so that nobody's burst is first in the queue because of its place here. */
    bool more = true;
    for (unsigned turn = 0; more && turn < READS_A_TURN; turn++) {
        more = false;
        for (unsigned i = 0; i < side_count; i++)
            if ((p[i].revents & POLLIN) && side_read(i))
                more = true;
            else
                p[i].revents = 0;
    }
}

int main(int argc, char **argv)
{
    uint64_t now = now_ns();
    wheel_init(arguments(argc, argv, now), now);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    printf("ready\n");
    fflush(stdout);
    /* A network takes no processor time from its users' queue: run ahead of them where that is allowed. */
    struct sched_param ahead = {.sched_priority = 1};
    (void)sched_setscheduler(0, SCHED_RR, &ahead);
    while (!stop) {
        struct datagram *datagram;
        sleep_until_work(now);
        now = now_ns();
        while ((datagram = wheel_take(now)) != NULL)
            leave(datagram);
        for (unsigned i = 0; i < side_count; i++)
            batch_flush(&sides[i]);
        if (report) {
            report = 0;
            print_counters();
        }
    }
    print_counters();
    return 0;
}
