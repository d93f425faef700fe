/* Command lines of administration: what is understood, and the one line for what is not. */
#include "apid/admin/command.h"
#include "common/err.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct admin_arguments out;
static char error[ADMIN_ERROR_MAX];

/* Words separated by '|', after "apid". */
static int parse(const char *line)
{
    static char copy[4096], *argv[256];
    int argc = 1;
    argv[0] = strcpy(copy, "apid");
    snprintf(copy + 8, sizeof copy - 8, "%s", line);
    for (char *at = copy + 8, *word; (word = strsep(&at, "|")) != NULL;)
        argv[argc++] = word;
    argv[argc] = NULL;
    return admin_parse(argc, argv, &out, error);
}

static void wrong(const char *line, const char *part)
{
    ck_assert_msg(parse(line) == NX_EINVAL, "%s", line);
    ck_assert_msg(strstr(error, part) != NULL, "%s: %s", line, error);
    ck_assert_ptr_null(strpbrk(error, "\n\r\t\x1b"));
}

START_TEST(test_flags_stand_anywhere)
{
    static const char *const lines[] = {
        "--data|D|reg-key|create|--single-use|--user|bob",
        "reg-key|--user=bob|create|--data=D|--single-use",
        "--single-use|--user|bob|--data|D|reg-key|create",
        "--data|D|-user|bob|reg-key|create|-single-use",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(parse(lines[i]) == NX_OK, "%s: %s", lines[i], error);
        ck_assert_str_eq(out.command->group, "reg-key");
        ck_assert_str_eq(out.command->verb, "create");
        ck_assert_str_eq(out.values[ADMIN_DATA], "D");
        ck_assert_str_eq(out.values[ADMIN_USER], "bob");
        ck_assert_ptr_nonnull(out.values[ADMIN_SINGLE_USE]);
        ck_assert_ptr_null(out.values[ADMIN_EXPIRES]);
        ck_assert(!out.json && !out.help);
    }
}
END_TEST

START_TEST(test_operands_and_values)
{
    ck_assert_int_eq(parse("--data|D|user|add|--password-file|-|--|--odd"), NX_OK);
    ck_assert_str_eq(out.operand, "--odd");
    ck_assert_str_eq(out.values[ADMIN_PASSWORD_FILE], "-");
    ck_assert_int_eq(parse("--data|D|vpc|update|ID|--description="), NX_OK);
    ck_assert_str_eq(out.values[ADMIN_DESCRIPTION], "");
    ck_assert_int_eq(parse("--data|D|vpc|update|ID|--description|--help"), NX_OK); /* a value is a value */
    ck_assert_str_eq(out.values[ADMIN_DESCRIPTION], "--help");
    ck_assert_int_eq(parse("--data|D|device|list|--output|json"), NX_OK);
    ck_assert(out.json);
    ck_assert_int_eq(parse("--data|D|device|list|--output=table"), NX_OK);
    ck_assert(!out.json);
    ck_assert_int_eq(parse("--data|D|security-group|create|--inbound|tcp|--inbound|udp|--outbound|icmp"),
                     NX_OK);
    ck_assert_uint_eq(out.inbound_count, 2);
    ck_assert_str_eq(out.inbound[1], "udp");
    ck_assert_uint_eq(out.outbound_count, 1);
}
END_TEST

START_TEST(test_mistakes)
{
    wrong("--data|D|--", "a command is missing: user, reg-key, device, vpc, security-group");
    wrong("--data|D|usr|list", "did you mean user?");
    wrong("--data|D|nonsense|list", "there are: user, reg-key");
    wrong("--data|D|user", "apid user: a command is missing: add, list, password, delete");
    wrong("--data|D|user|lisst", "there are: add, list, password, delete");
    wrong("--data|D|user|list|more", "one word too many");
    wrong("--data|D|user|delete|a|b", "one word too many");
    wrong("--data|D|user|delete", "user delete needs NAME");
    wrong("--data|D|user|delete|", "user delete needs NAME");
    wrong("--data|D|user|add|bob", "user add needs --password-file FILE");
    wrong("user|list", "--data DIR is needed");
    wrong("user|list|--data=", "--data DIR is needed");
    wrong("user|list|--data", "--data needs a value: --data DIR");
    wrong("--data|D|user|list|--dta|E", "did you mean --data?");
    wrong("--data|D|user|list|--xxxxxxxxxx", "see apid user --help");
    wrong("--data|D|--xxxxxxxxxx|user", "see apid --help");
    wrong("--data|D|--host|example|serve", "see apid --help"); /* flags of the server */
    wrong("--data|D|user|list|--data|E", "--data is given twice");
    wrong("--data|D|user|list|--single-use", "--single-use does not go with user list");
    wrong("--data|D|reg-key|create|--single-use=yes", "--single-use takes no value");
    wrong("--data|D|user|list|--output|yaml", "table or json");
    wrong("--data|D|user|\x1b[2J", "\\x1b");
    wrong("--data|D|\n", "\\n");
    wrong("--data|D|user|list|--a\nb", "\\n");
}
END_TEST

START_TEST(test_rules_without_end)
{
    char line[2048] = "--data|D|security-group|create";
    for (unsigned i = 0; i <= ADMIN_RULES_MAX; i++)
        strcat(line, "|--inbound|tcp");
    wrong(line, "at most 64 rules");
}
END_TEST

static const char *help_of(const char *line)
{
    static char text[16384];
    FILE *file = fmemopen(text, sizeof text, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_msg(parse(line) == NX_OK, "%s: %s", line, error);
    ck_assert(out.help);
    admin_help(file, &out);
    fclose(file);
    return text;
}

START_TEST(test_help)
{
    const char *text;
    (void)help_of("--help");
    for (const struct admin_command *command = admin_commands; command->group; command++) {
        char line[64];
        text = help_of("-h");
        ck_assert_ptr_nonnull(strstr(text, command->summary));
        snprintf(line, sizeof line, "%s|--help", command->group);
        ck_assert_ptr_nonnull(strstr(help_of(line), command->summary));
        snprintf(line, sizeof line, "%s|%s|--help", command->group, command->verb);
        text = help_of(line);
        for (unsigned flag = 0; flag < ADMIN_FLAGS; flag++) {
            char written[64];
            snprintf(written, sizeof written, "  --%s ", admin_flags[flag].name);
            if (command->flags & ADMIN_BIT(flag))
                ck_assert_msg(strstr(text, written) != NULL, "%s: %s", line, written);
        }
        ck_assert_uint_eq(command->needed & ~command->flags, 0);
        ck_assert_ptr_nonnull(command->run);
    }
    ck_assert_ptr_null(strstr(help_of("user|--help"), "reg-key"));
    wrong("usr|--help", "did you mean user?");
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_admin_command");
    TCase *const cases = tcase_create("command");
    tcase_add_test(cases, test_flags_stand_anywhere);
    tcase_add_test(cases, test_operands_and_values);
    tcase_add_test(cases, test_mistakes);
    tcase_add_test(cases, test_rules_without_end);
    tcase_add_test(cases, test_help);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
