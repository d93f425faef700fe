/* Idle connections: opens many, proves each by one byte through the echo server, holds them until a line
 * comes on standard input, and proves each again. Opened in parallel, so that the far end sees many at once.
 */
#include "bench/probe/probe.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { COUNT_MAX = 50000, OPENERS = 16, LIMIT_S = 10, HOLD_LIMIT_MS = 600000, PROVE_LIMIT_S = 60 };

static struct target hold_target;
static int *hold_fds;
static long hold_count, hold_next, hold_open;

static void *open_some(void *unused)
{
    (void)unused;
    for (;;) {
        char in;
        const long i = __atomic_fetch_add(&hold_next, 1, __ATOMIC_RELAXED);
        if (i >= hold_count)
            return NULL;
        hold_fds[i] = dial(&hold_target, LIMIT_S);
        if (hold_fds[i] >= 0 && echo_round(hold_fds[i], "h", &in, 1) == 0)
            __atomic_fetch_add(&hold_open, 1, __ATOMIC_RELAXED);
    }
}

static long prove_all(void)
{
    const uint64_t end = now_ns() + PROVE_LIMIT_S * NS_PER_S;
    long alive = 0;
    for (long i = 0; i < hold_count && now_ns() < end; i++) {
        char in;
        alive += hold_fds[i] >= 0 && echo_round(hold_fds[i], "h", &in, 1) == 0;
    }
    return alive;
}

int command_hold(char **arguments)
{
    pthread_t openers[OPENERS];
    struct rlimit files;
    hold_target = target_arg(arguments[0], arguments[1]);
    hold_count = number_arg(arguments[2], 1, COUNT_MAX);
    hold_fds = calloc((size_t)hold_count, sizeof(*hold_fds));
    if (hold_fds == NULL || getrlimit(RLIMIT_NOFILE, &files) != 0)
        fail("hold");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        fail("hold: descriptors");
    const uint64_t begun = now_ns();
    for (size_t i = 0; i < OPENERS; i++)
        if (pthread_create(&openers[i], NULL, open_some, NULL) != 0)
            fail("hold: thread");
    for (size_t i = 0; i < OPENERS; i++)
        pthread_join(openers[i], NULL);
    printf("{\"open\": %ld, \"asked\": %ld, \"seconds\": %.3f}\n", hold_open, hold_count,
           (double)(now_ns() - begun) / 1e9);
    fflush(stdout);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    poll(&input, 1, HOLD_LIMIT_MS);
    printf("{\"alive\": %ld}\n", prove_all());
    return 0;
}
