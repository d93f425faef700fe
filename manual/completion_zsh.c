/* zsh(1), completion system: _arguments takes a specification for each flag, '--name[help]:ARGUMENT:ACTION';
 * brackets and colons in the help are escaped. nexctl's groups become functions that call each other. */
#include "manual/completion.h"
#include "manual/manual.h"

static void help_put(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            fputc('\\', out);
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void specification(FILE *out, const char *dashes, const char *name, const char *argument,
                          const char *const *choices, const char *help, bool repeatable)
{
    fprintf(out, "        '%s%s%s[", repeatable ? "*" : "", dashes, name);
    help_put(out, help);
    fputc(']', out);
    if (argument && choices) {
        fprintf(out, ":%s:(", argument);
        for (; *choices; choices++)
            fprintf(out, "%s%s", *choices, choices[1] ? " " : "");
        fputc(')', out);
    } else if (argument) {
        fprintf(out, ":");
        help_put(out, argument);
        fprintf(out, ":%s", argument_is_path(argument) ? "_files" : " ");
    }
    fprintf(out, "' \\\n");
}

static void described(FILE *out, const char *name, const char *help)
{
    fprintf(out, "            '%s:", name);
    help_put(out, help);
    fprintf(out, "'\n");
}

void zsh_nexd_print(FILE *out)
{
    fprintf(out, "#compdef nexd\n# Made from the program's own table when it is built: not to be edited.\n"
                 "_nexd_commands() {\n    local -a commands=(\n");
    for (size_t i = 0; i < options_command_count; i++)
        described(out, options_commands[i].name, options_commands[i].help);
    fprintf(out, "    )\n    _describe command commands\n}\n_nexd() {\n    _arguments \\\n");
    for (size_t i = 0; i < options_flag_count; i++) {
        const struct flag *flag = &options_flags[i];
        specification(out, "--", flag->name, flag->argument, flag->choices, flag->help, flag->is_list);
    }
    fprintf(out, "        '--help[Show help]' \\\n        '--version[Show the version]' \\\n"
                 "        '*:command:_nexd_commands'\n}\n_nexd \"$@\"\n");
}

/* -- nexctl -- */

static void options_put(FILE *out, const struct command_option *options)
{
    for (; options && options->name; options++) {
        bool repeatable = options->id == OPTION_INGRESS || options->id == OPTION_EGRESS;
        specification(out, "--", options->name, options->argument, options->choices, options->help,
                      repeatable);
        if (options->letter)
            specification(out, "-", options->letter, options->argument, options->choices, options->help,
                          repeatable);
    }
}

/* "_nexctl_nexd_proxy" */
static void function_name(FILE *out, const struct command_group *group)
{
    fputc('_', out);
    for (const char *c = group->path; *c; c++)
        fputc(*c == ' ' ? '_' : *c, out);
}

static void group_function(FILE *out, const struct command_group *group)
{
    const struct command_entry *const entries = group->entries;
    function_name(out, group);
    fprintf(out, "() {\n    local context state line\n    typeset -A opt_args\n    _arguments -C \\\n");
    for (const struct command_group *of = group; of; of = of->parent)
        options_put(out, of->options);
    fprintf(out, "        '1: :->command' '*:: :->words'\n    case $state in\n    command)\n        local -a "
                 "commands=(\n");
    for (const struct command_entry *entry = entries; entry->name; entry++)
        described(out, entry->name, entry->summary);
    fprintf(
        out,
        "        )\n        _describe command commands\n        ;;\n    words)\n        case $line[1] in\n");
    for (const struct command_entry *entry = entries; entry->name; entry++) {
        fprintf(out, "        %s)\n            ", entry->name);
        if (entry->group) {
            function_name(out, entry->group);
        } else {
            fprintf(out, "_arguments \\\n");
            options_put(out, entry->options);
            for (const struct command_group *of = group; of; of = of->parent)
                options_put(out, of->options);
            fprintf(out, "        && return");
        }
        fprintf(out, "\n            ;;\n");
    }
    fprintf(out, "        esac\n        ;;\n    esac\n}\n");
}

void zsh_nexctl_print(FILE *out)
{
    fprintf(out,
            "#compdef nexctl\n# Made from the program's own table when it is built: not to be edited.\n");
    groups_each(&command_root, group_function, out);
    fprintf(out, "_nexctl \"$@\"\n");
}
