/* The report of the sandbox: lines of /proc, an answer of ctld's that means harm, and what is judged to be
 * wrong. */
#include "common/err.h"
#include "nexd/report/report.h"
#include "tests/unit/common/unit.h"

#include <string.h>

static struct report report;
static char complaints[2048];

static void begin(void)
{
    static const char *const names[] = {"nexd", "tunneld", "proxyd", "ctld"};
    memset(&report, 0, sizeof report);
    for (size_t i = 0; i < REPORT_PROCESSES; i++)
        report.processes[i] = (struct report_process){.found = true,
                                                      .name = names[i],
                                                      .no_new_privs = 1,
                                                      .seccomp_mode = 2,
                                                      .seccomp_filters = 3,
                                                      .dumpable = REPORT_NO};
}

static void complain(void *arg, const struct report_process *process, const char *what)
{
    (void)arg;
    size_t length = strlen(complaints);
    snprintf(complaints + length, sizeof complaints - length, "%s: %s\n", process->name, what);
}

static unsigned judge(void)
{
    complaints[0] = '\0';
    return report_judge(&report, complain, NULL);
}

START_TEST(status_lines)
{
    struct report_process p = {.no_new_privs = -1, .seccomp_mode = -1, .seccomp_filters = -1};
    report_status_line("Name:\tUid:\n", &p);
    report_status_line("Uid:\t1\t2\t3\t4294967295\n", &p);
    report_status_line("Gid:\t5\t6\t7\t8\n", &p);
    report_status_line("Groups:\t4 27 \n", &p);
    report_status_line("CapEff:\t00000000000000e0\n", &p);
    report_status_line("NoNewPrivs:\t1\n", &p);
    report_status_line("Seccomp:\t2\n", &p);
    report_status_line("Seccomp_filters:\t5\n", &p);
    ck_assert_uint_eq(p.uids[1], 2);
    ck_assert_uint_eq(p.uids[3], UINT32_MAX);
    ck_assert_uint_eq(p.gids[3], 8);
    ck_assert_uint_eq(p.group_count, 2);
    ck_assert_uint_eq(p.groups[1], 27);
    ck_assert_uint_eq(p.capabilities[REPORT_CAP_EFF], 0xe0);
    ck_assert_int_eq(p.no_new_privs, 1);
    ck_assert_int_eq(p.seccomp_mode, 2);
    ck_assert_int_eq(p.seccomp_filters, 5);
}
END_TEST

START_TEST(more_groups_than_there_is_room_for)
{
    struct report_process p = {0};
    char line[8 * REPORT_GROUPS_MAX + 64] = "Groups:\t";
    for (int i = 0; i < REPORT_GROUPS_MAX + 5; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%d ", i);
    report_status_line(line, &p);
    ck_assert_uint_eq(p.group_count, REPORT_GROUPS_MAX);
}
END_TEST

START_TEST(limits_lines)
{
    struct report_process p = {0};
    report_limits_line("Limit                     Soft Limit           Hard Limit           Units     \n",
                       &p);
    report_limits_line("Max core file size        0                    unlimited            bytes     \n",
                       &p);
    report_limits_line("Max open files            64                   4096                 files     \n",
                       &p);
    report_limits_line("Max processes \n", &p);
    ck_assert_str_eq(p.limits[0][0], "64");
    ck_assert_str_eq(p.limits[0][1], "4096");
    ck_assert_str_eq(p.limits[3][1], "unlimited");
    ck_assert_str_eq(p.limits[1][0], "");
}
END_TEST

START_TEST(landlock_as_said)
{
    begin();
    ck_assert_int_eq(report_landlock_parse(
                         "[{\"process\":\"ctld\",\"pid\":1,\"sandbox\":\"strict\",\"missing\":[],\"landlock_"
                         "abi\":7,\"landlock_fs\":65535,\"landlock_net\":3,\"landlock_scoped\":3}]",
                         &report),
                     NX_OK);
    ck_assert(report.processes[3].landlock_known);
    ck_assert_uint_eq(report.processes[3].landlock_abi, 7);
    ck_assert_uint_eq(report.processes[3].landlock_fs, 65535);
    ck_assert(!report.processes[1].landlock_known);
}
END_TEST

START_TEST(answers_that_mean_harm_are_not_believed)
{
    static const char *const no_list[] = {"", "{}", "nonsense", "[", "7"};
    static const char *const no_process[] = {
        "[]",
        "[1,null,\"ctld\",[]]",
        "[{\"process\":7}]",
        "[{\"process\":\"ctld\"}]",
        "[{\"process\":\"ctld\",\"sandbox\":\"lax\",\"missing\":[],\"landlock_abi\":7,\"landlock_fs\":1,"
        "\"landlock_net\":3,\"landlock_scoped\":3}]",
        "[{\"process\":\"ctld\",\"sandbox\":\"strict\",\"missing\":[7],\"landlock_abi\":7,\"landlock_fs\":1,"
        "\"landlock_net\":3,\"landlock_scoped\":3}]",
        "[{\"process\":\"ctld\",\"sandbox\":\"strict\",\"missing\":[\"\\u001b[2J\"],\"landlock_abi\":7,"
        "\"landlock_"
        "fs\":1,\"landlock_net\":3,\"landlock_scoped\":3}]",
        "[{\"process\":\"ctld\",\"sandbox\":\"strict\",\"missing\":[],\"landlock_abi\":-7,\"landlock_fs\":1,"
        "\"landlock_net\":3,\"landlock_scoped\":3}]",
        "[{\"process\":\"ctld\",\"sandbox\":\"strict\",\"missing\":[],\"landlock_abi\":1e3,\"landlock_fs\":1,"
        "\"landlock_net\":3,\"landlock_scoped\":3}]",
    };
    begin();
    for (size_t i = 0; i < sizeof no_list / sizeof *no_list; i++)
        ck_assert_int_eq(report_landlock_parse(no_list[i], &report), NX_EPROTO);
    for (size_t i = 0; i < sizeof no_process / sizeof *no_process; i++) {
        ck_assert_int_eq(report_landlock_parse(no_process[i], &report), NX_OK);
        ck_assert_msg(!report.processes[3].landlock_known, "%s", no_process[i]);
    }
}
END_TEST

/* Trees are freed by recursion: unbounded, this one would take the stack. */
START_TEST(an_answer_that_is_nested_without_end)
{
    enum { DEPTH = 4000000 };
    char *json = malloc(2 * DEPTH + 1);
    ck_assert_ptr_nonnull(json);
    memset(json, '[', DEPTH);
    memset(json + DEPTH, ']', DEPTH);
    json[2 * DEPTH] = '\0';
    begin();
    ck_assert_int_eq(report_landlock_parse(json, &report), NX_EPROTO);
    free(json);
}
END_TEST

START_TEST(more_missing_layers_than_there_is_room_for)
{
    char json[8192] =
        "[{\"process\":\"ctld\",\"sandbox\":\"strict\",\"landlock_abi\":7,\"landlock_fs\":1,\"landlock_"
        "net\":3,\"landlock_scoped\":3,\"missing\":[\"a\"";
    for (int i = 0; i < 200; i++)
        strcat(json, ",\"a layer\"");
    strcat(json, "]}]");
    begin();
    ck_assert_int_eq(report_landlock_parse(json, &report), NX_OK);
    ck_assert(!report.processes[3].landlock_known);
}
END_TEST

START_TEST(what_is_in_order_is_no_complaint)
{
    begin();
    ck_assert_uint_eq(judge(), 0);
    report.processes[0].capabilities[REPORT_CAP_EFF] = 0xe0; /* the parent may have some */
    ck_assert_uint_eq(judge(), 0);
}
END_TEST

START_TEST(each_fault_is_named_with_its_process)
{
    begin();
    report.processes[0].no_new_privs = 0;
    report.processes[1].capabilities[REPORT_CAP_EFF] = 1;
    report.processes[2].seccomp_mode = 0;
    report.processes[3].found = false;
    ck_assert_uint_eq(judge(), 4);
    ck_assert_str_eq(
        complaints,
        "nexd: no_new_privs is not set\ntunneld: it has capabilities\nproxyd: no seccomp filter is in "
        "force\nctld: it does not run\n");
    begin();
    report.processes[1].dumpable = REPORT_YES;
    report.processes[1].seccomp_filters = 1;
    strcpy(report.processes[2].limits[1][1], "100");
    strcpy(report.processes[2].limits[3][1], "unlimited");
    report.processes[3].landlock_known = true;
    ck_assert_uint_eq(judge(), 5);
    ck_assert_ptr_nonnull(strstr(complaints, "ctld: Landlock is not in force"));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, status_lines);
    tcase_add_test(tcase, more_groups_than_there_is_room_for);
    tcase_add_test(tcase, limits_lines);
    tcase_add_test(tcase, landlock_as_said);
    tcase_add_test(tcase, answers_that_mean_harm_are_not_believed);
    tcase_add_test(tcase, an_answer_that_is_nested_without_end);
    tcase_add_test(tcase, more_missing_layers_than_there_is_room_for);
    tcase_add_test(tcase, what_is_in_order_is_no_complaint);
    tcase_add_test(tcase, each_fault_is_named_with_its_process);
}

int main(void)
{
    return unit_run("report", fill);
}
