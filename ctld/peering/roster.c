/* Entries stand in the order of their ids, which is the order in which ties are broken: every start of every
 * program decides alike. Decisions once made stand as long as they can (who holds a key or a prefix keeps
 * it), so that a latecomer takes nothing away from a device that works.
 *
 * An entry that was removed stays until its peer has been taken from the tunnel, or until another entry has
 * taken the peer over: a device that registers anew with its old key keeps its session. */
#include "ctld/peering/roster.h"

#include "common/array.h"
#include "common/err.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

static void entry_free(struct entry *entry)
{
    member_free(&entry->member);
    free(entry->given.allowed);
    free(entry);
}

void roster_destroy(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        entry_free(roster->items[i]);
    free(roster->items);
    free(roster->by_key);
    free(roster->claimants);
    *roster = (struct roster){0};
}

/* Where the id is, or where it belongs. */
static size_t position(const struct roster *roster, const char *id, bool *found)
{
    size_t low = 0, high = roster->count;
    *found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(roster->items[middle]->member.id, id);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(struct roster *roster, size_t at, struct member *member, size_t max)
{
    if (roster->count >= max)
        return NX_ENOMEM;
    struct entry **items =
        array_reserve(roster->items, &roster->capacity, roster->count + 1, sizeof *roster->items);
    if (!items)
        return NX_ENOMEM;
    roster->items = items;
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NX_ENOMEM;
    entry->member = *member;
    path_init(&entry->path);
    memmove(items + at + 1, items + at, (roster->count - at) * sizeof *items);
    items[at] = entry;
    roster->count++;
    return NX_OK;
}

/* What was granted stays with its holder over an update, so that it is not lost to a rival in between. */
static void grants_carry(const struct member *from, struct member *to)
{
    for (size_t i = 0; i < to->claim_count; i++) {
        for (size_t j = 0; j < from->claim_count; j++) {
            if (from->claims[j].kind != to->claims[i].kind ||
                !prefix_equal(&from->claims[j].prefix, &to->claims[i].prefix))
                continue;
            to->claims[i].granted |= from->claims[j].granted;
            to->claims[i].told |= from->claims[j].told;
        }
    }
}

static void update(struct entry *entry, struct member *member)
{
    const bool same_key = memcmp(entry->member.key, member->key, KEY_BYTES) == 0;
    if (!same_key) {
        entry->holds_key = false;
        path_init(&entry->path);
    } else if (entry->gone || !member_same_path(&entry->member, member)) {
        path_reset(&entry->path);
    }
    grants_carry(&entry->member, member);
    member_free(&entry->member);
    entry->member = *member;
    entry->gone = false;
}

int roster_put(struct roster *roster, const struct peering_device *device, size_t max)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 5};
    struct member member;
    bool found = false;
    size_t at = device->id ? position(roster, device->id, &found) : 0;
    if (found)
        roster->items[at]->stale = false; /* even if what it says now cannot be read */
    int err = member_read(device, &member);
    if (err == NX_OK && found)
        update(roster->items[at], &member);
    else if (err == NX_OK)
        err = insert(roster, at, &member, max);
    if (err == NX_OK) {
        roster->unsettled = true;
        return NX_OK;
    }
    member_free(&member);
    if (log_ratelimit_ok(&limit))
        log_warn("a device of the VPC cannot be a peer: %s",
                 err == NX_EINVAL ? "it has no proper public key" : "there is no room for it");
    return err;
}

static void entry_remove(struct roster *roster, struct entry *entry)
{
    entry->gone = true;
    entry->holds_key = entry->own = false;
    for (size_t i = 0; i < entry->member.claim_count; i++)
        entry->member.claims[i].granted = false;
    roster->unsettled = true;
}

void roster_remove(struct roster *roster, const char *id)
{
    bool found;
    size_t at = position(roster, id, &found);
    if (found && !roster->items[at]->gone)
        entry_remove(roster, roster->items[at]);
}

void roster_list_begin(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        roster->items[i]->stale = true;
}

void roster_list_end(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        if (roster->items[i]->stale && !roster->items[i]->gone)
            entry_remove(roster, roster->items[i]);
}

/* By key; who holds it already comes first, then the lowest id. Our own device holds ours. */
static int key_compare(const void *left, const void *right)
{
    const struct entry *const a = *(struct entry *const *)left, *const b = *(struct entry *const *)right;
    int order = memcmp(a->member.key, b->member.key, KEY_BYTES);
    if (order == 0)
        order = (int)b->own - (int)a->own;
    if (order == 0)
        order = (int)b->holds_key - (int)a->holds_key;
    return order != 0 ? order : strcmp(a->member.id, b->member.id);
}

static void keys_settle(struct roster *roster)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 5};
    size_t all = 0;
    roster->key_count = 0;
    for (size_t i = 0; i < roster->count; i++)
        if (!roster->items[i]->gone)
            roster->by_key[all++] = roster->items[i];
    if (all > 0)
        qsort(roster->by_key, all, sizeof *roster->by_key, key_compare);
    for (size_t i = 0; i < all; i++) {
        struct entry *entry = roster->by_key[i];
        const struct entry *last = roster->key_count ? roster->by_key[roster->key_count - 1] : NULL;
        entry->holds_key = !last || memcmp(last->member.key, entry->member.key, KEY_BYTES) != 0;
        if (entry->holds_key)
            roster->by_key[roster->key_count++] = entry;
        else if (log_ratelimit_ok(&limit))
            log_warn("device %s has the public key of device %s and is left out", entry->member.id,
                     last->member.id);
    }
}

/* With an id known, only that device is ours: whoever else shows our key is an impostor, and left out. */
static void own_settle(struct roster *roster, const char *own_id, const uint8_t own_key[KEY_BYTES])
{
    bool found = false;
    for (size_t i = 0; i < roster->count; i++) {
        struct entry *entry = roster->items[i];
        const bool ours = memcmp(entry->member.key, own_key, KEY_BYTES) == 0;
        entry->own = !entry->gone && !found && ours && (!*own_id || strcmp(entry->member.id, own_id) == 0);
        found |= entry->own;
    }
}

static void claims_settle(struct roster *roster, const struct vpc_ranges *vpc,
                          const uint8_t own_key[KEY_BYTES])
{
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct entry *entry = roster->items[i];
        const bool impostor = !entry->own && memcmp(entry->member.key, own_key, KEY_BYTES) == 0;
        for (size_t j = 0; j < entry->member.claim_count; j++) {
            struct claim *claim = &entry->member.claims[j];
            if (entry->holds_key && !impostor)
                roster->claimants[count++] =
                    (struct claimant){.claim = claim, .id = entry->member.id, .own = entry->own};
            else
                claim->granted = false;
        }
    }
    claims_grant(vpc, roster->claimants, count);
}

int roster_settle(struct roster *roster, const struct vpc_ranges *vpc, const char *own_id,
                  const uint8_t own_key[KEY_BYTES])
{
    size_t claims = 0;
    for (size_t i = 0; i < roster->count; i++)
        claims += roster->items[i]->member.claim_count;
    void *by_key =
        array_reserve(roster->by_key, &roster->key_capacity, roster->count, sizeof *roster->by_key);
    if (!by_key && roster->count > 0)
        return NX_ENOMEM;
    roster->by_key = by_key;
    void *claimants =
        array_reserve(roster->claimants, &roster->claimant_capacity, claims, sizeof *roster->claimants);
    if (!claimants && claims > 0)
        return NX_ENOMEM;
    roster->claimants = claimants;
    own_settle(roster, own_id, own_key);
    keys_settle(roster);
    claims_settle(roster, vpc, own_key);
    roster->unsettled = false;
    return NX_OK;
}

struct entry *roster_by_key(const struct roster *roster, const uint8_t key[KEY_BYTES])
{
    size_t low = 0, high = roster->key_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = memcmp(roster->by_key[middle]->member.key, key, KEY_BYTES);
        if (order == 0)
            return roster->by_key[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void roster_sweep(struct roster *roster)
{
    size_t kept = 0;
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->items[i]->gone)
            entry_free(roster->items[i]);
        else
            roster->items[kept++] = roster->items[i];
    }
    roster->count = kept;
}

struct netaddr entry_address(const struct entry *entry, enum netaddr_family family)
{
    const struct netaddr *addr = family == NETADDR_V4 ? &entry->member.tunnel_v4 : &entry->member.tunnel_v6;
    for (size_t i = 0; i < entry->member.claim_count && addr->family != NETADDR_NONE; i++) {
        const struct claim *claim = &entry->member.claims[i];
        if (claim->granted && claim->kind == CLAIM_TUNNEL && netaddr_equal(&claim->prefix.addr, addr))
            return *addr;
    }
    return (struct netaddr){0};
}
