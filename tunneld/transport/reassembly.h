/* The receiving half's memory: segments that came ahead of a gap, kept as ranges, so that a segment finds its
 * place by looking at the gaps and not at all that is held, and SACK blocks (RFC 2018) need no search. Knows
 * when an acknowledgement may not wait: when more ranges have changed than one acknowledgement can report.
 *
 * The bytes are the owner's: an item is the head of a larger object that `item_free` frees. One thread. */
#ifndef NEXD_TUNNELD_REASSEMBLY_H
#define NEXD_TUNNELD_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REASSEMBLY_RANGES_MAX = 2048, REASSEMBLY_BLOCKS_MAX = 4 };

struct reassembly_item {
    struct reassembly_item *next;
    uint32_t start, end; /* sequence numbers still needed; a FIN counts as one at the end */
    uint32_t offset;     /* bytes at the front that are not needed */
    bool fin;
};

struct reassembly_range {
    uint32_t start, end;
    uint64_t changed; /* a running number; the higher, the later */
    bool unreported;
    struct reassembly_item *first, *last;
};

struct reassembly_block {
    uint32_t start, end;
};

struct reassembly {
    struct reassembly_range *ranges; /* in order, never touching */
    uint32_t count, capacity;
    uint32_t unreported;
    uint64_t changes;
    size_t bytes;                      /* held */
    struct reassembly_block duplicate; /* to be reported once; empty = none */
    void (*item_free)(struct reassembly_item *item);
};

void reassembly_init(struct reassembly *reassembly, void (*item_free)(struct reassembly_item *item));
void reassembly_clear(struct reassembly *reassembly);
/* Takes the item over: keeps the part that is new, or frees it. False: it was not kept (a duplicate, or no
 * memory). */
bool reassembly_insert(struct reassembly *reassembly, struct reassembly_item *item);
/* A segment came that was there already. */
void reassembly_duplicate(struct reassembly *reassembly, uint32_t start, uint32_t end);
/* The next item in order at `next` (which the caller then moves to item->end), now the caller's; NULL if
 * there is a gap. What lies below `next` is freed. */
struct reassembly_item *reassembly_take(struct reassembly *reassembly, uint32_t next);
/* The end of what has come, gaps included; `next` if there is nothing ahead of one. */
static inline uint32_t reassembly_end(const struct reassembly *reassembly, uint32_t next)
{
    return reassembly->count > 0 ? reassembly->ranges[reassembly->count - 1].end : next;
}
/* An acknowledgement should leave now, for it can report no more changes than there are. */
static inline bool reassembly_urgent(const struct reassembly *reassembly)
{
    return reassembly->unreported >= REASSEMBLY_BLOCKS_MAX - 1;
}
/* Fills the blocks of an acknowledgement about to leave, at most `max`: a duplicate first and then
 * the range that it lies in (RFC 2883), then the range that changed last, then the others, those not yet
 * reported before those that were. Returns how many. */
size_t reassembly_blocks(struct reassembly *reassembly, struct reassembly_block *out, size_t max);

#endif
