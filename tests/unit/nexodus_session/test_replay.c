/* Whole joins, replayed against recordings of the real control plane and login server: each request must be
 * the recorded one in method, host, path, authorization, kind of body and JSON meaning; the answers are the
 * recorded ones, at the recorded distances. */
#include "ctld/nexodus/timestamp.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"
#include "tests/unit/nexodus_session/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLAY_MAX_S = 120 };

static struct sim sim;

struct replay {
    struct json_reader *reader;
    const struct json_value *root, *next; /* the exchange that is expected next */
    uint64_t origin_ns;                   /* the time of t_ms 0 */
    size_t count;
};

static const char *text_of(const struct json_value *object, const char *name)
{
    const char *text = json_text(json_member(object, name), NULL);
    return text ? text : "";
}

static uint64_t number_of(const struct json_value *object, const char *name)
{
    char error[JSON_ERROR_MAX];
    uint64_t number = 0;
    ck_assert_int_eq(json_get_u64_optional(object, name, 0, UINT64_MAX / 2, &number, error), NX_OK);
    return number;
}

static const char *verb_of(enum http_method method)
{
    static const char *const names[] = {[HTTP_GET] = "GET",
                                        [HTTP_POST] = "POST",
                                        [HTTP_PATCH] = "PATCH",
                                        [HTTP_PUT] = "PUT",
                                        [HTTP_DELETE] = "DELETE"};
    return names[method];
}

static void stream_replay(const struct json_value *exchange, const struct sim_request *request)
{
    const uint64_t t_ms = number_of(exchange, "t_ms"), cut_ms = number_of(exchange, "cut_ms");
    sim_stream_open(&sim, request, 1);
    for (const struct json_value *chunk = json_first(json_member(exchange, "stream")); chunk;
         chunk = json_next(chunk))
        sim_stream_data(&sim, request, number_of(chunk, "t_ms") - t_ms + 1, text_of(chunk, "data"));
    if (cut_ms)
        sim_stream_end(&sim, request, cut_ms - t_ms, HTTP_CUT);
}

static void serve(struct sim *served, struct sim_request *request)
{
    struct replay *replay = served->server_arg;
    const struct json_value *exchange = replay->next;
    ck_assert_msg(exchange != NULL, "one request more than recorded: %s %s", verb_of(request->method),
                  request->path);
    ck_assert_str_eq(verb_of(request->method), text_of(exchange, "method"));
    ck_assert_str_eq(request->host, text_of(exchange, "host"));
    ck_assert_str_eq(request->path, text_of(exchange, "path"));
    ck_assert_str_eq(request->authorization, text_of(exchange, "authorization"));
    ck_assert_str_eq(request->content_type, text_of(exchange, "content_type"));
    if (strcmp(request->content_type, "application/json") == 0)
        ck_assert_msg(json_same(request->body, text_of(exchange, "body")), "%s\ninstead of\n%s",
                      request->body, text_of(exchange, "body"));
    else
        ck_assert_str_eq(request->body, text_of(exchange, "body"));
    replay->next = json_next(exchange);
    replay->count++;
    if (json_member(exchange, "stream"))
        stream_replay(exchange, request);
    else
        sim_answer(served, request, 3, (unsigned)number_of(exchange, "status"), text_of(exchange, "answer"));
}

/* Copies the text after `before`, up to the next quote, and returns where that is; NULL: there is none. */
static const char *quoted_take(const char *text, const char *before, char *out, size_t size)
{
    const char *found = text ? strstr(text, before) : NULL;
    if (!found)
        return NULL;
    found += strlen(before);
    const size_t length = strcspn(found, "\"");
    snprintf(out, size, "%.*s", (int)length, found);
    return found + length;
}

/* Our endpoints, as the recorded registration had them. */
static void endpoints_take(const struct json_value *exchanges)
{
    for (const struct json_value *at = json_first(exchanges); at; at = json_next(at)) {
        char local[64], reflexive[64];
        const char *rest =
            quoted_take(text_of(at, "body"), "\"endpoints\":[{\"address\":\"", local, sizeof local);
        if (!rest)
            continue;
        ck_assert_ptr_nonnull(quoted_take(rest, "\"address\":\"", reflexive, sizeof reflexive));
        sim_published(&sim, local, reflexive, true);
        return;
    }
}

static void hostname_take(const struct json_value *exchanges, char *out, size_t size)
{
    for (const struct json_value *at = json_first(exchanges); at; at = json_next(at))
        quoted_take(text_of(at, "body"), "\"hostname\":\"", out, size);
}

/* Replays the file until all of it has been asked for, and `after_ms` more. */
static void replay_file_and(const char *name, uint64_t after_ms)
{
    static const struct json_limits limits = {
        .bytes_max = 1 << 20, .string_max = 64 << 10, .values_max = 8192, .depth_max = 16};
    struct replay replay = {.reader = json_reader_new(&limits)};
    char error[JSON_ERROR_MAX], hostname[64] = "box";
    size_t length;
    char *text = fixture(name, &length);
    ck_assert_msg(json_read(replay.reader, text, length, &replay.root, error) == NX_OK, "%s", error);
    free(text);
    const struct json_value *exchanges = json_member(replay.root, "exchanges");
    replay.next = json_first(exchanges);
    sim_init(&sim);
    sim.server = serve;
    sim.server_arg = &replay;
    const char *started = text_of(replay.root, "started");
    ck_assert_int_eq(timestamp_parse_rfc3339(started, strlen(started), &sim.wall_ms0), NX_OK);
    sim.wall_ms0 += number_of(replay.next, "t_ms");
    if (text_of(replay.root, "public_key")[0])
        ck_assert_int_eq(key_parse(text_of(replay.root, "public_key"), sim.public_key), NX_OK);
    endpoints_take(exchanges);
    hostname_take(exchanges, hostname, sizeof hostname);
    const struct json_value *token = json_member(replay.root, "auth_token");
    if (token) {
        struct json_writer *writer = json_writer_new(64 << 10);
        const char *stored;
        json_put_value(writer, NULL, token);
        ck_assert_int_eq(json_writer_end(writer, &stored, &length), NX_OK);
        sim.slots[IPC_SLOT_AUTH_TOKEN] = strdup(stored);
        json_writer_free(writer);
    }
    struct session_config config = {.hostname = hostname,
                                    .reg_key = text_of(replay.root, "reg_key"),
                                    .username = text_of(replay.root, "username"),
                                    .password = text_of(replay.root, "password"),
                                    .request_ip = text_of(replay.root, "request_ip"),
                                    .vpc_id = text_of(replay.root, "vpc_id"),
                                    .security_group_id = text_of(replay.root, "security_group_id")};
    sim_begin(&sim, &config);
    for (unsigned s = 0; s < REPLAY_MAX_S && replay.next; s++)
        sim_run_for(&sim, 1000);
    sim_run_for(&sim, after_ms);
    ck_assert_msg(replay.next == NULL, "%zu requests only, then: %s", replay.count, sim_phase_text(&sim));
    json_reader_free(replay.reader);
}

/* Nothing more is asked within a minute after the last recorded request. */
static void replay_file(const char *name)
{
    replay_file_and(name, 60000);
}

static void ck_joined(void)
{
    ck_assert_str_eq(sim.given_up, "");
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_JOINED);
    ck_assert_int_eq(sim.own_v4.family, NETADDR_V4);
    ck_assert_ptr_nonnull(sim.slots[IPC_SLOT_DEVICE]);
    ck_assert_ptr_nonnull(strstr(sim.slots[IPC_SLOT_DEVICE], "\"token\":\"DT:"));
    ck_assert_ptr_nonnull(sim.slots[IPC_SLOT_NETWORK]);
    ck_assert_ptr_null(strstr(sim.slots[IPC_SLOT_NETWORK], "bearer_token"));
}

static const char *const joins[] = {"reg-key-first.json",   "reg-key-again.json", "reg-key-group.json",
                                    "reg-key-jwt.json",     "second-device.json", "two-addresses.json",
                                    "security-group.json",  "request-ip.json",    "vpc-id.json",
                                    "password.json",        "stored-token.json",  "refresh.json",
                                    "refresh-revoked.json", "device-flow.json"};

START_TEST(a_join_asks_what_upstream_asks)
{
    replay_file(joins[_i]);
    ck_joined();
    const bool by_user = sim_count(&sim, "/api/users/me", 0) > 0;
    ck_assert(by_user == (sim.slots[IPC_SLOT_AUTH_TOKEN] != NULL));
    sim_destroy(&sim);
}
END_TEST

START_TEST(a_regular_cut_costs_nothing)
{
    replay_file("reg-key-first.json");
    /* The stream was cut at 31 s; nobody was told, and the next one was asked for at once. */
    ck_assert_uint_eq(sim_count(&sim, "/api/events", 0), 2);
    ck_assert_uint_le(sim.log[4].at_ns - sim.log[3].at_ns, 31100 * NS_PER_MS);
    for (size_t i = 0; i < sim.phase_count; i++)
        ck_assert_str_eq(sim.phases[i].text, "");
    sim_destroy(&sim);
}
END_TEST

START_TEST(a_code_is_shown_while_it_is_wanted)
{
    replay_file("device-flow.json");
    ck_assert_uint_eq(sim.prompts, 1);
    ck_assert_str_eq(sim.prompt_code, "");
    bool asked = false;
    for (size_t i = 0; i < sim.phase_count; i++)
        asked |= sim.phases[i].phase == IPC_PHASE_LOGIN;
    ck_assert(asked);
    sim_destroy(&sim);
}
END_TEST

/* Whoever says no is not asked the same again and again, as upstream's programs do; a new code is shown,
 * though. */
START_TEST(a_code_that_is_refused_or_forgotten_is_followed_by_another)
{
    static const struct {
        const char *file, *says, *code;
    } cases[] = {{"device-flow-denied.json", "refused in the browser", "NIOI-YWUU"},
                 {"device-flow-expired.json", "nobody entered the code in time", "OXXI-TAIL"},
                 {"refresh-revoked-browser.json", "", "JRTB-QRXV"}};
    bool said = cases[_i].says[0] == '\0';
    replay_file_and(cases[_i].file, 0);
    ck_assert_str_eq(sim.prompt_code, cases[_i].code);
    for (size_t i = 0; i < sim.phase_count; i++)
        said |= strstr(sim.phases[i].text, cases[_i].says) != NULL;
    ck_assert(said);
    ck_assert_str_eq(sim.given_up, "");
    ck_assert_ptr_null(sim.slots[IPC_SLOT_AUTH_TOKEN]);
    sim_destroy(&sim);
}
END_TEST

static const struct {
    const char *file, *says;
} hopeless[] = {{"reg-key-unknown.json", "create a new key"},
                {"reg-key-deleted.json", "create a new key"},
                {"reg-key-malformed.json", "create a new key"},
                {"reg-key-jwt-expired.json", "expired"},
                {"reg-key-expired.json", "expired"},
                {"reg-key-exhausted.json", "create a new key"},
                {"wrong-password.json", "--password"},
                {"vpc-id-unknown.json", "--vpc-id"}};

START_TEST(what_is_hopeless_ends_at_once_with_what_to_do)
{
    replay_file(hopeless[_i].file);
    ck_assert_msg(strstr(sim.given_up, hopeless[_i].says) != NULL, "%s", sim.given_up);
    sim_destroy(&sim);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_join_asks_what_upstream_asks, 0, sizeof joins / sizeof *joins);
    tcase_add_test(tcase, a_regular_cut_costs_nothing);
    tcase_add_test(tcase, a_code_is_shown_while_it_is_wanted);
    tcase_add_loop_test(tcase, a_code_that_is_refused_or_forgotten_is_followed_by_another, 0, 3);
    tcase_add_loop_test(tcase, what_is_hopeless_ends_at_once_with_what_to_do, 0,
                        sizeof hopeless / sizeof *hopeless);
}

int main(void)
{
    return unit_run("session_replay", fill);
}
