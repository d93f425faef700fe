/* Paths, times, presence, the JSON of objects, and the server's command line. */
#include "apid/options.h"
#include "apid/rest/field.h"
#include "apid/rest/model.h"
#include "apid/rest/online.h"
#include "apid/rest/path.h"
#include "common/err.h"

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *pattern, *path;
    bool matches;
    const char *first, *second;
} paths[] = {
    {"/api/devices", "/api/devices", true, NULL, NULL},
    {"/api/devices", "/api/devices/", false, NULL, NULL},
    {"/api/devices", "/api/device", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices/x", true, "x", NULL},
    {"/api/devices/{id}", "/api/devices/", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices/x/y", false, NULL, NULL},
    {"/api/devices/{id}/metadata/{key}", "/api/devices/a/metadata/b%2Fc%20d", true, "a", "b/c d"},
    {"/api/devices/{id}/metadata/{key}", "/api/devices/a/metadata/b/c", false, NULL, NULL},
    {"/api/devices/{id}/metadata/{key}", "/api/devices/a%2Fmetadata/b", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices/%", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices/%4", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices/%zz", false, NULL, NULL},
    {"/api/devices/{id}", "/api/devices/a%00b", false, NULL, NULL},
    {"/api/{a}/{b}/{c}/{d}", "/api/1/2/3/4", false, NULL, NULL}, /* more than there is room for */
};

START_TEST(test_paths)
{
    struct path_params params;
    ck_assert_int_eq(path_match(paths[_i].pattern, paths[_i].path, &params), paths[_i].matches);
    if (paths[_i].first)
        ck_assert_str_eq(params.values[0], paths[_i].first);
    if (paths[_i].second)
        ck_assert_str_eq(params.values[1], paths[_i].second);
}
END_TEST

START_TEST(test_long_parameter)
{
    struct path_params params;
    char path[PATH_PARAM_MAX + 8] = "/";
    memset(path + 1, 'a', PATH_PARAM_MAX - 1);
    ck_assert(path_match("/{x}", path, &params));
    path[PATH_PARAM_MAX] = 'a';
    ck_assert(!path_match("/{x}", path, &params));
}
END_TEST

START_TEST(test_uuids)
{
    char out[37];
    ck_assert(path_uuid("9CA40621-edb0-476f-8e30-727f4703ff80", out));
    ck_assert_str_eq(out, "9ca40621-edb0-476f-8e30-727f4703ff80");
    static const char *const none[] = {"",
                                       "9",
                                       "9ca40621-edb0-476f-8e30-727f4703ff8",
                                       "9ca40621-edb0-476f-8e30-727f4703ff800",
                                       "9ca40621xedb0-476f-8e30-727f4703ff80",
                                       "gca40621-edb0-476f-8e30-727f4703ff80",
                                       "9ca40621-edb0-476f-8e30-727f4703ff8-"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert(!path_uuid(none[i], out));
}
END_TEST

static const struct {
    const char *text;
    bool valid;
    uint64_t seconds;
} times[] = {
    {"1970-01-01T00:00:00Z", true, 0},
    {"2026-11-23T09:35:59.237469Z", true, 1795426559},
    {"2026-11-23t10:35:59+01:00", true, 1795426559},
    {"2026-11-23T08:05:59-01:30", true, 1795426559},
    {"2024-02-29T00:00:00Z", true, 1709164800},
    {"2023-02-29T00:00:00Z", false, 0},
    {"1969-12-31T23:59:59Z", false, 0},
    {"1970-01-01T00:00:00+01:00", false, 0},
    {"2026-13-01T00:00:00Z", false, 0},
    {"2026-00-01T00:00:00Z", false, 0},
    {"2026-01-32T00:00:00Z", false, 0},
    {"2026-01-01T24:00:00Z", false, 0},
    {"2026-01-01T00:60:00Z", false, 0},
    {"2026-01-01T00:00:00", false, 0},
    {"2026-01-01T00:00:00.Z", false, 0},
    {"2026-01-01T00:00:00Zx", false, 0},
    {"2026-01-01 00:00:00Z", false, 0},
    {"2026-01-01T00:00:00+24:00", false, 0},
    {"2026-01-01T00:00:00+1:00", false, 0},
    {"26-01-01T00:00:00Z", false, 0},
    {"", false, 0},
};

START_TEST(test_times)
{
    uint64_t seconds = 7;
    char text[MODEL_TIME_MAX];
    ck_assert_int_eq(field_time_parse(times[_i].text, &seconds), times[_i].valid);
    if (times[_i].valid) {
        ck_assert_msg(seconds == times[_i].seconds, "%llu", (unsigned long long)seconds);
        uint64_t again;
        ck_assert(field_time_parse(model_time(seconds, text), &again));
        ck_assert(again == seconds);
    }
}
END_TEST

static void expect(struct json_out *out, const char *text)
{
    ck_assert(!out->failed);
    ck_assert_msg(out->length == strlen(text) && memcmp(out->data, text, out->length) == 0, "%.*s",
                  (int)out->length, out->data);
    json_out_free(out);
}

START_TEST(test_device_model)
{
    static struct store_device device = {.id = "i",
                                         .owner_id = "o",
                                         .vpc_id = "v",
                                         .public_key = "k",
                                         .hostname = "h\"",
                                         .os = "linux",
                                         .ipv4 = "100.64.0.1",
                                         .ipv4_cidr = "100.64.0.0/10",
                                         .ipv6 = "200::1",
                                         .ipv6_cidr = "200::/64",
                                         .revision = 9};
    struct json_out out = {0};
    model_device(&out, &device, NULL);
    expect(
        &out,
        "{\"id\":\"i\",\"owner_id\":\"o\",\"vpc_id\":\"v\",\"public_key\":\"k\",\"allowed_ips\":[\"100.64.0."
        "1/32\","
        "\"200::1/128\"],\"ipv4_tunnel_ips\":[{\"address\":\"100.64.0.1\",\"cidr\":\"100.64.0.0/10\"}],"
        "\"ipv6_tunnel_ips\":[{\"address\":\"200::1\",\"cidr\":\"200::/"
        "64\"}],\"advertise_cidrs\":null,\"relay\":false,"
        "\"symmetric_nat\":false,\"hostname\":\"h\\\"\",\"os\":\"linux\",\"endpoints\":null,\"revision\":9,"
        "\"security_group_id\":\"00000000-0000-0000-0000-000000000000\",\"online\":false,\"online_at\":"
        "null}");
    device.relay = device.online = device.has_endpoints = device.has_advertise_cidrs = true;
    device.online_at_s = 1795426559;
    device.endpoint_count = device.advertise_cidr_count = 1;
    strcpy(device.endpoints[0].source, "stun:");
    strcpy(device.endpoints[0].address, "192.0.2.1:1");
    strcpy(device.advertise_cidrs[0], "10.0.0.0/8");
    strcpy(device.security_group_id, "g");
    model_device(&out, &device, "sealed");
    expect(&out, "{\"id\":\"i\",\"owner_id\":\"o\",\"vpc_id\":\"v\",\"public_key\":\"k\",\"allowed_ips\":["
                 "\"100.64.0.1\",\"200::1\"],"
                 "\"ipv4_tunnel_ips\":[{\"address\":\"100.64.0.1\",\"cidr\":\"100.64.0.0/10\"}],"
                 "\"ipv6_tunnel_ips\":[{\"address\":\"200::1\",\"cidr\":\"200::/"
                 "64\"}],\"advertise_cidrs\":[\"10.0.0.0/8\"],"
                 "\"relay\":true,\"symmetric_nat\":false,\"hostname\":\"h\\\"\",\"os\":\"linux\","
                 "\"endpoints\":[{\"source\":\"stun:\",\"address\":\"192.0.2.1:1\"}],\"revision\":9,"
                 "\"security_group_id\":\"g\","
                 "\"online\":true,\"online_at\":\"2026-11-23T09:35:59Z\",\"bearer_token\":\"sealed\"}");
}
END_TEST

/* --- presence --- */

static struct {
    unsigned on, off;
    char device[37];
} told;

static void presence(void *arg, const char *device, bool online)
{
    ck_assert_ptr_eq(arg, &told);
    told.on += online;
    told.off += !online;
    strcpy(told.device, device);
}

START_TEST(test_presence)
{
    struct event_base *const base = event_base_new();
    memset(&told, 0, sizeof(told));
    struct online *const online = online_new(base, presence, &told);
    ck_assert_int_eq(online_join(online, "d"), NX_OK);
    ck_assert_int_eq(online_join(online, "d"), NX_OK);
    ck_assert_uint_eq(told.on, 1);
    online_leave(online, "d");
    online_leave(online, "d");
    online_leave(online, "unknown");
    ck_assert_int_eq(online_join(online, "d"), NX_OK); /* back within the grace */
    ck_assert_uint_eq(told.on, 1);
    online_leave(online, "d");
    ck_assert_int_eq(online_expect(online, "e"), NX_OK); /* was online when the program ended */
    ck_assert_int_eq(online_join(online, "e"), NX_OK);
    ck_assert_uint_eq(told.on, 1);
    ck_assert_uint_eq(online_count(online), 2);
    event_base_loop(base, EVLOOP_ONCE); /* the grace of "d" */
    ck_assert_uint_eq(told.off, 1);
    ck_assert_str_eq(told.device, "d");
    ck_assert_uint_eq(online_count(online), 1);
    online_free(online);
    event_base_free(base);
}
END_TEST

/* --- command line --- */

static enum options_result read_words(struct apid_options *options, char *error, const char *words)
{
    static char text[256];
    char *argv[32] = {(char *)"apid"};
    int argc = 1;
    snprintf(text, sizeof(text), "%s", words);
    for (char *word = strtok(text, " "); word && argc < 31; word = strtok(NULL, " "))
        argv[argc++] = word;
    return options_read(argc, argv, options, error);
}

START_TEST(test_options)
{
    struct apid_options options;
    char error[OPTIONS_ERROR_MAX];
    ck_assert_int_eq(read_words(&options, error, "--data d --host Nexodus.LocalHost"), OPTIONS_RUN);
    ck_assert_str_eq(options.host, "nexodus.localhost");
    ck_assert_uint_eq(options.listen.port, 8443);
    ck_assert_int_eq(options.sandbox, SANDBOX_STRICT);
    ck_assert_int_eq(read_words(&options, error,
                                "--data=d --host h --listen [::]:1 --external-port 2 --max-connections 3 "
                                "--max-connections-per-client 4 --log-level DEBUG --sandbox best-effort "
                                "--tls-cert c --tls-key k"),
                     OPTIONS_RUN);
    ck_assert_uint_eq(options.listen.port, 1);
    ck_assert_uint_eq(options.external_port, 2);
    ck_assert_uint_eq(options.limits.connections, 3);
    ck_assert_uint_eq(options.limits.connections_per_client, 4);
    ck_assert_int_eq(options.log_level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(options.sandbox, SANDBOX_BEST_EFFORT);
    ck_assert_str_eq(options.tls_key, "k");
    ck_assert_int_eq(read_words(&options, error, "--data d --host h --tls-key k"), OPTIONS_BAD);
    ck_assert_int_eq(read_words(&options, error, "--data d --host h rubbish"), OPTIONS_BAD);
    ck_assert_int_eq(read_words(&options, error, "--data d --host a..b"), OPTIONS_BAD);
    ck_assert_int_eq(read_words(&options, error, "--data d --host h."), OPTIONS_BAD);
    ck_assert_int_eq(read_words(&options, error, "--data d --host h --max-connections-per-client 0"),
                     OPTIONS_BAD);
}
END_TEST

START_TEST(test_admin_words)
{
    char *const admin[] = {(char *)"apid", (char *)"--data", (char *)"user", (char *)"user", NULL};
    char *const server[] = {(char *)"apid", (char *)"--data", (char *)"user", (char *)"--host=x", NULL};
    char *const after[] = {(char *)"apid", (char *)"--", (char *)"user", NULL};
    ck_assert(options_is_admin(4, (char **)admin));
    ck_assert(!options_is_admin(3, (char **)admin));
    ck_assert(!options_is_admin(4, (char **)server));
    ck_assert(options_is_admin(3, (char **)after));
    ck_assert(!options_is_admin(2, (char **)after));
    ck_assert(!options_is_admin(1, (char **)server));
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_rest");
    TCase *const cases = tcase_create("rest");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_paths, 0, sizeof(paths) / sizeof(paths[0]));
    tcase_add_test(cases, test_long_parameter);
    tcase_add_test(cases, test_uuids);
    tcase_add_loop_test(cases, test_times, 0, sizeof(times) / sizeof(times[0]));
    tcase_add_test(cases, test_device_model);
    tcase_add_test(cases, test_presence);
    tcase_add_test(cases, test_options);
    tcase_add_test(cases, test_admin_words);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
