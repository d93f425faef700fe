/* Command line flags from a table: one line of the table is all that a flag needs.
 *
 * A flag is written -name, --name, --name=VALUE or --name VALUE; its environment variable counts when the
 * flag is not on the command line and the variable is not empty; a configuration file where neither is. Every
 * error is one line that names the flag or variable, quotes the value safely and shows a right one. Nothing
 * is printed here. */
#ifndef NEXD_NEXD_FLAGS_H
#define NEXD_NEXD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLAG_ERROR_MAX = 512, FLAGS_MAX = 64 };

/* Where, relative to the command's name, a flag may stand. */
enum flag_place { FLAG_ANYWHERE, FLAG_BEFORE_COMMAND, FLAG_AFTER_COMMAND };

struct flag;

/* One value on its way into the result. */
struct flag_value {
    const struct flag *flag;
    const char *text;
    bool from_environment, from_file;
    void *result; /* the struct that flag->offset counts in */
    char *error;  /* FLAG_ERROR_MAX bytes */
};

/* Checks the value and stores it; NX_OK, NX_ENOMEM or what flag_fail() returns. */
typedef int (*flag_read_fn)(const struct flag_value *value);

struct flag {
    const char *name;
    const char *environment; /* variable, or NULL */
    enum flag_place place;
    bool
        is_list; /* the value is split at commas, and each part read on its own, without blanks at its ends */
    bool is_switch;    /* the value may be left out, and then is "true" */
    bool is_secret;    /* a configuration file names another file that holds it */
    bool is_only_flag; /* it has no meaning in a configuration file */
    flag_read_fn read;
    size_t offset;              /* of the target in the result */
    uint64_t min, max;          /* of a number; for a path, max is the size of the target in bytes */
    const char *const *choices; /* of a choice; ends with NULL */
    const char *argument;       /* what help calls the value, or NULL */
    const char *example;        /* a right value */
    const char *help;           /* lines are separated by '\n' */
    const char *group;          /* title under which help shows it; NULL = the first, without a title */
};

/* Readers, and the type of the target of each. */
int flag_read_path(const struct flag_value *value);   /* char[max]; not empty */
int flag_read_number(const struct flag_value *value); /* int64_t; decimal digits, min..max */
int flag_read_choice(
    const struct flag_value *value); /* unsigned or an enum: index in `choices`; in any case */
int flag_read_switch(const struct flag_value *value); /* bool: 1 t true 0 f false, in any of Go's cases */

/* The flag's place in the result. */
void *flag_target(const struct flag_value *value);
/* Writes `--NAME "VALUE": PROBLEM; example: --NAME EXAMPLE`; returns NX_EINVAL. */
int flag_fail(const struct flag_value *value, const char *problem);

struct flag_scan {
    const struct flag *flags;
    size_t count; /* at most FLAGS_MAX */
    void *result;
    char *error;
    uint64_t given;       /* bits by index: was on the command line */
    uint64_t environment; /* bits by index: was in the environment */
};

/* True for an argument that is written as a flag: a dash and more. */
bool flag_is_written(const char *argument);
/* True if the argument is the flag of that name, whatever its value. */
bool flag_is_named(const char *argument, const char *name);

/* Reads the flag at argv[*index], and its value there or in the next argument; *index then stands behind
 * both. */
int flag_scan_argument(struct flag_scan *scan, int argc, char **argv, int *index, bool after_command);
/* To be called after the last argument. */
int flag_scan_environment(struct flag_scan *scan, char **envp);

/* Was the flag given on the command line or in the environment? After flag_scan_environment(). */
bool flag_scan_has(const struct flag_scan *scan, size_t id);
/* A value of the flag at index `id`, from a configuration file. */
int flag_scan_file(struct flag_scan *scan, size_t id, const char *text);

/* Value of a variable in `envp` (which may be NULL), or NULL. */
const char *flag_environment_get(char **envp, const char *name);

#endif
