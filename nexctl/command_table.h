/* nexctl's commands and options as data: what the parser, the help, the manual page and the shell completions
 * are made of. */
#ifndef NEXD_NEXCTL_COMMAND_TABLE_H
#define NEXD_NEXCTL_COMMAND_TABLE_H

#include "nexctl/command.h"

enum command_option_id {
    OPTION_HELP = 0,
    OPTION_OUTPUT,
    OPTION_UNIX_SOCKET,
    OPTION_IPV6,
    OPTION_FULL,
    OPTION_INGRESS,
    OPTION_EGRESS,
    OPTION_KILL_FLOWS,
    OPTION_LIMIT,
    OPTION_TCP,
    OPTION_INTERVAL,
    OPTION_WAIT,
};

struct command_option {
    enum command_option_id id;
    const char *name;           /* without dashes; NULL ends a list */
    const char *letter;         /* "6": also written -6; or NULL */
    const char *argument;       /* what its value is called; NULL: it has none */
    const char *const *choices; /* or NULL; ends with NULL */
    const char *help;
    unsigned max; /* of a number of seconds */
};

struct command_entry {
    const char *name, *summary; /* name NULL ends a list */
    enum command_id id;
    const struct command_group *group;    /* or NULL: a command */
    const struct command_option *options; /* of a command; or NULL */
};

/* Options of a group may stand before or after the words of what is in it. */
struct command_group {
    const char *path, *summary;
    const struct command_entry *entries;
    const struct command_option *options; /* or NULL */
    const struct command_group *parent;   /* NULL: the root */
};

extern const struct command_group command_root;
extern const char *const command_output_names[]; /* by enum output_form; ends with NULL */

#endif
