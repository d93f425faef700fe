/* The command line of nexctl: which command, with which options; and the help texts. No I/O but printing. */
#ifndef NEXD_NEXCTL_COMMAND_H
#define NEXD_NEXCTL_COMMAND_H

#include "nexctl/peers.h"

enum { EXIT_USAGE = 1, EXIT_UNKNOWN_COMMAND = 3, COMMAND_ERROR_MAX = 256 };

enum command_id {
    COMMAND_HELP = 0, /* print `help`, exit 0 */
    COMMAND_OWN_VERSION,
    COMMAND_VERSION,
    COMMAND_STATUS,
    COMMAND_GET_TUNNELIP,
    COMMAND_GET_DEBUG,
    COMMAND_SET_DEBUG_ON,
    COMMAND_SET_DEBUG_OFF,
    COMMAND_PROXY_LIST,
    COMMAND_PROXY_ADD,
    COMMAND_PROXY_REMOVE,
    COMMAND_PEERS_LIST,
    COMMAND_PEERS_PING,
    COMMAND_PEERS_PING6,
    COMMAND_FLOWS,
    COMMAND_RULES_STATS,
    COMMAND_TOP,
    COMMAND_DRAIN,
};

struct command_group;
struct command_entry;

/* Value of --ingress or --egress: rules, separated by commas. */
struct command_rule {
    bool ingress;
    const char *list;
};

struct command {
    enum command_id id;
    const struct command_group *help; /* the group whose help is wanted, or that an error is about, … */
    const struct command_entry *help_entry; /* … and the command in it, or NULL */
    enum output_form output;
    const char *unix_socket; /* NULL = default */
    bool ipv6;
    const char *limit;          /* `flows`; NULL = nexd's own */
    bool tcp;                   /* `flows` */
    bool kill_flows;            /* `proxy remove` */
    unsigned interval_s;        /* `top`; 0 = not given */
    unsigned wait_s;            /* `drain`: how long to wait for live flows to end; 0 = not at all */
    struct command_rule *rules; /* `proxy add` and `proxy remove`: at least one */
    size_t rule_count, rule_capacity;
};

/* NX_OK, or the exit status to end with (positive), and then `error` (COMMAND_ERROR_MAX bytes) holds one line
 * for standard error. */
int command_parse(int argc, char *const *argv, struct command *out, char *error);
/* Whatever command_parse() returned. */
void command_free(struct command *command);
/* What command_parse() filled in: help about the command or group that was named. */
void command_help(FILE *out, const struct command *command);

#endif
