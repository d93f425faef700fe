/* The trie against a list that is searched from end to end. */
#include "suite.h"

#include "common/err.h"
#include "tunneld/wireguard/allowedips.h"
#include <sodium.h>
#include <string.h>

enum { PEERS = 6, PREFIXES_MAX = 12000 };

/* The trie never looks inside of a peer: any distinct addresses will do. */
static char peer_memory[PEERS];
static struct allowedips table;
static struct allowedips_list lists[PEERS];

static struct {
    struct netprefix prefix;
    int peer;
} model[PREFIXES_MAX];
static size_t model_count;

static struct wg_peer *peer_of(int number)
{
    return number < 0 ? NULL : (struct wg_peer *)(void *)&peer_memory[number];
}

static void setup(void)
{
    allowedips_init(&table);
    memset(lists, 0, sizeof(lists));
    model_count = 0;
}

static void teardown(void)
{
    allowedips_destroy(&table);
}

static struct netaddr addr(const char *text)
{
    struct netaddr out;

    ck_assert_int_eq(netaddr_parse(text, &out), NX_OK);
    return out;
}

static void insert(const char *text, int peer)
{
    struct netprefix prefix;

    ck_assert_int_eq(netprefix_parse(text, true, &prefix), NX_OK);
    ck_assert_int_eq(allowedips_reserve(&table, 1), NX_OK);
    allowedips_insert(&table, &prefix, peer_of(peer), &lists[peer]);
}

static void expect(const char *text, int peer)
{
    struct netaddr where = addr(text);

    ck_assert_msg(allowedips_lookup(&table, &where) == peer_of(peer), "%s", text);
}

START_TEST(longest_prefix_wins)
{
    insert("192.168.4.0/24", 0);
    insert("192.168.4.4/32", 1);
    insert("192.168.0.0/16", 2);
    insert("192.95.5.64/27", 3);
    insert("0.0.0.0/0", 4);
    insert("10.0.0.0/8", 5);
    expect("192.168.4.20", 0);
    expect("192.168.4.4", 1);
    expect("192.168.200.182", 2);
    expect("192.95.5.68", 3);
    expect("192.95.5.96", 4);
    expect("10.255.255.255", 5);
    expect("11.0.0.0", 4);
    expect("255.255.255.255", 4);
    expect("::1", -1);
    insert("::/0", 0);
    insert("2607:5300:6006:6b00::/64", 1);
    insert("2607:5300:6006:6b00::c05f:543/128", 2);
    insert("2607:5300::/33", 3);
    expect("::1", 0);
    expect("2607:5300:6006:6b00:1:2:3:4", 1);
    expect("2607:5300:6006:6b00::c05f:543", 2);
    expect("2607:5300:6006:6b00::c05f:544", 1);
    expect("2607:5300:7000::", 3);
    expect("2607:5300:8000::", 0);
}
END_TEST

START_TEST(prefix_moves_to_who_set_it_last)
{
    insert("10.0.0.0/8", 0);
    insert("10.0.0.0/8", 1);
    expect("10.1.2.3", 1);
    ck_assert_uint_eq(lists[0].count, 0);
    ck_assert_uint_eq(lists[1].count, 1);
    insert("10.0.0.0/8", 1);
    ck_assert_uint_eq(lists[1].count, 1);
    allowedips_remove_all(&table, &lists[0]);
    expect("10.1.2.3", 1);
    allowedips_remove_all(&table, &lists[1]);
    expect("10.1.2.3", -1);
    ck_assert_ptr_null(table.root_v4);
}
END_TEST

START_TEST(host_bits_are_ignored)
{
    struct netprefix prefix = {.addr = addr("10.1.2.3"), .length = 8};
    struct netprefix read;

    ck_assert_int_eq(allowedips_reserve(&table, 1), NX_OK);
    allowedips_insert(&table, &prefix, peer_of(0), &lists[0]);
    expect("10.200.0.1", 0);
    allowedips_list_read(&lists[0], &read);
    prefix.addr = addr("10.0.0.0");
    ck_assert(netaddr_equal(&read.addr, &prefix.addr));
    ck_assert_uint_eq(read.length, 8);
}
END_TEST

static int model_lookup(const struct netaddr *where)
{
    int best = -1, best_length = -1;

    for (size_t i = 0; i < model_count; i++)
        if (model[i].prefix.length > best_length && netprefix_contains(&model[i].prefix, where)) {
            best = model[i].peer;
            best_length = model[i].prefix.length;
        }
    return best;
}

static void model_set(const struct netprefix *prefix, int peer)
{
    size_t i = 0;

    while (i < model_count &&
           !(model[i].prefix.length == prefix->length && netaddr_equal(&model[i].prefix.addr, &prefix->addr)))
        i++;
    model[i].prefix = *prefix;
    model[i].peer = peer;
    if (i == model_count)
        model_count++;
}

static void model_remove_peer(int peer)
{
    for (size_t i = 0; i < model_count;)
        if (model[i].peer == peer)
            model[i] = model[--model_count];
        else
            i++;
}

/* Few distinct bytes, so that prefixes nest and part often. */
static struct netaddr random_addr(void)
{
    struct netaddr out = {.family = randombytes_uniform(2) ? NETADDR_V4 : NETADDR_V6};
    size_t bytes = out.family == NETADDR_V4 ? 4 : 16;

    for (size_t i = 0; i < bytes; i++)
        out.bytes[i] =
            (uint8_t)(randombytes_uniform(3) ? randombytes_uniform(2) * 0x80 : randombytes_uniform(256));
    return out;
}

static struct netprefix random_prefix(void)
{
    struct netprefix out = {.addr = random_addr()};
    unsigned bits = out.addr.family == NETADDR_V4 ? 32 : 128;

    out.length = (uint8_t)randombytes_uniform(bits + 1);
    for (unsigned i = out.length; i < bits; i++)
        out.addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    return out;
}

static void agree(unsigned lookups)
{
    for (unsigned i = 0; i < lookups; i++) {
        struct netaddr where = random_addr();

        if (allowedips_lookup(&table, &where) != peer_of(model_lookup(&where))) {
            char text[NETADDR_TEXT_MAX];

            ck_abort_msg("%s with %zu prefixes", netaddr_format(&where, text), model_count);
        }
    }
}

static void lists_agree(void)
{
    size_t total = 0;

    for (int peer = 0; peer < PEERS; peer++) {
        static struct netprefix read[PREFIXES_MAX];

        allowedips_list_read(&lists[peer], read);
        total += lists[peer].count;
        for (size_t i = 0; i < lists[peer].count; i++) {
            bool found = false;

            for (size_t k = 0; k < model_count && !found; k++)
                found = model[k].peer == peer && model[k].prefix.length == read[i].length &&
                        netaddr_equal(&model[k].prefix.addr, &read[i].addr);
            if (!found)
                ck_abort_msg("a prefix that nobody set");
        }
    }
    ck_assert_uint_eq(total, model_count);
}

START_TEST(agrees_with_a_list)
{
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 60; i++) {
            struct netprefix prefix = random_prefix();
            int peer = (int)randombytes_uniform(PEERS);

            ck_assert_int_eq(allowedips_reserve(&table, 1), NX_OK);
            allowedips_insert(&table, &prefix, peer_of(peer), &lists[peer]);
            model_set(&prefix, peer);
            agree(20);
        }
        lists_agree();
        if (round % 3 == 2) {
            int peer = (int)randombytes_uniform(PEERS);

            allowedips_remove_all(&table, &lists[peer]);
            model_remove_peer(peer);
            agree(200);
        }
    }
    /* Emptied, it has given every node back. */
    for (int peer = 0; peer < PEERS; peer++)
        allowedips_remove_all(&table, &lists[peer]);
    ck_assert_ptr_null(table.root_v4);
    ck_assert_ptr_null(table.root_v6);
    ck_assert_uint_eq(table.free_count % 64, 0);
}
END_TEST

START_TEST(ten_thousand_prefixes)
{
    for (unsigned i = 0; i < 10000; i++) {
        struct netprefix prefix = {.addr.family = NETADDR_V4, .length = 32};

        randombytes_buf(prefix.addr.bytes, 4);
        if (allowedips_reserve(&table, 1) != NX_OK)
            ck_abort_msg("out of memory");
        allowedips_insert(&table, &prefix, peer_of((int)(i % PEERS)), &lists[i % PEERS]);
        model[model_count].prefix = prefix;
        model[model_count++].peer = (int)(i % PEERS);
    }
    for (size_t i = 0; i < model_count; i++)
        if (!allowedips_lookup(&table, &model[i].prefix.addr))
            ck_abort_msg("prefix %zu is not found", i);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("allowedips");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, longest_prefix_wins);
    tcase_add_test(tcase, prefix_moves_to_who_set_it_last);
    tcase_add_test(tcase, host_bits_are_ignored);
    tcase_add_test(tcase, agrees_with_a_list);
    tcase_add_test(tcase, ten_thousand_prefixes);
    return suite_run("wireguard allowedips", tcase);
}
