/* fish(1): a complete(1) line for each flag and word, with the condition under which it is offered. For
 * nexctl a function finds the words so far, without options and their values. */
#include "manual/completion.h"
#include "manual/manual.h"

/* What follows the names in a line of an option. */
static void value_put(FILE *out, const char *argument, const char *const *choices, const char *help)
{
    if (argument && choices) {
        fprintf(out, " -x -a '");
        for (; *choices; choices++)
            fprintf(out, "%s%s", *choices, choices[1] ? " " : "");
        fprintf(out, "'");
    } else if (argument) {
        fprintf(out, argument_is_path(argument) ? " -r -F" : " -x");
    }
    fprintf(out, " -d ");
    fish_quote(out, help);
    fputc('\n', out);
}

void fish_nexd_print(FILE *out)
{
    static const char *const conditions[] = {
        [FLAG_ANYWHERE] = "",
        [FLAG_BEFORE_COMMAND] = " -n 'not __fish_seen_subcommand_from proxy check'",
        [FLAG_AFTER_COMMAND] = " -n '__fish_seen_subcommand_from proxy check'",
    };
    fprintf(out,
            "# Made from the program's own table when it is built: not to be edited.\ncomplete -c nexd -f\n");
    for (size_t i = 0; i < options_command_count; i++) {
        fprintf(out, "complete -c nexd -n __fish_use_subcommand -a %s -d ", options_commands[i].name);
        fish_quote(out, options_commands[i].help);
        fputc('\n', out);
    }
    for (size_t i = 0; i < options_flag_count; i++) {
        const struct flag *flag = &options_flags[i];
        fprintf(out, "complete -c nexd%s -l %s", conditions[flag->place], flag->name);
        value_put(out, flag->argument, flag->choices, flag->help);
    }
    fprintf(out,
            "complete -c nexd -l help -d 'Show help'\ncomplete -c nexd -l version -d 'Show the version'\n");
}

/* -- nexctl -- */

static void options_put(FILE *out, const struct command_option *options, const char *words, const char *more)
{
    for (; options && options->name; options++) {
        fprintf(out, "complete -c nexctl -n '__nexctl_within %s%s%s' -l %s", words, more[0] ? " " : "", more,
                options->name);
        if (options->letter)
            fprintf(out, " -s %s", options->letter);
        value_put(out, options->argument, options->choices, options->help);
    }
}

static void group_put(FILE *out, const struct command_group *group)
{
    const char *words = group_words(group);
    options_put(out, group->options, words, "");
    for (const struct command_entry *entry = group->entries; entry->name; entry++) {
        fprintf(out, "complete -c nexctl -n '__nexctl_at %s' -a %s -d ", words, entry->name);
        fish_quote(out, entry->summary);
        fputc('\n', out);
        if (!entry->group)
            options_put(out, entry->options, words, entry->name);
    }
}

static void valued_put(FILE *out, const struct command_option *options)
{
    for (; options && options->name; options++)
        if (options->argument)
            fprintf(out, " --%s", options->name);
}

static void group_valued(FILE *out, const struct command_group *group)
{
    valued_put(out, group->options);
    for (const struct command_entry *entry = group->entries; entry->name; entry++)
        valued_put(out, entry->options);
}

void fish_nexctl_print(FILE *out)
{
    fprintf(out, "# Made from the program's own table when it is built: not to be edited.\n"
                 "function __nexctl_words\n    set -l skip 0\n    for word in (commandline -opc)[2..-1]\n"
                 "        if test $skip = 1\n            set skip 0\n        else if contains -- $word");
    groups_each(&command_root, group_valued, out);
    fprintf(out, "\n            set skip 1\n        else if not string match -q -- '-*' $word\n            "
                 "echo $word\n"
                 "        end\n    end\nend\n"
                 "function __nexctl_at\n    test \"$(string join ' ' (__nexctl_words))\" = \"$argv\"\nend\n"
                 "function __nexctl_within\n    string match -q -- \"$argv*\" \"$(string join ' ' "
                 "(__nexctl_words))\"\nend\n"
                 "complete -c nexctl -f\n");
    groups_each(&command_root, group_put, out);
}
