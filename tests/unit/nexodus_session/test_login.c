/* Users: logins against a login server of the test's own, which signs what it says. What upstream's
 * recordings show of logins is in test_replay.c. */
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/token_maker.h"
#include "tests/unit/nexodus_session/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISSUER "https://auth.nexodus.test/realms/nexodus"

static EVP_PKEY *key;
static char *jwk;
static void (*api)(struct sim *sim, struct sim_request *request); /* the plane's */

/* How the login server behaves: */
static unsigned token_status;
static const char *token_body; /* NULL = tokens */
static unsigned life_s, granted, refreshed, coded;
static const char *client_error; /* to client authentication in the header */
static uint64_t issued_at_s;
static unsigned pending; /* polls that are answered with authorization_pending first */
static const char *id_issuer;
static const char *start_body;

static void answer_tokens(struct sim *on, struct sim_request *request)
{
    char claims[512], body[8192];
    snprintf(claims, sizeof claims,
             "{\"iss\":\"%s\",\"aud\":\"nexodus-cli\",\"exp\":%llu,\"iat\":%llu,\"sub\":\"u\"}", id_issuer,
             (unsigned long long)(issued_at_s + 600), (unsigned long long)issued_at_s);
    char *id_token = token_maker_sign("{\"alg\":\"RS256\",\"kid\":\"r\"}", claims, key);
    snprintf(body, sizeof body,
             "{\"access_token\":\"user-%u\",\"token_type\":\"Bearer\",\"expires_in\":%u,\"refresh_token\":"
             "\"refresh-%u\","
             "\"id_token\":\"%s\"}",
             granted + refreshed, life_s, granted + refreshed, id_token);
    sim_answer(on, request, PLANE_LATENCY_MS, 200, body);
    free(id_token);
}

static void token_serve(struct sim *on, struct sim_request *request)
{
    const bool refresh = strstr(request->body, "grant_type=refresh_token") != NULL;
    const bool poll = strstr(request->body, "device_code") != NULL;
    if (client_error && request->authorization[0]) {
        sim_answer(on, request, PLANE_LATENCY_MS, 401, client_error);
    } else if (poll && pending > 0) {
        pending--;
        sim_answer(on, request, PLANE_LATENCY_MS, 400, "{\"error\":\"authorization_pending\"}");
    } else if (token_body) {
        sim_answer(on, request, PLANE_LATENCY_MS, token_status, token_body);
    } else {
        refreshed += refresh;
        granted += !refresh;
        answer_tokens(on, request);
    }
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void serve(struct sim *on, struct sim_request *request)
{
    char body[8192];
    if (strcmp(request->path, "/device/login/start") == 0) {
        ck_assert_str_eq(request->authorization, "");
        sim_answer(on, request, PLANE_LATENCY_MS, 200, start_body);
    } else if (ends_with(request->path, "/openid-configuration")) {
        sim_answer(on, request, PLANE_LATENCY_MS, 200,
                   "{\"issuer\":\"" ISSUER "\",\"token_endpoint\":\"" ISSUER "/token\",\"jwks_uri\":\"" ISSUER
                   "/certs\"}");
    } else if (ends_with(request->path, "/certs")) {
        snprintf(body, sizeof body, "{\"keys\":[%s]}", jwk);
        sim_answer(on, request, PLANE_LATENCY_MS, 200, body);
    } else if (ends_with(request->path, "/auth/device")) {
        coded++;
        sim_answer(on, request, PLANE_LATENCY_MS, 200,
                   "{\"device_code\":\"dc\",\"user_code\":\"ABCD-EFGH\",\"verification_uri\":\"" ISSUER
                   "/device\",\"expires_in\":60,\"interval\":5}");
    } else if (ends_with(request->path, "/token")) {
        token_serve(on, request);
    } else if (strcmp(request->path, "/api/users/me") == 0) {
        if (plane.key_dead) /* here: of the user's tokens so far */
            sim_answer(on, request, PLANE_LATENCY_MS, 401, "Jwt is expired");
        else
            sim_answer(on, request, PLANE_LATENCY_MS, 200,
                       "{\"id\":\"" PLANE_VPC "\",\"username\":\"kitteh\",\"full_name\":\"Kitteh\"}");
    } else {
        api(on, request);
    }
}

static void begin(void)
{
    world_begin();
    key = token_maker_rsa(2048);
    jwk = token_maker_jwk(key, "r");
    api = sim.server;
    sim.server = serve;
    token_status = granted = refreshed = coded = pending = 0;
    token_body = client_error = NULL;
    life_s = 300;
    id_issuer = ISSUER;
    issued_at_s = sim.wall_ms0 / 1000;
    start_body = "{\"device_authorization_endpoint\":\"" ISSUER "/auth/device\",\"issuer\":\"" ISSUER
                 "\",\"client_id\":\"nexodus-cli\"}";
}

static void end(void)
{
    world_end();
    EVP_PKEY_free(key);
    free(jwk);
}

static void by_password(void)
{
    struct session_config config = {.username = "kitteh", .password = "floofykittens"};
    sim_begin(&sim, &config);
}

static void by_browser(void)
{
    struct session_config config = {0};
    sim_begin(&sim, &config);
}

START_TEST(a_password)
{
    by_password();
    sim_run_for(&sim, 1000);
    ck_joined();
    ck_assert_uint_eq(granted, 1);
    ck_assert_uint_eq(sim.admits, 1);
    ck_assert_str_eq(sim.admitted_host, "auth.nexodus.test");
    ck_assert_ptr_nonnull(strstr(sim.slots[IPC_SLOT_AUTH_TOKEN], "refresh-1"));
    /* The device's own token goes on: the user's is not renewed. */
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_eq(refreshed, 0);
    ck_joined();
}
END_TEST

START_TEST(a_wrong_password_ends_at_once)
{
    token_status = 401;
    token_body = "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid user credentials\"}";
    by_password();
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_ptr_nonnull(strstr(sim.given_up, "--password"));
    ck_assert_ptr_nonnull(strstr(sim.given_up, "Invalid user credentials"));
    ck_assert_uint_eq(sim_count(&sim, "/realms/nexodus/token", 0), 1); /* accounts are locked over more */
}
END_TEST

START_TEST(the_client_may_have_to_name_itself_in_the_form)
{
    client_error = "{\"error\":\"invalid_client\"}";
    by_password();
    sim_run_for(&sim, 1000);
    ck_joined();
    ck_assert_uint_eq(sim_count(&sim, "/realms/nexodus/token", 0), 2);
}
END_TEST

START_TEST(a_login_server_in_trouble_is_waited_for)
{
    static const struct {
        unsigned status;
        const char *body;
    } troubles[] = {{503, ""},         {500, "oops"}, {429, "{\"error\":\"slow_down\"}"},
                    {200, "not json"}, {200, "{}"},   {200, "{\"access_token\":\"a\",\"expires_in\":5}"}};
    token_status = troubles[_i].status;
    token_body = troubles[_i].body;
    by_password();
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_assert_str_eq(sim.given_up, "");
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_JOINING);
    ck_assert_uint_le(sim_count(&sim, NULL, 0), 600);
    token_body = NULL;
    issued_at_s = sim.wall_ms0 / 1000 + sim.now_ns / NS_PER_S;
    sim_run_for(&sim, 70000);
    ck_joined();
}
END_TEST

START_TEST(an_id_token_that_is_not_for_us_is_refused)
{
    if (_i == 0)
        id_issuer = "https://elsewhere.test";
    else if (_i == 1)
        issued_at_s -= 86400;
    else
        issued_at_s += 86400;
    by_password();
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_int_ne(sim_phase(&sim), IPC_PHASE_JOINED);
    ck_assert_ptr_nonnull(strstr(sim_phase_text(&sim), "ID token"));
    ck_assert_ptr_null(sim.slots[IPC_SLOT_AUTH_TOKEN]);
}
END_TEST

START_TEST(a_login_start_that_makes_no_sense)
{
    static const char *const bodies[] = {"{}", "{\"issuer\":\"http://plain.test\",\"client_id\":\"c\"}",
                                         "[]"};
    start_body = bodies[_i];
    by_password();
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_assert_uint_eq(sim.admits, 0);
    ck_assert_uint_le(sim_count(&sim, NULL, 0), 200);
}
END_TEST

START_TEST(another_login_server_than_before_is_not_asked)
{
    sim.admit_err = NX_EPERM;
    by_password();
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_ptr_nonnull(strstr(sim.given_up, "another login server"));
    ck_assert_uint_eq(sim_count(&sim, "/realms", 0), 0);
}
END_TEST

START_TEST(a_login_server_that_cannot_be_admitted_now_is_waited_for)
{
    sim.admit_err = NX_EAGAIN;
    by_password();
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_str_eq(sim.given_up, "");
    sim.admit_err = NX_OK;
    sim_run_for(&sim, 70000);
    ck_joined();
}
END_TEST

START_TEST(a_browser)
{
    pending = 3;
    by_browser();
    sim_run_for(&sim, 1000);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_LOGIN);
    ck_assert_str_eq(sim.prompt_code, "ABCD-EFGH");
    ck_assert_str_eq(session_status(sim.session).prompt_code, "ABCD-EFGH");
    sim_run_for(&sim, 21000);
    ck_joined();
    ck_assert_str_eq(sim.prompt_code, "");
    ck_assert_uint_eq(coded, 1);
}
END_TEST

START_TEST(a_browser_where_nobody_comes)
{
    pending = 1000;
    by_browser();
    sim_run_for(&sim, 10 * MINUTE_MS);
    ck_assert_uint_eq(coded, 4);
    ck_assert_ptr_nonnull(strstr(sim.given_up, "--reg-key"));
}
END_TEST

START_TEST(a_browser_that_says_no)
{
    token_status = 400;
    token_body = "{\"error\":\"access_denied\"}";
    by_browser();
    sim_run_for(&sim, 10 * MINUTE_MS);
    ck_assert_uint_eq(coded, 4);
    ck_assert_ptr_nonnull(strstr(sim.given_up, "refused in the browser"));
}
END_TEST

START_TEST(a_client_that_may_not_use_codes)
{
    token_status = 400;
    token_body = "{\"error\":\"unauthorized_client\"}";
    by_browser();
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_ptr_nonnull(strstr(sim.given_up, "--reg-key"));
}
END_TEST

START_TEST(polls_that_fail_go_on)
{
    token_status = 503;
    token_body = "";
    by_browser();
    sim_run_for(&sim, 25000);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_LOGIN);
    token_body = NULL;
    sim_run_for(&sim, 35000);
    ck_joined();
    ck_assert_uint_eq(coded, 1);
}
END_TEST

START_TEST(without_a_device_token_the_users_is_renewed_in_time)
{
    plane.no_token = true;
    by_password();
    sim_run_for(&sim, 1000);
    ck_joined();
    sim_run_for(&sim, HOUR_MS);
    ck_joined();
    ck_assert_uint_ge(refreshed, HOUR_MS / 1000 / life_s - 1);
    ck_assert_uint_le(refreshed, HOUR_MS / 1000 / life_s + 3);
    ck_assert_uint_eq(granted, 1);
}
END_TEST

START_TEST(a_renewal_that_fails_is_tried_again)
{
    plane.no_token = true;
    by_password();
    sim_run_for(&sim, 1000);
    token_status = 503;
    token_body = "";
    sim_run_for(&sim, 10 * MINUTE_MS);
    ck_assert_uint_le(sim_count(&sim, NULL, 0), 200);
    token_body = NULL;
    sim_run_for(&sim, 5 * MINUTE_MS);
    ck_joined();
    ck_assert_uint_ge(refreshed, 1);
}
END_TEST

START_TEST(a_token_that_the_api_refuses_is_renewed)
{
    by_password();
    sim_run_for(&sim, 3000);
    plane_delete(&plane, plane_ours(&plane)); /* so that the user's token is needed */
    plane.key_dead = true;
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_uint_ge(refreshed, 1);
    plane.key_dead = false;
    sim_run_for(&sim, 5 * MINUTE_MS);
    ck_joined();
    ck_assert_uint_eq(sim.renewals, 1);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_password);
    tcase_add_test(tcase, a_wrong_password_ends_at_once);
    tcase_add_test(tcase, the_client_may_have_to_name_itself_in_the_form);
    tcase_add_loop_test(tcase, a_login_server_in_trouble_is_waited_for, 0, 6);
    tcase_add_loop_test(tcase, an_id_token_that_is_not_for_us_is_refused, 0, 3);
    tcase_add_loop_test(tcase, a_login_start_that_makes_no_sense, 0, 3);
    tcase_add_test(tcase, another_login_server_than_before_is_not_asked);
    tcase_add_test(tcase, a_login_server_that_cannot_be_admitted_now_is_waited_for);
    tcase_add_test(tcase, a_browser);
    tcase_add_test(tcase, a_browser_where_nobody_comes);
    tcase_add_test(tcase, a_browser_that_says_no);
    tcase_add_test(tcase, a_client_that_may_not_use_codes);
    tcase_add_test(tcase, polls_that_fail_go_on);
    tcase_add_test(tcase, without_a_device_token_the_users_is_renewed_in_time);
    tcase_add_test(tcase, a_renewal_that_fails_is_tried_again);
    tcase_add_test(tcase, a_token_that_the_api_refuses_is_renewed);
}

int main(void)
{
    return unit_run("session_login", fill);
}
