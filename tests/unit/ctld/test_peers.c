/* Peers and static peers against a simulated tunneld and proxyd: a link that takes so many messages and then
 * none, a table of what tunneld has, answers at chosen times. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/peers.h"
#include "ctld/static_peers.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_NS (5000 * NS_PER_S)
enum { TUNNEL_PEERS_MAX = 64, WALL_S = 1700000000 };

/* -- The simulated siblings -- */

struct tunnel_peer {
    uint8_t key[KEY_BYTES];
    struct netsock endpoint;
    size_t allowed_count;
    struct netprefix last_allowed;
    uint16_t keepalive_s;
    uint64_t handshake_unix_s, tx;
    bool stale, used;
};

static struct peers *peers;
static struct static_peers *source;
static uint64_t now_ns;
static size_t room;     /* messages that the link to tunneld still takes */
static bool open_frame; /* between PEERS_SYNC begin and end */
static struct tunnel_peer tunnel[TUNNEL_PEERS_MAX];
static uint32_t query, lookup; /* request ids that wait for an answer */
static char lookup_host[IPC_NAME_MAX + 1];
static unsigned sets, removals, frames, queries, lookups, synced, waited;

static struct tunnel_peer *tunnel_find(const uint8_t *key, bool make)
{
    for (size_t i = 0; i < TUNNEL_PEERS_MAX; i++)
        if (tunnel[i].used && memcmp(tunnel[i].key, key, KEY_BYTES) == 0)
            return &tunnel[i];
    for (size_t i = 0; make && i < TUNNEL_PEERS_MAX; i++) {
        if (!tunnel[i].used) {
            tunnel[i] = (struct tunnel_peer){.used = true};
            memcpy(tunnel[i].key, key, KEY_BYTES);
            return &tunnel[i];
        }
    }
    return NULL;
}

static size_t tunnel_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < TUNNEL_PEERS_MAX; i++)
        count += tunnel[i].used;
    return count;
}

static void tunnel_set(const struct ipc_peer_set *set)
{
    struct tunnel_peer *peer = tunnel_find(set->public_key, true);
    ck_assert_ptr_nonnull(peer);
    sets++;
    peer->stale = false;
    if (!set->append)
        peer->allowed_count = 0;
    peer->allowed_count += set->allowed.count;
    if (set->allowed.count)
        peer->last_allowed = set->allowed.item[set->allowed.count - 1];
    if (set->endpoint.addr.family != NETADDR_NONE)
        peer->endpoint = set->endpoint;
    peer->keepalive_s = set->keepalive_s;
}

static void tunnel_sync(bool begin)
{
    ck_assert_msg(begin != open_frame, "PEERS_SYNC out of order");
    open_frame = begin;
    frames++;
    for (size_t i = 0; i < TUNNEL_PEERS_MAX; i++) {
        if (begin)
            tunnel[i].stale = true;
        else if (tunnel[i].stale)
            tunnel[i].used = false;
    }
}

static int to_tunneld(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    if (room == 0)
        return NX_EAGAIN;
    room--;
    if (type == IPC_MSG_PEER_SET) {
        tunnel_set(body);
    } else if (type == IPC_MSG_PEER_REMOVE) {
        struct tunnel_peer *peer = tunnel_find(((const struct ipc_peer_remove *)body)->public_key, false);
        if (peer)
            peer->used = false;
        removals++;
    } else if (type == IPC_MSG_PEERS_SYNC) {
        tunnel_sync(((const struct ipc_peers_sync *)body)->begin);
    } else {
        ck_assert_int_eq(type, IPC_MSG_PEERS_QUERY);
        ck_assert_msg(query == 0, "two queries at once");
        query = request;
        queries++;
    }
    return NX_OK;
}

static int to_proxyd(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    ck_assert_int_eq(type, IPC_MSG_RESOLVE);
    strcpy(lookup_host, ((const struct ipc_resolve *)body)->host);
    lookup = request;
    lookups++;
    return NX_OK;
}

static void on_status(void *arg, const struct peer *peer, uint64_t at_ns)
{
    (void)arg;
    static_peers_status(source, peer, at_ns);
}

static void on_synced(void *arg)
{
    (void)arg;
    synced++;
}

static const struct peers_ops peers_ops = {
    .send = to_tunneld, .on_status = on_status, .on_synced = on_synced};
static const struct static_peers_ops static_ops = {.send = to_proxyd};

static void settle(void)
{
    static_peers_run(source, now_ns);
    peers_run(peers, now_ns);
    peers_pump(peers, now_ns);
}

static uint64_t wall_s(void)
{
    return WALL_S + (now_ns - START_NS) / NS_PER_S;
}

static void result_deliver(uint32_t request, enum ipc_outcome outcome)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = request}};
    message.body.result.result = (uint8_t)outcome;
    peers_message(peers, &message, now_ns, wall_s());
    settle();
}

/* tunneld answers the query under way. */
static void query_answer(void)
{
    ck_assert_uint_ne(query, 0);
    uint32_t request = query;
    for (size_t i = 0; i < TUNNEL_PEERS_MAX; i++) {
        if (!tunnel[i].used)
            continue;
        struct ipc_message message = {.header = {.type = IPC_MSG_PEER_STATUS, .request = request}};
        struct ipc_peer_status *status = &message.body.peer_status;
        memcpy(status->public_key, tunnel[i].key, KEY_BYTES);
        status->endpoint = tunnel[i].endpoint;
        status->handshake_unix_s = tunnel[i].handshake_unix_s;
        status->tx_bytes = tunnel[i].tx;
        peers_message(peers, &message, now_ns, wall_s());
    }
    query = 0;
    result_deliver(request, IPC_OK);
}

/* -- Making peers -- */

static uint8_t *key(uint8_t number)
{
    static uint8_t bytes[KEY_BYTES];
    memset(bytes, number, sizeof bytes);
    return bytes;
}

static void add(uint8_t number, const char *host, size_t prefixes)
{
    struct ipc_static_peer message = {.endpoint_port = host[0] ? 51820 : 0, .keepalive_s = number};
    memcpy(message.public_key, key(number), KEY_BYTES);
    strcpy(message.endpoint_host, host);
    size_t sent = 0;
    do {
        message.append = sent > 0;
        message.allowed.count =
            (uint16_t)(prefixes - sent < IPC_PREFIXES_MAX ? prefixes - sent : IPC_PREFIXES_MAX);
        for (size_t i = 0; i < message.allowed.count; i++)
            message.allowed.item[i] = (struct netprefix){
                .addr = {NETADDR_V4, {10, number, (uint8_t)((sent + i) >> 8), (uint8_t)(sent + i)}},
                .length = 32};
        ck_assert_int_eq(static_peers_add(source, &message, now_ns), NX_OK);
        sent += message.allowed.count;
    } while (sent < prefixes);
}

static void set_up(void)
{
    now_ns = START_NS;
    room = SIZE_MAX;
    open_frame = false;
    memset(tunnel, 0, sizeof tunnel);
    query = lookup = 0;
    sets = removals = frames = queries = lookups = synced = waited = 0;
    peers = peers_new(&peers_ops, NULL);
    source = static_peers_new(peers, &static_ops, NULL);
    ck_assert(peers && source);
}

static void tear_down(void)
{
    static_peers_free(source);
    peers_free(peers);
}

static void link_up(void)
{
    open_frame = false;
    query = 0;
    peers_link_up(peers, now_ns);
    settle();
}

/* Up to the last step: the link is up, the peers are sent and confirmed. */
static void bring_live(void)
{
    peers_complete(peers);
    link_up();
    query_answer();
    query_answer();
    ck_assert(peers_synced(peers));
}

static void expect_endpoint(uint8_t number, const char *expected)
{
    char text[NETSOCK_TEXT_MAX];
    const struct tunnel_peer *peer = tunnel_find(key(number), false);
    ck_assert_ptr_nonnull(peer);
    ck_assert_str_eq(netsock_format(&peer->endpoint, text), expected);
}

/* -- Tests -- */

START_TEST(all_peers_arrive_in_one_frame)
{
    add(1, "192.0.2.1", 300);
    add(2, "", 0);
    link_up(); /* before the list is whole nothing is said */
    ck_assert_uint_eq(queries, 0);
    bring_live();
    ck_assert_uint_eq(frames, 2);
    ck_assert_uint_eq(sets, 4);
    ck_assert_uint_eq(synced, 1);
    ck_assert_uint_eq(tunnel_count(), 2);
    const struct tunnel_peer *one = tunnel_find(key(1), false);
    ck_assert_uint_eq(one->allowed_count, 300);
    ck_assert_uint_eq(one->last_allowed.addr.bytes[3], 299 & 255);
    ck_assert_uint_eq(one->keepalive_s, 1);
    expect_endpoint(1, "192.0.2.1:51820");
}
END_TEST

START_TEST(a_narrow_link_only_slows_it_down)
{
    for (uint8_t i = 1; i <= 30; i++)
        add(i, "192.0.2.1", 10 * i);
    peers_complete(peers);
    room = 0;
    link_up();
    for (unsigned turn = 0; turn < 500 && !peers_synced(peers); turn++) {
        room = 1; /* on_writable */
        settle();
        if (query && !open_frame)
            query_answer();
    }
    ck_assert(peers_synced(peers));
    ck_assert_uint_eq(frames, 2);
    for (uint8_t i = 1; i <= 30; i++)
        ck_assert_uint_eq(tunnel_find(key(i), false)->allowed_count, 10u * i);
}
END_TEST

START_TEST(peers_wanted_no_more_go_away)
{
    struct ipc_peer_set old = {.public_key = {77}};
    tunnel_set(&old);
    add(1, "192.0.2.1", 1);
    bring_live();
    ck_assert_ptr_null(tunnel_find(old.public_key, false));
    ck_assert_uint_eq(tunnel_count(), 1);
}
END_TEST

START_TEST(a_restart_of_tunneld_brings_everything_again)
{
    add(1, "192.0.2.1", 5);
    add(2, "192.0.2.2", 5);
    bring_live();
    peers_link_down(peers);
    memset(tunnel, 0, sizeof tunnel);
    link_up();
    query_answer();
    query_answer();
    ck_assert_uint_eq(tunnel_count(), 2);
    expect_endpoint(2, "192.0.2.2:51820");
    ck_assert_uint_eq(synced, 2);
}
END_TEST

START_TEST(a_restart_of_ctld_leaves_roamed_peers_where_they_are)
{
    struct netsock roamed;
    ck_assert_int_eq(netsock_parse("198.51.100.9:4444", &roamed), NX_OK);
    for (uint8_t i = 1; i <= 2; i++) {
        struct ipc_peer_set set = {.endpoint = roamed};
        memcpy(set.public_key, key(i), KEY_BYTES);
        tunnel_set(&set);
    }
    tunnel_find(key(1), false)->handshake_unix_s = WALL_S - 60;
    tunnel_find(key(2), false)->handshake_unix_s = WALL_S - 200;
    add(1, "192.0.2.1", 1);
    add(2, "192.0.2.2", 1);
    bring_live();
    expect_endpoint(1, "198.51.100.9:4444");
    expect_endpoint(2, "192.0.2.2:51820");
}
END_TEST

START_TEST(a_silent_tunneld_does_not_stop_the_peers)
{
    add(1, "192.0.2.1", 1);
    peers_complete(peers);
    link_up();
    ck_assert_uint_eq(peers_next_ns(peers), now_ns + PEERS_QUERY_TIMEOUT_MS * NS_PER_MS);
    now_ns = peers_next_ns(peers);
    query = 0;
    settle();
    ck_assert_uint_eq(tunnel_count(), 1);
    ck_assert(!peers_synced(peers)); /* not before tunneld confirms */
    now_ns = peers_next_ns(peers);
    query = 0;
    settle();
    query_answer();
    ck_assert(peers_synced(peers));
}
END_TEST

static void count_wait(void *arg, void *token)
{
    ck_assert_ptr_eq(arg, &waited);
    (void)token;
    waited++;
}

START_TEST(whoever_asks_is_answered_once)
{
    int one, two, three;
    ck_assert_int_eq(peers_refresh(peers, count_wait, &waited, &one, now_ns), NX_OK);
    ck_assert_uint_eq(waited, 1); /* no link: at once, with what is known */
    add(1, "192.0.2.1", 1);
    bring_live();
    unsigned before = queries;
    peers_refresh(peers, count_wait, &waited, &one, now_ns);
    peers_refresh(peers, count_wait, &waited, &two, now_ns);
    peers_refresh(peers, count_wait, &waited, &three, now_ns);
    ck_assert_uint_eq(queries, before + 1); /* they share one query */
    peers_refresh_cancel(peers, &two);
    query_answer();
    ck_assert_uint_eq(waited, 3);
    /* An answer with another id is none; and what is not answered ends all the same. */
    peers_refresh(peers, count_wait, &waited, &one, now_ns);
    result_deliver(query + 1000, IPC_OK);
    ck_assert_uint_eq(waited, 3);
    now_ns += PEERS_QUERY_TIMEOUT_MS * NS_PER_MS;
    settle();
    ck_assert_uint_eq(waited, 4);
    query = 0;
    peers_refresh(peers, count_wait, &waited, &one, now_ns);
    peers_link_down(peers);
    ck_assert_uint_eq(waited, 5);
}
END_TEST

START_TEST(names_are_looked_up_and_used)
{
    add(1, "peer.example", 1);
    bring_live();
    ck_assert_uint_eq(lookups, 0); /* no resolver yet */
    ck_assert_uint_eq(static_peers_next_ns(source), UINT64_MAX);
    ck_assert_int_eq(tunnel_find(key(1), false)->endpoint.addr.family, NETADDR_NONE);
    static_peers_resolver_up(source, now_ns);
    settle();
    ck_assert_uint_eq(lookups, 1);
    ck_assert_str_eq(lookup_host, "peer.example");
    struct ipc_message message = {.header = {.type = IPC_MSG_RESOLVED, .request = lookup + 1}};
    message.body.resolved.ttl_s = 60;
    message.body.resolved.addresses.count = 1;
    ck_assert_int_eq(netaddr_parse("2001:db8::5", &message.body.resolved.addresses.item[0]), NX_OK);
    static_peers_message(source, &message, now_ns); /* not ours */
    settle();
    ck_assert_int_eq(tunnel_find(key(1), false)->endpoint.addr.family, NETADDR_NONE);
    message.header.request = lookup;
    static_peers_message(source, &message, now_ns);
    settle();
    expect_endpoint(1, "[2001:db8::5]:51820");
    /* Now the tunnel's counters are wanted, every few seconds. */
    ck_assert_uint_eq(peers_next_ns(peers), now_ns + 5 * NS_PER_S);
    unsigned before = queries;
    now_ns += 5 * NS_PER_S;
    settle();
    ck_assert_uint_eq(queries, before + 1);
}
END_TEST

START_TEST(look_ups_are_bounded_and_survive_the_resolver)
{
    char host[32];
    for (uint8_t i = 1; i <= 40; i++) {
        snprintf(host, sizeof host, "p%u.example", i);
        add(i, host, 1);
    }
    bring_live();
    static_peers_resolver_up(source, now_ns);
    settle();
    ck_assert_uint_eq(lookups, STATIC_LOOKUPS_MAX);
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = lookup}};
    message.body.result.result = IPC_NOT_FOUND;
    static_peers_message(source, &message, now_ns);
    settle();
    ck_assert_uint_eq(lookups, STATIC_LOOKUPS_MAX + 1);
    static_peers_resolver_down(source);
    now_ns += 3600 * NS_PER_S;
    settle();
    ck_assert_uint_eq(lookups, STATIC_LOOKUPS_MAX + 1);
    static_peers_resolver_up(source, now_ns);
    settle();
    ck_assert_uint_eq(lookups, 2 * STATIC_LOOKUPS_MAX + 1);
}
END_TEST

START_TEST(two_sections_of_one_key_are_one_peer)
{
    add(1, "192.0.2.1", 3);
    add(1, "192.0.2.2", 4);
    bring_live();
    ck_assert_uint_eq(tunnel_count(), 1);
    ck_assert_uint_eq(tunnel_find(key(1), false)->allowed_count, 7);
    expect_endpoint(1, "192.0.2.2:51820");
}
END_TEST

static struct netprefix prefix(uint8_t number, size_t i)
{
    return (struct netprefix){.addr = {NETADDR_V4, {20, number, (uint8_t)(i >> 8), (uint8_t)i}},
                              .length = 32};
}

START_TEST(single_peers_come_go_and_change)
{
    struct netprefix many[300];
    for (size_t i = 0; i < 300; i++)
        many[i] = prefix(9, i);
    add(1, "192.0.2.1", 1);
    add(2, "192.0.2.2", 1);
    bring_live();
    peers_remove(peers, key(1));
    peers_remove(peers, key(1));
    peers_remove(peers, key(99));
    ck_assert_ptr_null(peers_find(peers, key(1)));
    settle();
    ck_assert_uint_eq(removals, 1);
    ck_assert_uint_eq(tunnel_count(), 1);
    ck_assert_uint_eq(peers_count(peers), 1);
    /* Removed and wanted again before tunneld heard of it: it keeps its session. */
    peers_remove(peers, key(2));
    struct peer *two = peers_get(peers, key(2));
    ck_assert_int_eq(peers_allow(two, many, 1), NX_OK);
    settle();
    ck_assert_uint_eq(removals, 1);
    ck_assert_uint_eq(tunnel_find(key(2), false)->allowed_count, 1);
    expect_endpoint(2, "192.0.2.2:51820");
    ck_assert_uint_eq(frames, 2);
}
END_TEST

START_TEST(prefixes_that_change_while_they_are_sent_are_sent_anew)
{
    struct netprefix many[300];
    for (size_t i = 0; i < 300; i++)
        many[i] = prefix(9, i);
    add(1, "192.0.2.1", 1);
    bring_live();
    ck_assert_int_eq(peers_replace_allowed(peers_find(peers, key(1)), many, 300), NX_OK);
    room = 1;
    settle();
    ck_assert_uint_eq(tunnel_find(key(1), false)->allowed_count, IPC_PREFIXES_MAX);
    ck_assert_int_eq(peers_replace_allowed(peers_find(peers, key(1)), many + 100, 200), NX_OK);
    room = SIZE_MAX;
    settle();
    ck_assert_uint_eq(tunnel_find(key(1), false)->allowed_count, 200);
    ck_assert_uint_eq(tunnel_find(key(1), false)->last_allowed.addr.bytes[3], 299 & 255);
    ck_assert_int_eq(peers_replace_allowed(peers_find(peers, key(1)), NULL, 0), NX_OK);
    settle();
    ck_assert_uint_eq(tunnel_find(key(1), false)->allowed_count, 0);
    /* A removal in the middle, with the link full, and a restart of tunneld before it has gone out. */
    ck_assert_int_eq(peers_replace_allowed(peers_find(peers, key(1)), many, 300), NX_OK);
    room = 2;
    settle();
    peers_remove(peers, key(1));
    add(3, "192.0.2.3", 1);
    room = 0;
    settle();
    memset(tunnel, 0, sizeof tunnel);
    room = SIZE_MAX;
    link_up();
    query_answer();
    query_answer();
    ck_assert_uint_eq(tunnel_count(), 1);
    ck_assert_uint_eq(tunnel_find(key(3), false)->allowed_count, 1);
    ck_assert_uint_eq(peers_count(peers), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peers");
    TCase *tests = tcase_create("peers");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, all_peers_arrive_in_one_frame);
    tcase_add_test(tests, a_narrow_link_only_slows_it_down);
    tcase_add_test(tests, peers_wanted_no_more_go_away);
    tcase_add_test(tests, a_restart_of_tunneld_brings_everything_again);
    tcase_add_test(tests, a_restart_of_ctld_leaves_roamed_peers_where_they_are);
    tcase_add_test(tests, a_silent_tunneld_does_not_stop_the_peers);
    tcase_add_test(tests, whoever_asks_is_answered_once);
    tcase_add_test(tests, names_are_looked_up_and_used);
    tcase_add_test(tests, look_ups_are_bounded_and_survive_the_resolver);
    tcase_add_test(tests, two_sections_of_one_key_are_one_peer);
    tcase_add_test(tests, single_peers_come_go_and_change);
    tcase_add_test(tests, prefixes_that_change_while_they_are_sent_are_sent_anew);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
