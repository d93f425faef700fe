/* "apid [FLAGS] GROUP VERB [OPERAND]", flags anywhere, as --x v or --x=v; "--" ends them. Flags are known
 * before the command is, since each means the same everywhere; whether it fits the command is seen at the
 * end. */
#include "apid/admin/command.h"

#include "common/err.h"
#include "common/text.h"

#include <stdarg.h>
#include <string.h>

enum { WORDS_MAX = 3 };

struct reader {
    int argc, at;
    char *const *argv;
    struct admin_arguments *out;
    const char *words[WORDS_MAX];
    unsigned word_count;
    uint32_t given; /* ADMIN_BIT()s */
    char *error;
};

__attribute__((format(printf, 2, 3))) static int mistake(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->error, ADMIN_ERROR_MAX, format, args);
    va_end(args);
    return NX_EINVAL;
}

/* Keeps the candidate that is nearest to what was written. */
static void nearest(const char *written, const char *candidate, size_t *distance, const char **best)
{
    const size_t errors = text_typing_errors(written, candidate);
    if (errors >= *distance)
        return;
    *distance = errors;
    *best = candidate;
}

/* Which help to name: "user " where that group was written so far; else "", the whole program's. */
static const char *help_of(const struct reader *r, char out[32])
{
    const struct admin_command *of = admin_commands;
    while (of->group && !(r->word_count && strcmp(of->group, r->words[0]) == 0))
        of++;
    snprintf(out, 32, "%s%s", of->group ? of->group : "", of->group ? " " : "");
    return out;
}

static int flag_unknown(struct reader *r, const char *name)
{
    char quoted[TEXT_QUOTE_MAX], written[80], help[32];
    const char *best = NULL;
    size_t distance = SIZE_MAX;
    for (unsigned i = 0; i < ADMIN_FLAGS; i++)
        nearest(name, admin_flags[i].name, &distance, &best);
    snprintf(written, sizeof written, "--%s", name);
    text_quote(written, quoted, sizeof quoted);
    if (best)
        return mistake(r, "there is no flag %s; did you mean --%s?", quoted, best);
    return mistake(r, "there is no flag %s; see apid %s--help", quoted, help_of(r, help));
}

static int rule_add(struct reader *r, const char *flag, const char **list, unsigned *count, const char *value)
{
    if (*count == ADMIN_RULES_MAX)
        return mistake(r, "--%s: at most %d rules", flag, ADMIN_RULES_MAX);
    list[(*count)++] = value;
    return NX_OK;
}

static int flag_take(struct reader *r, enum admin_flag flag, const char *value)
{
    struct admin_arguments *out = r->out;
    const bool again = r->given & ADMIN_BIT(flag);
    r->given |= ADMIN_BIT(flag);
    out->values[flag] = value;
    if (flag == ADMIN_INBOUND)
        return rule_add(r, "inbound", out->inbound, &out->inbound_count, value);
    if (flag == ADMIN_OUTBOUND)
        return rule_add(r, "outbound", out->outbound, &out->outbound_count, value);
    if (again && admin_flags[flag].argument)
        return mistake(r, "--%s is given twice; leave one out", admin_flags[flag].name);
    if (flag == ADMIN_HELP)
        out->help = true;
    if (flag == ADMIN_OUTPUT) {
        char quoted[TEXT_QUOTE_MAX];
        out->json = strcmp(value, "json") == 0;
        if (!out->json && strcmp(value, "table") != 0)
            return mistake(r, "--output %s: table or json is needed",
                           text_quote(value, quoted, sizeof quoted));
    }
    return NX_OK;
}

/* `text` without its dashes. */
static int flag_read(struct reader *r, const char *text)
{
    char name[64];
    const size_t length = strcspn(text, "=");
    const char *value = text[length] ? text + length + 1 : NULL;
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), text);
    unsigned flag = 0;
    while (flag < ADMIN_FLAGS && strcmp(admin_flags[flag].name, name) != 0)
        flag++;
    if (flag == ADMIN_FLAGS)
        return flag_unknown(r, name);
    const char *argument = admin_flags[flag].argument;
    if (!argument && value)
        return mistake(r, "--%s takes no value; write --%s alone", name, name);
    if (argument && !value && r->at == r->argc)
        return mistake(r, "--%s needs a value: --%s %s", name, name, argument);
    if (argument && !value)
        value = r->argv[r->at++];
    return flag_take(r, (enum admin_flag)flag, value ? value : "");
}

static int word_take(struct reader *r, const char *word)
{
    char quoted[TEXT_QUOTE_MAX], help[32];
    if (r->word_count == WORDS_MAX)
        return mistake(r, "%s is one word too many; see apid %s--help",
                       text_quote(word, quoted, sizeof quoted), help_of(r, help));
    r->words[r->word_count++] = word;
    return NX_OK;
}

static int all_read(struct reader *r)
{
    int err = NX_OK;
    bool flags = true;
    while (!err && r->at < r->argc) {
        const char *argument = r->argv[r->at++];
        if (flags && strcmp(argument, "--") == 0)
            flags = false;
        else if (flags && strcmp(argument, "-h") == 0)
            err = flag_take(r, ADMIN_HELP, "");
        else if (flags && argument[0] == '-' && argument[1])
            err = flag_read(r, argument + (argument[1] == '-' ? 2 : 1));
        else
            err = word_take(r, argument);
    }
    return err;
}

/* The groups, or the verbs of one, for a message: "add, list, …". */
static const char *choices(const char *group, char *out, size_t size)
{
    size_t used = 0;
    const char *before = NULL;
    out[0] = '\0';
    for (const struct admin_command *of = admin_commands; of->group; of++) {
        if (group ? strcmp(of->group, group) != 0 : before && strcmp(of->group, before) == 0)
            continue;
        const int n =
            snprintf(out + used, size - used, "%s%s", used ? ", " : "", group ? of->verb : of->group);
        used += (size_t)n < size - used ? (size_t)n : 0;
        before = of->group;
    }
    return out;
}

static int group_unknown(struct reader *r)
{
    char quoted[TEXT_QUOTE_MAX], all[128];
    const char *best = NULL;
    size_t distance = SIZE_MAX;
    for (const struct admin_command *of = admin_commands; of->group; of++)
        nearest(r->words[0], of->group, &distance, &best);
    text_quote(r->words[0], quoted, sizeof quoted);
    if (best)
        return mistake(r, "there is no command %s; did you mean %s?", quoted, best);
    return mistake(r, "there is no command %s; there are: %s", quoted, choices(NULL, all, sizeof all));
}

static int verb_unknown(struct reader *r)
{
    char quoted[TEXT_QUOTE_MAX], all[128];
    return mistake(r, "there is no command %s of %s; there are: %s",
                   text_quote(r->words[1], quoted, sizeof quoted), r->words[0],
                   choices(r->words[0], all, sizeof all));
}

static int command_find(struct reader *r)
{
    struct admin_arguments *out = r->out;
    char all[128];
    if (r->word_count == 0)
        return out->help ? NX_OK : mistake(r, "a command is missing: %s", choices(NULL, all, sizeof all));
    for (const struct admin_command *of = admin_commands; of->group; of++) {
        if (strcmp(of->group, r->words[0]) != 0)
            continue;
        out->group = of->group;
        if (r->word_count > 1 && strcmp(of->verb, r->words[1]) == 0)
            out->command = of;
    }
    if (!out->group)
        return group_unknown(r);
    if (r->word_count > 1 && !out->command)
        return verb_unknown(r);
    if (!out->command && !out->help)
        return mistake(r, "apid %s: a command is missing: %s", out->group,
                       choices(out->group, all, sizeof all));
    return NX_OK;
}

/* Whether what was given is what the command takes. */
static int fit_check(struct reader *r)
{
    static const uint32_t everywhere =
        ADMIN_BIT(ADMIN_DATA) | ADMIN_BIT(ADMIN_OUTPUT) | ADMIN_BIT(ADMIN_HELP);
    const struct admin_command *command = r->out->command;
    char quoted[TEXT_QUOTE_MAX];
    for (unsigned flag = 0; flag < ADMIN_FLAGS; flag++) {
        const char *argument = admin_flags[flag].argument;
        if (r->given & ~(command->flags | everywhere) & ADMIN_BIT(flag))
            return mistake(r, "--%s does not go with %s %s; see apid %s %s --help", admin_flags[flag].name,
                           command->group, command->verb, command->group, command->verb);
        if (command->needed & ~r->given & ADMIN_BIT(flag))
            return mistake(r, "%s %s needs --%s %s", command->group, command->verb, admin_flags[flag].name,
                           argument);
    }
    r->out->operand = r->words[2];
    if (command->operand && !(r->out->operand && r->out->operand[0]))
        return mistake(r, "%s %s needs %s: apid --data DIR %s %s %s", command->group, command->verb,
                       command->operand, command->group, command->verb, command->operand);
    if (!command->operand && r->words[2])
        return mistake(r, "%s is one word too many; see apid %s %s --help",
                       text_quote(r->words[2], quoted, sizeof quoted), command->group, command->verb);
    if (!r->out->values[ADMIN_DATA] || !r->out->values[ADMIN_DATA][0])
        return mistake(r, "--data DIR is needed: the data folder of the server");
    return NX_OK;
}

int admin_parse(int argc, char *const *argv, struct admin_arguments *out, char *error)
{
    struct reader r = {.argc = argc, .at = 1, .argv = argv, .out = out, .error = error};
    *out = (struct admin_arguments){0};
    error[0] = '\0';
    int err = all_read(&r);
    if (!err)
        err = command_find(&r);
    return err || out->help ? err : fit_check(&r);
}
