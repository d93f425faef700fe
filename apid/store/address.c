/* IPAM: each device has one address of each family, from the pool of its VPC. An address is a number, counted
 * from the range's first; the lowest free one is given, and 0 (the network) and an IPv4 range's last one
 * (broadcast) never. VPCs without a range of their own share one pool, as they can be joined later.
 *
 * Taken in the transaction that stores the device, under the database's write lock: two processes cannot take
 * one address. */
#include "apid/store/internal.h"

#include <stdio.h>
#include <string.h>

#define POOL_SHARED "shared"

struct pool {
    const char *name;
    struct netprefix range;
    int64_t last; /* the greatest number that may be given */
};

int cidr_check(struct store_error *error, const char *field, uint8_t family, const char *text,
               char out[STORE_CIDR_MAX])
{
    struct netprefix prefix;
    char canonical[NETPREFIX_TEXT_MAX];
    unsigned bits = family == NETADDR_V4 ? 32 : 128;
    if (netprefix_parse(text, true, &prefix) || prefix.addr.family != family)
        return problem_field(error, "invalid data in field", field,
                             family == NETADDR_V4 ? "not an IPv4 range" : "not an IPv6 range");
    if (prefix.length < 8 || prefix.length > bits - 2)
        return problem_field(error, "invalid data in field", field, "the range is too large or too small");
    snprintf(out, STORE_CIDR_MAX, "%s", netprefix_format(&prefix, canonical));
    return NX_OK;
}

static int pool_of(const struct store_vpc *vpc, uint8_t family, struct pool *out)
{
    if (netprefix_parse(family == NETADDR_V4 ? vpc->ipv4_cidr : vpc->ipv6_cidr, true, &out->range))
        return NX_EPROTO;
    unsigned host_bits = (family == NETADDR_V4 ? 32u : 128u) - out->range.length;
    out->name = vpc->private_cidr ? vpc->id : POOL_SHARED;
    out->last = host_bits > 62 ? INT64_MAX - 1 : ((int64_t)1 << host_bits) - 1 - (family == NETADDR_V4);
    return NX_OK;
}

static void number_to_address(const struct pool *pool, int64_t number, struct netaddr *out)
{
    unsigned bytes = pool->range.addr.family == NETADDR_V4 ? 4 : 16;
    *out = pool->range.addr;
    for (unsigned i = 0; i < bytes; i++, number >>= 8)
        out->bytes[bytes - 1 - i] |= (uint8_t)number;
}

/* -1: it is not in the range, or has no number that can be given. */
static int64_t address_to_number(const struct pool *pool, const struct netaddr *address)
{
    unsigned bytes = pool->range.addr.family == NETADDR_V4 ? 4 : 16;
    int64_t number = 0;
    if (!netprefix_contains(&pool->range, address))
        return -1;
    for (unsigned i = 0; i + 8 < bytes; i++) /* numbers have 63 bits */
        if (address->bytes[i] != pool->range.addr.bytes[i])
            return -1;
    for (unsigned i = bytes == 16 ? 8 : 0; i < bytes; i++)
        number = number << 8 | (uint8_t)(address->bytes[i] & ~pool->range.addr.bytes[i]);
    return number >= 1 && number <= pool->last ? number : -1;
}

static int is_free(struct store *store, const struct pool *pool, int64_t number, bool *out)
{
    struct query query;
    query_begin(store, &query, "SELECT 1 FROM address WHERE pool = ? AND family = ? AND number = ?", "tii",
                pool->name, (int64_t)pool->range.addr.family, number);
    *out = !query_row(&query);
    return query_end(&query);
}

/* The number after the first one that is taken and has a free one behind it. */
static int lowest_free(struct store *store, const struct pool *pool, int64_t *out)
{
    struct query query;
    bool one_is_free;
    int err = is_free(store, pool, 1, &one_is_free);
    *out = 1;
    if (err || one_is_free)
        return err;
    query_begin(store, &query,
                "SELECT a.number + 1 FROM address a WHERE a.pool = ?1 AND a.family = ?2 AND NOT EXISTS "
                "(SELECT 1 FROM address b"
                " WHERE b.pool = ?1 AND b.family = ?2 AND b.number = a.number + 1) ORDER BY a.number LIMIT 1",
                "ti", pool->name, (int64_t)pool->range.addr.family);
    if (query_row(&query))
        *out = column_int(&query, 0);
    err = query_end(&query);
    return err ? err : *out > pool->last ? NX_ERANGE : NX_OK;
}

static int address_take(struct store *store, const struct store_vpc *vpc, uint8_t family,
                        const char *device_id, const struct netaddr *wish, struct netaddr *out)
{
    struct pool pool;
    int64_t number = -1;
    int err = pool_of(vpc, family, &pool);
    if (!err && wish && wish->family == family)
        number = address_to_number(&pool, wish);
    if (!err && number > 0) {
        bool wish_is_free;
        err = is_free(store, &pool, number, &wish_is_free);
        if (!wish_is_free)
            number = -1;
    }
    if (!err && number < 0)
        err = lowest_free(store, &pool, &number);
    if (!err)
        err = query_run(store, "INSERT INTO address VALUES (?, ?, ?, ?)", "tiit", pool.name, (int64_t)family,
                        number, device_id);
    if (!err)
        number_to_address(&pool, number, out);
    return err;
}

int addresses_take(struct store *store, const struct store_vpc *vpc, const char *device_id,
                   const struct netaddr *wish, struct netaddr *v4, struct netaddr *v6)
{
    int err = address_take(store, vpc, NETADDR_V4, device_id, wish, v4);
    return err ? err : address_take(store, vpc, NETADDR_V6, device_id, wish, v6);
}

int addresses_release(struct store *store, const char *device_id)
{
    return query_run(store, "DELETE FROM address WHERE device_id = ?", "t", device_id);
}
