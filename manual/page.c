/* man(7): text is escaped, so that a hyphen of a flag stays a hyphen that can be copied, and no line of help
 * becomes a request. */
#include "manual/manual.h"

#include "nexctl/command_table.h"
#include "nexd/options_table.h"

#include <string.h>

static void text_put(FILE *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '-')
            fputs("\\-", out);
        else if (*c == '\\')
            fputs("\\e", out);
        else if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n'))
            fprintf(out, "\\&%c", *c);
        else
            fputc(*c, out);
    }
}

/* -- nexd -- */

/* `conf`: as a configuration file has it. */
static void flag_put(FILE *out, const struct flag *flag, bool conf)
{
    fprintf(out, ".TP\n\\fB%s", conf ? "" : "\\-\\-");
    text_put(out, flag->name);
    if (conf && flag->is_secret)
        fprintf(out, "\\-file\\fR = \\fIPATH\\fR\n");
    else
        fprintf(out, "\\fR%s\\fI%s\\fR\n", flag->argument ? (conf ? " = " : " ") : "",
                flag->argument ? flag->argument : "");
    text_put(out, flag->help);
    fputs(".\n", out);
    if (flag->is_list)
        fputs("May be repeated, and may be a list with commas.\n", out);
    if (flag->environment)
        fprintf(out, "Variable:\n.BR %s .\n", flag->environment);
    if (flag->example && flag->argument) {
        fputs("Example:\n.BR \"", out);
        text_put(out, flag->example);
        fputs("\" .\n", out);
    }
}

static void flags_put(FILE *out, bool of_command)
{
    for (size_t i = 0; i < options_flag_count; i++)
        if ((options_flags[i].place == FLAG_AFTER_COMMAND) == of_command)
            flag_put(out, &options_flags[i], false);
}

static void global_flags_put(FILE *out)
{
    flags_put(out, false);
}

static void command_flags_put(FILE *out)
{
    flags_put(out, true);
}

/* A secret that a flag of its own names a file for: that one is enough. */
static bool has_file_flag(const struct flag *flag)
{
    char name[64];
    snprintf(name, sizeof name, "%s-file", flag->name);
    for (size_t i = 0; i < options_flag_count; i++)
        if (flag->is_secret && strcmp(options_flags[i].name, name) == 0)
            return true;
    return false;
}

static void names_put(FILE *out)
{
    for (size_t i = 0; i < options_flag_count; i++)
        if (!options_flags[i].is_only_flag && !has_file_flag(&options_flags[i]))
            flag_put(out, &options_flags[i], true);
}

static void nexd_commands_put(FILE *out)
{
    for (size_t i = 0; i < options_command_count; i++) {
        fprintf(out, ".TP\n.B %s\n", options_commands[i].name);
        text_put(out, options_commands[i].help);
        fputs(".\n", out);
    }
}

/* -- nexctl -- */

static void option_put(FILE *out, const struct command_option *option)
{
    fputs(".TP\n\\fB\\-\\-", out);
    text_put(out, option->name);
    if (option->letter)
        fprintf(out, "\\fR, \\fB\\-%s", option->letter);
    fprintf(out, "\\fR%s\\fI%s\\fR\n", option->argument ? " " : "", option->argument ? option->argument : "");
    text_put(out, option->help);
    fputs(".\n", out);
}

static void options_put(FILE *out, const struct command_option *options)
{
    for (; options && options->name; options++)
        option_put(out, options);
}

static void group_put(FILE *out, const struct command_group *group)
{
    for (const struct command_entry *entry = group->entries; entry->name; entry++) {
        if (entry->group) {
            group_put(out, entry->group);
            continue;
        }
        fprintf(out, ".SS %s %s\n", group->path, entry->name);
        text_put(out, entry->summary);
        fputs(".\n", out);
        options_put(out, entry->options);
    }
}

static void nexctl_commands_put(FILE *out)
{
    group_put(out, &command_root);
}

/* Options of the groups: the root's, and nexd's. */
static void group_options_put(FILE *out)
{
    options_put(out, command_root.options);
    for (const struct command_entry *entry = command_root.entries; entry->name; entry++)
        if (entry->group)
            options_put(out, entry->group->options);
}

/* -- Templates -- */

static const struct {
    const char *page, *name; /* `page`: a part of the template's file name */
    void (*put)(FILE *out);
} markers[] = {
    {"nexd.1", "@COMMANDS@", nexd_commands_put},         {"nexd.1", "@FLAGS@", global_flags_put},
    {"nexd.1", "@FLAGS_OF_COMMAND@", command_flags_put}, {"nexd.conf.5", "@NAMES@", names_put},
    {"nexctl.1", "@COMMANDS@", nexctl_commands_put},     {"nexctl.1", "@OPTIONS@", group_options_put},
};

static int line_put(FILE *out, const char *line, const char *template_path)
{
    static const char version[] = "@VERSION@";
    const char *at = strstr(line, version);
    if (at) {
        fprintf(out, "%.*s%s%s\n", (int)(at - line), line, NEXD_VERSION, at + sizeof version - 1);
        return 0;
    }
    if (line[0] != '@') {
        fprintf(out, "%s\n", line);
        return 0;
    }
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        if (strcmp(line, markers[i].name) == 0 && strstr(template_path, markers[i].page)) {
            markers[i].put(out);
            return 0;
        }
    }
    fprintf(stderr, "%s: unknown marker %s\n", template_path, line);
    return -1;
}

int page_print(FILE *out, const char *template_path)
{
    char line[512];
    int err = 0;
    FILE *in = fopen(template_path, "re");
    if (!in) {
        perror(template_path);
        return -1;
    }
    fputs(".\\\" Made from the tables of the programs when they are built: not to be edited.\n", out);
    while (!err && fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        err = line_put(out, line, template_path);
    }
    fclose(in);
    return err;
}
