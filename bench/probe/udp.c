/* Datagrams: `sink` beside end b counts what comes, `blast` beside end a sends at a rate or as fast as it
 * can.
 *
 * A datagram begins with what it is and its number. The first ones open the flow: the sink sends them back,
 * and the blast begins when one has come back, so that what a proxy does for a new flow is not in the
 * figures. The sink ends some silence after the last one. Sent and received in batches, so that the two cost
 * little beside what is measured. */
#include "bench/probe/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DATAGRAM_MAX = 1500,
    BATCH = 64,
    BUFFER_BYTES = 8 << 20,
    OPEN_WAIT_MS = 200,
    OPEN_TRIES = 50,
    SILENCE_MS = 500,
    TICK_NS = 200000, /* what is due is sent so often */
    RATE_MAX = 10000000,
};

enum { KIND_OPEN = 1, KIND_DATA = 2 };

struct numbered {
    uint32_t kind;
    uint32_t number;
};

static uint8_t bytes[BATCH][DATAGRAM_MAX];
static struct iovec iov[BATCH];
static struct mmsghdr messages[BATCH];
static struct sockaddr_storage names[BATCH];

static int datagram_socket(const struct target *target)
{
    const int size = BUFFER_BYTES;
    const int fd = socket(target->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("udp: socket");
    /* With rights, past the system's bound; else what it allows. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return fd;
}

static bool readable(int fd, int wait_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, wait_ms) > 0;
}

/* -- sink -------------------------------------------------------------------------------------------------
 */

struct tally {
    uint64_t received, late, bytes; /* late: after one with a higher number */
    uint64_t first_ns, last_ns;
    uint32_t highest;
};

static void tally_take(struct tally *tally, int fd, size_t at, size_t length)
{
    struct numbered head;
    if (length < sizeof(head))
        return;
    memcpy(&head, bytes[at], sizeof(head));
    if (head.kind == KIND_OPEN) {
        (void)sendto(fd, bytes[at], length, 0, (struct sockaddr *)&names[at],
                     messages[at].msg_hdr.msg_namelen);
        return;
    }
    tally->last_ns = now_ns();
    if (tally->received++ == 0)
        tally->first_ns = tally->last_ns;
    tally->bytes += length;
    tally->late += head.number < tally->highest;
    if (head.number > tally->highest)
        tally->highest = head.number;
}

static void sink_batch(struct tally *tally, int fd)
{
    for (size_t i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){bytes[i], DATAGRAM_MAX};
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &iov[i], .msg_iovlen = 1, .msg_name = &names[i], .msg_namelen = sizeof(names[i])};
    }
    const int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        tally_take(tally, fd, (size_t)i, messages[i].msg_len);
}

int command_sink(char **arguments)
{
    const struct target target = target_arg(arguments[0], arguments[1]);
    const uint64_t end = now_ns() + (uint64_t)number_arg(arguments[2], 1, 600) * NS_PER_S;
    const int fd = datagram_socket(&target);
    struct tally tally = {0};
    if (bind(fd, (const struct sockaddr *)&target.address, target.length) != 0)
        fail("sink: bind");
    printf("{\"ready\": true}\n");
    fflush(stdout);
    while (now_ns() < end) {
        if (readable(fd, SILENCE_MS))
            sink_batch(&tally, fd);
        else if (tally.received > 0)
            break;
    }
    const double seconds = (double)(tally.last_ns - tally.first_ns) / 1e9;
    printf("{\"received\": %lu, \"late\": %lu, \"bytes\": %lu, \"seconds\": %.4f}\n",
           (unsigned long)tally.received, (unsigned long)tally.late, (unsigned long)tally.bytes, seconds);
    return 0;
}

/* -- blast ------------------------------------------------------------------------------------------------
 */

static bool flow_open(int fd, size_t size)
{
    const struct numbered head = {.kind = KIND_OPEN};
    memcpy(bytes[0], &head, sizeof(head));
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        (void)send(fd, bytes[0], size, 0);
        if (readable(fd, OPEN_WAIT_MS) && recv(fd, bytes[1], DATAGRAM_MAX, 0) > 0)
            return true;
    }
    return false;
}

/* Sends `count` datagrams, the first of them numbered `number`. Returns how many the kernel took. */
static unsigned batch_send(int fd, size_t size, unsigned count, uint32_t number)
{
    for (unsigned i = 0; i < count; i++) {
        const struct numbered head = {.kind = KIND_DATA, .number = number + i};
        memcpy(bytes[i], &head, sizeof(head));
        iov[i] = (struct iovec){bytes[i], size};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    const int sent = sendmmsg(fd, messages, count, 0);
    return sent > 0 ? (unsigned)sent : 0;
}

int command_blast(char **arguments)
{
    const struct target target = target_arg(arguments[0], arguments[1]);
    const size_t size = (size_t)number_arg(arguments[2], sizeof(struct numbered), DATAGRAM_MAX);
    const uint64_t rate =
        (uint64_t)number_arg(arguments[3], 0, RATE_MAX); /* a second; 0: as fast as can be */
    const uint64_t length_ns = (uint64_t)number_arg(arguments[4], 1, 60) * NS_PER_S;
    const int fd = datagram_socket(&target);
    uint64_t sent = 0;
    if (connect(fd, (const struct sockaddr *)&target.address, target.length) != 0)
        fail("blast: connect");
    if (!flow_open(fd, size)) {
        printf("{\"sent\": 0, \"opened\": false}\n");
        return 0;
    }
    const uint64_t begun = now_ns();
    uint64_t now = begun;
    for (; now - begun < length_ns; now = now_ns()) {
        const uint64_t due = rate == 0 ? sent + BATCH : rate * (now - begun) / NS_PER_S;
        if (due > sent) {
            const uint64_t behind = due - sent;
            sent += batch_send(fd, size, behind < BATCH ? (unsigned)behind : BATCH, (uint32_t)sent);
        } else {
            nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
        }
    }
    printf("{\"sent\": %lu, \"opened\": true, \"per_s\": %.0f, \"seconds\": %.4f}\n", (unsigned long)sent,
           (double)sent * 1e9 / (double)(now - begun), (double)(now - begun) / 1e9);
    return 0;
}
