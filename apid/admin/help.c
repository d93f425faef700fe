/* Help texts, made of the tables. */
#include "apid/admin/command.h"

#include <string.h>

static void flags_print(FILE *out, uint32_t flags, uint32_t needed)
{
    char written[64];
    for (unsigned i = 0; i < ADMIN_FLAGS; i++) {
        const struct admin_flag_entry *flag = &admin_flags[i];
        if (!(flags & ADMIN_BIT(i)))
            continue;
        snprintf(written, sizeof written, "--%s%s%s", flag->name, flag->argument ? " " : "",
                 flag->argument ? flag->argument : "");
        fprintf(out, "  %-23s %s%s\n", written, flag->help, needed & ADMIN_BIT(i) ? " (needed)" : "");
    }
}

static void command_line(FILE *out, const struct admin_command *command)
{
    char written[64];
    snprintf(written, sizeof written, "%s %s%s%s", command->group, command->verb, command->operand ? " " : "",
             command->operand ? command->operand : "");
    fprintf(out, "  %-23s %s\n", written, command->summary);
}

static void general_flags(FILE *out)
{
    fputs("\nWith every command:\n", out);
    flags_print(out, ADMIN_BIT(ADMIN_DATA) | ADMIN_BIT(ADMIN_OUTPUT) | ADMIN_BIT(ADMIN_HELP),
                ADMIN_BIT(ADMIN_DATA));
}

static void command_help(FILE *out, const struct admin_command *command)
{
    fprintf(out, "apid --data DIR %s %s%s%s%s - %s\n", command->group, command->verb,
            command->operand ? " " : "", command->operand ? command->operand : "",
            command->flags ? " [flags]" : "", command->summary);
    if (command->flags) {
        fputs("\nFlags:\n", out);
        flags_print(out, command->flags, command->needed);
    }
    general_flags(out);
}

void admin_help(FILE *out, const struct admin_arguments *arguments)
{
    if (arguments->command) {
        command_help(out, arguments->command);
        return;
    }
    fprintf(out,
            "apid --data DIR %s COMMAND [flags] - administers a control plane, whether it runs or not\n\n"
            "Commands:\n",
            arguments->group ? arguments->group : "GROUP");
    for (const struct admin_command *of = admin_commands; of->group; of++)
        if (!arguments->group || strcmp(arguments->group, of->group) == 0)
            command_line(out, of);
    general_flags(out);
    fprintf(out, "\n\"apid %s COMMAND --help\" tells a command's flags.\n",
            arguments->group ? arguments->group : "GROUP");
}
