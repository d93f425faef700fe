/* See completion.h. */
#include "manual/completion.h"

#include <string.h>

bool argument_is_path(const char *argument)
{
    static const char *const paths[] = {"FILE", "PATH", "DIR"};
    for (size_t i = 0; argument && i < sizeof paths / sizeof *paths; i++)
        if (strcmp(argument, paths[i]) == 0)
            return true;
    return false;
}

void posix_quote(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
    }
    fputc('\'', out);
}

void fish_quote(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
    fputc('\'', out);
}

void groups_each(const struct command_group *group,
                 void (*visit)(FILE *out, const struct command_group *group), FILE *out)
{
    visit(out, group);
    for (const struct command_entry *entry = group->entries; entry->name; entry++)
        if (entry->group)
            groups_each(entry->group, visit, out);
}

const char *group_words(const struct command_group *group)
{
    const char *blank = strchr(group->path, ' ');
    return blank ? blank + 1 : "";
}
