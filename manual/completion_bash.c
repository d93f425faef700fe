/* bash(1), programmable completion: a function fills COMPREPLY for the word that the cursor is at. Where a
 * flag's value is wanted, that decides; else the words so far, without flags and their values, say which
 * command it is in. Nothing of bash-completion's helpers is needed. */
#include "manual/completion.h"
#include "manual/manual.h"

/* "--a|--b)" of one action. */
static void value_case(FILE *out, const char *name, const char *letter, const char *argument,
                       const char *const *choices)
{
    if (letter)
        fprintf(out, "    --%s|-%s)\n", name, letter);
    else
        fprintf(out, "    --%s)\n", name);
    if (choices) {
        fprintf(out, "        COMPREPLY=($(compgen -W '");
        for (; *choices; choices++)
            fprintf(out, "%s%s", *choices, choices[1] ? " " : "");
        fprintf(out, "' -- \"$cur\"))\n");
    } else if (argument_is_path(argument)) {
        fprintf(out,
                "        compopt -o filenames 2>/dev/null\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n");
    }
    fprintf(out, "        return\n        ;;\n");
}

/* "--flag=value" comes as three words, "=" being one of COMP_WORDBREAKS. */
static void head(FILE *out, const char *function)
{
    fprintf(out,
            "# Made from the program's own table when it is built: not to be edited.\n"
            "%s() {\n"
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i word words=''\n"
            "    COMPREPLY=()\n"
            "    [[ $cur == '=' ]] && cur=''\n"
            "    [[ $prev == '=' ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n",
            function);
}

void bash_nexd_print(FILE *out)
{
    head(out, "_nexd");
    fprintf(out, "    case $prev in\n");
    for (size_t i = 0; i < options_flag_count; i++)
        if (!options_flags[i].is_switch)
            value_case(out, options_flags[i].name, NULL, options_flags[i].argument, options_flags[i].choices);
    fprintf(
        out,
        "    esac\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n        ");
    for (size_t i = 0; i < options_command_count; i++)
        fprintf(out, "%s%s", i ? "|" : "", options_commands[i].name);
    fprintf(out, ")\n            words=${words:-${COMP_WORDS[i]}}\n            ;;\n        esac\n    done\n");
    fprintf(out, "    if [[ $cur == -* ]]; then\n        word='--help --version");
    for (size_t i = 0; i < options_flag_count; i++)
        if (options_flags[i].place == FLAG_ANYWHERE)
            fprintf(out, " --%s", options_flags[i].name);
    fprintf(out, "'\n        case $words in\n        '') word+='");
    for (size_t i = 0; i < options_flag_count; i++)
        if (options_flags[i].place == FLAG_BEFORE_COMMAND)
            fprintf(out, " --%s", options_flags[i].name);
    fprintf(out, "' ;;\n        proxy|check) word+='");
    for (size_t i = 0; i < options_flag_count; i++)
        if (options_flags[i].place == FLAG_AFTER_COMMAND)
            fprintf(out, " --%s", options_flags[i].name);
    fprintf(out, "' ;;\n        esac\n        COMPREPLY=($(compgen -W \"$word\" -- \"$cur\"))\n"
                 "    elif [[ -z $words || $words == help ]]; then\n        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < options_command_count; i++)
        fprintf(out, "%s%s", i ? " " : "", options_commands[i].name);
    fprintf(out, "' -- \"$cur\"))\n    fi\n}\ncomplete -F _nexd nexd\n");
}

/* -- nexctl -- */

/* Options of several commands (--ingress) are alike: one mention is enough. */
static unsigned mentioned; /* bits by enum command_option_id */

static bool mention(enum command_option_id id)
{
    bool first = !(mentioned & 1u << id);
    mentioned |= 1u << id;
    return first;
}

static void option_values(FILE *out, const struct command_option *options)
{
    for (; options && options->name; options++)
        if (options->argument && mention(options->id))
            value_case(out, options->name, options->letter, options->argument, options->choices);
}

static void group_values(FILE *out, const struct command_group *group)
{
    option_values(out, group->options);
    for (const struct command_entry *entry = group->entries; entry->name; entry++)
        option_values(out, entry->options);
}

/* In the loop over the words so far: an option with a value, whose value is no command. */
static void skip_options(FILE *out, const struct command_option *options)
{
    for (; options && options->name; options++)
        if (options->argument && mention(options->id))
            fprintf(out, "|--%s", options->name);
}

static void group_skips(FILE *out, const struct command_group *group)
{
    skip_options(out, group->options);
    for (const struct command_entry *entry = group->entries; entry->name; entry++)
        skip_options(out, entry->options);
}

static void option_names(FILE *out, const struct command_option *options)
{
    for (; options && options->name; options++)
        fprintf(out, " --%s", options->name);
}

static void group_case(FILE *out, const struct command_group *group)
{
    const char *words = group_words(group);
    fprintf(out, "    '%s%s')\n        word='", words[0] ? " " : "", words);
    for (const struct command_entry *entry = group->entries; entry->name; entry++)
        fprintf(out, "%s ", entry->name);
    fprintf(out, "help'\n        options='");
    for (const struct command_group *of = group; of; of = of->parent)
        option_names(out, of->options);
    fprintf(out, "'\n        ;;\n");
    for (const struct command_entry *entry = group->entries; entry->name; entry++) {
        if (entry->group)
            continue;
        fprintf(out, "    '%s%s %s')\n        options='", words[0] ? " " : "", words, entry->name);
        option_names(out, entry->options);
        for (const struct command_group *of = group; of; of = of->parent)
            option_names(out, of->options);
        fprintf(out, "'\n        ;;\n");
    }
}

void bash_nexctl_print(FILE *out)
{
    head(out, "_nexctl");
    fprintf(out, "    local options=''\n    case $prev in\n");
    mentioned = 0;
    groups_each(&command_root, group_values, out);
    fprintf(
        out,
        "    esac\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n        ''");
    mentioned = 0;
    groups_each(&command_root, group_skips, out);
    fprintf(out,
            ")\n            [[ ${COMP_WORDS[i+1]} == '=' ]] && ((i++))\n            ((i++))\n            ;;\n"
            "        -*) ;;\n        *) words+=\" ${COMP_WORDS[i]}\" ;;\n        esac\n    done\n"
            "    word=''\n    case $words in\n");
    groups_each(&command_root, group_case, out);
    fprintf(out, "    esac\n    [[ $cur == -* ]] && word=$options\n"
                 "    COMPREPLY=($(compgen -W \"$word\" -- \"$cur\"))\n}\ncomplete -F _nexctl nexctl\n");
}
