/* Names through the resolver, against a name server of the test's own. */
#include "common/clock.h"
#include "common/err.h"
#include "dns_server.h"
#include "proxyd/dns_channel.h"
#include "proxyd/lookup.h"
#include "proxyd/resolver.h"
#include "unit.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MAX_S = 30, TYPE_A = 1, TYPE_AAAA = 28 };

static struct event_base *base;
static struct dns_server *server;
static struct resolver *resolver;
static char hosts_path[] = "hosts-XXXXXX";

struct result {
    unsigned calls;
    struct resolver_answer answer;
};

static void set_up(void)
{
    base = event_base_new();
    server = dns_server_new(base);
    strcpy(hosts_path + sizeof(hosts_path) - 7, "XXXXXX");
    const int fd = mkstemp(hosts_path);
    ck_assert_int_ge(fd, 0);
    dprintf(fd, "192.0.2.7 filed filed.example\n");
    close(fd);
    const struct resolver_config config = {.hosts_path = hosts_path, .name_servers = dns_server_text(server)};
    resolver = resolver_new(base, &config);
    unlink(hosts_path);
    ck_assert_ptr_nonnull(resolver);
}

static void tear_down(void)
{
    resolver_free(resolver);
    dns_server_free(server);
    event_base_free(base);
}

static void on_answer(const struct resolver_answer *answer, void *arg)
{
    struct result *const result = arg;
    result->answer = *answer;
    result->calls++;
}

/* Runs the loop until the result is there. */
static void await(const struct result *result)
{
    const uint64_t end_ns = clock_now_ns() + WAIT_MAX_S * NS_PER_S;
    while (result->calls == 0 && clock_now_ns() < end_ns)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(result->calls, 1);
}

static int ask(const char *name, struct result *result, struct resolver_wait **wait)
{
    *result = (struct result){0};
    return resolver_lookup(resolver, name, &result->answer, on_answer, result, wait);
}

static struct resolver_answer resolve(const char *name)
{
    struct result result;
    struct resolver_wait *wait;
    if (ask(name, &result, &wait) == NX_EAGAIN)
        await(&result);
    else
        ck_assert_uint_eq(result.calls, 0);
    return result.answer;
}

/* `wanted`: addresses separated by blanks. */
static void answer_is(const struct resolver_answer *answer, const char *wanted)
{
    char got[1024] = "", text[NETADDR_TEXT_MAX];
    for (size_t i = 0; i < answer->count; i++) {
        strcat(got, i ? " " : "");
        strcat(got, netaddr_format(&answer->addrs[i], text));
    }
    ck_assert_int_eq(answer->err, NX_OK);
    ck_assert_str_eq(got, wanted);
}

static void name_is(const char *name, const char *wanted)
{
    const struct resolver_answer answer = resolve(name);
    answer_is(&answer, wanted);
}

START_TEST(addresses_localhost_and_hosts_file_need_no_server)
{
    name_is("192.0.2.1", "192.0.2.1");
    name_is("2001:db8::1", "2001:db8::1");
    name_is("::ffff:192.0.2.1", "192.0.2.1");
    name_is("localhost", "::1 127.0.0.1");
    name_is("LocalHost.", "::1 127.0.0.1");
    name_is("a.b.localhost", "::1 127.0.0.1");
    name_is("FILED.example.", "192.0.2.7");
    ck_assert_uint_eq(dns_server_questions(server, NULL, 0), 0);
}
END_TEST

START_TEST(a_name_that_only_ends_like_localhost_is_asked_for)
{
    dns_server_add(server, "notlocalhost.example", "192.0.2.1", 60);
    dns_server_add(server, "localhost.example", "192.0.2.2", 60);
    name_is("notlocalhost.example.", "192.0.2.1");
    name_is("localhost.example.", "192.0.2.2");
}
END_TEST

START_TEST(both_families_are_asked_for_once_and_cached)
{
    dns_server_add(server, "web.example", "192.0.2.1", 60);
    dns_server_add(server, "web.example", "2001:db8::1", 30);
    name_is("web.example.", "2001:db8::1 192.0.2.1");
    name_is("WEB.example.", "2001:db8::1 192.0.2.1");
    const struct resolver_answer answer = resolve("web.example.");
    ck_assert_uint_le(answer.ttl_s, 30);
    ck_assert_uint_ge(answer.ttl_s, 28);
    ck_assert_uint_eq(dns_server_questions(server, "web.example", TYPE_A), 1);
    ck_assert_uint_eq(dns_server_questions(server, "web.example", TYPE_AAAA), 1);
}
END_TEST

START_TEST(cache_ends_with_the_ttl)
{
    dns_server_add(server, "short.example", "192.0.2.1", 0); /* kept for the minimum of a second */
    name_is("short.example.", "192.0.2.1");
    name_is("short.example.", "192.0.2.1");
    ck_assert_uint_eq(dns_server_questions(server, "short.example", TYPE_A), 1);
    dns_server_clear(server);
    dns_server_add(server, "short.example", "192.0.2.2", 60);
    const uint64_t begin_ns = clock_now_ns();
    while (clock_now_ns() < begin_ns + (RESOLVER_TTL_MIN_S * NS_PER_S) + 10 * NS_PER_MS) {
        event_base_loopexit(base, &(struct timeval){0, 50000});
        event_base_dispatch(base);
    }
    name_is("short.example.", "192.0.2.2");
}
END_TEST

START_TEST(requests_for_one_name_are_merged)
{
    struct result results[20];
    struct resolver_wait *waits[20];
    dns_server_add(server, "web.example", "192.0.2.1", 60);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(ask("web.example.", &results[i], &waits[i]), NX_EAGAIN);
    for (int i = 0; i < 20; i += 2)
        resolver_cancel(waits[i]);
    for (int i = 1; i < 20; i += 2) {
        await(&results[i]);
        answer_is(&results[i].answer, "192.0.2.1");
    }
    for (int i = 0; i < 20; i += 2)
        ck_assert_uint_eq(results[i].calls, 0);
    ck_assert_uint_eq(dns_server_questions(server, NULL, 0), 2);
}
END_TEST

START_TEST(names_without_address_are_remembered_too)
{
    dns_server_manner(server, "aliasless.example", 0, DNS_MANNER_ANSWER);
    ck_assert_int_eq(resolve("none.example.").err, NX_ENOENT);
    const struct resolver_answer again = resolve("none.example.");
    ck_assert_int_eq(again.err, NX_ENOENT);
    ck_assert_uint_le(again.ttl_s, RESOLVER_TTL_NEGATIVE_S);
    ck_assert_uint_eq(dns_server_questions(server, "none.example", TYPE_A), 1);
}
END_TEST

START_TEST(names_that_cannot_be_are_not_asked_for)
{
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    longest[299] = '\0';
    ck_assert_int_eq(resolve("a..b").err, NX_EINVAL);
    ck_assert_int_eq(resolve("-a.example").err, NX_EINVAL);
    ck_assert_int_eq(resolve("1.2.3.4.5").err, NX_EINVAL);
    ck_assert_int_eq(resolve(longest).err, NX_EINVAL);
    ck_assert_int_eq(resolve("").err, NX_EINVAL);
    ck_assert_uint_eq(dns_server_questions(server, NULL, 0), 0);
}
END_TEST

START_TEST(aliases_are_followed_and_their_ttl_counts)
{
    dns_server_alias(server, "www.example", "host.example", 7);
    dns_server_add(server, "host.example", "192.0.2.1", 600);
    name_is("www.example.", "192.0.2.1");
    ck_assert_uint_le(resolve("www.example.").ttl_s, 7);
}
END_TEST

START_TEST(server_that_drops_one_family_costs_little)
{
    dns_server_add(server, "half.example", "192.0.2.1", 60);
    dns_server_manner(server, "half.example", TYPE_AAAA, DNS_MANNER_SILENT);
    const uint64_t begin_ns = clock_now_ns();
    name_is("half.example.", "192.0.2.1");
    const uint64_t took_ns = clock_now_ns() - begin_ns;
    ck_assert_uint_ge(took_ns, (RESOLVER_SECOND_FAMILY_MS - 5) * NS_PER_MS);
    ck_assert_uint_lt(took_ns, 1500 * NS_PER_MS); /* c-ares would wait 2 s for the first repetition */
}
END_TEST

START_TEST(late_family_completes_the_cached_answer)
{
    dns_server_add(server, "late.example", "192.0.2.1", 60);
    dns_server_add(server, "late.example", "2001:db8::1", 60);
    dns_server_manner(server, "late.example", TYPE_AAAA, DNS_MANNER_SILENT);
    name_is("late.example.", "192.0.2.1");
    dns_server_clear(server); /* the repeated question is answered */
    dns_server_add(server, "late.example", "2001:db8::1", 60);
    const uint64_t end_ns = clock_now_ns() + WAIT_MAX_S * NS_PER_S;
    while (resolve("late.example.").count < 2 && clock_now_ns() < end_ns)
        event_base_loop(base, EVLOOP_ONCE);
    name_is("late.example.", "2001:db8::1 192.0.2.1");
}
END_TEST

START_TEST(silent_server_times_out)
{
    dns_server_manner(server, "silent.example", 0, DNS_MANNER_SILENT);
    ck_assert_int_eq(resolve("silent.example.").err, NX_ETIMEDOUT);
}
END_TEST

START_TEST(truncated_answers_are_asked_for_again_over_tcp)
{
    dns_server_add(server, "big.example", "192.0.2.1", 60);
    dns_server_manner(server, "big.example", 0, DNS_MANNER_TRUNCATED);
    name_is("big.example.", "192.0.2.1");
    ck_assert_uint_eq(dns_server_questions(server, "big.example", TYPE_A), 2);
}
END_TEST

START_TEST(failing_server_is_an_error_of_its_own)
{
    dns_server_manner(server, "broken.example", 0, DNS_MANNER_SERVFAIL);
    ck_assert_int_eq(resolve("broken.example.").err, NX_EPROTO);
    /* One family that fails does not take away the other. */
    dns_server_add(server, "half.example", "192.0.2.1", 60);
    dns_server_manner(server, "half.example", TYPE_AAAA, DNS_MANNER_SERVFAIL);
    name_is("half.example.", "192.0.2.1");
}
END_TEST

START_TEST(hostile_answers_give_no_address)
{
    static const enum dns_manner manners[] = {DNS_MANNER_CUT, DNS_MANNER_LOOP, DNS_MANNER_WRONG_ID,
                                              DNS_MANNER_WRONG_QUESTION};
    struct result results[4];
    struct resolver_wait *waits[4];
    char name[32];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "evil%d.example", i);
        dns_server_add(server, name, "192.0.2.66", 60);
        dns_server_manner(server, name, 0, manners[i]);
        strcat(name, ".");
        ck_assert_int_eq(ask(name, &results[i], &waits[i]), NX_EAGAIN);
    }
    for (int i = 0; i < 4; i++) {
        await(&results[i]);
        ck_assert_int_lt(results[i].answer.err, 0);
        ck_assert_uint_eq(results[i].answer.count, 0);
    }
    /* The resolver is as good as before. */
    dns_server_add(server, "good.example", "192.0.2.1", 60);
    dns_server_manner(server, "good.example", 0, DNS_MANNER_EMPTY);
    name_is("good.example.", "192.0.2.1");
}
END_TEST

START_TEST(noise_is_survived)
{
    char name[32];
    for (unsigned seed = 1; seed <= 200; seed++) {
        snprintf(name, sizeof(name), "noise%u.example", seed);
        dns_server_seed(server, seed);
        dns_server_manner(server, name, 0, DNS_MANNER_NOISE);
        strcat(name, ".");
        const struct resolver_answer answer = resolve(name);
        ck_assert_uint_le(answer.count, RESOLVER_ADDRS_MAX);
        ck_assert(answer.err != NX_OK || answer.count > 0);
        if (seed % 100 == 0) {
            tear_down();
            set_up();
        }
    }
}
END_TEST

START_TEST(many_addresses_leave_room_for_both_families)
{
    char address[64];
    for (int i = 1; i <= 20; i++) {
        snprintf(address, sizeof(address), "192.0.2.%d", i);
        dns_server_add(server, "many.example", address, 60);
        snprintf(address, sizeof(address), "2001:db8::%x", i);
        dns_server_add(server, "many.example", address, 60);
    }
    const struct resolver_answer answer = resolve("many.example.");
    ck_assert_uint_eq(answer.count, RESOLVER_ADDRS_MAX);
    ck_assert_uint_eq(answer.addrs[0].family, NETADDR_V6);
    ck_assert_uint_eq(answer.addrs[RESOLVER_ADDRS_MAX - 1].family, NETADDR_V4);
}
END_TEST

START_TEST(names_under_way_and_in_the_cache_are_bounded)
{
    static struct result results[RESOLVER_PENDING_MAX + 1];
    static struct resolver_wait *waits[RESOLVER_PENDING_MAX + 1];
    char name[32];
    for (int i = 0; i < RESOLVER_PENDING_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example.", i);
        ck_assert_int_eq(ask(name, &results[i], &waits[i]), NX_EAGAIN);
    }
    ck_assert_int_eq(ask("onemore.example.", &results[RESOLVER_PENDING_MAX], &waits[RESOLVER_PENDING_MAX]),
                     NX_OK);
    ck_assert_int_eq(results[RESOLVER_PENDING_MAX].answer.err, NX_ENOMEM);
    for (int i = 0; i < RESOLVER_PENDING_MAX; i++)
        await(&results[i]);
    for (int i = 0; i < RESOLVER_CACHE_MAX; i++) {
        snprintf(name, sizeof(name), "m%d.example.", i);
        ck_assert_int_eq(resolve(name).err, NX_ENOENT);
    }
    const unsigned before = dns_server_questions(server, "n0.example", TYPE_A);
    resolve("n0.example."); /* was evicted */
    ck_assert_uint_eq(dns_server_questions(server, "n0.example", TYPE_A), before + 1);
}
END_TEST

START_TEST(server_that_is_not_there_fails_from_the_loop)
{
    resolver_free(resolver);
    const struct resolver_config config = {.hosts_path = "/nonexistent", .name_servers = "127.0.0.1:1"};
    resolver = resolver_new(base, &config);
    ck_assert_int_eq(resolve("web.example.").err, NX_EPROTO);
}
END_TEST

START_TEST(resolver_goes_while_names_are_asked_for)
{
    struct result result;
    struct resolver_wait *wait;
    ck_assert_int_eq(ask("web.example.", &result, &wait), NX_EAGAIN);
    resolver_free(resolver);
    resolver = NULL;
    ck_assert_uint_eq(result.calls, 0);
}
END_TEST

static void candidates_are(const struct dns_search *search, const char *name, const char *wanted)
{
    char got[2048] = "", one[DNS_NAME_MAX + 1];
    for (size_t i = 0;; i++) {
        const int err = lookup_candidate(search, name, i, one);
        if (err == NX_ENOENT)
            break;
        strcat(got, i ? " " : "");
        strcat(got, err == NX_OK ? one : "-");
    }
    ck_assert_str_eq(got, wanted);
}

START_TEST(search_list_is_walked_as_resolv_conf_says)
{
    const struct dns_search search = {.ndots = 2, .count = 2, .domains = {"one.example", "two.example"}};
    candidates_are(&search, "web", "web.one.example web.two.example web");
    candidates_are(&search, "web.a", "web.a.one.example web.a.two.example web.a");
    candidates_are(&search, "web.a.b", "web.a.b web.a.b.one.example web.a.b.two.example");
    candidates_are(&search, "web.", "web.");
    const struct dns_search none = {.ndots = 1};
    candidates_are(&none, "web", "web");
    char longest[DNS_NAME_MAX + 1], wanted[600];
    memset(longest, 'a', DNS_NAME_MAX);
    longest[DNS_NAME_MAX] = '\0';
    snprintf(wanted, sizeof(wanted), "- - %s", longest);
    candidates_are(&search, longest, wanted);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, addresses_localhost_and_hosts_file_need_no_server);
    tcase_add_test(tcase, a_name_that_only_ends_like_localhost_is_asked_for);
    tcase_add_test(tcase, both_families_are_asked_for_once_and_cached);
    tcase_add_test(tcase, cache_ends_with_the_ttl);
    tcase_add_test(tcase, requests_for_one_name_are_merged);
    tcase_add_test(tcase, names_without_address_are_remembered_too);
    tcase_add_test(tcase, names_that_cannot_be_are_not_asked_for);
    tcase_add_test(tcase, aliases_are_followed_and_their_ttl_counts);
    tcase_add_test(tcase, server_that_drops_one_family_costs_little);
    tcase_add_test(tcase, late_family_completes_the_cached_answer);
    tcase_add_test(tcase, silent_server_times_out);
    tcase_add_test(tcase, truncated_answers_are_asked_for_again_over_tcp);
    tcase_add_test(tcase, failing_server_is_an_error_of_its_own);
    tcase_add_test(tcase, hostile_answers_give_no_address);
    tcase_add_test(tcase, noise_is_survived);
    tcase_add_test(tcase, many_addresses_leave_room_for_both_families);
    tcase_add_test(tcase, names_under_way_and_in_the_cache_are_bounded);
    tcase_add_test(tcase, server_that_is_not_there_fails_from_the_loop);
    tcase_add_test(tcase, resolver_goes_while_names_are_asked_for);
    tcase_add_test(tcase, search_list_is_walked_as_resolv_conf_says);
}

int main(void)
{
    return unit_run("resolver", add, 60);
}
