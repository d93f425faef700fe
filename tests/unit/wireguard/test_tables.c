/* The table of indices, the preshared keys, the load measure and the token buckets. */
#include "suite.h"

#include "common/err.h"
#include "tunneld/wireguard/cookie_budget.h"
#include "tunneld/wireguard/index_table.h"
#include "tunneld/wireguard/preshared.h"
#include "tunneld/wireguard/ratelimit.h"
#include <sodium.h>
#include <string.h>

static char peer_memory[4096];

static struct wg_peer *peer_of(size_t number)
{
    return (struct wg_peer *)(void *)&peer_memory[number];
}

/* Inserts and removes at random; a removal must not hide another entry of its run. */
START_TEST(indices_are_found_until_removed)
{
    enum { ENTRIES = 2000 };
    static uint32_t indices[ENTRIES];
    static bool present[ENTRIES];
    struct index_table table;
    size_t count = 0;

    index_table_init(&table);
    ck_assert_ptr_null(index_table_lookup(&table, 5));
    index_table_remove(&table, 5);
    ck_assert_int_eq(index_table_reserve(&table, 4), NX_OK);
    for (unsigned step = 0; step < 40000; step++) {
        size_t i = randombytes_uniform(ENTRIES);
        const struct index_entry *entry;

        if (!present[i]) {
            if (index_table_reserve(&table, count + 1) != NX_OK)
                ck_abort_msg("out of memory");
            indices[i] = index_table_insert(&table, peer_of(i), NULL);
            count++;
        } else {
            entry = index_table_lookup(&table, indices[i]);
            if (!entry || entry->peer != peer_of(i))
                ck_abort_msg("entry %zu is lost", i);
            index_table_remove(&table, indices[i]);
            if (index_table_lookup(&table, indices[i]))
                ck_abort_msg("entry %zu is still there", i);
            count--;
        }
        present[i] = !present[i];
    }
    ck_assert_uint_eq(table.count, count);
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct index_entry *entry = index_table_lookup(&table, indices[i]);

        if (present[i] != (entry && entry->peer == peer_of(i)))
            ck_abort_msg("entry %zu", i);
    }
    index_table_destroy(&table);
}
END_TEST

START_TEST(preshared_keys_are_kept_replaced_and_removed)
{
    struct preshared_keys keys = {0};
    uint8_t name[32] = {0}, key[32] = {0}, read[32];

    for (uint8_t i = 1; i <= 50; i++) {
        name[0] = i;
        key[0] = i;
        ck_assert_int_eq(preshared_set(&keys, name, key), NX_OK);
    }
    name[0] = 7;
    key[0] = 77;
    ck_assert_int_eq(preshared_set(&keys, name, key), NX_OK);
    key[0] = 0;
    name[0] = 9;
    ck_assert_int_eq(preshared_set(&keys, name, key), NX_OK);
    ck_assert_int_eq(preshared_set(&keys, name, key), NX_OK);
    ck_assert_uint_eq(keys.count, 49);
    for (uint8_t i = 0; i <= 51; i++) {
        name[0] = i;
        preshared_get(&keys, name, read);
        ck_assert_uint_eq(read[0], i == 7 ? 77 : i == 9 || i > 50 ? 0 : i);
    }
    preshared_destroy(&keys);
    ck_assert_ptr_null(keys.entries);
}
END_TEST

START_TEST(load_begins_past_the_rate_and_holds)
{
    struct handshake_load load = {0};
    uint64_t now = 1000 * NS_PER_S;

    /* As many as are allowed, in every interval: never. */
    for (unsigned interval = 0; interval < 20; interval++, now += LOAD_INTERVAL)
        for (unsigned i = 0; i < LOAD_MESSAGES; i++)
            if (handshake_load_count(&load, now))
                ck_abort_msg("interval %u, message %u", interval, i);
    for (unsigned i = 0; i < LOAD_MESSAGES; i++)
        handshake_load_count(&load, now);
    ck_assert(handshake_load_count(&load, now));
    ck_assert(handshake_load_count(&load, now + LOAD_HOLD - 1));
    ck_assert(!handshake_load_count(&load, now + LOAD_HOLD));
}
END_TEST

static struct netaddr addr(const char *text)
{
    struct netaddr out;

    ck_assert_int_eq(netaddr_parse(text, &out), NX_OK);
    return out;
}

START_TEST(buckets_hold_a_burst_and_refill)
{
    struct ratelimit *limit = ratelimit_new();
    struct netaddr one = addr("192.0.2.1"), other = addr("192.0.2.2");
    uint64_t now = 5;

    ck_assert_ptr_nonnull(limit);
    for (unsigned i = 0; i < RATELIMIT_BURST; i++)
        ck_assert(ratelimit_allow(limit, &one, now));
    ck_assert(!ratelimit_allow(limit, &one, now));
    ck_assert(ratelimit_allow(limit, &other, now));
    now += NS_PER_S / RATELIMIT_PER_SECOND;
    ck_assert(ratelimit_allow(limit, &one, now));
    ck_assert(!ratelimit_allow(limit, &one, now));
    now += 100 * NS_PER_S;
    for (unsigned i = 0; i < RATELIMIT_BURST; i++)
        ck_assert(ratelimit_allow(limit, &one, now));
    ck_assert(!ratelimit_allow(limit, &one, now));
    free(limit);
}
END_TEST

START_TEST(ipv6_is_limited_by_64)
{
    struct ratelimit *limit = ratelimit_new();
    struct netaddr here = addr("2001:db8:0:1::1"), neighbour = addr("2001:db8:0:1:ffff::2"),
                   elsewhere = addr("2001:db8:0:2::1");

    ck_assert_ptr_nonnull(limit);
    for (unsigned i = 0; i < RATELIMIT_BURST; i++)
        ck_assert(ratelimit_allow(limit, i % 2 ? &here : &neighbour, NS_PER_S));
    ck_assert(!ratelimit_allow(limit, &here, NS_PER_S));
    ck_assert(!ratelimit_allow(limit, &neighbour, NS_PER_S));
    ck_assert(ratelimit_allow(limit, &elsewhere, NS_PER_S));
    free(limit);
}
END_TEST

/* A flood from more sources than there are buckets evicts none that is in use, and the table recovers. */
START_TEST(many_sources_do_not_evict_each_other)
{
    struct ratelimit *limit = ratelimit_new();
    struct netaddr one = addr("192.0.2.1"), flood = addr("10.0.0.0");
    uint64_t now = NS_PER_S;
    unsigned allowed = 0;

    ck_assert_ptr_nonnull(limit);
    for (unsigned i = 0; i < RATELIMIT_BURST; i++)
        ck_assert(ratelimit_allow(limit, &one, now));
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(flood.bytes, &i, 3);
        flood.bytes[3] = 1;
        allowed += ratelimit_allow(limit, &flood, now);
    }
    ck_assert_uint_le(allowed, RATELIMIT_SETS * RATELIMIT_WAYS);
    ck_assert_uint_ge(allowed, RATELIMIT_SETS * RATELIMIT_WAYS * 9 / 10);
    ck_assert(!ratelimit_allow(limit, &one, now));
    now += NS_PER_S;
    ck_assert(ratelimit_allow(limit, &one, now));
    free(limit);
}
END_TEST

START_TEST(cookies_are_counted_for_strangers_and_for_known_sources)
{
    static struct cookie_budget budget;
    const uint64_t stranger = 7, known = 8, usurper = known + COOKIE_KNOWN_SOURCES;
    uint64_t now = 100 * NS_PER_S;

    cookie_budget_know(&budget, known);
    for (unsigned i = 0; i < COOKIES_BURST; i++) {
        ck_assert(cookie_budget_left(&budget, stranger + 100 * i, now));
        cookie_budget_take(&budget, stranger + 100 * i, now);
    }
    ck_assert(!cookie_budget_left(&budget, stranger, now));
    ck_assert(!cookie_budget_left(&budget, usurper, now));
    for (unsigned i = 0; i < COOKIES_BURST; i++) {
        ck_assert(cookie_budget_left(&budget, known, now));
        cookie_budget_take(&budget, known, now);
    }
    ck_assert(!cookie_budget_left(&budget, known, now));
    now += NS_PER_S / COOKIES_PER_SECOND;
    ck_assert(cookie_budget_left(&budget, known, now));
    cookie_budget_take(&budget, stranger, now);
    ck_assert(!cookie_budget_left(&budget, stranger, now));
    ck_assert(cookie_budget_left(&budget, known, now));
    cookie_budget_know(&budget, usurper); /* takes the place, and the other is a stranger again */
    ck_assert(!cookie_budget_left(&budget, known, now));
    ck_assert(cookie_budget_left(&budget, usurper, now));
}
END_TEST

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
}

int main(void)
{
    TCase *tcase = tcase_create("tables");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, indices_are_found_until_removed);
    tcase_add_test(tcase, preshared_keys_are_kept_replaced_and_removed);
    tcase_add_test(tcase, load_begins_past_the_rate_and_holds);
    tcase_add_test(tcase, buckets_hold_a_burst_and_refill);
    tcase_add_test(tcase, ipv6_is_limited_by_64);
    tcase_add_test(tcase, many_sources_do_not_evict_each_other);
    tcase_add_test(tcase, cookies_are_counted_for_strangers_and_for_known_sources);
    return suite_run("wireguard tables", tcase);
}
