/* See machine.h. Written for clearness, from the kernel's description of seccomp filters, not from the
 * compiler. */
#include "tests/unit/seccomp/machine.h"

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <stdlib.h>
#include <string.h>

bool machine_accepts(const struct policy_instruction *program, size_t count)
{
    if (count == 0 || count > POLICY_INSTRUCTIONS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct policy_instruction *at = &program[i];
        size_t left = count - i - 1;
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (at->k % 4 || at->k + 4 > sizeof(struct seccomp_data))
                return false;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
        case BPF_RET | BPF_K:
            break;
        case BPF_JMP | BPF_JA:
            if (at->k >= left)
                return false;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
            if (at->jt >= left || at->jf >= left)
                return false;
            break;
        default:
            return false;
        }
    }
    return program[count - 1].code == (BPF_RET | BPF_K);
}

uint32_t machine_run(const struct policy_instruction *program, const struct seccomp_data *data)
{
    uint32_t accumulator = 0;
    for (size_t pc = 0;; pc++) {
        const struct policy_instruction *at = &program[pc];
        bool holds = false;
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&accumulator, (const char *)data + at->k, sizeof accumulator);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            accumulator &= at->k;
            continue;
        case BPF_RET | BPF_K:
            return at->k;
        case BPF_JMP | BPF_JA:
            pc += at->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            holds = accumulator == at->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            holds = accumulator > at->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            holds = accumulator >= at->k;
            break;
        default:
            abort();
        }
        pc += holds ? at->jt : at->jf;
    }
}

static bool condition_holds(const struct policy_condition *condition, const struct seccomp_data *data)
{
    uint64_t left = data->args[condition->argument];
    if (condition->low_32)
        left = (uint32_t)left;
    left &= condition->mask;
    switch (condition->op) {
    case POLICY_EQ:
        return left == condition->value;
    case POLICY_NE:
        return left != condition->value;
    case POLICY_LT:
        return left < condition->value;
    case POLICY_LE:
        return left <= condition->value;
    case POLICY_GT:
        return left > condition->value;
    case POLICY_GE:
        return left >= condition->value;
    }
    abort();
}

uint32_t policy_meaning(const struct policy_stage *stage, enum policy_arch arch,
                        const struct seccomp_data *data)
{
    uint32_t machine = arch == POLICY_X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
    if (data->arch != machine)
        return SECCOMP_RET_KILL_PROCESS;
    for (size_t i = 0; i < stage->count; i++) {
        const struct policy_rule *rule = &stage->rules[i];
        int number = policy_syscall_number(rule->syscall, arch);
        if (number < 0 && rule->otherwise[0])
            number = policy_syscall_number(rule->otherwise, arch);
        if (data->nr < 0 || number != data->nr)
            continue;
        bool all = true;
        for (size_t c = 0; c < rule->condition_count; c++)
            all = all && condition_holds(&rule->conditions[c], data);
        if (all)
            return rule->error ? SECCOMP_RET_ERRNO | rule->error : SECCOMP_RET_ALLOW;
    }
    return SECCOMP_RET_KILL_PROCESS;
}
