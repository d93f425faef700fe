/* The tables of flags and commands, shared by options.c and options_usage.c. */
#ifndef NEXD_NEXD_OPTIONS_TABLE_H
#define NEXD_NEXD_OPTIONS_TABLE_H

#include "nexd/flags.h"
#include "nexd/options.h"

extern const struct flag options_flags[];
extern const size_t options_flag_count;

struct options_command_name {
    const char *name;
    enum options_command command;
    const char *help;
};
extern const struct options_command_name options_commands[];
extern const size_t options_command_count;

/* What the flags are read into: the result, and what only parsing needs. */
struct options_draft {
    struct options options;
    size_t rule_capacity;
};

#endif
