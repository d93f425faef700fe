/* From a stage of a policy to a classic BPF program.
 *
 *     wrong machine → kill          (the number below means nothing elsewhere)
 *     x32 bit set   → kill          (x86-64: a second table of calls behind the same machine)
 *     number == N ? rules of N, in order, each "conditions or next rule" and its answer; none held → kill
 *     …                             (calls in the order in which the file names them: the frequent ones go
 * first) kill
 *
 * A call's block always ends in an answer, so the accumulator is needed again only on the way past a block,
 * where it still holds the number. libseccomp could write the program too, but compares int arguments with
 * all 64 bits of the register and cannot express "these conditions, else this errno"; a table walk this small
 * is easier to check than to work around. */
#include "seccomp/policy.h"

#include "common/err.h"

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(struct policy_instruction) == sizeof(struct sock_filter), "the kernel's layout");

enum {
    JUMP_MAX = 255,
    JUMP_TO_FAIL = 254, /* placeholder in jt/jf until the rule's end is known: no rule is that long */
    RULE_MAX = POLICY_CONDITIONS_MAX * 7 + 1,
    X32_BIT = 0x40000000,
};
_Static_assert(RULE_MAX < JUMP_TO_FAIL, "a rule's end is one jump away");

struct program {
    struct policy_instruction *out;
    size_t count;
    bool overflow;
};

static void emit(struct program *program, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
    if (program->count >= POLICY_INSTRUCTIONS_MAX) {
        program->overflow = true;
        return;
    }
    program->out[program->count++] = (struct policy_instruction){code, jt, jf, k};
}

static void emit_load(struct program *program, size_t offset)
{
    emit(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void emit_jump(struct program *program, uint16_t test, uint32_t k, uint8_t jt, uint8_t jf)
{
    emit(program, (uint16_t)(BPF_JMP | BPF_K | test), jt, jf, k);
}

static void emit_answer(struct program *program, uint32_t answer)
{
    emit(program, BPF_RET | BPF_K, 0, 0, answer);
}

static void emit_argument(struct program *program, unsigned argument, bool upper, uint32_t mask)
{
    /* Both machines are little-endian. */
    emit_load(program, offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t) + (upper ? 4 : 0));
    if (mask != UINT32_MAX)
        emit(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
}

/* The last comparison of a condition: goes on where it holds, fails the rule otherwise. */
static void emit_compare(struct program *program, enum policy_op op, uint32_t value)
{
    switch (op) {
    case POLICY_EQ:
        emit_jump(program, BPF_JEQ, value, 0, JUMP_TO_FAIL);
        break;
    case POLICY_NE:
        emit_jump(program, BPF_JEQ, value, JUMP_TO_FAIL, 0);
        break;
    case POLICY_LT:
        emit_jump(program, BPF_JGE, value, JUMP_TO_FAIL, 0);
        break;
    case POLICY_LE:
        emit_jump(program, BPF_JGT, value, JUMP_TO_FAIL, 0);
        break;
    case POLICY_GT:
        emit_jump(program, BPF_JGT, value, 0, JUMP_TO_FAIL);
        break;
    case POLICY_GE:
        emit_jump(program, BPF_JGE, value, 0, JUMP_TO_FAIL);
        break;
    }
}

/* The upper half of a 64-bit comparison, where it decides; `rest` instructions follow for the lower half. */
static void emit_compare_upper(struct program *program, enum policy_op op, uint32_t value, uint8_t rest)
{
    switch (op) {
    case POLICY_EQ:
        emit_jump(program, BPF_JEQ, value, 0, JUMP_TO_FAIL);
        break;
    case POLICY_NE:
        emit_jump(program, BPF_JEQ, value, 0, rest);
        break;
    case POLICY_LT:
    case POLICY_LE:
        emit_jump(program, BPF_JGT, value, JUMP_TO_FAIL, 0);
        emit_jump(program, BPF_JEQ, value, 0, rest);
        break;
    case POLICY_GT:
    case POLICY_GE:
        emit_jump(program, BPF_JGT, value, (uint8_t)(rest + 1), 0);
        emit_jump(program, BPF_JEQ, value, 0, JUMP_TO_FAIL);
        break;
    }
}

static void emit_condition(struct program *program, const struct policy_condition *condition)
{
    uint32_t mask = (uint32_t)condition->mask, value = (uint32_t)condition->value;
    if (!condition->low_32) {
        uint8_t rest = mask == UINT32_MAX ? 2 : 3;
        emit_argument(program, condition->argument, true, (uint32_t)(condition->mask >> 32));
        emit_compare_upper(program, condition->op, (uint32_t)(condition->value >> 32), rest);
    }
    emit_argument(program, condition->argument, false, mask);
    emit_compare(program, condition->op, value);
}

static void emit_rule(struct program *program, const struct policy_rule *rule)
{
    size_t begin = program->count;
    for (size_t i = 0; i < rule->condition_count; i++)
        emit_condition(program, &rule->conditions[i]);
    emit_answer(program, rule->error ? SECCOMP_RET_ERRNO | rule->error : SECCOMP_RET_ALLOW);
    for (size_t i = begin; i < program->count; i++) {
        struct policy_instruction *instruction = &program->out[i];
        uint8_t to_end = (uint8_t)(program->count - i - 1);
        if (instruction->jt == JUMP_TO_FAIL)
            instruction->jt = to_end;
        if (instruction->jf == JUMP_TO_FAIL)
            instruction->jf = to_end;
    }
}

/* All rules of the call that rule `first` names. */
static void emit_syscall(struct program *program, const struct policy_stage *stage, size_t first, int number)
{
    size_t test = program->count;
    /* Room for the test of the number and, should the block be long, a far jump over it. */
    emit_jump(program, BPF_JEQ, (uint32_t)number, 1, 0);
    emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
    size_t begin = program->count;
    bool decided = false;
    for (size_t i = first; i < stage->count && !decided; i++) {
        if (strcmp(stage->rules[i].syscall, stage->rules[first].syscall) != 0)
            continue;
        emit_rule(program, &stage->rules[i]);
        decided = stage->rules[i].condition_count == 0;
    }
    if (!decided)
        emit_answer(program, SECCOMP_RET_KILL_PROCESS);
    if (program->overflow)
        return;
    size_t length = program->count - begin;
    if (length > JUMP_MAX) {
        program->out[test + 1].k = (uint32_t)length;
        return;
    }
    program->out[test].jt = 0;
    program->out[test].jf = (uint8_t)length;
    memmove(&program->out[test + 1], &program->out[begin], length * sizeof program->out[0]);
    program->count--;
}

static bool is_first_of_syscall(const struct policy_stage *stage, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (!strcmp(stage->rules[i].syscall, stage->rules[index].syscall))
            return false;
    }
    return true;
}

int policy_compile(const struct policy_stage *policy_stage, enum policy_arch arch,
                   struct policy_instruction *out, size_t *count)
{
    static struct policy_stage resolved;
    const struct policy_stage *stage = &resolved;
    policy_resolve(policy_stage, arch, &resolved);
    static const uint32_t machines[POLICY_ARCHES] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};
    struct program program = {.out = out};
    emit_load(&program, offsetof(struct seccomp_data, arch));
    emit_jump(&program, BPF_JEQ, machines[arch], 1, 0);
    emit_answer(&program, SECCOMP_RET_KILL_PROCESS);
    emit_load(&program, offsetof(struct seccomp_data, nr));
    if (arch == POLICY_X86_64) {
        emit_jump(&program, BPF_JGE, X32_BIT, 0, 1);
        emit_answer(&program, SECCOMP_RET_KILL_PROCESS);
    }
    for (size_t i = 0; i < stage->count; i++) {
        int number = policy_syscall_number(stage->rules[i].syscall, arch);
        if (is_first_of_syscall(stage, i))
            emit_syscall(&program, stage, i, number);
    }
    emit_answer(&program, SECCOMP_RET_KILL_PROCESS);
    if (program.overflow)
        return NX_ERANGE;
    *count = program.count;
    return NX_OK;
}
