/* The policies' language.
 *
 *     file      = { line newline }
 *     line      = [ section | rule ] [ "#" text ]              text is compulsory behind a rule: it is the
 * reason section   = "[start]" | "[run]"                          each exactly once, in this order rule = [
 * "errno" ERRNO ] SYSCALL [ "or" SYSCALL ] [ "if" condition { "and" condition } ] condition = ( "arg" | "int"
 * ) DIGIT [ "&" value ] op value op        = "==" | "!=" | "<" | "<=" | ">" | ">=" value     = [ "~" ] term {
 * "|" term } ~ is the complement of all that follows term      = NUMBER | CONSTANT
 *
 * argN is all 64 bits of an argument, intN its lower 32: what the kernel takes for an int. Several lines that
 * name one call are alternatives, tried in order. A line that could never be reached is an error, since it
 * says something that does not hold. */
#include "seccomp/policy.h"

#include "common/err.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 48, TOKENS_MAX = 96 };

struct line {
    char tokens[TOKENS_MAX][TOKEN_MAX];
    size_t count, next;
    unsigned number;
    bool has_reason;
    struct policy_error *error;
};

__attribute__((format(printf, 2, 3))) static int fail(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(line->error->text, sizeof line->error->text, format, args);
    va_end(args);
    line->error->line = line->number;
    return NX_EINVAL;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Length of the token at `text`, 0 where none begins. */
static size_t token_length(const char *text, size_t length)
{
    size_t n = 0;
    if (is_word(text[0])) {
        while (n < length && is_word(text[n]))
            n++;
        return n;
    }
    if (text[0] == '[') {
        const char *end = memchr(text, ']', length);
        return end ? (size_t)(end - text) + 1 : 0;
    }
    if (length >= 2 && strchr("=!<>", text[0]) && text[1] == '=')
        return 2;
    return strchr("<>&|~", text[0]) ? 1 : 0;
}

static int line_comment(struct line *line, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' && text[i] != '\t')
            return fail(line, "control character 0x%02x in a comment", (unsigned char)text[i]);
        line->has_reason = line->has_reason || isalnum((unsigned char)text[i]);
    }
    return NX_OK;
}

static int line_split(struct line *line, const char *text, size_t length)
{
    if (length > POLICY_LINE_MAX)
        return fail(line, "line longer than %d bytes", POLICY_LINE_MAX);
    for (size_t at = 0; at < length;) {
        if (text[at] == ' ' || text[at] == '\t') {
            at++;
            continue;
        }
        if (text[at] == '#')
            return line_comment(line, text + at + 1, length - at - 1);
        size_t token = text[at] ? token_length(text + at, length - at) : 0;
        if (token == 0)
            return fail(line, "unexpected character 0x%02x", (unsigned char)text[at]);
        if (token >= TOKEN_MAX)
            return fail(line, "word longer than %d bytes", TOKEN_MAX - 1);
        if (line->count == TOKENS_MAX)
            return fail(line, "more than %d words", TOKENS_MAX);
        memcpy(line->tokens[line->count], text + at, token);
        line->tokens[line->count++][token] = 0;
        at += token;
    }
    return NX_OK;
}

/* The next token, or "" at the end of the line. */
static const char *line_peek(const struct line *line)
{
    return line->next < line->count ? line->tokens[line->next] : "";
}

static bool line_take(struct line *line, const char *token)
{
    if (strcmp(line_peek(line), token) != 0)
        return false;
    line->next++;
    return true;
}

static int parse_number(struct line *line, const char *text, uint64_t *value)
{
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const char *digits = base == 16 ? text + 2 : text;
    if (base == 10 && digits[0] == '0' && digits[1])
        return fail(line, "number %s: octal is not understood, write 0x… or decimal", text);
    uint64_t result = 0;
    if (!*digits)
        return fail(line, "bad number %s", text);
    for (; *digits; digits++) {
        unsigned char c = (unsigned char)*digits;
        if (!(base == 16 ? isxdigit(c) : isdigit(c)))
            return fail(line, "bad number %s", text);
        unsigned digit = isdigit(c) ? (unsigned)(c - '0') : (unsigned)(tolower(c) - 'a' + 10);
        if (result > (UINT64_MAX - digit) / (unsigned)base)
            return fail(line, "number %s is out of range", text);
        result = result * (unsigned)base + digit;
    }
    *value = result;
    return NX_OK;
}

static int parse_value(struct line *line, bool low_32, uint64_t *value)
{
    bool complement = line_take(line, "~");
    uint64_t result = 0;
    do {
        const char *term = line_peek(line);
        uint64_t one = 0;
        if (!is_word(term[0]))
            return fail(line, "a number or constant is missing%s%s", *term ? " before " : "", term);
        if (isdigit((unsigned char)term[0])) {
            int err = parse_number(line, term, &one);
            if (err)
                return err;
        } else if (!policy_constant(term, &one)) {
            return fail(line, "unknown constant %s", term);
        }
        line->next++;
        result |= one;
    } while (line_take(line, "|"));
    if (complement)
        result = low_32 ? (uint32_t)~result : ~result;
    if (low_32 && result > UINT32_MAX)
        return fail(line, "value needs more than the 32 bits of an int argument");
    *value = result;
    return NX_OK;
}

static int parse_op(struct line *line, enum policy_op *op)
{
    static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (line_take(line, ops[i])) {
            *op = (enum policy_op)i;
            return NX_OK;
        }
    }
    return fail(line, "a comparison (== != < <= > >=) is missing%s%s", *line_peek(line) ? " before " : "",
                line_peek(line));
}

static int parse_condition(struct line *line, struct policy_condition *condition)
{
    const char *word = line_peek(line);
    condition->low_32 = !strncmp(word, "int", 3);
    if ((!condition->low_32 && strncmp(word, "arg", 3) != 0) || word[3] < '0' || word[3] > '5' || word[4])
        return fail(line, "arg0 to arg5 or int0 to int5 expected, not \"%s\"", word);
    condition->argument = (uint8_t)(word[3] - '0');
    condition->mask = condition->low_32 ? UINT32_MAX : UINT64_MAX;
    line->next++;
    int err = NX_OK;
    if (line_take(line, "&"))
        err = parse_value(line, condition->low_32, &condition->mask);
    if (!err)
        err = parse_op(line, &condition->op);
    if (!err)
        err = parse_value(line, condition->low_32, &condition->value);
    if (!err && condition->op == POLICY_EQ && (condition->value & ~condition->mask))
        err = fail(line, "can never hold: the value has bits outside the mask");
    return err;
}

static int parse_conditions(struct line *line, struct policy_rule *rule)
{
    if (line->next == line->count)
        return NX_OK;
    if (!line_take(line, "if"))
        return fail(line, "\"if\" expected, not \"%s\"", line_peek(line));
    do {
        if (rule->condition_count == POLICY_CONDITIONS_MAX)
            return fail(line, "more than %d conditions", POLICY_CONDITIONS_MAX);
        int err = parse_condition(line, &rule->conditions[rule->condition_count]);
        if (err)
            return err;
        rule->condition_count++;
    } while (line_take(line, "and"));
    if (line->next < line->count)
        return fail(line, "\"and\" or the end of the rule expected, not \"%s\"", line_peek(line));
    return NX_OK;
}

static int parse_call(struct line *line, char *out)
{
    const char *name = line_peek(line);
    if (!islower((unsigned char)name[0]) || strlen(name) >= POLICY_NAME_MAX)
        return fail(line, "a system call's name expected, not \"%s\"", name);
    if (policy_syscall_number(name, POLICY_X86_64) < 0 && policy_syscall_number(name, POLICY_AARCH64) < 0)
        return fail(line, "unknown system call %s", name);
    memcpy(out, name, strlen(name) + 1);
    line->next++;
    return NX_OK;
}

static int parse_rule(struct line *line, struct policy_rule *rule)
{
    rule->line = line->number;
    if (line_take(line, "errno")) {
        if (!policy_errno(line_peek(line), &rule->error))
            return fail(line, "unknown errno \"%s\"", line_peek(line));
        line->next++;
    }
    int err = parse_call(line, rule->syscall);
    if (!err && line_take(line, "or"))
        err = parse_call(line, rule->otherwise);
    if (!err && rule->otherwise[0] && policy_syscall_number(rule->syscall, POLICY_X86_64) >= 0 &&
        policy_syscall_number(rule->syscall, POLICY_AARCH64) >= 0)
        err = fail(line, "every machine has %s: %s is never named", rule->syscall, rule->otherwise);
    if (err)
        return err;
    err = parse_conditions(line, rule);
    if (!err && !line->has_reason)
        err = fail(line, "%s: the reason is missing: say in a comment on this line what needs it",
                   rule->syscall);
    return err;
}

static bool conditions_equal(const struct policy_rule *a, const struct policy_rule *b)
{
    return a->condition_count == b->condition_count &&
           !memcmp(a->conditions, b->conditions, a->condition_count * sizeof a->conditions[0]);
}

static int stage_push(struct line *line, struct policy_stage *stage, const struct policy_rule *rule)
{
    for (size_t i = 0; i < stage->count; i++) {
        const struct policy_rule *present = &stage->rules[i];
        if (strcmp(present->syscall, rule->syscall) != 0)
            continue;
        if (present->condition_count == 0 || conditions_equal(present, rule))
            return fail(line, "%s: line %u already decides this", rule->syscall, present->line);
    }
    if (stage->count == POLICY_RULES_MAX)
        return fail(line, "more than %d rules in a stage", POLICY_RULES_MAX);
    stage->rules[stage->count++] = *rule;
    return NX_OK;
}

/* `section`: stages begun so far. */
static int parse_line(struct line *line, struct policy *policy, int *section)
{
    static const char *const names[POLICY_STAGES] = {"[start]", "[run]"};
    if (line->count == 0)
        return NX_OK;
    if (line->tokens[0][0] == '[') {
        if (line->count > 1)
            return fail(line, "%s stands alone on its line", line->tokens[0]);
        if (*section == POLICY_STAGES)
            return fail(line, "unexpected %s: [start] and [run] are already there", line->tokens[0]);
        if (strcmp(line->tokens[0], names[*section]) != 0)
            return fail(line, "%s expected, not %s", names[*section], line->tokens[0]);
        (*section)++;
        return NX_OK;
    }
    if (*section == 0)
        return fail(line, "a rule before [start]");
    /* Zero throughout, padding too: conditions are compared with memcmp. */
    struct policy_rule rule;
    memset(&rule, 0, sizeof rule);
    int err = parse_rule(line, &rule);
    return err ? err : stage_push(line, &policy->stages[*section - 1], &rule);
}

int policy_parse(struct policy *policy, const char *text, size_t length, struct policy_error *error)
{
    struct line line = {.error = error};
    int section = 0;
    memset(policy, 0, sizeof *policy);
    *error = (struct policy_error){0};
    if (length > POLICY_TEXT_MAX)
        return fail(&line, "larger than %d bytes", POLICY_TEXT_MAX);
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t line_length = end ? (size_t)(end - text) - at : length - at;
        line.number++;
        line.count = line.next = 0;
        line.has_reason = false;
        int err = line_split(&line, text + at, line_length);
        if (!err)
            err = parse_line(&line, policy, &section);
        if (err)
            return err;
        at += line_length + 1;
    }
    line.number = 0;
    if (section != POLICY_STAGES)
        return fail(&line, "%s is missing", section ? "[run]" : "[start]");
    return NX_OK;
}
