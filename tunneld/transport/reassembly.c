/* See reassembly.h. Nearly every segment extends the last range, so the search begins there. */
#include "tunneld/transport/reassembly.h"
#include "tunneld/transport/seq.h"
#include <stdlib.h>
#include <string.h>

enum { RANGES_FIRST = 4 };

void reassembly_init(struct reassembly *reassembly, void (*item_free)(struct reassembly_item *item))
{
    memset(reassembly, 0, sizeof *reassembly);
    reassembly->item_free = item_free;
}

static void range_free(struct reassembly *reassembly, struct reassembly_range *range)
{
    while (range->first != NULL) {
        struct reassembly_item *item = range->first;
        range->first = item->next;
        reassembly->bytes -= item->end - item->start;
        reassembly->item_free(item);
    }
}

void reassembly_clear(struct reassembly *reassembly)
{
    for (uint32_t i = 0; i < reassembly->count; i++)
        range_free(reassembly, &reassembly->ranges[i]);
    free(reassembly->ranges);
    reassembly_init(reassembly, reassembly->item_free);
}

static void range_changed(struct reassembly *reassembly, struct reassembly_range *range)
{
    range->changed = ++reassembly->changes;
    if (!range->unreported)
        reassembly->unreported++;
    range->unreported = true;
}

/* What it lies in is reported next to it (RFC 2883, 4). */
void reassembly_duplicate(struct reassembly *reassembly, uint32_t start, uint32_t end)
{
    reassembly->duplicate = (struct reassembly_block){.start = start, .end = end};
    uint32_t at = reassembly->count;
    while (at > 0 && seq_before(start, reassembly->ranges[at - 1].start))
        at--;
    if (at > 0 && seq_before(start, reassembly->ranges[at - 1].end))
        range_changed(reassembly, &reassembly->ranges[at - 1]);
}

static void range_remove(struct reassembly *reassembly, uint32_t at)
{
    if (reassembly->ranges[at].unreported)
        reassembly->unreported--;
    memmove(&reassembly->ranges[at], &reassembly->ranges[at + 1],
            (--reassembly->count - at) * sizeof reassembly->ranges[0]);
}

/* An empty range at place `at`; NULL when there is no room. */
static struct reassembly_range *range_insert(struct reassembly *reassembly, uint32_t at)
{
    if (reassembly->count == reassembly->capacity) {
        uint32_t capacity = reassembly->capacity == 0 ? RANGES_FIRST : reassembly->capacity * 2;
        struct reassembly_range *bigger =
            capacity > REASSEMBLY_RANGES_MAX
                ? NULL
                : realloc(reassembly->ranges, capacity * sizeof *reassembly->ranges);
        if (bigger == NULL)
            return NULL;
        reassembly->ranges = bigger;
        reassembly->capacity = capacity;
    }
    memmove(&reassembly->ranges[at + 1], &reassembly->ranges[at],
            (reassembly->count++ - at) * sizeof reassembly->ranges[0]);
    memset(&reassembly->ranges[at], 0, sizeof reassembly->ranges[at]);
    return &reassembly->ranges[at];
}

/* Cuts what is held already off the item; `at` is the place of the first range that starts after it. A FIN
 * goes with the end. False if nothing is left. */
static bool item_cut(const struct reassembly *reassembly, struct reassembly_item *item, uint32_t at)
{
    if (at > 0 && seq_before(item->start, reassembly->ranges[at - 1].end)) {
        uint32_t end = reassembly->ranges[at - 1].end;
        if (seq_at_or_before(item->end, end))
            return false;
        item->offset += end - item->start;
        item->start = end;
    }
    if (at < reassembly->count && seq_before(reassembly->ranges[at].start, item->end)) {
        item->end = reassembly->ranges[at].start;
        item->fin = false;
    }
    return true;
}

static void range_append(struct reassembly_range *range, struct reassembly_item *item)
{
    item->next = NULL;
    if (range->last != NULL)
        range->last->next = item;
    else
        range->first = item;
    range->last = item;
    range->end = item->end;
}

/* Joins the range at `at` with the next, if they touch. */
static void range_join(struct reassembly *reassembly, uint32_t at)
{
    if (at + 1 >= reassembly->count)
        return;
    struct reassembly_range *range = &reassembly->ranges[at], *next = range + 1;
    if (range->end != next->start)
        return;
    range->last->next = next->first;
    range->last = next->last;
    range->end = next->end;
    range_remove(reassembly, at + 1);
}

bool reassembly_insert(struct reassembly *reassembly, struct reassembly_item *item)
{
    uint32_t at = reassembly->count, start = item->start, end = item->end;
    while (at > 0 && seq_before(item->start, reassembly->ranges[at - 1].start))
        at--;
    if (!item_cut(reassembly, item, at)) {
        reassembly_duplicate(reassembly, start, end);
        reassembly->item_free(item);
        return false;
    }
    bool extends = at > 0 && reassembly->ranges[at - 1].end == item->start;
    if (extends) {
        at--;
    } else {
        struct reassembly_range *range = range_insert(reassembly, at);
        if (range == NULL) {
            reassembly->item_free(item);
            return false;
        }
        range->start = item->start;
    }
    range_append(&reassembly->ranges[at], item);
    reassembly->bytes += item->end - item->start;
    range_join(reassembly, at);
    range_changed(reassembly, &reassembly->ranges[at]);
    return true;
}

struct reassembly_item *reassembly_take(struct reassembly *reassembly, uint32_t next)
{
    while (reassembly->count > 0) {
        struct reassembly_range *range = &reassembly->ranges[0];
        if (seq_before(next, range->start))
            return NULL;
        struct reassembly_item *item = range->first;
        range->first = item->next;
        range->start = item->end;
        reassembly->bytes -= item->end - item->start;
        if (range->first == NULL)
            range_remove(reassembly, 0);
        if (seq_before(next, item->end)) {
            item->offset += next - item->start;
            item->start = next;
            return item;
        }
        reassembly->item_free(item);
    }
    return NULL;
}

/* The range that comes next in a report: changed since its last one, and later than the others. */
static struct reassembly_range *range_to_report(struct reassembly *reassembly, uint64_t reported[],
                                                size_t count)
{
    struct reassembly_range *best = NULL;
    for (uint32_t i = 0; i < reassembly->count; i++) {
        struct reassembly_range *range = &reassembly->ranges[i];
        bool taken = false;
        for (size_t k = 0; k < count && !taken; k++)
            taken = reported[k] == range->changed;
        if (taken)
            continue;
        if (best == NULL || range->unreported > best->unreported ||
            (range->unreported == best->unreported && range->changed > best->changed))
            best = range;
    }
    return best;
}

size_t reassembly_blocks(struct reassembly *reassembly, struct reassembly_block *out, size_t max)
{
    uint64_t reported[REASSEMBLY_BLOCKS_MAX];
    size_t count = 0, ranges = 0;
    if (reassembly->duplicate.start != reassembly->duplicate.end && max > 0)
        out[count++] = reassembly->duplicate;
    reassembly->duplicate = (struct reassembly_block){0};
    while (count < max && ranges < REASSEMBLY_BLOCKS_MAX) {
        struct reassembly_range *range = range_to_report(reassembly, reported, ranges);
        if (range == NULL)
            break;
        if (range->unreported)
            reassembly->unreported--;
        range->unreported = false;
        reported[ranges++] = range->changed;
        out[count++] = (struct reassembly_block){.start = range->start, .end = range->end};
    }
    return count;
}
