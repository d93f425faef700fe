/* What the probe's commands share. Each command prints one line of JSON a result; everything is bounded in
 * count and time. */
#ifndef NEXD_BENCH_PROBE_H
#define NEXD_BENCH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NS_PER_S UINT64_C(1000000000)

struct target {
    struct sockaddr_storage address;
    socklen_t length;
};

uint64_t now_ns(void);
/* Ends the program with a message when `text` is no number in low..high. */
long number_arg(const char *text, long low, long high);
/* IPv4 or IPv6 address and port. */
struct target target_arg(const char *address, const char *port);
void fail(const char *what) __attribute__((noreturn));

/* A connected socket without delay and with time limits, or -1. */
int dial(const struct target *target, int limit_s);
/* 0 if `length` bytes were sent and as many came back. */
int echo_round(int fd, const char *out, char *in, size_t length);

/* Durations in nanoseconds, at most `capacity`; what comes past that is counted but not kept. */
struct samples {
    uint32_t *ns;
    size_t kept, capacity;
    uint64_t count;
};
void samples_init(struct samples *samples, size_t capacity);
void samples_add(struct samples *samples, uint64_t ns);
void samples_sort(struct samples *samples);
/* After samples_sort(); microseconds. */
double samples_quantile_us(const struct samples *samples, double quantile);

int command_echo(char **arguments);
int command_crr(char **arguments);
int command_ping(char **arguments);
int command_hold(char **arguments);
int command_first(char **arguments);
int command_sink(char **arguments);
int command_blast(char **arguments);
int command_spoof(char **arguments);

#endif
