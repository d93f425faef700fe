/* Time, arguments, connections and quantiles for the probe's commands. */
#include "bench/probe/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

void fail(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

long number_arg(const char *text, long low, long high)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < low || value > high) {
        fprintf(stderr, "probe: %s is not a number from %ld to %ld\n", text, low, high);
        exit(2);
    }
    return value;
}

struct target target_arg(const char *address, const char *port)
{
    struct target target = {.length = 0};
    struct sockaddr_in *const v4 = (struct sockaddr_in *)&target.address;
    struct sockaddr_in6 *const v6 = (struct sockaddr_in6 *)&target.address;
    const in_port_t number = htons((uint16_t)number_arg(port, 1, UINT16_MAX));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = number;
        target.length = sizeof(*v4);
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = number;
        target.length = sizeof(*v6);
    } else {
        fprintf(stderr, "probe: %s is not an address\n", address);
        exit(2);
    }
    return target;
}

int dial(const struct target *target, int limit_s)
{
    const struct timeval limit = {.tv_sec = limit_s};
    const int on = 1;
    const int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        connect(fd, (const struct sockaddr *)&target->address, target->length) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int echo_round(int fd, const char *out, char *in, size_t length)
{
    size_t got = 0;
    if (write(fd, out, length) != (ssize_t)length)
        return -1;
    while (got < length) {
        const ssize_t part = read(fd, in + got, length - got);
        if (part <= 0)
            return -1;
        got += (size_t)part;
    }
    return 0;
}

void samples_init(struct samples *samples, size_t capacity)
{
    *samples = (struct samples){.ns = malloc(capacity * sizeof(*samples->ns)), .capacity = capacity};
    if (samples->ns == NULL)
        fail("samples");
}

void samples_add(struct samples *samples, uint64_t ns)
{
    if (samples->kept < samples->capacity)
        samples->ns[samples->kept++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    samples->count++;
}

static int compare(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

void samples_sort(struct samples *samples)
{
    qsort(samples->ns, samples->kept, sizeof(*samples->ns), compare);
}

double samples_quantile_us(const struct samples *samples, double quantile)
{
    if (samples->kept == 0)
        return 0;
    size_t at = (size_t)(quantile * (double)samples->kept);
    if (at >= samples->kept)
        at = samples->kept - 1;
    return (double)samples->ns[at] / 1e3;
}
