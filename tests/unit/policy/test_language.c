/* Lines that are a policy's, and lines that are not: each refusal names the line and the part. */
#include "common/err.h"
#include "policy/policy.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char error[POLICY_ERROR_MAX];

static int read_text(const char *text, size_t length)
{
    struct policy *policy = policy_new("P");
    ck_assert_ptr_nonnull(policy);
    error[0] = '\0';
    int err = policy_read(policy, text, length, error);
    policy_free(policy);
    return err;
}

static const char *const good[] = {
    "",
    "# nothing but this",
    "   \t ",
    "allow ingress tcp 8080 to 127.0.0.1 80",
    "allow\tany any any   to any any # a comment",
    "allow egress udp 1-65535 to 100.64.0.0/10,fd00::/8 53,5353,6000-6010",
    "allow ingress tcp any to name *.svc.internal,db.internal.,* in 10.0.0.0/8,::1 any",
    "allow ingress tcp any to any any flows 1 new-flows 1000000 bandwidth 10Mbit",
    "allow ingress tcp any to any any bandwidth 1kbit flows 2",
    "deny any any any to 169.254.0.0/16 any",
    "deny ingress tcp 22 to name in any", /* a host may be called that */
    "listen tcp 8000-8999 127.0.0.1",
    "listen any any any",
    "listen udp 53 ::1",
    "limit flows 1",
    "limit flows-per-peer 10",
    "limit new-flows 10",
    "limit rule-flows 10",
    "limit rule-new-flows 10",
    "limit rule-bandwidth 1Gbit",
    "run-time-rules no",
    "run-time-rules yes",
    "control any Status,Version,List*,Get*",
    "control uid 0 all",
    "control gid 4294967294 ProxyAdd*",
};

START_TEST(right_lines_are_read)
{
    ck_assert_msg(read_text(good[_i], strlen(good[_i])) == NX_OK, "%s: %s", good[_i], error);
}
END_TEST

/* What is handed on reads as the same line again. */
START_TEST(lines_are_handed_on_as_they_were_meant)
{
    unsigned number;
    struct policy *policy = policy_new("P"), *copy = policy_new("P");
    char text[128];
    snprintf(text, sizeof text, "\n%s\r\n", good[_i]);
    ck_assert_int_eq(policy_read(policy, text, strlen(text), error), NX_OK);
    for (size_t i = 0; i < policy_line_count(policy); i++) {
        const char *line = policy_line(policy, i, &number);
        ck_assert_uint_eq(number, 2);
        ck_assert_ptr_null(strpbrk(line, "\t\r\n#"));
        ck_assert_ptr_null(strstr(line, "  "));
        ck_assert_int_eq(policy_read_line(copy, number, line, strlen(line), error), NX_OK);
        ck_assert_str_eq(policy_line(copy, i, &number), line);
    }
    ck_assert_uint_eq(policy_line_count(copy), policy_line_count(policy));
    policy_free(policy);
    policy_free(copy);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"permit ingress tcp 1 to any 1", "\"permit\""},
    {"alow ingress tcp 1 to any 1", "did you mean allow?"},
    {"Allow ingress tcp 1 to any 1", "did you mean allow?"},
    {"allow", "ingress, egress or any"},
    {"allow sideways tcp 1 to any 1", "\"sideways\""},
    {"allow ingress sctp 1 to any 1", "\"sctp\""},
    {"allow ingress tcp", "ports are missing"},
    {"allow ingress tcp 0 to any 1", "\"0\""},
    {"allow ingress tcp 65536 to any 1", "\"65536\""},
    {"allow ingress tcp 9-8 to any 1", "\"9-8\""},
    {"allow ingress tcp 1- to any 1", "\"1-\""},
    {"allow ingress tcp -1 to any 1", "\"-1\""},
    {"allow ingress tcp 1-2-3 to any 1", "\"1-2-3\""},
    {"allow ingress tcp 1,,2 to any 1", "\"1,,2\""},
    {"allow ingress tcp 1, to any 1", "\"1,\""},
    {"allow ingress tcp , to any 1", "\",\""},
    {"allow ingress tcp any,1 to any 1", "\"any\""},
    {"allow ingress tcp 0x50 to any 1", "\"0x50\""},
    {"allow ingress tcp 1 any 1", "the word to"},
    {"allow ingress tcp 1 to", "addresses are missing"},
    {"allow ingress tcp 1 to any", "ports are missing"},
    {"allow ingress tcp 1 to 10.0.0.0 - 10.0.0.9 80", "\"-\""},
    {"allow ingress tcp 1 to 10.0.0.1/8 80", "\"10.0.0.1/8\""},
    {"allow ingress tcp 1 to 10.0.0.0/33 80", "\"10.0.0.0/33\""},
    {"allow ingress tcp 1 to 10.0.0.0/ 80", "\"10.0.0.0/\""},
    {"allow ingress tcp 1 to 010.0.0.0/8 80", "\"010.0.0.0/8\""},
    {"allow ingress tcp 1 to [::1] 80", "\"[::1]\""},
    {"allow ingress tcp 1 to fe80::1%eth0 80", "\"fe80::1%eth0\""},
    {"allow ingress tcp 1 to db.internal 80", "\"db.internal\""},
    {"allow ingress tcp 1 to any,10.0.0.0/8 80", "\"any\""},
    {"allow ingress tcp 1 to name", "names must follow"},
    {"allow ingress tcp 1 to name 10.0.0.1 80", "\"10.0.0.1\""},
    {"allow ingress tcp 1 to name *x 80", "\"*x\""},
    {"allow ingress tcp 1 to name a.*.b 80", "\"a.*.b\""},
    {"allow ingress tcp 1 to name *. 80", "\"*.\""},
    {"allow ingress tcp 1 to name a,,b 80", "\"a,,b\""},
    {"allow ingress tcp 1 to name db in", "addresses are missing"},
    {"allow ingress tcp 1 to name db in any 80", "\"any\""},
    {"allow ingress tcp 1 to any 1 flows", "a number is missing"},
    {"allow ingress tcp 1 to any 1 flows 0", "\"0\""},
    {"allow ingress tcp 1 to any 1 flows 1000001", "\"1000001\""},
    {"allow ingress tcp 1 to any 1 flows -5", "\"-5\""},
    {"allow ingress tcp 1 to any 1 flows 5 flows 6", "given twice"},
    {"allow ingress tcp 1 to any 1 bandwidth 10", "kbit, Mbit or Gbit"},
    {"allow ingress tcp 1 to any 1 bandwidth 10mbit", "\"10mbit\""},
    {"allow ingress tcp 1 to any 1 bandwidth Mbit", "\"Mbit\""},
    {"allow ingress tcp 1 to any 1 bandwidth 1000001Gbit", "\"1000001Gbit\""},
    {"allow ingress tcp 1 to any 1 burst 5", "\"burst\""},
    {"deny ingress tcp 1 to any 1 flows 5", "a line that denies has no limits"},
    {"listen tcp 80", "an address of this host"},
    {"listen tcp 80 localhost", "\"localhost\""},
    {"listen tcp 80 127.0.0.1/8", "\"127.0.0.1/8\""},
    {"listen tcp 80 127.0.0.1 ::1", "\"::1\""},
    {"limit", "limits are"},
    {"limit memory 5", "\"memory\""},
    {"limit flows many", "\"many\""},
    {"limit flows 5 6", "\"6\""},
    {"limit rule-bandwidth 5", "kbit, Mbit or Gbit"},
    {"run-time-rules", "yes or no"},
    {"run-time-rules maybe", "\"maybe\""},
    {"run-time-rules no way", "\"way\""},
    {"control", "uid and a number"},
    {"control root all", "\"root\""},
    {"control uid root all", "\"root\""},
    {"control uid -1 all", "\"-1\""},
    {"control uid 4294967295 all", "\"4294967295\""},
    {"control uid 1 ", "methods must follow"},
    {"control uid 1 Reboot", "\"Reboot\""},
    {"control uid 1 Status,", "no method"},
    {"control uid 1 *us", "\"*us\""},
    {"control uid 1 all all", "\"all\""},
    {"allow ingress tcp 1 to any 1 \x01", "printable ASCII"},
    {"allow ingress tcp 1 to any 1 \xc3\xa9", "printable ASCII"},
};

START_TEST(wrong_lines_are_refused_with_their_number_and_part)
{
    char text[256];
    snprintf(text, sizeof text, "# first\n\n%s\nlimit flows 1\n", bad[_i].text);
    ck_assert_msg(read_text(text, strlen(text)) == NX_EINVAL, "\"%s\" was read", bad[_i].text);
    ck_assert_msg(strncmp(error, "P:3: ", 5) == 0, "%s", error);
    ck_assert_msg(strstr(error, bad[_i].says) != NULL, "\"%s\" says: %s", bad[_i].text, error);
    for (const char *c = error; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}
END_TEST

START_TEST(what_may_stand_once_stands_once)
{
    static const char *const once[] = {"limit flows 1", "limit flows-per-peer 1",
                                       "limit rule-bandwidth 1kbit", "run-time-rules no"};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s\n%s\n", once[i], once[i]);
        ck_assert_int_eq(read_text(text, strlen(text)), NX_EINVAL);
        ck_assert_msg(strncmp(error, "P:2: ", 5) == 0 && strstr(error, "twice"), "%s", error);
    }
}
END_TEST

START_TEST(zeros_are_no_end_of_text)
{
    static const char text[] = "limit flows 1\0 2\n";
    ck_assert_int_eq(read_text(text, sizeof text - 1), NX_EINVAL);
}
END_TEST

START_TEST(lengths_are_bounded)
{
    char *const text = malloc(POLICY_FILE_BYTES_MAX + 1);
    /* A long line, a long list, many lines, a long file; each just right, and one too many. */
    for (size_t extra = 0; extra < 2; extra++) {
        size_t at = (size_t)sprintf(text, "limit flows 1");
        memset(text + at, ' ', POLICY_LINE_BYTES_MAX);
        text[POLICY_LINE_BYTES_MAX - 1 + extra] = '#'; /* what is behind it does not count … */
        ck_assert_int_eq(read_text(text, POLICY_LINE_BYTES_MAX + 1), NX_OK);
        text[POLICY_LINE_BYTES_MAX - 1 + extra] = 'x'; /* … and this does */
        ck_assert_int_eq(read_text(text, POLICY_LINE_BYTES_MAX + extra), NX_EINVAL);
        ck_assert((strstr(error, "longer than 1000 bytes") != NULL) == (extra == 1));

        at = (size_t)sprintf(text, "allow any any 1");
        for (size_t i = 1; i < POLICY_LIST_MAX + extra; i++)
            at += (size_t)sprintf(text + at, ",1");
        at += (size_t)sprintf(text + at, " to any any");
        ck_assert_int_eq(read_text(text, at), extra ? NX_EINVAL : NX_OK);

        at = 0;
        for (size_t i = 0; i < POLICY_LINES_MAX + extra; i++)
            at += (size_t)sprintf(text + at, "deny any any any to any any\n");
        ck_assert_int_eq(read_text(text, at), extra ? NX_EINVAL : NX_OK);
        ck_assert(extra == 0 || strstr(error, "1024 lines"));
    }
    memset(text, '\n', POLICY_FILE_BYTES_MAX + 1);
    ck_assert_int_eq(read_text(text, POLICY_FILE_BYTES_MAX), NX_OK);
    ck_assert_int_eq(read_text(text, POLICY_FILE_BYTES_MAX + 1), NX_EINVAL);
    free(text);
}
END_TEST

START_TEST(a_files_name_cannot_break_a_message)
{
    struct policy *policy = policy_new("/etc/\x1b[2J\npolicy");
    ck_assert_str_eq(policy_file(policy), "/etc/?[2J?policy");
    policy_free(policy);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, right_lines_are_read, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tcase, lines_are_handed_on_as_they_were_meant, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tcase, wrong_lines_are_refused_with_their_number_and_part, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_test(tcase, what_may_stand_once_stands_once);
    tcase_add_test(tcase, zeros_are_no_end_of_text);
    tcase_add_test(tcase, lengths_are_bounded);
    tcase_add_test(tcase, a_files_name_cannot_break_a_message);
}

int main(void)
{
    return unit_run("policy_language", fill);
}
