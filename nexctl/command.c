/* The commands form a tree: groups with commands and groups in them. Options stand anywhere after the group
 * that they belong to, as -x, --x, --x=v or --x v. A group named alone asks for its help. */
#include "nexctl/command_table.h"

#include "common/array.h"
#include "common/err.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

static void options_help(FILE *out, const struct command_option *options)
{
    char written[64];
    for (const struct command_option *option = options; option && option->name; option++) {
        snprintf(written, sizeof written, "--%s%s%s%s%s", option->name, option->letter ? ", -" : "",
                 option->letter ? option->letter : "", option->argument ? " " : "",
                 option->argument ? option->argument : "");
        fprintf(out, "   %-20s %s\n", written, option->help);
    }
}

void command_help(FILE *out, const struct command *command)
{
    const struct command_group *group = command->help ? command->help : &command_root;
    const struct command_entry *entry = command->help_entry;
    fprintf(out, "NAME:\n   %s%s%s - %s\n\nUSAGE:\n   %s%s%s [options]%s\n", group->path, entry ? " " : "",
            entry ? entry->name : "", entry ? entry->summary : group->summary, group->path, entry ? " " : "",
            entry ? entry->name : "", entry ? "" : " COMMAND");
    if (!entry) {
        fputs("\nCOMMANDS:\n", out);
        for (const struct command_entry *of = group->entries; of->name; of++)
            fprintf(out, "   %-10s %s\n", of->name, of->summary);
        fputs("   help, h    Show this help\n", out);
    }
    fputs("\nOPTIONS:\n", out);
    if (entry)
        options_help(out, entry->options);
    for (; group; group = group->parent)
        options_help(out, group->options);
}

/* An option's name without its dashes, and the length of it. */
struct option_text {
    const char *name, *value; /* value: after '=', or NULL */
    size_t length;
};

static bool option_split(const char *argument, struct option_text *out)
{
    if (argument[0] != '-' || argument[1] == '\0')
        return false;
    out->name = argument + (argument[1] == '-' ? 2 : 1);
    out->length = strcspn(out->name, "=");
    out->value = out->name[out->length] ? out->name + out->length + 1 : NULL;
    return true;
}

static bool option_is(const struct option_text *option, const char *name)
{
    return option->length == strlen(name) && memcmp(option->name, name, option->length) == 0;
}

static int output_parse(const char *text, enum output_form *out, char *error)
{
    for (size_t i = 0; command_output_names[i]; i++) {
        if (strcmp(text, command_output_names[i]) == 0) {
            *out = (enum output_form)i;
            return NX_OK;
        }
    }
    snprintf(error, COMMAND_ERROR_MAX, "unknown --output option: %.100s", text);
    return EXIT_USAGE;
}

/* The state of reading a command line. */
struct reader {
    int argc, at;
    char *const *argv;
    const struct command_group *group;
    const struct command_entry *command;
    bool help;
    struct command *out;
    char *error;
};

static int option_value(struct reader *r, const struct option_text *option, const char **value)
{
    *value = option->value;
    if (!*value && r->at < r->argc)
        *value = r->argv[r->at++];
    if (*value)
        return NX_OK;
    snprintf(r->error, COMMAND_ERROR_MAX, "Incorrect Usage: flag needs an argument: --%.*s",
             (int)option->length, option->name);
    return EXIT_USAGE;
}

/* From 1 to `max`. */
static int seconds_read(struct reader *r, const struct command_option *option, const char *value,
                        unsigned *out)
{
    uint64_t number;
    if (text_to_u64(value, strlen(value), 1, option->max, &number)) {
        snprintf(r->error, COMMAND_ERROR_MAX,
                 "Incorrect Usage: invalid value \"%.64s\" for flag --%s: from 1 to %u seconds", value,
                 option->name, option->max);
        return EXIT_USAGE;
    }
    *out = (unsigned)number;
    return NX_OK;
}

static int rule_add(struct reader *r, bool ingress, const char *value)
{
    struct command *out = r->out;
    struct command_rule *grown =
        array_reserve(out->rules, &out->rule_capacity, out->rule_count + 1, sizeof *grown);
    if (!grown) {
        snprintf(r->error, COMMAND_ERROR_MAX, "out of memory");
        return EXIT_USAGE;
    }
    out->rules = grown;
    out->rules[out->rule_count++] = (struct command_rule){.ingress = ingress, .list = value};
    return NX_OK;
}

/* `value`: "" for an option without one. */
static int option_take(struct reader *r, const struct command_option *option, const char *value)
{
    struct command *out = r->out;
    switch (option->id) {
    case OPTION_HELP:
        r->help = true;
        break;
    case OPTION_OUTPUT:
        return output_parse(value, &out->output, r->error);
    case OPTION_UNIX_SOCKET:
        out->unix_socket = value;
        break;
    case OPTION_IPV6:
        out->ipv6 = true;
        break;
    case OPTION_FULL:
        break;
    case OPTION_INGRESS:
    case OPTION_EGRESS:
        return rule_add(r, option->id == OPTION_INGRESS, value);
    case OPTION_KILL_FLOWS:
        out->kill_flows = true;
        break;
    case OPTION_TCP:
        out->tcp = true;
        break;
    case OPTION_LIMIT:
        out->limit = value;
        break;
    case OPTION_INTERVAL:
        return seconds_read(r, option, value, &out->interval_s);
    case OPTION_WAIT:
        return seconds_read(r, option, value, &out->wait_s);
    }
    return NX_OK;
}

static const struct command_option *option_among(const struct command_option *options,
                                                 const struct option_text *written)
{
    for (; options && options->name; options++)
        if (option_is(written, options->name) || (options->letter && option_is(written, options->letter)))
            return options;
    return NULL;
}

/* The command's own, then those of the groups that it is in. */
static const struct command_option *option_find(const struct reader *r, const struct option_text *written)
{
    const struct command_option *found = r->command ? option_among(r->command->options, written) : NULL;
    for (const struct command_group *group = r->group; group && !found; group = group->parent)
        found = option_among(group->options, written);
    return found;
}

static int option_read(struct reader *r, const struct option_text *written)
{
    const char *value = "";
    const struct command_option *option = option_find(r, written);
    if (!option || (!option->argument && written->value)) {
        snprintf(r->error, COMMAND_ERROR_MAX, "Incorrect Usage: flag provided but not defined: -%.*s",
                 (int)(written->length < 100 ? written->length : 100), written->name);
        return EXIT_USAGE;
    }
    int err = option->argument ? option_value(r, written, &value) : NX_OK;
    return err ? err : option_take(r, option, value);
}

static int word_read(struct reader *r, const char *word)
{
    if (r->command) {
        snprintf(r->error, COMMAND_ERROR_MAX, "Incorrect Usage: \"%.100s\" takes no argument (\"%.100s\")",
                 r->command->name, word);
        return EXIT_USAGE;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0) {
        r->help = true;
        return NX_OK;
    }
    for (const struct command_entry *entry = r->group->entries; entry->name; entry++) {
        if (strcmp(entry->name, word) != 0)
            continue;
        if (entry->group)
            r->group = entry->group;
        else
            r->command = entry;
        return NX_OK;
    }
    snprintf(r->error, COMMAND_ERROR_MAX, "No help topic for '%.100s'", word);
    return EXIT_UNKNOWN_COMMAND;
}

int command_parse(int argc, char *const *argv, struct command *out, char *error)
{
    *out = (struct command){.help = &command_root};
    struct reader r = {
        .argc = argc, .at = 1, .argv = argv, .group = &command_root, .out = out, .error = error};
    int err = NX_OK;
    while (!err && r.at < argc) {
        struct option_text option;
        const char *argument = argv[r.at++];
        err = option_split(argument, &option) ? option_read(&r, &option) : word_read(&r, argument);
    }
    out->help = r.group;
    out->help_entry = r.command;
    out->id = r.help || !r.command ? COMMAND_HELP : r.command->id;
    if (!err && (out->id == COMMAND_PROXY_ADD || out->id == COMMAND_PROXY_REMOVE) && out->rule_count == 0) {
        snprintf(error, COMMAND_ERROR_MAX, "No rules provided");
        err = EXIT_USAGE;
    }
    return err;
}

void command_free(struct command *command)
{
    free(command->rules);
    *command = (struct command){0};
}
