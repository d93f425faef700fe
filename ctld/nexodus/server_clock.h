/* How far the server's clock is from ours, told by what it says of the time: the Date header of any answer,
 * or server_time of a login. What is signed by the server is then judged by its clock. Pure functions. ctld
 * only. */
#ifndef NEXD_CTLD_NEXODUS_SERVER_CLOCK_H
#define NEXD_CTLD_NEXODUS_SERVER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SERVER_CLOCK_TOLERATED_MS = 5000, /* within this, both clocks count as equal */
};

struct server_clock {
    int64_t offset_ms; /* server minus ours; 0 while unknown or within the tolerance */
    bool known;
};

/* The server said `server_ms` in an answer to a request sent at `sent_ms` whose answer began at
 * `received_ms`, both on our wall clock. The middle of the two is compared; a Date header counts full
 * seconds, which adds half a second (`granularity_ms` 1000, else 0). Answers that took longer than a minute
 * say nothing and change nothing. */
void server_clock_observe(struct server_clock *clock, uint64_t server_ms, uint64_t sent_ms,
                          uint64_t received_ms, uint64_t granularity_ms);
/* Our time as the server would tell it. */
uint64_t server_clock_now_ms(const struct server_clock *clock, uint64_t own_ms);

#endif
