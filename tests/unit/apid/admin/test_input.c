/* Files, times and rules that command lines name, hostile ones among them. */
#include "apid/admin/input.h"
#include "common/err.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW_S = 1800000000 };

static char error[INPUT_ERROR_MAX], path[64];
static struct store_rule rule;
static struct store_security_group group;

static void setup(void)
{
    snprintf(path, sizeof path, "/tmp/apid-input-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    memset(&group, 0, sizeof group);
}

static void teardown(void)
{
    ck_assert_int_eq(unlink(path), 0);
}

static void contain(const char *text, size_t length)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_secrets)
{
    static const struct {
        const char *content, *secret; /* NULL: refused */
    } cases[] = {
        {"correct horse\n", "correct horse"},
        {"correct horse", "correct horse"},
        {"  a b \r\nsecond line\n", "a b"},
        {"", NULL},
        {"\n", NULL},
        {"  \nsecond", NULL},
        {"exactly sixteen", "exactly sixteen"},
        {"seventeen bytes!!", NULL},
    };
    char out[16];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        contain(cases[i].content, strlen(cases[i].content));
        const int err = input_secret(path, out, sizeof out, error);
        ck_assert_msg(err == (cases[i].secret ? NX_OK : NX_EINVAL), "%zu", i);
        if (!err)
            ck_assert_str_eq(out, cases[i].secret);
        else
            ck_assert_ptr_nonnull(strstr(error, path));
    }
    contain("a\0b", 3);
    ck_assert_int_eq(input_secret(path, out, sizeof out, error), NX_EINVAL);
    ck_assert_int_eq(input_secret("/nonexistent/file", out, sizeof out, error), NX_EINVAL);
    ck_assert_int_eq(input_secret("/", out, sizeof out, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "a folder"));
}
END_TEST

START_TEST(test_standard_input)
{
    char out[64];
    contain("from afar\n", 10);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    ck_assert_int_eq(input_secret("-", out, sizeof out, error), NX_OK);
    ck_assert_str_eq(out, "from afar");
    close(STDIN_FILENO);
    ck_assert_int_eq(input_secret("-", out, sizeof out, error), NX_EINVAL);
}
END_TEST

START_TEST(test_large_files)
{
    char *text, *content = calloc(1, INPUT_FILE_MAX + 1);
    size_t length;
    memset(content, 'a', INPUT_FILE_MAX + 1);
    contain(content, INPUT_FILE_MAX);
    ck_assert_int_eq(input_file(path, &text, &length, error), NX_OK);
    ck_assert_uint_eq(length, INPUT_FILE_MAX);
    ck_assert_int_eq(text[length], '\0');
    free(text);
    contain(content, INPUT_FILE_MAX + 1);
    ck_assert_int_eq(input_file(path, &text, &length, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "megabyte"));
    ck_assert_int_eq(input_file("/dev/zero", &text, &length, error), NX_EINVAL); /* without end */
    free(content);
}
END_TEST

START_TEST(test_expiry)
{
    static const struct {
        const char *text;
        uint64_t seconds; /* from now on; 0: refused */
    } cases[] = {
        {"90s", 90},
        {"30m", 1800},
        {"24h", 86400},
        {"7d", 7 * 86400},
        {"1d12h30m15s", 86400 + 12 * 3600 + 1800 + 15},
        {"2027-01-15T08:00:10Z", 10},
        {"2027-01-15T09:00:10+01:00", 10},
        {"2027-01-15T08:00:00Z", 0}, /* now */
        {"2020-01-01T00:00:00Z", 0},
        {"2099-01-01T00:00:00Z", 0},
        {"", 0},
        {"0s", 0},
        {"24", 0},
        {"h", 0},
        {"-1h", 0},
        {"1.5h", 0},
        {"1h ", 0},
        {"1w", 0},
        {"99999999999999999999s", 0},
        {"99999999d", 0},
        {"3660d1s", 0},
        {"tomorrow\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t out = 0;
        const int err = input_expiry(cases[i].text, NOW_S, &out, error);
        ck_assert_msg(err == (cases[i].seconds ? NX_OK : NX_EINVAL), "%s", cases[i].text);
        ck_assert_uint_eq(out, err ? 0 : NOW_S + cases[i].seconds);
        if (err) {
            ck_assert_ptr_nonnull(strstr(error, "--expires"));
            ck_assert_ptr_null(strchr(error, '\n'));
        }
    }
}
END_TEST

START_TEST(test_rules_and_back)
{
    static const char *const sound[] = {
        "tcp",           "udp:53", "tcp:8000-8100", "tcp:22,10.0.0.0/8", "ipv6,200::/64,200::5,200::1-200::9",
        "icmp,10.0.0.1", "sctp",   "tcp:1-65535",   "tcp:9-1", /* what it means, the store judges */
    };
    char text[4096];
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        ck_assert_msg(input_rule(sound[i], &rule, error) == NX_OK, "%s", error);
        ck_assert_str_eq(input_rule_text(&rule, text, sizeof text), sound[i]);
    }
    ck_assert_int_eq(input_rule("tcp:80-80", &rule, error), NX_OK);
    ck_assert_str_eq(input_rule_text(&rule, text, sizeof text), "tcp:80");
    ck_assert_int_eq(input_rule("tcp:22,10.0.0.0/8,10.1.0.0/16", &rule, error), NX_OK);
    ck_assert_uint_eq(strlen(input_rule_text(&rule, text, 12)), 6); /* what does not fit is left out */
}
END_TEST

START_TEST(test_hostile_rules)
{
    static const char *const bad[] = {
        "",          ":80",         "tcp:",   "tcp:0",  "tcp:65536",     "tcp:80-",
        "tcp:-80",   "tcp:a",       "tcp,",   "tcp,,",  "tcp,10.0.0.1,", ",10.0.0.1",
        "tcp:1-2-3", "muchtoolong", "tcp:+1", "tcp: 1", "tcp:1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(input_rule(bad[i], &rule, error) == NX_EINVAL, "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(error, "PROTOCOL[:PORT"));
        ck_assert_ptr_null(strchr(error, '\n'));
    }
    char many[4096] = "tcp", one[STORE_RANGE_MAX + 16] = "tcp,";
    for (unsigned i = 0; i <= STORE_RANGES_MAX; i++)
        strcat(many, ",10.0.0.1");
    ck_assert_int_eq(input_rule(many, &rule, error), NX_EINVAL);
    memset(one + 4, '1', STORE_RANGE_MAX);
    one[4 + STORE_RANGE_MAX] = '\0';
    ck_assert_int_eq(input_rule(one, &rule, error), NX_EINVAL);
    one[4 + STORE_RANGE_MAX - 1] = '\0';
    ck_assert_int_eq(input_rule(one, &rule, error), NX_OK);
}
END_TEST

static int rules(const char *text, unsigned *changes)
{
    return input_rules(text, strlen(text), &group, changes, error);
}

START_TEST(test_rule_files)
{
    unsigned changes;
    ck_assert_int_eq(
        rules("{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"from_port\":22,\"to_port\":23,\"ip_ranges\":"
              "[\"10.0.0.0/8\",\"\"]},{\"ip_protocol\":\"udp\"}]}",
              &changes),
        NX_OK);
    ck_assert_uint_eq(changes, STORE_GROUP_INBOUND);
    ck_assert_uint_eq(group.inbound_count, 2);
    ck_assert_uint_eq(group.inbound[0].from_port, 22);
    ck_assert_uint_eq(group.inbound[0].to_port, 23);
    ck_assert_uint_eq(group.inbound[0].range_count, 2);
    ck_assert_str_eq(group.inbound[0].ranges[0], "10.0.0.0/8");
    ck_assert_str_eq(group.inbound[1].ip_protocol, "udp");
    /* What the API answers can be given back. */
    ck_assert_int_eq(
        rules("{\"id\":\"x\",\"vpc_id\":\"y\",\"description\":\"z\",\"revision\":5,\"inbound_rules\":[],"
              "\"outbound_rules\":[{\"ip_protocol\":\"icmp\",\"from_port\":0,\"to_port\":0,\"ip_ranges\":"
              "null}]}",
              &changes),
        NX_OK);
    ck_assert_uint_eq(changes, STORE_GROUP_INBOUND | STORE_GROUP_OUTBOUND);
    ck_assert_uint_eq(group.inbound_count, 0);
    ck_assert_uint_eq(group.outbound_count, 1);
}
END_TEST

START_TEST(test_hostile_rule_files)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "not JSON"},
        {"{", "not JSON"},
        {"[]", "an object"},
        {"{}", "neither"},
        {"{\"inbound_rules\":null}", "neither"},
        {"{\"inbound\":[]}", "there is no member \"inbound\""},
        {"{\"inbound_rules\":5}", "inbound_rules: an array"},
        {"{\"outbound_rules\":[5]}", "outbound_rules[0]: rules are objects"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\"},{}]}", "inbound_rules[1]: ip_protocol"},
        {"{\"inbound_rules\":[{\"ip_protocol\":6}]}", "ip_protocol"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"much too long\"}]}", "ip_protocol"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"port\":1}]}", "there is no member \"port\""},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"from_port\":65536}]}", "from_port"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"to_port\":-1}]}", "to_port"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"to_port\":\"22\"}]}", "to_port"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"ip_ranges\":{}}]}", "ip_ranges: an array"},
        {"{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"ip_ranges\":[5]}]}", "ip_ranges: addresses"},
    };
    unsigned changes;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(rules(cases[i].text, &changes) == NX_EINVAL, "%s", cases[i].text);
        ck_assert_msg(strstr(error, cases[i].part) != NULL, "%s: %s", cases[i].text, error);
    }
    static char many[8192] = "{\"inbound_rules\":[{\"ip_protocol\":\"tcp\"}";
    for (unsigned i = 0; i < STORE_RULES_MAX; i++)
        strcat(many, ",{\"ip_protocol\":\"tcp\"}");
    strcat(many, "]}");
    ck_assert_int_eq(rules(many, &changes), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "at most 64 rules"));
    static char ranges[8192] = "{\"inbound_rules\":[{\"ip_protocol\":\"tcp\",\"ip_ranges\":[\"10.0.0.1\"";
    for (unsigned i = 0; i < STORE_RANGES_MAX; i++)
        strcat(ranges, ",\"10.0.0.1\"");
    strcat(ranges, "]}]}");
    ck_assert_int_eq(rules(ranges, &changes), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "at most 32"));
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_admin_input");
    TCase *const cases = tcase_create("input");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_secrets);
    tcase_add_test(cases, test_standard_input);
    tcase_add_test(cases, test_large_files);
    tcase_add_test(cases, test_expiry);
    tcase_add_test(cases, test_rules_and_back);
    tcase_add_test(cases, test_hostile_rules);
    tcase_add_test(cases, test_rule_files);
    tcase_add_test(cases, test_hostile_rule_files);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
