/* The answers of a login, as recorded and as nobody should send them; forms, byte by byte as upstream's
 * client sends them; the poll of a device code on a simulated clock. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/nexodus/device_flow.h"
#include "ctld/nexodus/oidc_form.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <stdio.h>
#include <string.h>

#define ISSUER "https://auth.nexodus.test/realms/nexodus"

static char error[JSON_ERROR_MAX];

START_TEST(recorded_answers)
{
    struct oidc_login_start start;
    struct oidc_provider provider;
    struct oidc_tokens tokens;
    struct oidc_device_authorization code;
    ck_assert_int_eq(oidc_login_start_decode(document_file("login-start.json"), &start, error), NX_OK);
    ck_assert_str_eq(start.issuer, ISSUER);
    ck_assert_str_eq(start.client_id, "nexodus-cli");
    ck_assert_str_eq(start.device_authorization_endpoint, ISSUER "/protocol/openid-connect/auth/device");
    ck_assert_uint_eq(start.server_time_ms, UINT64_C(1795427457074));
    ck_assert_int_eq(oidc_discovery_decode(document_file("discovery.json"), ISSUER, &provider, error), NX_OK);
    ck_assert_str_eq(provider.token_endpoint, ISSUER "/protocol/openid-connect/token");
    ck_assert_str_eq(provider.jwks_uri, ISSUER "/protocol/openid-connect/certs");
    ck_assert_int_eq(oidc_tokens_decode(document_file("tokens.json"), &tokens, error), NX_OK);
    ck_assert_int_eq(strncmp(tokens.access_token, "eyJ", 3), 0);
    ck_assert_int_eq(strncmp(tokens.refresh_token, "eyJ", 3), 0);
    ck_assert_int_eq(strncmp(tokens.id_token, "eyJ", 3), 0);
    ck_assert_uint_eq(tokens.expires_in_s, 600);
    ck_assert_int_eq(
        oidc_device_authorization_decode(document_file("device-authorization.json"), &code, error), NX_OK);
    ck_assert_str_eq(code.user_code, "UUOR-YIGT");
    ck_assert_str_eq(code.verification_uri_complete,
                     "https://auth.nexodus.test/realms/nexodus/device?user_code=UUOR-YIGT");
    ck_assert_uint_eq(code.interval_s, 5);
    ck_assert_uint_eq(code.expires_in_s, 600);
    document_end();
}
END_TEST

static int login_start(const char *text)
{
    struct oidc_login_start out;
    return oidc_login_start_decode(document(text), &out, error);
}
static int discovery(const char *text)
{
    struct oidc_provider out;
    return oidc_discovery_decode(document(text), ISSUER, &out, error);
}
static int tokens_answer(const char *text)
{
    struct oidc_tokens out;
    return oidc_tokens_decode(document(text), &out, error);
}
static int code_answer(const char *text)
{
    struct oidc_device_authorization out;
    return oidc_device_authorization_decode(document(text), &out, error);
}

START_TEST(answers_that_are_refused)
{
#define START(more)     "{\"issuer\":\"" ISSUER "\",\"client_id\":\"c\"" more "}"
#define DISCOVERY(more) "{\"issuer\":\"" ISSUER "\"," more "}"
#define CODE(more)                                                                                           \
    "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"https://a.b\",\"expires_in\":9" more  \
    "}"
    static const struct {
        int (*decode)(const char *text);
        const char *text, *error;
    } cases[] = {
        {login_start, "[]", "not an object"},
        {login_start, "{\"client_id\":\"c\"}", "issuer: missing"},
        {login_start, "{\"issuer\":\"http://a.b\",\"client_id\":\"c\"}",
         "issuer: 'https://' URL scheme is required"},
        {login_start, "{\"issuer\":\"https://u@a.b\",\"client_id\":\"c\"}",
         "issuer: a user name ('@') has no place in the URL"},
        {login_start, "{\"issuer\":7}", "issuer: not a string"},
        {login_start, "{\"issuer\":\"https://a.b\"}", "client_id: missing"},
        {login_start, "{\"issuer\":\"https://a.b\",\"client_id\":\"\"}",
         "client_id: empty, or with characters that it cannot have"},
        {login_start, "{\"issuer\":\"https://a.b\",\"client_id\":\"a\\r\\nb\"}",
         "client_id: empty, or with characters that it cannot have"},
        {login_start, START(",\"server_time\":\"now\""), "server_time: not a time"},
        {login_start, START(",\"server_time\":7"), "server_time: not a string"},
        {login_start, START(",\"device_authorization_endpoint\":\"ftp://a.b\""),
         "device_authorization_endpoint: 'https://' URL scheme is required"},
        {discovery, "{\"issuer\":\"" ISSUER "/\"}", "issuer: not the issuer that was asked"},
        {discovery, "{\"issuer\":\"https://evil.test\"}", "issuer: not the issuer that was asked"},
        {discovery, "{}", "issuer: missing"},
        {discovery, DISCOVERY("\"jwks_uri\":\"https://a.b\""), "token_endpoint: missing"},
        {discovery, DISCOVERY("\"token_endpoint\":\"https://a.b\""), "jwks_uri: missing"},
        {discovery, DISCOVERY("\"token_endpoint\":\"http://a.b\""),
         "token_endpoint: 'https://' URL scheme is required"},
        {discovery, DISCOVERY("\"token_endpoint\":\"https://a.b\",\"jwks_uri\":\"file:///etc/passwd\""),
         "jwks_uri: 'https://' URL scheme is required"},
        {tokens_answer, "{}", "access_token: missing"},
        {tokens_answer, "{\"access_token\":\"\"}",
         "access_token: empty, or with characters that it cannot have"},
        {tokens_answer, "{\"access_token\":\"a\\r\\nX: y\"}",
         "access_token: empty, or with characters that it cannot have"},
        {tokens_answer, "{\"access_token\":\"a\",\"refresh_token\":\"b c\"}",
         "refresh_token: with characters that it cannot have"},
        {tokens_answer, "{\"access_token\":\"a\",\"id_token\":7}", "id_token: not a string"},
        {tokens_answer, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", "token_type: not a bearer token"},
        {tokens_answer, "{\"access_token\":\"a\",\"expires_in\":\"600\"}", "expires_in: not a number"},
        {tokens_answer, "{\"access_token\":\"a\",\"expires_in\":-1}", "expires_in: not a whole number"},
        {code_answer, "{}", "device_code: missing"},
        {code_answer, "{\"device_code\":\"d\"}", "user_code: missing"},
        {code_answer, "{\"device_code\":\"d\",\"user_code\":\"\"}",
         "user_code: empty, or with characters that cannot be shown"},
        {code_answer, "{\"device_code\":\"d\",\"user_code\":\"\\u001b[31m\"}",
         "user_code: empty, or with characters that cannot be shown"},
        {code_answer, "{\"device_code\":\"d\",\"user_code\":\"a\\u202eb\"}",
         "user_code: empty, or with characters that cannot be shown"},
        {code_answer, "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"javascript:x\"}",
         "verification_uri: 'https://' URL scheme is required"},
        {code_answer, "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"https://a.b\"}",
         "expires_in: missing or 0"},
        {code_answer, CODE(",\"verification_uri_complete\":\"http://a.b\""),
         "verification_uri_complete: 'https://' URL scheme is required"},
        {code_answer, CODE(",\"interval\":\"5\""), "interval: not a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(cases[i].decode(cases[i].text) == NX_EINVAL, "%s", cases[i].text);
        ck_assert_str_eq(error, cases[i].error);
    }
    document_end();
}
END_TEST

START_TEST(what_was_not_said)
{
    struct oidc_tokens tokens;
    struct oidc_device_authorization code;
    struct oidc_login_start start;
    ck_assert_int_eq(
        oidc_tokens_decode(document("{\"access_token\":\"a\",\"token_type\":\"bearer\"}"), &tokens, error),
        NX_OK);
    ck_assert_str_eq(tokens.refresh_token, "");
    ck_assert_str_eq(tokens.id_token, "");
    ck_assert_uint_eq(tokens.expires_in_s, 0);
    ck_assert_int_eq(
        oidc_tokens_decode(document("{\"access_token\":\"a\",\"expires_in\":18446744073709551615}"), &tokens,
                           error),
        NX_OK);
    ck_assert_uint_eq(tokens.expires_in_s, OIDC_LIFE_MAX_S);
    ck_assert_int_eq(oidc_device_authorization_decode(document(CODE("")), &code, error), NX_OK);
    ck_assert_str_eq(code.verification_uri_complete, "https://a.b");
    ck_assert_uint_eq(code.interval_s, 5);
    ck_assert_int_eq(oidc_device_authorization_decode(document(CODE(",\"interval\":0")), &code, error),
                     NX_OK);
    ck_assert_uint_eq(code.interval_s, 5);
    ck_assert_int_eq(oidc_device_authorization_decode(document(CODE(",\"interval\":100000")), &code, error),
                     NX_OK);
    ck_assert_uint_eq(code.interval_s, OIDC_INTERVAL_MAX_S);
    ck_assert_int_eq(oidc_login_start_decode(document(START("")), &start, error), NX_OK);
    ck_assert_str_eq(start.device_authorization_endpoint, "");
    ck_assert_uint_eq(start.server_time_ms, 0);
    document_end();
}
END_TEST

START_TEST(where_discovery_is)
{
    char url[URL_MAX], longest[URL_MAX];
    ck_assert_int_eq(oidc_discovery_url(ISSUER, url), NX_OK);
    ck_assert_str_eq(url, ISSUER "/.well-known/openid-configuration");
    ck_assert_int_eq(oidc_discovery_url("https://a.b/", url), NX_OK);
    ck_assert_str_eq(url, "https://a.b/.well-known/openid-configuration");
    ck_assert_int_eq(oidc_discovery_url("http://a.b/", url), NX_EINVAL);
    ck_assert_int_eq(oidc_discovery_url("https://a.b/?x", url), NX_EINVAL);
    ck_assert_int_eq(oidc_discovery_url("", url), NX_EINVAL);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "https://a.b/", 12);
    longest[URL_MAX - 1] = '\0';
    ck_assert_int_eq(oidc_discovery_url(longest, url), NX_EINVAL);
    ck_assert_str_eq(url, "");
}
END_TEST

START_TEST(failures)
{
    static const struct {
        const char *text;
        enum oidc_error code;
        const char *said;
    } cases[] = {
        {"{\"error\":\"authorization_pending\",\"error_description\":\"The authorization request is still "
         "pending\"}",
         OIDC_ERROR_AUTHORIZATION_PENDING,
         "authorization_pending: The authorization request is still pending"},
        {"{\"error\":\"slow_down\",\"error_description\":\"Slow down\"}", OIDC_ERROR_SLOW_DOWN,
         "slow_down: Slow down"},
        {"{\"error\":\"access_denied\"}", OIDC_ERROR_ACCESS_DENIED, "access_denied"},
        {"{\"error\":\"expired_token\"}", OIDC_ERROR_EXPIRED_TOKEN, "expired_token"},
        {"{\"error\":\"invalid_grant\",\"error_description\":\"Invalid user credentials\"}",
         OIDC_ERROR_INVALID_GRANT, "invalid_grant: Invalid user credentials"},
        {"{\"error\":\"invalid_client\"}", OIDC_ERROR_INVALID_CLIENT, "invalid_client"},
        {"{\"error\":\"invalid_request\"}", OIDC_ERROR_INVALID_REQUEST, "invalid_request"},
        {"{\"error\":\"invalid_scope\"}", OIDC_ERROR_INVALID_SCOPE, "invalid_scope"},
        {"{\"error\":\"unauthorized_client\"}", OIDC_ERROR_UNAUTHORIZED_CLIENT, "unauthorized_client"},
        {"{\"error\":\"unsupported_grant_type\"}", OIDC_ERROR_UNSUPPORTED_GRANT, "unsupported_grant_type"},
        {"{\"error\":\"a\\nb\",\"error_description\":\"\\u001b\"}", OIDC_ERROR_OTHER, "a?b: ?"},
        {"{\"error\":7,\"error_description\":\"text\"}", OIDC_ERROR_OTHER, "text"},
        {"{}", OIDC_ERROR_OTHER, ""},
        {"[]", OIDC_ERROR_OTHER, ""},
    };
    struct oidc_failure failure;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oidc_failure_decode(document(cases[i].text), &failure);
        ck_assert_int_eq(failure.code, cases[i].code);
        ck_assert_str_eq(failure.text, cases[i].said);
    }
    oidc_failure_decode(NULL, &failure);
    ck_assert_int_eq(failure.code, OIDC_ERROR_OTHER);
    document_end();
}
END_TEST

#define SCOPE                                                                                                \
    "openid+profile+email+offline_access+read%3Aorganizations+write%3Aorganizations+read%3Ausers+write%"     \
    "3Ausers+"                                                                                               \
    "read%3Adevices+write%3Adevices"

START_TEST(forms_as_recorded)
{
    char out[OIDC_FORM_MAX];
    ck_assert_int_eq(
        oidc_form_password(OIDC_CLIENT_IN_HEADER, "nexodus-cli", "kitteh4", "floofykittens", out, sizeof out),
        NX_OK);
    ck_assert_str_eq(out, "grant_type=password&password=floofykittens&scope=" SCOPE "&username=kitteh4");
    ck_assert_int_eq(
        oidc_form_password(OIDC_CLIENT_IN_FORM, "nexodus-cli", "a&b=c", "p w%+\xc3\xa9~", out, sizeof out),
        NX_OK);
    ck_assert_str_eq(out, "client_id=nexodus-cli&grant_type=password&password=p+w%25%2B%C3%A9~&scope=" SCOPE
                          "&username=a%26b%3Dc");
    ck_assert_int_eq(oidc_form_refresh(OIDC_CLIENT_IN_HEADER, "nexodus-cli", "bad", out, sizeof out), NX_OK);
    ck_assert_str_eq(out, "grant_type=refresh_token&refresh_token=bad");
    ck_assert_int_eq(oidc_form_refresh(OIDC_CLIENT_IN_FORM, "nexodus-cli", "bad", out, sizeof out), NX_OK);
    ck_assert_str_eq(out, "client_id=nexodus-cli&grant_type=refresh_token&refresh_token=bad");
    ck_assert_int_eq(oidc_form_device_authorization("nexodus-cli", out, sizeof out), NX_OK);
    ck_assert_str_eq(out, "client_id=nexodus-cli&scope=" SCOPE);
    ck_assert_int_eq(
        oidc_form_device_token("nexodus-cli", "NsGJJUNEUW0K0SlScwgyCZhWzQxMFX3rNcc5dzL1YNw", out, sizeof out),
        NX_OK);
    ck_assert_str_eq(out, "client_id=nexodus-cli&device_code=NsGJJUNEUW0K0SlScwgyCZhWzQxMFX3rNcc5dzL1YNw&"
                          "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code");
    ck_assert_int_eq(oidc_basic("nexodus-cli", out), NX_OK);
    ck_assert_str_eq(out, "Basic bmV4b2R1cy1jbGk6");
}
END_TEST

START_TEST(forms_that_do_not_fit_are_wiped)
{
    char out[64], id[1200];
    static const char zeros[64];
    memset(out, 'x', sizeof out);
    ck_assert_int_eq(oidc_form_password(OIDC_CLIENT_IN_HEADER, "c", "user", "secret", out, sizeof out),
                     NX_ERANGE);
    ck_assert_mem_eq(out, zeros, sizeof out);
    ck_assert_int_eq(oidc_form_refresh(OIDC_CLIENT_IN_HEADER, "c", "ab", out, 41), NX_ERANGE);
    ck_assert_int_eq(oidc_form_refresh(OIDC_CLIENT_IN_HEADER, "c", "ab", out, 42), NX_OK);
    ck_assert_uint_eq(strlen(out), 41);
    memset(id, '%', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    char basic[OIDC_BASIC_MAX];
    ck_assert_int_eq(oidc_basic(id, basic), NX_ERANGE);
    id[OIDC_CLIENT_ID_MAX] = '\0';
    ck_assert_int_eq(oidc_basic(id, basic), NX_OK);
    ck_assert_uint_lt(strlen(basic), OIDC_BASIC_MAX);
}
END_TEST

/* -- The poll -- */

static struct device_flow flow_begin(uint64_t interval_s, uint64_t expires_in_s, uint64_t now_ns)
{
    const struct oidc_device_authorization authorization = {.interval_s = interval_s,
                                                            .expires_in_s = expires_in_s};
    struct device_flow flow;
    device_flow_start(&flow, &authorization, now_ns);
    return flow;
}

START_TEST(a_code_that_is_approved)
{
    const uint64_t t = 1000 * NS_PER_S;
    struct device_flow flow = flow_begin(5, 600, t);
    ck_assert_int_eq(device_flow_step(&flow, t), DEVICE_FLOW_WAIT);
    ck_assert_uint_eq(device_flow_next_ns(&flow), t + 5 * NS_PER_S);
    ck_assert_int_eq(device_flow_step(&flow, t + 5 * NS_PER_S - 1), DEVICE_FLOW_WAIT);
    ck_assert_int_eq(device_flow_step(&flow, t + 5 * NS_PER_S), DEVICE_FLOW_POLL);
    ck_assert_int_eq(device_flow_step(&flow, t + 5 * NS_PER_S), DEVICE_FLOW_ASKING);
    ck_assert_uint_eq(device_flow_next_ns(&flow), UINT64_MAX);
    device_flow_refused(&flow, OIDC_ERROR_AUTHORIZATION_PENDING, t + 6 * NS_PER_S);
    ck_assert_uint_eq(device_flow_next_ns(&flow), t + 11 * NS_PER_S);
    ck_assert_int_eq(device_flow_step(&flow, t + 11 * NS_PER_S), DEVICE_FLOW_POLL);
    device_flow_granted(&flow);
    ck_assert_int_eq(device_flow_step(&flow, t + 12 * NS_PER_S), DEVICE_FLOW_GRANTED);
    ck_assert_int_eq(device_flow_step(&flow, t + 1200 * NS_PER_S), DEVICE_FLOW_GRANTED);
    ck_assert_uint_eq(device_flow_next_ns(&flow), UINT64_MAX);
}
END_TEST

START_TEST(slower_and_slower)
{
    uint64_t now = 0;
    struct device_flow flow = flow_begin(5, 3600, now);
    for (uint64_t interval = 10; interval <= 30; interval += 5) {
        now = device_flow_next_ns(&flow);
        ck_assert_int_eq(device_flow_step(&flow, now), DEVICE_FLOW_POLL);
        device_flow_refused(&flow, OIDC_ERROR_SLOW_DOWN, now);
        ck_assert_uint_eq(device_flow_next_ns(&flow), now + interval * NS_PER_S);
    }
    /* It stays slow. */
    now = device_flow_next_ns(&flow);
    ck_assert_int_eq(device_flow_step(&flow, now), DEVICE_FLOW_POLL);
    device_flow_refused(&flow, OIDC_ERROR_OTHER, now);
    ck_assert_uint_eq(device_flow_next_ns(&flow), now + 30 * NS_PER_S);
    /* A server that says nothing else does not make the interval endless. */
    for (unsigned i = 0; i < 1000; i++)
        device_flow_refused(&flow, OIDC_ERROR_SLOW_DOWN, now);
    ck_assert_uint_le(flow.interval_ns, (OIDC_INTERVAL_MAX_S + DEVICE_FLOW_SLOW_DOWN_S) * NS_PER_S);
}
END_TEST

START_TEST(no_answer_at_all)
{
    struct device_flow flow = flow_begin(5, 3600, 0);
    static const uint64_t pauses[] = {10, 20, 40, 60, 60, 60, 60, 60, 60, 60};
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        device_flow_unanswered(&flow, 0, 0);
        ck_assert_uint_eq(device_flow_next_ns(&flow), pauses[i] * NS_PER_S);
    }
    device_flow_unanswered(&flow, 120, 0);
    ck_assert_uint_eq(device_flow_next_ns(&flow), 120 * NS_PER_S);
    device_flow_unanswered(&flow, UINT64_MAX, 0);
    ck_assert_uint_eq(device_flow_next_ns(&flow), 3600 * NS_PER_S);
    /* An answer brings the interval back. */
    device_flow_refused(&flow, OIDC_ERROR_AUTHORIZATION_PENDING, 0);
    ck_assert_uint_eq(device_flow_next_ns(&flow), 5 * NS_PER_S);
    /* Intervals beyond a minute are kept to. */
    flow = flow_begin(300, 3600, 0);
    device_flow_unanswered(&flow, 0, 0);
    ck_assert_uint_eq(device_flow_next_ns(&flow), 300 * NS_PER_S);
}
END_TEST

START_TEST(ends)
{
    static const struct {
        enum oidc_error code;
        enum device_flow_step end;
    } cases[] = {
        {OIDC_ERROR_ACCESS_DENIED, DEVICE_FLOW_DENIED},
        {OIDC_ERROR_EXPIRED_TOKEN, DEVICE_FLOW_EXPIRED},
        {OIDC_ERROR_INVALID_GRANT, DEVICE_FLOW_EXPIRED},
        {OIDC_ERROR_INVALID_CLIENT, DEVICE_FLOW_FAILED},
        {OIDC_ERROR_INVALID_REQUEST, DEVICE_FLOW_FAILED},
        {OIDC_ERROR_INVALID_SCOPE, DEVICE_FLOW_FAILED},
        {OIDC_ERROR_UNAUTHORIZED_CLIENT, DEVICE_FLOW_FAILED},
        {OIDC_ERROR_UNSUPPORTED_GRANT, DEVICE_FLOW_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct device_flow flow = flow_begin(5, 60, 0);
        ck_assert_int_eq(device_flow_step(&flow, 5 * NS_PER_S), DEVICE_FLOW_POLL);
        device_flow_refused(&flow, cases[i].code, 5 * NS_PER_S);
        ck_assert_int_eq(device_flow_step(&flow, 6 * NS_PER_S), cases[i].end);
        ck_assert_uint_eq(device_flow_next_ns(&flow), UINT64_MAX);
    }
    /* Nobody comes; the deadline is before the next poll. */
    struct device_flow flow = flow_begin(5, 12, 0);
    for (unsigned i = 1; i <= 2; i++) {
        ck_assert_int_eq(device_flow_step(&flow, i * 5 * NS_PER_S), DEVICE_FLOW_POLL);
        device_flow_refused(&flow, OIDC_ERROR_AUTHORIZATION_PENDING, i * 5 * NS_PER_S);
    }
    ck_assert_uint_eq(device_flow_next_ns(&flow), 12 * NS_PER_S);
    ck_assert_int_eq(device_flow_step(&flow, 12 * NS_PER_S), DEVICE_FLOW_EXPIRED);
    /* An answer on its way counts, however late. */
    flow = flow_begin(5, 12, 0);
    ck_assert_int_eq(device_flow_step(&flow, 11 * NS_PER_S), DEVICE_FLOW_POLL);
    ck_assert_int_eq(device_flow_step(&flow, 20 * NS_PER_S), DEVICE_FLOW_ASKING);
    device_flow_granted(&flow);
    ck_assert_int_eq(device_flow_step(&flow, 21 * NS_PER_S), DEVICE_FLOW_GRANTED);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, recorded_answers);
    tcase_add_test(tcase, answers_that_are_refused);
    tcase_add_test(tcase, what_was_not_said);
    tcase_add_test(tcase, where_discovery_is);
    tcase_add_test(tcase, failures);
    tcase_add_test(tcase, forms_as_recorded);
    tcase_add_test(tcase, forms_that_do_not_fit_are_wiped);
    tcase_add_test(tcase, a_code_that_is_approved);
    tcase_add_test(tcase, slower_and_slower);
    tcase_add_test(tcase, no_answer_at_all);
    tcase_add_test(tcase, ends);
}

int main(void)
{
    return unit_run("nexodus/oidc", fill);
}
