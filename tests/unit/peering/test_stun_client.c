/* STUN's schedule on a simulated clock, with name servers, STUN servers and a NAT that the test plays. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/peering/stun_client.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>

enum { EVENTS_MAX = 64, SENT_MAX = 4096 };
#define START_NS (5000 * NS_PER_S)

static struct stun_client *client;
static uint64_t now_ns;

/* What is under way: look-ups and datagrams, answered at the end of the present step. */
static struct event {
    uint32_t request;
    bool is_lookup;
    char host[STUN_SERVER_TEXT_MAX];
    struct netsock to;
} events[EVENTS_MAX];
static size_t event_count;

static struct {
    char text[NETSOCK_TEXT_MAX];
    uint64_t at_ns;
} sent[SENT_MAX];
static size_t sent_count, lookups, changes;
static uint32_t random_next;

/* The network: hosts a, b, … have 192.0.2.1, .2, …; "same1" and "same2" have one address between them, "both"
 * that and another. */
static bool dns_dead, servers_dead, refuse;
static const char *dead_server = ""; /* an address text */
static const char *mapped = "203.0.113.5:4000";
static bool nat_symmetric;

static int on_resolve(void *arg, uint32_t request, const char *host)
{
    (void)arg;
    ck_assert_uint_lt(event_count, EVENTS_MAX);
    events[event_count] = (struct event){.request = request, .is_lookup = true};
    snprintf(events[event_count++].host, sizeof events->host, "%s", host);
    lookups++;
    return NX_OK;
}

static int on_send(void *arg, uint32_t request, const struct netsock *server)
{
    (void)arg;
    ck_assert_uint_lt(event_count, EVENTS_MAX);
    ck_assert_uint_lt(sent_count, SENT_MAX);
    events[event_count++] = (struct event){.request = request, .to = *server};
    netsock_format(server, sent[sent_count].text);
    sent[sent_count++].at_ns = now_ns;
    return NX_OK;
}

static uint32_t on_random(void *arg)
{
    (void)arg;
    return random_next += 7919;
}

static void on_changed(void *arg)
{
    (void)arg;
    changes++;
}

static const struct stun_client_ops ops = {
    .resolve = on_resolve, .send = on_send, .random = on_random, .changed = on_changed};

static struct netaddr addr(const char *text)
{
    struct netaddr out;
    ck_assert_int_eq(netaddr_parse(text, &out), NX_OK);
    return out;
}

static void lookup_answer(const struct event *event)
{
    struct netaddr found[3];
    size_t count = 0;
    char text[32];
    if (dns_dead) {
        count = 0;
    } else if (strncmp(event->host, "same", 4) == 0) {
        found[count++] = addr("2001:db8::1");
        found[count++] = addr("192.0.2.200");
    } else if (strcmp(event->host, "both") == 0) {
        found[count++] = addr("192.0.2.200");
        found[count++] = addr("192.0.2.201");
    } else {
        snprintf(text, sizeof text, "192.0.2.%d", event->host[0] - 'a' + 1);
        found[count++] = addr(text);
    }
    stun_client_resolved(client, event->request, found, count, now_ns);
}

static void datagram_answer(const struct event *event)
{
    char to[NETSOCK_TEXT_MAX];
    struct netsock seen;
    if (servers_dead ||
        strncmp(netsock_format(&event->to, to), dead_server, strlen(dead_server) + !*dead_server) == 0)
        return;
    if (refuse) {
        stun_client_refused(client, event->request, now_ns);
        return;
    }
    ck_assert_int_eq(netsock_parse(mapped, &seen), NX_OK);
    if (nat_symmetric)
        seen.port = (uint16_t)(seen.port + event->to.addr.bytes[3]);
    stun_client_answered(client, event->request, &event->to, &seen, now_ns);
}

static void settle(void)
{
    stun_client_run(client, now_ns);
    while (event_count > 0) {
        const struct event event = events[0];
        memmove(events, events + 1, --event_count * sizeof *events);
        if (event.is_lookup)
            lookup_answer(&event);
        else
            datagram_answer(&event);
    }
}

static void pass_s(unsigned seconds)
{
    const uint64_t end_ns = now_ns + seconds * NS_PER_S;
    unsigned rounds = 0;
    settle();
    while (stun_client_next_ns(client) <= end_ns) {
        ck_assert_msg(rounds++ < 100000, "it never sleeps");
        ck_assert_uint_ge(stun_client_next_ns(client), now_ns);
        now_ns = stun_client_next_ns(client);
        settle();
    }
    now_ns = end_ns;
}

static void start_with(const char *const *servers, size_t count, bool relay_only)
{
    stun_client_free(client);
    client = stun_client_new(servers, count, relay_only, &ops, NULL);
    ck_assert_ptr_nonnull(client);
    event_count = sent_count = lookups = changes = 0;
}

static void set_up(void)
{
    static const char *const servers[] = {"a", "b", "c:3478", "d"};
    now_ns = START_NS;
    client = NULL;
    dns_dead = servers_dead = refuse = nat_symmetric = false;
    dead_server = "";
    mapped = "203.0.113.5:4000";
    start_with(servers, 4, false);
}

static void tear_down(void)
{
    stun_client_free(client);
}

static const char *reflexive(void)
{
    static char text[NETSOCK_TEXT_MAX];
    const struct stun_result result = stun_client_result(client);
    return result.reflexive.addr.family == NETADDR_NONE ? "" : netsock_format(&result.reflexive, text);
}

START_TEST(two_servers_are_asked_at_the_start_and_one_every_20_s_after)
{
    ck_assert_uint_eq(stun_client_next_ns(client), 0);
    ck_assert(!stun_client_result(client).settled);
    settle();
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_str_ne(sent[0].text, sent[1].text);
    ck_assert_str_eq(reflexive(), "203.0.113.5:4000");
    ck_assert(stun_client_result(client).settled && !stun_client_result(client).symmetric);
    ck_assert_str_eq(stun_client_result(client).server, "");
    ck_assert_uint_eq(changes, 1);
    pass_s(2000);
    ck_assert_uint_ge(sent_count, 2 + 2000 / 22);
    ck_assert_uint_le(sent_count, 2 + 2000 / 18);
    for (size_t i = 3; i < sent_count; i++) {
        const uint64_t gap_ns = sent[i].at_ns - sent[i - 1].at_ns;
        ck_assert(gap_ns >= 18 * NS_PER_S && gap_ns <= 22 * NS_PER_S);
        ck_assert_msg(i < 6 || strcmp(sent[i].text, sent[i - 4].text) == 0, "servers do not take turns");
    }
    ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(the_port_of_a_server_is_its_texts_or_the_default)
{
    pass_s(100);
    bool named = false, assumed = false;
    for (size_t i = 0; i < sent_count; i++) {
        named |= strcmp(sent[i].text, "192.0.2.3:3478") == 0;
        assumed |= strcmp(sent[i].text, "192.0.2.1:19302") == 0;
    }
    ck_assert(named && assumed);
}
END_TEST

START_TEST(a_new_address_is_told_and_checked_with_a_pair)
{
    pass_s(10);
    mapped = "203.0.113.5:4001"; /* a new port alone */
    pass_s(25);
    ck_assert_str_eq(reflexive(), "203.0.113.5:4001");
    ck_assert_uint_eq(changes, 2);
    ck_assert_uint_gt(strlen(stun_client_result(client).server), 0);
    size_t before = sent_count;
    pass_s(22);
    ck_assert_uint_eq(sent_count - before, 1);
    mapped = "198.51.100.7:9";
    pass_s(22);
    ck_assert_str_eq(reflexive(), "198.51.100.7:9");
    before = sent_count;
    nat_symmetric = true; /* the new network's NAT is another one */
    pass_s(22);
    ck_assert_uint_eq(sent_count - before, 2);
    ck_assert(stun_client_result(client).symmetric);
}
END_TEST

START_TEST(a_symmetric_nat_is_noticed_and_left_in_peace)
{
    nat_symmetric = true;
    pass_s(1);
    ck_assert(stun_client_result(client).symmetric && stun_client_result(client).settled);
    ck_assert_uint_eq(changes, 1);
    pass_s(250);
    ck_assert_uint_eq(sent_count, 2);
    pass_s(3600);
    ck_assert_uint_le(sent_count, 2 + 2 * 13);
    ck_assert_msg(changes == 1, "ports behind it mean nothing");
    nat_symmetric = false; /* the machine was carried elsewhere */
    mapped = "198.51.100.7:9";
    pass_s(305);
    ck_assert(!stun_client_result(client).symmetric);
    ck_assert_str_eq(reflexive(), "198.51.100.7:9");
    const size_t before = sent_count;
    pass_s(100);
    ck_assert_uint_ge(sent_count - before, 4);
}
END_TEST

START_TEST(relay_only_is_symmetric_whatever_is_seen)
{
    static const char *const servers[] = {"a", "b"};
    start_with(servers, 2, true);
    ck_assert(stun_client_result(client).symmetric);
    pass_s(1000);
    ck_assert(stun_client_result(client).symmetric);
    ck_assert_str_eq(reflexive(), "203.0.113.5:4000"); /* a relay behind the same NAT is found by it */
}
END_TEST

START_TEST(a_start_without_answers_ends_after_four_attempts)
{
    servers_dead = true;
    pass_s(22);
    ck_assert(!stun_client_result(client).settled);
    ck_assert_uint_eq(changes, 0);
    pass_s(1);
    ck_assert(stun_client_result(client).settled);
    ck_assert_str_eq(reflexive(), "");
    ck_assert_uint_eq(changes, 1);
    ck_assert_uint_eq(lookups, 8);
    ck_assert_uint_eq(sent_count, 8 * 4); /* at 0, 0.5, 1.5 and 3.5 s */
    ck_assert_uint_eq(sent[2].at_ns - START_NS, 500 * NS_PER_MS);
    ck_assert_uint_eq(sent[6].at_ns - START_NS, 3500 * NS_PER_MS);
    servers_dead = false; /* it goes on, and finds it */
    nat_symmetric = true;
    pass_s(30);
    ck_assert_str_ne(reflexive(), "");
    ck_assert_msg(stun_client_result(client).symmetric, "a pair was due");
}
END_TEST

START_TEST(without_names_or_with_refusals_the_start_takes_three_seconds)
{
    dns_dead = true;
    pass_s(2);
    ck_assert(!stun_client_result(client).settled);
    pass_s(2);
    ck_assert(stun_client_result(client).settled);
    tear_down();
    set_up();
    refuse = true;
    pass_s(4);
    ck_assert(stun_client_result(client).settled);
    ck_assert_uint_eq(sent_count, 8);
}
END_TEST

START_TEST(one_of_two_servers_is_better_than_none)
{
    static const char *const servers[] = {"a", "b"};
    start_with(servers, 2, false);
    dead_server = "192.0.2.1:";
    pass_s(24);
    ck_assert(stun_client_result(client).settled);
    ck_assert_str_eq(reflexive(), "203.0.113.5:4000");
    mapped = "203.0.113.5:4001";
    pass_s(60);
    ck_assert_str_eq(reflexive(), "203.0.113.5:4001");
}
END_TEST

START_TEST(a_pair_is_never_one_address_twice_if_there_are_two)
{
    static const char *const one_address[] = {"same1", "same2"}, *const three[] = {"same1", "same2", "c"},
                             *const more_addresses[] = {"both", "same1"};
    nat_symmetric = true;
    for (unsigned i = 0; i < 20; i++) { /* shuffled anew each time */
        start_with(three, 3, false);
        settle();
        ck_assert_uint_eq(sent_count, 2);
        ck_assert_str_ne(sent[0].text, sent[1].text);
        ck_assert(stun_client_result(client).symmetric);
        start_with(more_addresses, 2, false);
        settle();
        ck_assert_str_ne(sent[0].text, sent[1].text);
    }
    start_with(one_address, 2, false);
    settle();
    ck_assert_uint_eq(sent_count, 2); /* then the same, as it must be */
    ck_assert(stun_client_result(client).settled && !stun_client_result(client).symmetric);
}
END_TEST

START_TEST(texts_that_are_no_servers_do_no_harm)
{
    static const char *const servers[] = {"",           ":",           "a:0",   "a:70000",      "a b:1",
                                          "[::1]:3478", "2001:db8::1", "a:1:2", "192.0.2.9:77", "b."};
    start_with(servers, sizeof servers / sizeof *servers, false);
    pass_s(600);
    ck_assert(stun_client_result(client).settled);
    ck_assert_str_eq(reflexive(), "203.0.113.5:4000");
    for (size_t i = 0; i < sent_count; i++)
        ck_assert(strcmp(sent[i].text, "192.0.2.9:77") == 0 || strcmp(sent[i].text, "192.0.2.2:19302") == 0);
    start_with(NULL, 0, false);
    ck_assert(stun_client_result(client).settled);
    ck_assert_uint_eq(stun_client_next_ns(client), UINT64_MAX);
    settle();
}
END_TEST

START_TEST(answers_that_nobody_asked_for_are_ignored)
{
    struct netsock server, seen;
    ck_assert_int_eq(netsock_parse("192.0.2.66:19302", &server), NX_OK);
    ck_assert_int_eq(netsock_parse("6.6.6.6:666", &seen), NX_OK);
    servers_dead = true;
    settle();
    for (uint32_t request = 0; request < 20; request++) {
        stun_client_answered(client, request, &server, &seen, now_ns);
        stun_client_resolved(client, request, &server.addr, 1, now_ns);
    }
    ck_assert_str_eq(reflexive(), "");
    pass_s(100);
    stun_client_answered(client, 1, &server, &seen, now_ns); /* long over */
    stun_client_refused(client, 1, now_ns);
    ck_assert_str_eq(reflexive(), "");
}
END_TEST

START_TEST(two_endpoints_are_published_whatever_is_known)
{
    struct netsock local, none = {0};
    struct stun_published out[2];
    struct stun_result result = {.server = ""};
    ck_assert_int_eq(netsock_parse("10.0.0.1:5", &local), NX_OK);
    ck_assert_int_eq(stun_publish(&none, &result, out), NX_ENOENT);
    ck_assert_int_eq(stun_publish(&local, &result, out), NX_OK);
    ck_assert_str_eq(out[0].source, "local");
    ck_assert_str_eq(out[0].address, "10.0.0.1:5");
    ck_assert_str_eq(out[1].source, "stun:");
    ck_assert_str_eq(out[1].address, "10.0.0.1:5");
    ck_assert_int_eq(netsock_parse("203.0.113.5:4000", &result.reflexive), NX_OK);
    result.server = "stun.example:19302";
    ck_assert_int_eq(stun_publish(&local, &result, out), NX_OK);
    ck_assert_str_eq(out[0].address, "10.0.0.1:5");
    ck_assert_str_eq(out[1].source, "stun:stun.example:19302");
    ck_assert_str_eq(out[1].address, "203.0.113.5:4000");
    ck_assert_int_eq(stun_publish(&none, &result, out), NX_OK);
    ck_assert_str_eq(out[0].address, "203.0.113.5:4000");
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, two_servers_are_asked_at_the_start_and_one_every_20_s_after);
    tcase_add_test(tcase, the_port_of_a_server_is_its_texts_or_the_default);
    tcase_add_test(tcase, a_new_address_is_told_and_checked_with_a_pair);
    tcase_add_test(tcase, a_symmetric_nat_is_noticed_and_left_in_peace);
    tcase_add_test(tcase, relay_only_is_symmetric_whatever_is_seen);
    tcase_add_test(tcase, a_start_without_answers_ends_after_four_attempts);
    tcase_add_test(tcase, without_names_or_with_refusals_the_start_takes_three_seconds);
    tcase_add_test(tcase, one_of_two_servers_is_better_than_none);
    tcase_add_test(tcase, a_pair_is_never_one_address_twice_if_there_are_two);
    tcase_add_test(tcase, texts_that_are_no_servers_do_no_harm);
    tcase_add_test(tcase, answers_that_nobody_asked_for_are_ignored);
    tcase_add_test(tcase, two_endpoints_are_published_whatever_is_known);
}

int main(void)
{
    return unit_run("stun_client", fill);
}
