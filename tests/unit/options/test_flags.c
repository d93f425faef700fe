/* The flag reader with a table of its own: ways of writing, types and limits, lists, places, environment. */
#include "common/err.h"
#include "nexd/flags.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>

struct result {
    char path[8];
    int64_t number;
    unsigned colour;
    bool loud;
    char words[64];
};

static int read_word(const struct flag_value *value)
{
    char *const words = flag_target(value);
    if (strcmp(value->text, "bad") == 0)
        return flag_fail(value, "is a bad word");
    strcat(words, "<");
    strcat(words, value->text);
    strcat(words, ">");
    return NX_OK;
}

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct flag table[] = {
    {.name = "path",
     .environment = "T_PATH",
     .read = flag_read_path,
     .offset = offsetof(struct result, path),
     .max = sizeof(((struct result *)0)->path),
     .example = "/etc/x"},
    {.name = "number",
     .environment = "T_NUMBER",
     .read = flag_read_number,
     .offset = offsetof(struct result, number),
     .min = 5,
     .max = 500,
     .example = "50"},
    {.name = "colour",
     .environment = "T_COLOUR",
     .read = flag_read_choice,
     .offset = offsetof(struct result, colour),
     .choices = colours,
     .example = "blue"},
    {.name = "loud",
     .environment = "T_LOUD",
     .read = flag_read_switch,
     .is_switch = true,
     .offset = offsetof(struct result, loud),
     .example = "true"},
    {.name = "word",
     .environment = "T_WORDS",
     .read = read_word,
     .is_list = true,
     .offset = offsetof(struct result, words),
     .example = "good"},
    {.name = "early",
     .place = FLAG_BEFORE_COMMAND,
     .read = flag_read_switch,
     .is_switch = true,
     .offset = offsetof(struct result, loud),
     .example = "true"},
    {.name = "late",
     .place = FLAG_AFTER_COMMAND,
     .read = flag_read_switch,
     .is_switch = true,
     .offset = offsetof(struct result, loud),
     .example = "true"},
};

static char error[FLAG_ERROR_MAX];
static struct result result;
static struct flag_scan scan;

static void set_up(void)
{
    memset(&result, 0, sizeof(result));
    error[0] = '\0';
    scan = (struct flag_scan){
        .flags = table, .count = sizeof(table) / sizeof(table[0]), .result = &result, .error = error};
}

/* Reads one flag, with its value in `value` unless NULL; *used counts the arguments taken. */
static int scan_one(const char *argument, const char *value, bool after_command, int *used)
{
    char *argv[] = {(char *)(uintptr_t)argument, (char *)(uintptr_t)value, NULL};
    *used = 0;
    return flag_scan_argument(&scan, value == NULL ? 1 : 2, argv, used, after_command);
}

START_TEST(four_ways_to_write_a_flag)
{
    static const char *const joined[] = {"-number=7", "--number=7"}, *const apart[] = {"-number", "--number"};
    int used;
    for (size_t i = 0; i < 2; i++) {
        set_up();
        ck_assert_int_eq(scan_one(joined[i], "x", false, &used), NX_OK);
        ck_assert_int_eq(used, 1);
        ck_assert_int_eq(result.number, 7);
        set_up();
        ck_assert_int_eq(scan_one(apart[i], "7", true, &used), NX_OK);
        ck_assert_int_eq(used, 2);
        ck_assert_int_eq(result.number, 7);
    }
    ck_assert_int_eq(scan_one("--path=a=b", NULL, false, &used), NX_OK);
    ck_assert_str_eq(result.path, "a=b");
    ck_assert_int_eq(scan_one("--path", "--x", false, &used), NX_OK);
    ck_assert_str_eq(result.path, "--x");
}
END_TEST

/* A flag, its value if apart, and the whole error. */
static const struct {
    const char *argument, *value, *message;
} refused[] = {
    {"--number", NULL, "--number needs a value; example: --number 50"},
    {"--number", "4", "--number \"4\": must be a number from 5 to 500; example: --number 50"},
    {"--number=501", NULL, "--number \"501\": must be a number from 5 to 500; example: --number 50"},
    {"--number=", NULL, "--number \"\": must be a number from 5 to 500; example: --number 50"},
    {"--number=-6", NULL, "--number \"-6\": must be a number from 5 to 500; example: --number 50"},
    {"--number=18446744073709551621", NULL,
     "--number \"18446744073709551621\": must be a number from 5 to 500; example: --number 50"},
    {"--path=", NULL, "--path \"\": must not be empty; example: --path /etc/x"},
    {"--path", "12345678", "--path \"12345678\": is longer than 7 bytes; example: --path /etc/x"},
    {"--colour", "p\x1bk", "--colour \"p\\x1bk\": must be red, green or blue; example: --colour blue"},
    {"--loud=maybe", NULL, "--loud \"maybe\": must be true or false; example: --loud true"},
    {"--word", "good,bad", "--word \"bad\": is a bad word; example: --word good"},
    {"--nubmer=1", NULL, "unknown flag \"--nubmer\", did you mean --number? example: --number 50"},
    {"-luod", NULL, "unknown flag \"-luod\", did you mean --loud? example: --loud"},
    {"--zzz=secret", NULL, "unknown flag \"--zzz\"; all flags: nexd help proxy"},
    {"---number", "7", "unknown flag \"---number\", did you mean --number? example: --number 50"},
    {"--", NULL, "unknown flag \"--\"; all flags: nexd help proxy"},
    {"--=7", NULL, "unknown flag \"--\"; all flags: nexd help proxy"},
    {"--numbe\nr", NULL, "unknown flag \"--numbe\\nr\", did you mean --number? example: --number 50"},
};

START_TEST(errors_name_the_flag_and_show_a_right_one)
{
    int used;
    ck_assert_int_eq(scan_one(refused[_i].argument, refused[_i].value, false, &used), NX_EINVAL);
    ck_assert_str_eq(error, refused[_i].message);
}
END_TEST

START_TEST(limits_are_inclusive_and_the_last_value_counts)
{
    int used;
    ck_assert_int_eq(scan_one("--number=500", NULL, false, &used), NX_OK);
    ck_assert_int_eq(scan_one("--number=5", NULL, false, &used), NX_OK);
    ck_assert_int_eq(result.number, 5);
    ck_assert_int_eq(scan_one("--path=1234567", NULL, false, &used), NX_OK);
    ck_assert_str_eq(result.path, "1234567");
    ck_assert_int_eq(scan_one("--colour=BLUE", NULL, false, &used), NX_OK);
    ck_assert_uint_eq(result.colour, 2);
}
END_TEST

START_TEST(switches_take_no_separate_value)
{
    int used;
    ck_assert_int_eq(scan_one("--loud", "false", false, &used), NX_OK);
    ck_assert_int_eq(used, 1);
    ck_assert(result.loud);
    ck_assert_int_eq(scan_one("--loud=F", NULL, false, &used), NX_OK);
    ck_assert(!result.loud);
}
END_TEST

START_TEST(lists_are_split_and_trimmed)
{
    int used;
    ck_assert_int_eq(scan_one("--word", " a ,b\t,, c d", false, &used), NX_OK);
    ck_assert_int_eq(scan_one("--word", "e", false, &used), NX_OK);
    ck_assert_str_eq(result.words, "<a><b><><c d><e>");
    set_up();
    ck_assert_int_eq(scan_one("--word=", NULL, false, &used), NX_OK);
    ck_assert_str_eq(result.words, "<>");
    set_up();
    ck_assert_int_eq(scan_one("--word", " , ", false, &used), NX_OK);
    ck_assert_str_eq(result.words, "<><>");
}
END_TEST

START_TEST(places)
{
    int used;
    ck_assert_int_eq(scan_one("--early", NULL, false, &used), NX_OK);
    ck_assert_int_eq(scan_one("--early", NULL, true, &used), NX_EINVAL);
    ck_assert_ptr_ne(strstr(error, "--early must stand before"), NULL);
    ck_assert_int_eq(scan_one("--late", NULL, true, &used), NX_OK);
    ck_assert_int_eq(scan_one("--late", NULL, false, &used), NX_EINVAL);
    ck_assert_ptr_ne(strstr(error, "--late must stand after"), NULL);
}
END_TEST

START_TEST(the_environment_fills_what_was_not_given)
{
    char *envp[] = {
        "T_NUMBER=9", "T_PATH=env", "T_PATHS=no", "T_WORDS=x,y", "T_COLOUR=", "T_LOUD=1", "=", "", NULL};
    int used;
    result.colour = 77;
    ck_assert_int_eq(scan_one("--number=8", NULL, false, &used), NX_OK);
    ck_assert_int_eq(scan_one("--word=z", NULL, false, &used), NX_OK);
    ck_assert_int_eq(flag_scan_environment(&scan, envp), NX_OK);
    ck_assert_int_eq(result.number, 8);
    ck_assert_str_eq(result.path, "env");
    ck_assert_str_eq(result.words, "<z>");
    ck_assert_uint_eq(result.colour, 77); /* empty is as good as absent */
    ck_assert(result.loud);
    ck_assert_int_eq(flag_scan_environment(&scan, NULL), NX_OK);
}
END_TEST

START_TEST(errors_from_the_environment_name_the_variable)
{
    char *envp[] = {"T_NUMBER=x", NULL};
    ck_assert_int_eq(flag_scan_environment(&scan, envp), NX_EINVAL);
    ck_assert_str_eq(error, "T_NUMBER \"x\": must be a number from 5 to 500; example: T_NUMBER=50");
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, four_ways_to_write_a_flag);
    tcase_add_loop_test(tcase, errors_name_the_flag_and_show_a_right_one, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, limits_are_inclusive_and_the_last_value_counts);
    tcase_add_test(tcase, switches_take_no_separate_value);
    tcase_add_test(tcase, lists_are_split_and_trimmed);
    tcase_add_test(tcase, places);
    tcase_add_test(tcase, the_environment_fills_what_was_not_given);
    tcase_add_test(tcase, errors_from_the_environment_name_the_variable);
}

int main(void)
{
    return unit_run("flags", fill);
}
