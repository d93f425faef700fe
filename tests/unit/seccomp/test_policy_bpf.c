/* Compiled policies mean what their rules say: every program is run by an interpreter and compared with the
 * rules, for chosen cases, for random ones, and for the policies that the product ships. */
#include "tests/unit/seccomp/machine.h"

#include "common/err.h"

#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct policy policy, other;
static struct policy_instruction program[POLICY_INSTRUCTIONS_MAX];
static const uint32_t machines[POLICY_ARCHES] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};

static void parse_into(struct policy *into, const char *text)
{
    struct policy_error error;
    int err = policy_parse(into, text, strlen(text), &error);
    ck_assert_msg(err == NX_OK, "line %u: %s", error.line, error.text);
}

static void compile(const struct policy_stage *stage, enum policy_arch arch)
{
    size_t count;
    ck_assert_int_eq(policy_compile(stage, arch, program, &count), NX_OK);
    ck_assert(machine_accepts(program, count));
}

/* The compiled answer, which must be the rules' answer. */
static uint32_t answer(const struct policy_stage *stage, enum policy_arch arch,
                       const struct seccomp_data *data)
{
    uint32_t got = machine_run(program, data);
    uint32_t want = policy_meaning(stage, arch, data);
    ck_assert_msg(got == want, "call %d (%llx %llx %llx): program %08x, rules %08x", data->nr,
                  (unsigned long long)data->args[0], (unsigned long long)data->args[1],
                  (unsigned long long)data->args[2], got, want);
    return got;
}

static uint32_t ask(const char *call, uint64_t arg0, uint64_t arg1)
{
    const struct policy_stage *run = &policy.stages[POLICY_RUN];
    struct seccomp_data data = {
        .nr = policy_syscall_number(call, POLICY_X86_64), .arch = AUDIT_ARCH_X86_64, .args = {arg0, arg1}};
    compile(run, POLICY_X86_64);
    return answer(run, POLICY_X86_64, &data);
}

START_TEST(test_default_is_kill)
{
    parse_into(&policy, "[start]\n[run]\nread # r\n");
    ck_assert_uint_eq(ask("read", 0, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("write", 0, 0), SECCOMP_RET_KILL_PROCESS);
    parse_into(&policy, "[start]\n[run]\n");
    ck_assert_uint_eq(ask("read", 0, 0), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

START_TEST(test_first_rule_that_holds_decides)
{
    parse_into(&policy, "[start]\n[run]\nsocket if int0 == 2 # r\nerrno EACCES socket if int0 == 10 # r\n"
                        "errno EPERM socket # r\n");
    ck_assert_uint_eq(ask("socket", 2, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 10, 0), SECCOMP_RET_ERRNO | EACCES);
    ck_assert_uint_eq(ask("socket", 16, 0), SECCOMP_RET_ERRNO | EPERM);
}
END_TEST

START_TEST(test_int_ignores_upper_half_and_arg_does_not)
{
    const uint64_t upper = 0xdeadbeef00000000;
    parse_into(&policy,
               "[start]\n[run]\nsocket if int0 == 2 # r\nmmap if int1 & 4 == 0 # r\nread if int0 < 3 # r\n"
               "write if arg0 == 2 # r\n");
    ck_assert_uint_eq(ask("socket", upper | 2, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("mmap", 0, upper | 4), SECCOMP_RET_KILL_PROCESS);
    ck_assert_uint_eq(ask("read", upper | 2, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("read", 3, 0), SECCOMP_RET_KILL_PROCESS);
    ck_assert_uint_eq(ask("write", 2, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("write", upper | 2, 0), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

START_TEST(test_wrong_machine_and_x32)
{
    parse_into(&policy, "[start]\n[run]\nread # r\nopen # only x86-64 has it\n");
    const struct policy_stage *run = &policy.stages[POLICY_RUN];
    struct seccomp_data data = {.nr = 0, .arch = AUDIT_ARCH_I386};
    compile(run, POLICY_X86_64);
    ck_assert_uint_eq(answer(run, POLICY_X86_64, &data), SECCOMP_RET_KILL_PROCESS);
    data.arch = AUDIT_ARCH_X86_64;
    ck_assert_uint_eq(answer(run, POLICY_X86_64, &data), SECCOMP_RET_ALLOW);
    data.nr = 0x40000000;
    ck_assert_uint_eq(answer(run, POLICY_X86_64, &data), SECCOMP_RET_KILL_PROCESS);
    data.nr = -1;
    ck_assert_uint_eq(answer(run, POLICY_X86_64, &data), SECCOMP_RET_KILL_PROCESS);
    compile(run, POLICY_AARCH64);
    data = (struct seccomp_data){.nr = policy_syscall_number("read", POLICY_AARCH64),
                                 .arch = AUDIT_ARCH_AARCH64};
    ck_assert_uint_eq(answer(run, POLICY_AARCH64, &data), SECCOMP_RET_ALLOW);
    data.nr = policy_syscall_number("open", POLICY_X86_64);
    ck_assert_uint_eq(answer(run, POLICY_AARCH64, &data), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

START_TEST(test_call_that_one_machine_lacks)
{
    parse_into(&policy, "[start]\n[run]\npoll or ppoll if arg1 == 1 # r\nread # r\n");
    const struct policy_stage *run = &policy.stages[POLICY_RUN];
    ck_assert_uint_eq(ask("poll", 0, 1), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("poll", 0, 2), SECCOMP_RET_KILL_PROCESS);
    ck_assert_uint_eq(ask("ppoll", 0, 1), SECCOMP_RET_KILL_PROCESS);
    compile(run, POLICY_AARCH64);
    struct seccomp_data data = {
        .nr = policy_syscall_number("ppoll", POLICY_AARCH64), .arch = AUDIT_ARCH_AARCH64, .args = {0, 1}};
    ck_assert_uint_eq(answer(run, POLICY_AARCH64, &data), SECCOMP_RET_ALLOW);
    data.args[1] = 2;
    ck_assert_uint_eq(answer(run, POLICY_AARCH64, &data), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

/* More rules for one call than a conditional jump reaches over. */
START_TEST(test_long_block)
{
    char text[16384] = "[start]\n[run]\n";
    size_t length = strlen(text);
    for (unsigned i = 0; i < 100; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "ioctl if int1 == %u # r\n", i * 3);
    snprintf(text + length, sizeof text - length, "read # behind it\n");
    parse_into(&policy, text);
    for (unsigned i = 0; i < 310; i++)
        ck_assert_uint_eq(ask("ioctl", 0, i),
                          i % 3 == 0 && i < 300 ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
    ck_assert_uint_eq(ask("read", 0, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("write", 0, 0), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

START_TEST(test_too_long_for_the_kernel)
{
    memset(&policy, 0, sizeof policy);
    struct policy_stage *run = &policy.stages[POLICY_RUN];
    for (size_t i = 0; i < POLICY_RULES_MAX; i++) {
        struct policy_rule *rule = &run->rules[run->count++];
        strcpy(rule->syscall, "read");
        rule->condition_count = POLICY_CONDITIONS_MAX;
        for (int c = 0; c < POLICY_CONDITIONS_MAX; c++)
            rule->conditions[c] = (struct policy_condition){.mask = UINT64_MAX, .value = i, .op = POLICY_GT};
    }
    size_t count;
    ck_assert_int_eq(policy_compile(run, POLICY_X86_64, program, &count), NX_ERANGE);
}
END_TEST

/* A small generator with a fixed seed: the same cases in every run. */
static uint32_t random_state;
static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)random_state * bound) >> 32);
}

static uint64_t random_value(void)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      3,
                                      7,
                                      0x7fffffff,
                                      0x80000000,
                                      UINT32_MAX,
                                      0x100000000,
                                      0x100000001,
                                      0x7fffffffffffffff,
                                      UINT64_MAX,
                                      0xfffffffe00000001};
    return values[random_below(sizeof values / sizeof values[0])];
}

static void random_stage(struct policy_stage *stage)
{
    static const char *const calls[] = {"read", "write", "socket", "open", "openat", "renameat"};
    stage->count = 1 + random_below(20);
    for (size_t i = 0; i < stage->count; i++) {
        struct policy_rule *rule = &stage->rules[i];
        memset(rule, 0, sizeof *rule);
        strcpy(rule->syscall, calls[random_below(6)]);
        rule->error = random_below(4) ? 0 : EPERM;
        rule->condition_count = (uint8_t)random_below(POLICY_CONDITIONS_MAX + 1);
        for (size_t c = 0; c < rule->condition_count; c++) {
            struct policy_condition *condition = &rule->conditions[c];
            condition->argument = (uint8_t)random_below(2);
            condition->low_32 = random_below(2);
            condition->op = (enum policy_op)random_below(6);
            condition->mask = random_below(2) ? UINT64_MAX : random_value();
            condition->value = random_value();
            if (condition->low_32) {
                condition->mask = (uint32_t)condition->mask;
                condition->value = (uint32_t)condition->value;
            }
        }
    }
}

START_TEST(test_random_policies)
{
    static struct policy_stage stage;
    unsigned allowed = 0;
    random_state = (uint32_t)_i + 1;
    for (int round = 0; round < 300; round++) {
        enum policy_arch arch = (enum policy_arch)random_below(POLICY_ARCHES);
        random_stage(&stage);
        compile(&stage, arch);
        for (int question = 0; question < 200; question++) {
            const struct policy_rule *rule = &stage.rules[random_below((uint32_t)stage.count)];
            struct seccomp_data data = {.nr = policy_syscall_number(rule->syscall, arch),
                                        .arch = machines[arch]};
            for (int i = 0; i < 6; i++)
                data.args[i] = random_value();
            allowed += answer(&stage, arch, &data) == SECCOMP_RET_ALLOW;
        }
    }
    ck_assert_uint_gt(allowed, 1000); /* the questions reach the rules */
}
END_TEST

START_TEST(test_run_is_part_of_start)
{
    parse_into(&policy, "[start]\nopenat # r\nsocket if int0 == 1 # r\n[run]\nopenat if int2 == 0 # r\n"
                        "socket if int0 == 2 # r\nerrno EPERM socket # r\nread # r\n");
    ck_assert_int_eq(policy_close(&policy), NX_OK);
    policy.stages[POLICY_RUN] = policy.stages[POLICY_START]; /* what ask() looks at */
    ck_assert_uint_eq(ask("openat", 0, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 1, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 2, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 3, 0), SECCOMP_RET_ERRNO | EPERM);
    ck_assert_uint_eq(ask("read", 0, 0), SECCOMP_RET_ALLOW);
}
END_TEST

/* Whatever one child's policy answers with an errno must not stand in front of what another child may do. */
START_TEST(test_contain_allows_what_either_allows)
{
    parse_into(&policy, "[start]\n[run]\nread # r\n");
    parse_into(&other,
               "[start]\nopenat # r\n[run]\nerrno EINPROGRESS connect # r\nsocket if int0 == 2 # r\n");
    ck_assert_int_eq(policy_contain(&policy, &other), NX_OK);
    ck_assert_uint_eq(ask("connect", 0, 0), SECCOMP_RET_ERRNO | EINPROGRESS);
    ck_assert_uint_eq(ask("openat", 0, 0), SECCOMP_RET_ALLOW);
    parse_into(&other,
               "[start]\n[run]\nconnect # r\nerrno EPERM socket if int0 == 2 # r\nsocket if int0 == 3 # r\n");
    ck_assert_int_eq(policy_contain(&policy, &other), NX_OK);
    ck_assert_uint_eq(ask("connect", 0, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 2, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 3, 0), SECCOMP_RET_ALLOW);
    ck_assert_uint_eq(ask("socket", 4, 0), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

START_TEST(test_merge_has_a_bound)
{
    memset(&policy, 0, sizeof policy);
    memset(&other, 0, sizeof other);
    for (uint64_t i = 0; i < POLICY_RULES_MAX; i++) {
        struct policy_rule rule = {.syscall = "read", .condition_count = 1};
        rule.conditions[0] = (struct policy_condition){.mask = UINT64_MAX, .value = i};
        policy.stages[POLICY_RUN].rules[i] = rule;
        other.stages[POLICY_RUN].rules[i] = rule;
    }
    policy.stages[POLICY_RUN].count = other.stages[POLICY_RUN].count = POLICY_RULES_MAX;
    ck_assert_int_eq(policy_append(&policy, &other), NX_ENOMEM);
    ck_assert_int_eq(policy_contain(&policy, &other), NX_ENOMEM);
    ck_assert_int_eq(policy_close(&policy), NX_OK);
    strcpy(policy.stages[POLICY_START].rules[0].syscall, "write");
    ck_assert_int_eq(policy_close(&policy), NX_ENOMEM);
}
END_TEST

static const char *const shipped[] = {"tunneld", "proxyd", "ctld", "nexd"};

static void shipped_read(const char *name, struct policy *into)
{
    char path[512];
    snprintf(path, sizeof path, "%s/seccomp/%s.policy", NEXD_SOURCE_DIR, name);
    static char text[POLICY_TEXT_MAX + 1];
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    parse_into(into, text);
}

/* Every call that the machines have, with some arguments, against the shipped policies. */
START_TEST(test_shipped_policies)
{
    enum policy_arch arch = (enum policy_arch)(_i % POLICY_ARCHES);
    shipped_read(shipped[_i / POLICY_ARCHES], &policy);
    ck_assert_int_eq(policy_close(&policy), NX_OK);
    random_state = 1;
    for (int stage = 0; stage < POLICY_STAGES; stage++) {
        compile(&policy.stages[stage], arch);
        for (int number = -1; number < 500; number++) {
            for (int question = 0; question < 50; question++) {
                struct seccomp_data data = {.nr = number, .arch = machines[arch]};
                for (int i = 0; i < 6; i++)
                    data.args[i] = random_below(2) ? random_value() : random_below(64);
                uint32_t got = answer(&policy.stages[stage], arch, &data);
                if (stage == POLICY_RUN && got == SECCOMP_RET_ALLOW)
                    ck_assert_uint_eq(policy_meaning(&policy.stages[POLICY_START], arch, &data),
                                      SECCOMP_RET_ALLOW);
            }
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("policy_bpf");
    TCase *cases = tcase_create("programs");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_default_is_kill);
    tcase_add_test(cases, test_first_rule_that_holds_decides);
    tcase_add_test(cases, test_int_ignores_upper_half_and_arg_does_not);
    tcase_add_test(cases, test_wrong_machine_and_x32);
    tcase_add_test(cases, test_call_that_one_machine_lacks);
    tcase_add_test(cases, test_long_block);
    tcase_add_test(cases, test_too_long_for_the_kernel);
    tcase_add_loop_test(cases, test_random_policies, 0, 4);
    tcase_add_test(cases, test_run_is_part_of_start);
    tcase_add_test(cases, test_contain_allows_what_either_allows);
    tcase_add_test(cases, test_merge_has_a_bound);
    tcase_add_loop_test(cases, test_shipped_policies, 0, POLICY_ARCHES * 4);
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
