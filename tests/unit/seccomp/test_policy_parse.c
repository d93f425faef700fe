/* The policies' language: what it says, and that everything it does not say is an error with its line. */
#include "seccomp/policy.h"

#include "common/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static struct policy policy;
static struct policy_error error;

static int parse(const char *text)
{
    return policy_parse(&policy, text, strlen(text), &error);
}

START_TEST(test_rules_and_stages)
{
    ck_assert_int_eq(
        parse("# head\n\n[start]\nread # a\n  socket if int0 == AF_INET and int1 & 0xf == SOCK_STREAM # b\n"
              "[run]\t# loop\nerrno EPERM kill # c\nwrite if arg2 <= 4096 # d"),
        NX_OK);
    const struct policy_stage *start = &policy.stages[POLICY_START], *run = &policy.stages[POLICY_RUN];
    ck_assert_uint_eq(start->count, 2);
    ck_assert_str_eq(start->rules[0].syscall, "read");
    ck_assert_uint_eq(start->rules[0].condition_count, 0);
    ck_assert_uint_eq(start->rules[1].line, 5);
    const struct policy_condition *family = &start->rules[1].conditions[0],
                                  *type = &start->rules[1].conditions[1];
    ck_assert(family->low_32 && family->op == POLICY_EQ && family->value == AF_INET &&
              family->mask == UINT32_MAX);
    ck_assert(type->argument == 1 && type->mask == 0xf && type->value == SOCK_STREAM);
    ck_assert_uint_eq(run->count, 2);
    ck_assert_uint_eq(run->rules[0].error, EPERM);
    ck_assert(!run->rules[1].conditions[0].low_32 && run->rules[1].conditions[0].op == POLICY_LE);
}
END_TEST

START_TEST(test_values)
{
    ck_assert_int_eq(
        parse("[start]\n[run]\nmmap if int2 & PROT_EXEC|PROT_WRITE != 0x6 and int3 & ~MAP_FIXED >= 0 #r\n"
              "openat if int0 == AT_FDCWD # r\nread if arg2 < 18446744073709551615 # r\n"),
        NX_OK);
    const struct policy_rule *rules = policy.stages[POLICY_RUN].rules;
    ck_assert_uint_eq(rules[0].conditions[0].mask, PROT_EXEC | PROT_WRITE);
    ck_assert_uint_eq(rules[0].conditions[0].op, POLICY_NE);
    ck_assert_uint_eq(rules[0].conditions[1].mask, (uint32_t)~MAP_FIXED);
    ck_assert_uint_eq(rules[1].conditions[0].value, (uint32_t)AT_FDCWD);
    ck_assert_uint_eq(rules[2].conditions[0].value, UINT64_MAX);
}
END_TEST

static const struct {
    const char *text;
    unsigned line;
    const char *says;
} refused[] = {
    {"", 0, "[start] is missing"},
    {"[start]\nread # r\n", 0, "[run] is missing"},
    {"[run]\n", 1, "[start] expected"},
    {"[start]\n[start]\n", 2, "[run] expected"},
    {"[start]\n[run]\n[run]\n", 3, "unexpected"},
    {"[start] read\n", 1, "alone"},
    {"[start\n", 1, "0x5b"},
    {"[]\n", 1, "[start] expected"},
    {"read # r\n[start]\n[run]\n", 1, "before [start]"},
    {"[start]\n[run]\nread\n", 3, "reason is missing"},
    {"[start]\n[run]\nread #\n", 3, "reason is missing"},
    {"[start]\n[run]\nread # -- \n", 3, "reason is missing"},
    {"[start]\n[run]\nraed # r\n", 3, "unknown system call raed"},
    {"[start]\n[run]\nREAD # r\n", 3, "system call's name"},
    {"[start]\n[run]\n12 # r\n", 3, "system call's name"},
    {"[start]\n[run]\nread write # r\n", 3, "\"if\" expected"},
    {"[start]\n[run]\nread if # r\n", 3, "arg0 to arg5"},
    {"[start]\n[run]\nread if arg6 == 1 # r\n", 3, "arg0 to arg5"},
    {"[start]\n[run]\nread if arg == 1 # r\n", 3, "arg0 to arg5"},
    {"[start]\n[run]\nread if arg00 == 1 # r\n", 3, "arg0 to arg5"},
    {"[start]\n[run]\nread if in == 1 # r\n", 3, "arg0 to arg5"},
    {"[start]\n[run]\nread if arg0 # r\n", 3, "comparison"},
    {"[start]\n[run]\nread if arg0 = 1 # r\n", 3, "0x3d"},
    {"[start]\n[run]\nread if arg0 == # r\n", 3, "is missing"},
    {"[start]\n[run]\nread if arg0 == == 1 # r\n", 3, "is missing before =="},
    {"[start]\n[run]\nread if arg0 == 1| # r\n", 3, "is missing"},
    {"[start]\n[run]\nread if arg0 == 1 and # r\n", 3, "arg0 to arg5"},
    {"[start]\n[run]\nread if arg0 == 1 or arg1 == 1 # r\n", 3, "\"and\""},
    {"[start]\n[run]\nread if arg0 == AF_NOWHERE # r\n", 3, "unknown constant AF_NOWHERE"},
    {"[start]\n[run]\nread if arg0 == 0x # r\n", 3, "bad number"},
    {"[start]\n[run]\nread if arg0 == 1x # r\n", 3, "bad number"},
    {"[start]\n[run]\nread if arg0 == 017 # r\n", 3, "octal"},
    {"[start]\n[run]\nread if arg0 == 18446744073709551616 # r\n", 3, "out of range"},
    {"[start]\n[run]\nread if arg0 == 0x10000000000000000 # r\n", 3, "out of range"},
    {"[start]\n[run]\nread if int0 == 0x100000000 # r\n", 3, "32 bits"},
    {"[start]\n[run]\nread if int0 & 1 == 2 # r\n", 3, "can never hold"},
    {"[start]\n[run]\nread if arg0==1 and arg0==1 and arg0==1 and arg0==1 and arg0==1 and arg0==1 and "
     "arg0==1 # r\n",
     3, "more than 6"},
    {"[start]\n[run]\nread # r\nread # r\n", 4, "line 3 already decides"},
    {"[start]\n[run]\nread # r\nread if arg0 == 1 # r\n", 4, "line 3 already decides"},
    {"[start]\n[run]\nread if int0 == 1 # r\nread if int0 == 1 # again\n", 4, "line 3 already decides"},
    {"[start]\n[run]\nerrno # r\n", 3, "unknown errno"},
    {"[start]\n[run]\nerrno EWHAT read # r\n", 3, "unknown errno"},
    {"[start]\n[run]\nerrno EPERM # r\n", 3, "system call's name"},
    {"[start]\n[run]\nopen or # r\n", 3, "system call's name"},
    {"[start]\n[run]\nopen or nothing_of_this_name # r\n", 3, "unknown system call nothing_of_this_name"},
    {"[start]\n[run]\nread or write # r\n", 3, "every machine has read: write is never named"},
    {"[start]\n[run]\nread \x01 # r\n", 3, "0x01"},
    {"[start]\r\n[run]\n", 1, "0x0d"},
    {"[start]\n[run]\nread # r\x1b[31m\n", 3, "control character 0x1b"},
    {"[start]\n[run]\nread\xc3\xa4 # r\n", 3, "0xc3"},
    {"[start]\n[run]\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa # r\n", 3, "longer"},
    {"[start]\n[run]\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa # r\n", 3, "system call's name"},
};

START_TEST(test_refused)
{
    ck_assert_int_eq(parse(refused[_i].text), NX_EINVAL);
    ck_assert_msg(strstr(error.text, refused[_i].says), "case %d: \"%s\" does not say \"%s\"", _i, error.text,
                  refused[_i].says);
    ck_assert_uint_eq(error.line, refused[_i].line);
}
END_TEST

START_TEST(test_nul_bytes_and_lengths)
{
    static const char with_nul[] = "[start]\n[run]\nread\0write # r\n";
    ck_assert_int_eq(policy_parse(&policy, with_nul, sizeof with_nul - 1, &error), NX_EINVAL);
    ck_assert_uint_eq(error.line, 3);
    char *large = malloc(POLICY_TEXT_MAX + 1);
    ck_assert_ptr_nonnull(large);
    memset(large, '\n', POLICY_TEXT_MAX + 1);
    ck_assert_int_eq(policy_parse(&policy, large, POLICY_TEXT_MAX + 1, &error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "larger"));
    memset(large, ' ', POLICY_LINE_MAX + 1);
    ck_assert_int_eq(policy_parse(&policy, large, POLICY_LINE_MAX + 1, &error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "line longer"));
    for (size_t i = 0; i < POLICY_LINE_MAX; i++)
        large[i] = i % 2 ? ' ' : '|';
    ck_assert_int_eq(policy_parse(&policy, large, POLICY_LINE_MAX, &error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "more than"));
    free(large);
}
END_TEST

START_TEST(test_too_many_rules)
{
    enum { LINE = 40 };
    char *text = malloc((POLICY_RULES_MAX + 2) * LINE);
    ck_assert_ptr_nonnull(text);
    size_t length = (size_t)snprintf(text, LINE, "[start]\n");
    for (int i = 0; i <= POLICY_RULES_MAX; i++)
        length += (size_t)snprintf(text + length, LINE, "read if arg0 == %d # r\n", i);
    ck_assert_int_eq(policy_parse(&policy, text, length, &error), NX_EINVAL);
    ck_assert_uint_eq(error.line, POLICY_RULES_MAX + 2);
    ck_assert_ptr_nonnull(strstr(error.text, "rules in a stage"));
    free(text);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("policy_parse");
    TCase *cases = tcase_create("language");
    tcase_add_test(cases, test_rules_and_stages);
    tcase_add_test(cases, test_values);
    tcase_add_loop_test(cases, test_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(cases, test_nul_bytes_and_lengths);
    tcase_add_test(cases, test_too_many_rules);
    suite_add_tcase(all, cases);
    return all;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
