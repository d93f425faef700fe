/* Command lines of administration: which command, with what. apid/admin only. */
#ifndef NEXD_APID_ADMIN_COMMAND_H
#define NEXD_APID_ADMIN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { ADMIN_ERROR_MAX = 1536, ADMIN_RULES_MAX = 64 };

/* A flag means the same wherever it may stand. */
enum admin_flag {
    ADMIN_DATA = 0,
    ADMIN_OUTPUT,
    ADMIN_HELP,
    ADMIN_USER,
    ADMIN_VPC,
    ADMIN_SECURITY_GROUP,
    ADMIN_PASSWORD_FILE,
    ADMIN_SINGLE_USE,
    ADMIN_EXPIRES,
    ADMIN_DESCRIPTION,
    ADMIN_PRIVATE,
    ADMIN_IPV4_CIDR,
    ADMIN_IPV6_CIDR,
    ADMIN_INBOUND,
    ADMIN_OUTBOUND,
    ADMIN_NO_INBOUND,
    ADMIN_NO_OUTBOUND,
    ADMIN_RULES,
    ADMIN_FLAGS
};
#define ADMIN_BIT(flag) (1u << (flag))

struct admin_flag_entry {
    const char *name;     /* without dashes */
    const char *argument; /* what its value is called in help texts; NULL: it has none */
    const char *help;
};

struct admin;

struct admin_command {
    const char *group, *verb; /* "user", "add"; group NULL ends the table */
    const char *operand;      /* what its one word is called ("ID"); NULL: it takes none */
    const char *summary;
    uint32_t flags, needed; /* ADMIN_BIT()s beside those that every command has; the second of the first */
    bool makes_database;    /* where there is none yet */
    int (*run)(struct admin *admin); /* an enum nx_err; told by admin_fail*() */
};

/* What was written. Texts belong to argv. */
struct admin_arguments {
    const struct admin_command *command; /* NULL: help about `group`, or about everything */
    const char *group;
    const char *operand;
    const char *values[ADMIN_FLAGS]; /* NULL: not given; "" where it has no value */
    bool help, json;
    unsigned inbound_count, outbound_count;
    const char *inbound[ADMIN_RULES_MAX], *outbound[ADMIN_RULES_MAX];
};

extern const struct admin_flag_entry admin_flags[ADMIN_FLAGS];
extern const struct admin_command admin_commands[];

/* NX_EINVAL: `error` (ADMIN_ERROR_MAX bytes) is one line that names what is wrong and what would be right. */
int admin_parse(int argc, char *const *argv, struct admin_arguments *out, char *error);
/* Help about what was named: a command, a group, or everything. */
void admin_help(FILE *out, const struct admin_arguments *arguments);

#endif
