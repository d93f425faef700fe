#include "bench/path/wheel.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SLOT_NS 50000
enum { SLOTS = 1 << 16 /* 3.3 s */ };

static struct {
    struct datagram *first, *last;
} wheel[SLOTS];
static struct datagram *free_list;
static uint64_t tick; /* every slot before this one is empty */
static size_t under_way;

void wheel_init(size_t count, uint64_t now_ns)
{
    struct datagram *pool =
        mmap(NULL, count * sizeof *pool, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    while (count-- > 0)
        datagram_put(&pool[count]);
    tick = now_ns / SLOT_NS;
}

struct datagram *datagram_get(void)
{
    struct datagram *datagram = free_list;
    if (datagram != NULL)
        free_list = datagram->next;
    return datagram;
}

void datagram_put(struct datagram *datagram)
{
    datagram->next = free_list;
    free_list = datagram;
}

void wheel_add(struct datagram *datagram)
{
    uint64_t at = (datagram->due_ns + SLOT_NS - 1) / SLOT_NS;
    if (at < tick)
        at = tick;
    if (at >= tick + SLOTS)
        at = tick + SLOTS - 1;
    datagram->next = NULL;
    if (wheel[at % SLOTS].first == NULL)
        wheel[at % SLOTS].first = datagram;
    else
        wheel[at % SLOTS].last->next = datagram;
    wheel[at % SLOTS].last = datagram;
    under_way++;
}

struct datagram *wheel_take(uint64_t now_ns)
{
    uint64_t end = now_ns / SLOT_NS;
    for (; tick <= end; tick++) {
        struct datagram *datagram = wheel[tick % SLOTS].first;
        if (datagram != NULL) {
            wheel[tick % SLOTS].first = datagram->next;
            under_way--;
            return datagram;
        }
        if (under_way == 0) {
            tick = end + 1;
            break;
        }
    }
    return NULL;
}

uint64_t wheel_next_ns(void)
{
    for (uint64_t at = tick; under_way > 0; at++)
        if (wheel[at % SLOTS].first != NULL)
            return at * SLOT_NS;
    return UINT64_MAX;
}
