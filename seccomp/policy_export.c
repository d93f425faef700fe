/* A policy for those who put a process into a sandbox from outside: an OCI runtime's seccomp profile, and
 * systemd's list of calls. Both are made of the stage [start], which holds [run].
 *
 * They are a fence around the tree as a whole, so they may be wider than the filters inside, never narrower.
 * What their languages cannot say (a comparison of an int's lower half other than equality, two conditions on
 * one argument) is left out there, and stays in force inside. */
#include "seccomp/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ALLOW_EPERM = 1, LINE_COLUMNS = 110 };

static const char *op_name(const struct policy_condition *condition)
{
    static const char *const names[] = {"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT",
                                        "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE"};
    if (condition->mask == UINT64_MAX)
        return names[condition->op];
    return condition->op == POLICY_EQ ? "SCMP_CMP_MASKED_EQ" : NULL;
}

static void write_conditions(FILE *out, const struct policy_rule *rule)
{
    unsigned used = 0;
    const char *before = ",\n      \"args\": [";
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct policy_condition *c = &rule->conditions[i];
        const char *op = op_name(c);
        if (!op || used & 1u << c->argument)
            continue;
        used |= 1u << c->argument;
        bool masked = c->mask != UINT64_MAX;
        fprintf(out, "%s{\"index\": %u, \"value\": %" PRIu64 ", \"valueTwo\": %" PRIu64 ", \"op\": \"%s\"}",
                before, c->argument, masked ? c->mask : c->value, masked ? c->value : 0, op);
        before = ", ";
    }
    if (used)
        fputs("]", out);
}

static bool is_decided_without_conditions(const struct policy_stage *stage, const struct policy_rule *rule)
{
    for (size_t i = 0; i < stage->count; i++) {
        const struct policy_rule *other = &stage->rules[i];
        if (other != rule && !strcmp(other->syscall, rule->syscall) && !other->error &&
            !other->condition_count)
            return true;
    }
    return false;
}

static bool is_allowed_somehow(const struct policy_stage *stage, const char *syscall)
{
    for (size_t i = 0; i < stage->count; i++)
        if (!stage->rules[i].error && !strcmp(stage->rules[i].syscall, syscall))
            return true;
    return false;
}

void policy_export_oci(FILE *out, const struct policy *policy)
{
    const struct policy_stage *stage = &policy->stages[POLICY_START];
    fprintf(out,
            "{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"defaultErrnoRet\": %d,\n"
            "  \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_AARCH64\"],\n  \"syscalls\": [",
            ALLOW_EPERM);
    const char *before = "\n    ";
    for (size_t i = 0; i < stage->count; i++) {
        const struct policy_rule *rule = &stage->rules[i];
        if (rule->error ? is_allowed_somehow(stage, rule->syscall)
                        : is_decided_without_conditions(stage, rule))
            continue;
        fprintf(out, "%s{\"names\": [\"%s\"", before, rule->syscall);
        if (rule->otherwise[0])
            fprintf(out, ", \"%s\"", rule->otherwise);
        fputs("],\n      \"action\": ", out);
        if (rule->error)
            fprintf(out, "\"SCMP_ACT_ERRNO\",\n      \"errnoRet\": %u", rule->error);
        else
            fputs("\"SCMP_ACT_ALLOW\"", out);
        write_conditions(out, rule);
        fputs("}", out);
        before = ",\n    ";
    }
    fputs("\n  ]\n}\n", out);
}

static void write_word(FILE *out, const char *word, size_t *column)
{
    if (*column == 0 || *column + strlen(word) >= LINE_COLUMNS) {
        *column = (size_t)fprintf(out, "%sSystemCallFilter=%s", *column ? "\n" : "", word);
        return;
    }
    *column += (size_t)fprintf(out, " %s", word);
}

void policy_export_systemd(FILE *out, const struct policy *policy)
{
    const struct policy_stage *stage = &policy->stages[POLICY_START];
    size_t column = 0;
    fputs("# Made from the policies of the processes; what is not named here ends with EPERM.\n[Service]\n",
          out);
    for (size_t i = 0; i < stage->count; i++) {
        const struct policy_rule *rule = &stage->rules[i];
        bool is_first = true;
        for (size_t before = 0; before < i && is_first; before++)
            is_first = stage->rules[before].error || strcmp(stage->rules[before].syscall, rule->syscall) != 0;
        if (rule->error || !is_first)
            continue;
        write_word(out, rule->syscall, &column);
        if (rule->otherwise[0])
            write_word(out, rule->otherwise, &column);
    }
    /* A service has no rights to begin with: what only root's nexd calls is not needed. */
    fputs("\nSystemCallFilter=~@privileged\nSystemCallErrorNumber=EPERM\n", out);
}
