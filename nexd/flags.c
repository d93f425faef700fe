/* See flags.h. Two sources feed one path: a value from the command line or the environment is split if the
 * flag is a list, and each part goes through the flag's reader, which knows its type and limits. */
#include "nexd/flags.h"

#include "common/err.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *flag_target(const struct flag_value *value)
{
    return (char *)value->result + value->flag->offset;
}

static const char *value_source(const struct flag_value *value)
{
    return value->from_environment ? value->flag->environment : value->flag->name;
}

int flag_fail(const struct flag_value *value, const char *problem)
{
    char quoted[TEXT_QUOTE_MAX];
    const char *const dashes = value->from_environment || value->from_file ? "" : "--";
    snprintf(value->error, FLAG_ERROR_MAX, "%s%s %s: %s; example: %s%s%s%s", dashes, value_source(value),
             text_quote(value->text, quoted, sizeof(quoted)), problem, dashes, value_source(value),
             value->from_environment ? "="
             : value->from_file      ? " = "
                                     : " ",
             value->flag->example);
    return NX_EINVAL;
}

int flag_read_path(const struct flag_value *value)
{
    const size_t length = strlen(value->text);
    char problem[64];
    if (length == 0)
        return flag_fail(value, "must not be empty");
    if (length >= value->flag->max) {
        snprintf(problem, sizeof(problem), "is longer than %llu bytes",
                 (unsigned long long)value->flag->max - 1);
        return flag_fail(value, problem);
    }
    memcpy(flag_target(value), value->text, length + 1);
    return NX_OK;
}

int flag_read_number(const struct flag_value *value)
{
    uint64_t number;
    char problem[96];
    if (text_to_u64(value->text, strlen(value->text), value->flag->min, value->flag->max, &number) != NX_OK) {
        snprintf(problem, sizeof(problem), "must be a number from %llu to %llu",
                 (unsigned long long)value->flag->min, (unsigned long long)value->flag->max);
        return flag_fail(value, problem);
    }
    *(int64_t *)flag_target(value) = (int64_t)number;
    return NX_OK;
}

int flag_read_choice(const struct flag_value *value)
{
    char problem[128] = "must be ";
    const char *const *const choices = value->flag->choices;
    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (text_equal_nocase(value->text, strlen(value->text), choices[i])) {
            memcpy(flag_target(value), &i, sizeof(i));
            return NX_OK;
        }
        const size_t at = strlen(problem);
        const char *const between = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        snprintf(problem + at, sizeof(problem) - at, "%s%s", between, choices[i]);
    }
    return flag_fail(value, problem);
}

int flag_read_switch(const struct flag_value *value)
{
    static const char *const words[][6] = {{"0", "f", "F", "false", "FALSE", "False"},
                                           {"1", "t", "T", "true", "TRUE", "True"}};
    for (size_t meaning = 0; meaning < 2; meaning++) {
        for (size_t i = 0; i < 6; i++) {
            if (strcmp(value->text, words[meaning][i]) == 0) {
                *(bool *)flag_target(value) = meaning == 1;
                return NX_OK;
            }
        }
    }
    return flag_fail(value, "must be true or false");
}

/* The flag's name as written: without dashes and without what follows '='. */
static struct text_span written_name(const char *argument)
{
    const char *const start = argument + 1 + (argument[1] == '-');
    return (struct text_span){start, strcspn(start, "=")};
}

bool flag_is_written(const char *argument)
{
    return argument[0] == '-' && argument[1] != '\0';
}

bool flag_is_named(const char *argument, const char *name)
{
    if (!flag_is_written(argument))
        return false;
    const struct text_span written = written_name(argument);
    return written.length == strlen(name) && memcmp(written.start, name, written.length) == 0;
}

/* Each part of a list goes through the reader as a string of its own. */
static int read_list(struct flag_value value)
{
    int err = NX_OK;
    char *const parts = strdup(value.text);
    if (parts == NULL) {
        snprintf(value.error, FLAG_ERROR_MAX, "out of memory");
        return NX_ENOMEM;
    }
    for (char *at = parts; err == NX_OK && at != NULL;) {
        char *const comma = strchr(at, ',');
        const struct text_span part = text_trim(at, comma == NULL ? strlen(at) : (size_t)(comma - at));
        at[(size_t)(part.start - at) + part.length] = '\0';
        value.text = part.start;
        err = value.flag->read(&value);
        at = comma == NULL ? NULL : comma + 1;
    }
    free(parts);
    return err;
}

enum flag_source { FROM_COMMAND_LINE, FROM_ENVIRONMENT, FROM_FILE };

static int read_value(const struct flag_scan *scan, const struct flag *flag, const char *text,
                      enum flag_source source)
{
    const struct flag_value value = {.flag = flag,
                                     .text = text,
                                     .from_environment = source == FROM_ENVIRONMENT,
                                     .from_file = source == FROM_FILE,
                                     .result = scan->result,
                                     .error = scan->error};
    return flag->is_list ? read_list(value) : flag->read(&value);
}

static int fail_unknown(const struct flag_scan *scan, const char *argument)
{
    char quoted[TEXT_QUOTE_MAX], word[TEXT_QUOTE_MAX];
    const struct text_span written = written_name(argument);
    const struct flag *nearest = NULL;
    size_t best = SIZE_MAX;
    snprintf(word, sizeof(word), "%.*s", (int)(written.length < 63 ? written.length : 63), written.start);
    for (size_t i = 0; i < scan->count; i++) {
        const size_t errors = text_typing_errors(word, scan->flags[i].name);
        if (errors < best) {
            best = errors;
            nearest = &scan->flags[i];
        }
    }
    text_quote_bytes(argument, (size_t)(written.start + written.length - argument), quoted, sizeof(quoted));
    if (nearest == NULL)
        snprintf(scan->error, FLAG_ERROR_MAX, "unknown flag %s; all flags: nexd help proxy", quoted);
    else
        snprintf(scan->error, FLAG_ERROR_MAX, "unknown flag %s, did you mean --%s? example: --%s%s%s", quoted,
                 nearest->name, nearest->name, nearest->is_switch ? "" : " ",
                 nearest->is_switch ? "" : nearest->example);
    return NX_EINVAL;
}

static int fail_place(const struct flag_scan *scan, const struct flag *flag)
{
    if (flag->place == FLAG_AFTER_COMMAND)
        snprintf(scan->error, FLAG_ERROR_MAX,
                 "--%s must stand after the command proxy; example: nexd proxy --%s %s", flag->name,
                 flag->name, flag->example);
    else
        snprintf(scan->error, FLAG_ERROR_MAX,
                 "--%s must stand before the command proxy; example: nexd --%s %s proxy", flag->name,
                 flag->name, flag->example);
    return NX_EINVAL;
}

int flag_scan_argument(struct flag_scan *scan, int argc, char **argv, int *index, bool after_command)
{
    const char *const argument = argv[(*index)++];
    size_t id = 0;
    while (id < scan->count && !flag_is_named(argument, scan->flags[id].name))
        id++;
    if (id == scan->count)
        return fail_unknown(scan, argument);
    const struct flag *const flag = &scan->flags[id];
    if (flag->place == (after_command ? FLAG_BEFORE_COMMAND : FLAG_AFTER_COMMAND))
        return fail_place(scan, flag);
    const char *const equals = strchr(argument, '=');
    const char *text = equals != NULL ? equals + 1 : flag->is_switch ? "true" : NULL;
    if (text == NULL && *index < argc)
        text = argv[(*index)++];
    if (text == NULL) {
        snprintf(scan->error, FLAG_ERROR_MAX, "--%s needs a value; example: --%s %s", flag->name, flag->name,
                 flag->example);
        return NX_EINVAL;
    }
    scan->given |= UINT64_C(1) << id;
    return read_value(scan, flag, text, FROM_COMMAND_LINE);
}

bool flag_scan_has(const struct flag_scan *scan, size_t id)
{
    return ((scan->given | scan->environment) & UINT64_C(1) << id) != 0;
}

int flag_scan_file(struct flag_scan *scan, size_t id, const char *text)
{
    return read_value(scan, &scan->flags[id], text, FROM_FILE);
}

const char *flag_environment_get(char **envp, const char *name)
{
    const size_t length = strlen(name);
    for (; envp != NULL && *envp != NULL; envp++) {
        if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
            return *envp + length + 1;
    }
    return NULL;
}

int flag_scan_environment(struct flag_scan *scan, char **envp)
{
    for (size_t id = 0; id < scan->count; id++) {
        const struct flag *const flag = &scan->flags[id];
        if (flag->environment == NULL || (scan->given & UINT64_C(1) << id) != 0)
            continue;
        const char *const text = flag_environment_get(envp, flag->environment);
        if (text == NULL || text[0] == '\0')
            continue;
        scan->environment |= UINT64_C(1) << id;
        const int err = read_value(scan, flag, text, FROM_ENVIRONMENT);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}
