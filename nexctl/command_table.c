/* A line for each command and each option. A new command needs a line here and a case in main.c; a new
 * option a line here and a case in command.c. */
#include "nexctl/command_table.h"

const char *const command_output_names[] = {"column", "no-header", "json", "json-raw", "yaml", NULL};

static const struct command_group nexd, get, set, set_debug, proxy, peers, rules;

static const struct command_entry set_debug_entries[] = {
    {.name = "on", .summary = "Turn debug logging on", .id = COMMAND_SET_DEBUG_ON},
    {.name = "off", .summary = "Turn debug logging off", .id = COMMAND_SET_DEBUG_OFF},
    {.name = NULL},
};
static const struct command_group set_debug = {"nexctl nexd set debug", "Set debug logging on or off",
                                               set_debug_entries, NULL, &set};

static const struct command_entry set_entries[] = {
    {.name = "debug", .summary = "Set debug logging on or off", .group = &set_debug},
    {.name = NULL},
};
static const struct command_group set = {"nexctl nexd set", "Set a value in the local nexd", set_entries,
                                         NULL, &nexd};

static const struct command_option tunnelip_options[] = {
    {.id = OPTION_IPV6, .name = "ipv6", .letter = "6", .help = "Show the IPv6 address"},
    {.name = NULL},
};
static const struct command_entry get_entries[] = {
    {.name = "tunnelip",
     .summary = "Show the tunnel address",
     .id = COMMAND_GET_TUNNELIP,
     .options = tunnelip_options},
    {.name = "debug", .summary = "Show whether debug logging is on", .id = COMMAND_GET_DEBUG},
    {.name = NULL},
};
static const struct command_group get = {"nexctl nexd get", "Get a value from the local nexd", get_entries,
                                         NULL, &nexd};

#define RULE_OPTIONS                                                                                         \
    {.id = OPTION_INGRESS,                                                                                   \
     .name = "ingress",                                                                                      \
     .argument = "RULE",                                                                                     \
     .help = "What peers send to a port of the tunnel's addresses goes to a host; repeatable, and a list "   \
             "with commas"},                                                                                 \
    {                                                                                                        \
        .id = OPTION_EGRESS, .name = "egress", .argument = "RULE",                                           \
        .help = "What local programs send to a port of this host goes into the mesh; repeatable, and a "     \
                "list with commas"                                                                           \
    }
static const struct command_option add_options[] = {RULE_OPTIONS, {.name = NULL}};
static const struct command_option remove_options[] = {
    RULE_OPTIONS,
    {.id = OPTION_KILL_FLOWS, .name = "kill-flows", .help = "End the rules' live flows too"},
    {.name = NULL},
};
static const struct command_entry proxy_entries[] = {
    {.name = "list", .summary = "List the proxy rules in force", .id = COMMAND_PROXY_LIST},
    {.name = "add", .summary = "Add rules", .id = COMMAND_PROXY_ADD, .options = add_options},
    {.name = "remove",
     .summary = "Remove rules that were added",
     .id = COMMAND_PROXY_REMOVE,
     .options = remove_options},
    {.name = NULL},
};
static const struct command_group proxy = {"nexctl nexd proxy", "Proxy rules of the local nexd",
                                           proxy_entries, NULL, &nexd};

static const struct command_option list_options[] = {
    {.id = OPTION_FULL, .name = "full", .letter = "f", .help = "Accepted for the Nexodus client's sake"},
    {.name = NULL},
};
static const struct command_entry peers_entries[] = {
    {.name = "list",
     .summary = "List the peers of the tunnel",
     .id = COMMAND_PEERS_LIST,
     .options = list_options},
    {.name = "ping",
     .summary = "Ping the peers' IPv4 addresses through the tunnel",
     .id = COMMAND_PEERS_PING},
    {.name = "ping6",
     .summary = "Ping the peers' IPv6 addresses through the tunnel",
     .id = COMMAND_PEERS_PING6},
    {.name = NULL},
};
static const struct command_group peers = {"nexctl nexd peers", "Peers of the local nexd", peers_entries,
                                           NULL, &nexd};

static const struct command_entry rules_entries[] = {
    {.name = "stats", .summary = "Show flows, bytes and errors of each rule", .id = COMMAND_RULES_STATS},
    {.name = NULL},
};
static const struct command_group rules = {"nexctl nexd rules", "What became of the rules' flows",
                                           rules_entries, NULL, &nexd};

static const struct command_option flows_options[] = {
    {.id = OPTION_LIMIT,
     .name = "limit",
     .argument = "N",
     .help = "List at most so many, up to 20000 (1000)"},
    {.id = OPTION_TCP,
     .name = "tcp",
     .letter = "t",
     .help = "TCP towards the peer: congestion control, round trip, window, rates, retransmissions"},
    {.name = NULL},
};
static const struct command_option top_options[] = {
    {.id = OPTION_INTERVAL,
     .name = "interval",
     .argument = "SECONDS",
     .max = 3600,
     .help = "Time between two samples (1)"},
    {.name = NULL},
};
static const struct command_option drain_options[] = {
    {.id = OPTION_WAIT,
     .name = "wait",
     .argument = "SECONDS",
     .max = 86400,
     .help = "Wait as long for live flows to end; exit status 1 if some still live then"},
    {.name = NULL},
};
static const struct command_entry nexd_entries[] = {
    {.name = "version", .summary = "Show the versions of nexctl and nexd", .id = COMMAND_VERSION},
    {.name = "status", .summary = "Show the status of the local nexd", .id = COMMAND_STATUS},
    {.name = "get", .summary = "Get a value from the local nexd", .group = &get},
    {.name = "set", .summary = "Set a value in the local nexd", .group = &set},
    {.name = "proxy", .summary = "Proxy rules of the local nexd", .group = &proxy},
    {.name = "rules", .summary = "What became of the rules' flows", .group = &rules},
    {.name = "flows", .summary = "List live flows", .id = COMMAND_FLOWS, .options = flows_options},
    {.name = "peers", .summary = "Peers of the local nexd", .group = &peers},
    {.name = "top",
     .summary = "Show throughput by rule and peer, refreshed on a terminal",
     .id = COMMAND_TOP,
     .options = top_options},
    {.name = "drain",
     .summary = "Accept no new flows; live ones go on",
     .id = COMMAND_DRAIN,
     .options = drain_options},
    {.name = NULL},
};
static const struct command_option nexd_options[] = {
    {.id = OPTION_UNIX_SOCKET,
     .name = "unix-socket",
     .argument = "PATH",
     .help = "Control socket of nexd ($HOME/.nexodus/nexd.sock if it is there, else /var/run/nexd.sock)"},
    {.name = NULL},
};
static const struct command_group nexd = {"nexctl nexd", "Talk to the local nexd", nexd_entries, nexd_options,
                                          &command_root};

static const struct command_entry root_entries[] = {
    {.name = "version", .summary = "Show the version of nexctl", .id = COMMAND_OWN_VERSION},
    {.name = "nexd", .summary = "Talk to the local nexd", .group = &nexd},
    {.name = NULL},
};
static const struct command_option root_options[] = {
    {.id = OPTION_OUTPUT,
     .name = "output",
     .argument = "FORM",
     .choices = command_output_names,
     .help = "How lists are printed: column (default), no-header, json, json-raw or yaml"},
    {.id = OPTION_HELP, .name = "help", .letter = "h", .help = "Show help"},
    {.name = NULL},
};
const struct command_group command_root = {"nexctl", "Operate nexd", root_entries, root_options, NULL};
