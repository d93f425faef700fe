/* What the completions of the three shells have in common. */
#ifndef NEXD_MANUAL_COMPLETION_H
#define NEXD_MANUAL_COMPLETION_H

#include "nexctl/command_table.h"
#include "nexd/options_table.h"

#include <stdbool.h>

/* What a value is: one of `choices`, a file or folder, or anything. */
bool argument_is_path(const char *argument);
/* A text between single quotes of a POSIX shell or of fish, which escape a quote in their own ways. */
void posix_quote(FILE *out, const char *text);
void fish_quote(FILE *out, const char *text);

/* Calls `visit` for a group and all groups in it. */
void groups_each(const struct command_group *group,
                 void (*visit)(FILE *out, const struct command_group *group), FILE *out);
/* The words behind "nexctl": "nexd proxy"; "" for the root. */
const char *group_words(const struct command_group *group);

#endif
