/* Connection rate: connect, one byte to the echo server and back, close; over and over, by a number of
 * clients. */
#include "bench/probe/probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 256,
    SAMPLES_MAX = 1000000,
    ERRORS_MAX = 1000,
    PAUSE_AFTER_ERROR_US = 1000,
    LIMIT_S = 5
};

struct client {
    pthread_t thread;
    const struct target *target;
    struct samples samples;
    uint64_t end_ns;
    unsigned long errors;
    int last_errno; /* 0: the connection was closed before its byte came back */
};

/* Connections that may still be begun, over all clients. */
static long budget;

static void *client_run(void *argument)
{
    struct client *const client = argument;
    while (now_ns() < client->end_ns && client->errors < ERRORS_MAX &&
           __atomic_fetch_sub(&budget, 1, __ATOMIC_RELAXED) > 0) {
        const uint64_t begun = now_ns();
        char in;
        errno = 0;
        const int fd = dial(client->target, LIMIT_S);
        if (fd >= 0 && echo_round(fd, "x", &in, 1) == 0) {
            samples_add(&client->samples, now_ns() - begun);
        } else {
            client->errors++;
            client->last_errno = errno;
            usleep(PAUSE_AFTER_ERROR_US);
        }
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

int command_crr(char **arguments)
{
    const struct target target = target_arg(arguments[0], arguments[1]);
    const size_t count = (size_t)number_arg(arguments[2], 1, CLIENTS_MAX);
    const uint64_t seconds = (uint64_t)number_arg(arguments[3], 1, 600);
    budget = number_arg(arguments[4], 1, 100000000);
    struct client *const clients = calloc(count, sizeof(*clients));
    struct samples all;
    unsigned long errors = 0;
    int last_errno = 0;
    if (clients == NULL)
        fail("crr");
    samples_init(&all, SAMPLES_MAX);
    const uint64_t begun = now_ns();
    for (size_t i = 0; i < count; i++) {
        clients[i].target = &target;
        clients[i].end_ns = begun + seconds * NS_PER_S;
        samples_init(&clients[i].samples, SAMPLES_MAX / count);
        if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]) != 0)
            fail("crr: thread");
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        const struct samples *const own = &clients[i].samples;
        for (size_t j = 0; j < own->kept; j++)
            samples_add(&all, own->ns[j]);
        all.count += own->count - own->kept;
        errors += clients[i].errors;
        if (clients[i].errors > 0)
            last_errno = clients[i].last_errno;
    }
    const double elapsed_s = (double)(now_ns() - begun) / 1e9;
    samples_sort(&all);
    printf("{\"per_s\": %.1f, \"count\": %lu, \"errors\": %lu, \"seconds\": %.3f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, "
           "\"last_error\": \"%s\"}\n",
           (double)all.count / elapsed_s, (unsigned long)all.count, errors, elapsed_s,
           samples_quantile_us(&all, 0.5), samples_quantile_us(&all, 0.99),
           errors == 0 ? "" : (last_errno == 0 ? "closed early" : strerror(last_errno)));
    return 0;
}
