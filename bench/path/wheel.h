/* Datagrams on their way, in a pool of fixed size, each in the slot of the time at which it is due: adding
 * one and taking what is due cost the same however many are under way. One thread. */
#ifndef NEXD_BENCH_WHEEL_H
#define NEXD_BENCH_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATAGRAM_MAX = 2024 };

struct datagram {
    struct datagram *next;
    uint64_t due_ns;
    uint16_t length;
    uint8_t out; /* side that it leaves on */
    uint8_t data[DATAGRAM_MAX];
};

/* `count` datagrams; exits with a message when there is no memory. */
void wheel_init(size_t count, uint64_t now_ns);
/* NULL when all are in use. */
struct datagram *datagram_get(void);
void datagram_put(struct datagram *datagram);
/* Keeps the order of those due within the same slot (50 us); never early. */
void wheel_add(struct datagram *datagram);
/* The next that is due by now, or NULL. */
struct datagram *wheel_take(uint64_t now_ns);
/* When the next is due; UINT64_MAX when none is under way. */
uint64_t wheel_next_ns(void);

#endif
