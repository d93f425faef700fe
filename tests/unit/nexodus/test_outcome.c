/* What answers mean: each recorded error, with what follows from it beside it in the fixture, and those that
 * were never recorded. */
#include "ctld/nexodus/outcome.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <string.h>

static const char *const requests[] = {"reg-key", "user",   "vpc",         "create",
                                       "update",  "events", "login-start", "discovery"};
static const char *const tokens[] = {"none", "reg", "user", "device"};

static size_t place(const char *const *table, size_t count, const struct json_value *row, const char *name)
{
    const char *const text = json_text(json_member(row, name), NULL);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i], text) == 0)
            return i;
    ck_abort_msg("%s: %s", name, text);
    return 0;
}

static enum outcome classify(enum outcome_request request, enum outcome_credential credential, int status,
                             const char *body, char *advice)
{
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    struct api_error error;
    api_error_decode(reader, body, strlen(body), &error);
    json_reader_free(reader);
    const enum outcome outcome = outcome_classify(request, credential, status, &error, advice);
    ck_assert((outcome == OUTCOME_OK) == (advice[0] == '\0'));
    for (const char *c = advice; *c; c++)
        ck_assert(*c >= 0x20 && *c < 0x7f);
    return outcome;
}

START_TEST(recorded_answers)
{
    size_t rows = 0;
    for (const struct json_value *row = json_first(document_file("error-answers.json")); row;
         row = json_next(row)) {
        char advice[OUTCOME_ADVICE_MAX], error[JSON_ERROR_MAX];
        uint64_t status = 0;
        const char *const body = json_text(json_member(row, "body"), NULL);
        ck_assert_int_eq(json_get_u64(row, "status", 100, 599, &status, error), 0);
        const enum outcome outcome =
            classify((enum outcome_request)place(requests, 8, row, "request"),
                     (enum outcome_credential)place(tokens, 4, row, "token"), (int)status, body, advice);
        ck_assert_msg(strcmp(outcome_name(outcome), json_text(json_member(row, "outcome"), NULL)) == 0,
                      "%d %s is %s: %s", (int)status, body, outcome_name(outcome), advice);
        rows++;
    }
    ck_assert_uint_ge(rows, 30);
    document_end();
}
END_TEST

START_TEST(advice_says_what_to_do)
{
    static const struct {
        enum outcome_request request;
        enum outcome_credential credential;
        int status;
        const char *body;
        enum outcome outcome;
        const char *advice;
    } cases[] = {
        {OUTCOME_REG_KEY, OUTCOME_REG_TOKEN, 500,
         "{\"error\":\"internal server error\",\"trace_id\":\"ae4e013c0fa2d4b0f25c714b0659cf5b\"}",
         OUTCOME_HOPELESS,
         "reading the registration key's settings: the registration key has most likely expired, which the "
         "service "
         "reports as an error of its own: create a new key and start again with it (500: internal server "
         "error)"},
        {OUTCOME_REG_KEY, OUTCOME_REG_TOKEN, 500, "", OUTCOME_TRANSIENT, "the service has a problem (500)"},
        {OUTCOME_REG_KEY, OUTCOME_REG_TOKEN, 401, "{\"error\":\"invalid reg key\"}", OUTCOME_HOPELESS,
         "check --reg-key and --service-url, or create a new key (401: invalid reg key)"},
        {OUTCOME_REG_KEY, OUTCOME_REG_TOKEN, 401, "Jwt is expired", OUTCOME_HOPELESS,
         "has expired: create a new one"},
        {OUTCOME_CREATE, OUTCOME_REG_TOKEN, 400, "{\"error\":\"single use reg key exhausted\"}",
         OUTCOME_HOPELESS, "another one has used it: create a new key"},
        {OUTCOME_CREATE, OUTCOME_REG_TOKEN, 500, "{\"error\":\"internal server error\",\"trace_id\":\"aa\"}",
         OUTCOME_TRANSIENT, "a single-use key whose device was deleted"},
        {OUTCOME_CREATE, OUTCOME_USER_TOKEN, 409, "{\"error\":\"resource already exists\"}", OUTCOME_HOPELESS,
         "not which it is"},
        {OUTCOME_CREATE, OUTCOME_USER_TOKEN, 409, "{\"id\":\"../x\",\"error\":\"resource already exists\"}",
         OUTCOME_HOPELESS, "not which it is"},
        {OUTCOME_USER, OUTCOME_USER_TOKEN, 409, "{\"id\":\"9ca40621-edb0-476f-8e30-727f4703ff80\"}",
         OUTCOME_HOPELESS, ""},
        {OUTCOME_CREATE, OUTCOME_USER_TOKEN, 405,
         "{\"error\":\"operation not allowed\",\"reason\":\"devices support is disabled\"}", OUTCOME_HOPELESS,
         "does not offer this"},
        {OUTCOME_UPDATE, OUTCOME_REG_TOKEN, 403, "{\"error\":\"reg key does not have access\"}", OUTCOME_GONE,
         "a new key pair is needed"},
        {OUTCOME_UPDATE, OUTCOME_DEVICE_TOKEN, 403, "", OUTCOME_AUTH, "registered again (403)"},
        {OUTCOME_UPDATE, OUTCOME_USER_TOKEN, 404,
         "{\"error\":\"not found\",\"resource\":\"security_group_id\"}", OUTCOME_HOPELESS,
         "check --security-group-id"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 401, "{\"error\":\"invalid device token\"}", OUTCOME_AUTH,
         "its owner has probably deleted the device"},
        {OUTCOME_EVENTS, OUTCOME_REG_TOKEN, 403, "", OUTCOME_HOPELESS, "no token of its own"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 404, "", OUTCOME_GONE, "the VPC does not exist any more"},
        {OUTCOME_USER, OUTCOME_USER_TOKEN, 403, "", OUTCOME_HOPELESS, "no right"},
        {OUTCOME_VPC, OUTCOME_REG_TOKEN, 403, "", OUTCOME_HOPELESS, "create a new one"},
        {OUTCOME_VPC, OUTCOME_REG_TOKEN, 404, "", OUTCOME_HOPELESS, "create a key for another one"},
        {OUTCOME_VPC, OUTCOME_USER_TOKEN, 404, "", OUTCOME_HOPELESS, "check --vpc-id"},
        {OUTCOME_VPC, OUTCOME_USER_TOKEN, 410, "", OUTCOME_HOPELESS, "check --vpc-id"},
        {OUTCOME_LOGIN_START, OUTCOME_NO_TOKEN, 404, "<html>\n<body>", OUTCOME_HOPELESS,
         "not the address of a Nexodus service: check --service-url (404: <html>)"},
        {OUTCOME_LOGIN_START, OUTCOME_NO_TOKEN, 401, "", OUTCOME_HOPELESS, "check --service-url"},
        {OUTCOME_DISCOVERY, OUTCOME_NO_TOKEN, 302, "", OUTCOME_HOPELESS, "not followed: check --service-url"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 429, "{\"error\":\"slow\\ndown\"}", OUTCOME_TRANSIENT,
         "(429: slow?down)"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 408, "", OUTCOME_TRANSIENT, ""},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 425, "", OUTCOME_TRANSIENT, ""},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 418, "", OUTCOME_HOPELESS, "would again (418)"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 422, "{\"error\":\"no\",\"field\":\"kind\"}", OUTCOME_HOPELESS,
         "(422: no, field kind)"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 503, "", OUTCOME_TRANSIENT,
         "following events: the service has a problem (503)"},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 101, "", OUTCOME_TRANSIENT, ""},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 999, "", OUTCOME_TRANSIENT, ""},
        {OUTCOME_EVENTS, OUTCOME_DEVICE_TOKEN, 200, "", OUTCOME_OK, ""},
        {OUTCOME_CREATE, OUTCOME_REG_TOKEN, 201, "", OUTCOME_OK, ""},
    };
    char advice[OUTCOME_ADVICE_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const enum outcome outcome =
            classify(cases[i].request, cases[i].credential, cases[i].status, cases[i].body, advice);
        ck_assert_msg(outcome == cases[i].outcome, "%zu is %s: %s", i, outcome_name(outcome), advice);
        ck_assert_msg(strstr(advice, cases[i].advice) != NULL, "%zu: %s", i, advice);
    }
    ck_assert_int_eq(outcome_classify(OUTCOME_VPC, OUTCOME_REG_TOKEN, 0, NULL, advice), OUTCOME_TRANSIENT);
    ck_assert_str_eq(advice, "reading the VPC: no answer");
}
END_TEST

/* Whatever comes, there is an outcome and one line. */
START_TEST(every_status_has_an_outcome)
{
    char advice[OUTCOME_ADVICE_MAX], body[4000];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    for (enum outcome_request request = OUTCOME_REG_KEY; request <= OUTCOME_DISCOVERY; request++)
        for (enum outcome_credential credential = OUTCOME_NO_TOKEN; credential <= OUTCOME_DEVICE_TOKEN;
             credential++)
            for (int status = -1; status < 1000; status += 7)
                ck_assert(outcome_name(classify(request, credential, status, body, advice)) != NULL);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, recorded_answers);
    tcase_add_test(tcase, advice_says_what_to_do);
    tcase_add_test(tcase, every_status_has_an_outcome);
}

int main(void)
{
    return unit_run("nexodus/outcome", fill);
}
