/* The commands form a tree: groups with commands and groups in them. Options stand anywhere after the group
 * that they belong to, as -x, --x, --x=v or --x v. A group named alone asks for its help. */
#include "nexctl/command.h"

#include "common/array.h"
#include "common/err.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const char *name, *summary;
    enum command_id id;
    const struct command_group *group; /* or NULL: a command */
};

struct command_group {
    const char *path, *summary;
    const struct entry *entries; /* ends with {NULL} */
};

static const struct entry set_debug_entries[] = {
    {"on", "Turn debug logging on", COMMAND_SET_DEBUG_ON, NULL},
    {"off", "Turn debug logging off", COMMAND_SET_DEBUG_OFF, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct command_group set_debug = {"nexctl nexd set debug", "Set debug logging on or off",
                                               set_debug_entries};
static const struct entry get_entries[] = {
    {"tunnelip", "Show the tunnel address (--ipv6, -6: the IPv6 one)", COMMAND_GET_TUNNELIP, NULL},
    {"debug", "Show whether debug logging is on", COMMAND_GET_DEBUG, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct command_group get = {"nexctl nexd get", "Get a value from the local nexd", get_entries};
static const struct entry set_entries[] = {
    {"debug", "Set debug logging on or off", COMMAND_HELP, &set_debug},
    {NULL, NULL, 0, NULL},
};
static const struct command_group set = {"nexctl nexd set", "Set a value in the local nexd", set_entries};
static const struct entry proxy_entries[] = {
    {"list", "List the proxy rules in force", COMMAND_PROXY_LIST, NULL},
    {"add", "Add rules (--ingress RULE, --egress RULE, both repeatable)", COMMAND_PROXY_ADD, NULL},
    {"remove", "Remove rules that were added (same flags; --kill-flows: end their live flows)",
     COMMAND_PROXY_REMOVE, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct command_group proxy = {"nexctl nexd proxy", "Proxy rules of the local nexd",
                                           proxy_entries};
static const struct entry peers_entries[] = {
    {"list", "List the peers of the tunnel (--full, -f is accepted)", COMMAND_PEERS_LIST, NULL},
    {"ping", "Ping the peers' IPv4 addresses through the tunnel", COMMAND_PEERS_PING, NULL},
    {"ping6", "Ping the peers' IPv6 addresses through the tunnel", COMMAND_PEERS_PING6, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct command_group peers = {"nexctl nexd peers", "Peers of the local nexd", peers_entries};
static const struct entry rules_entries[] = {
    {"stats", "Show flows, bytes and errors of each rule", COMMAND_RULES_STATS, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct command_group rules = {"nexctl nexd rules", "What became of the rules' flows",
                                           rules_entries};
static const struct entry nexd_entries[] = {
    {"version", "Show the versions of nexctl and nexd", COMMAND_VERSION, NULL},
    {"status", "Show the status of the local nexd", COMMAND_STATUS, NULL},
    {"get", "Get a value from the local nexd", COMMAND_HELP, &get},
    {"set", "Set a value in the local nexd", COMMAND_HELP, &set},
    {"proxy", "Proxy rules of the local nexd", COMMAND_HELP, &proxy},
    {"rules", "What became of the rules' flows", COMMAND_HELP, &rules},
    {"flows", "List live flows (--limit N, 1000 if not given)", COMMAND_FLOWS, NULL},
    {"peers", "Peers of the local nexd", COMMAND_HELP, &peers},
    {"top", "Throughput by rule and peer, refreshed (--interval SECONDS, 1 if not given)", COMMAND_TOP, NULL},
    {"drain", "Accept no new flows (--wait SECONDS: until live ones have ended)", COMMAND_DRAIN, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct command_group nexd = {"nexctl nexd", "Talk to the local nexd (--unix-socket PATH)",
                                          nexd_entries};
static const struct entry root_entries[] = {
    {"nexd", "Talk to the local nexd", COMMAND_HELP, &nexd},
    {NULL, NULL, 0, NULL},
};
static const struct command_group root = {
    "nexctl", "Operate nexd (--output column|no-header|json|json-raw|yaml)", root_entries};

void command_help(FILE *out, const struct command_group *group)
{
    fprintf(out, "NAME:\n   %s - %s\n\nUSAGE:\n   %s [options] COMMAND\n\nCOMMANDS:\n", group->path,
            group->summary, group->path);
    for (const struct entry *entry = group->entries; entry->name; entry++)
        fprintf(out, "   %-10s %s\n", entry->name, entry->summary);
    fputs("   help, h    Show this help\n\nOPTIONS:\n   --help, -h  Show help\n", out);
}

/* An option's name without its dashes, and the length of it. */
struct option_text {
    const char *name, *value; /* value: after '=', or NULL */
    size_t length;
};

static bool option_split(const char *argument, struct option_text *out)
{
    if (argument[0] != '-' || argument[1] == '\0')
        return false;
    out->name = argument + (argument[1] == '-' ? 2 : 1);
    out->length = strcspn(out->name, "=");
    out->value = out->name[out->length] ? out->name + out->length + 1 : NULL;
    return true;
}

static bool option_is(const struct option_text *option, const char *name)
{
    return option->length == strlen(name) && memcmp(option->name, name, option->length) == 0;
}

static int output_parse(const char *text, enum output_form *out, char *error)
{
    static const char *const names[] = {"column", "no-header", "json", "json-raw", "yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum output_form)i;
            return NX_OK;
        }
    }
    snprintf(error, COMMAND_ERROR_MAX, "unknown --output option: %.100s", text);
    return EXIT_USAGE;
}

/* The state of reading a command line. */
struct reader {
    int argc, at;
    char *const *argv;
    const struct command_group *group;
    const struct entry *command;
    bool help;
    struct command *out;
    char *error;
};

static int option_value(struct reader *r, const struct option_text *option, const char **value)
{
    *value = option->value;
    if (!*value && r->at < r->argc)
        *value = r->argv[r->at++];
    if (*value)
        return NX_OK;
    snprintf(r->error, COMMAND_ERROR_MAX, "Incorrect Usage: flag needs an argument: --%.*s",
             (int)option->length, option->name);
    return EXIT_USAGE;
}

/* From 1 to `max`. */
static int seconds_read(struct reader *r, const struct option_text *option, unsigned max, unsigned *out)
{
    const char *value;
    uint64_t number;
    int err = option_value(r, option, &value);
    if (err)
        return err;
    if (text_to_u64(value, strlen(value), 1, max, &number)) {
        snprintf(r->error, COMMAND_ERROR_MAX,
                 "Incorrect Usage: invalid value \"%.64s\" for flag --%.*s: from 1 to %u seconds", value,
                 (int)option->length, option->name, max);
        return EXIT_USAGE;
    }
    *out = (unsigned)number;
    return NX_OK;
}

static int rule_option_read(struct reader *r, const struct option_text *option, bool ingress)
{
    const char *value;
    struct command *out = r->out;
    int err = option_value(r, option, &value);
    if (err)
        return err;
    struct command_rule *grown =
        array_reserve(out->rules, &out->rule_capacity, out->rule_count + 1, sizeof *grown);
    if (!grown) {
        snprintf(r->error, COMMAND_ERROR_MAX, "out of memory");
        return EXIT_USAGE;
    }
    out->rules = grown;
    out->rules[out->rule_count++] = (struct command_rule){.ingress = ingress, .list = value};
    return NX_OK;
}

static int option_read(struct reader *r, const struct option_text *option)
{
    const char *value;
    enum command_id id = r->command ? r->command->id : COMMAND_HELP;
    if (option_is(option, "help") || option_is(option, "h")) {
        r->help = true;
        return NX_OK;
    }
    if (option_is(option, "output")) {
        int err = option_value(r, option, &value);
        return err ? err : output_parse(value, &r->out->output, r->error);
    }
    if (option_is(option, "unix-socket") && r->group != &root)
        return option_value(r, option, &r->out->unix_socket);
    if (id == COMMAND_FLOWS && option_is(option, "limit"))
        return option_value(r, option, &r->out->limit);
    if (id == COMMAND_TOP && option_is(option, "interval"))
        return seconds_read(r, option, 3600, &r->out->interval_s);
    if (id == COMMAND_DRAIN && option_is(option, "wait"))
        return seconds_read(r, option, 86400, &r->out->wait_s);
    if (id == COMMAND_PROXY_REMOVE && option_is(option, "kill-flows") && !option->value) {
        r->out->kill_flows = true;
        return NX_OK;
    }
    bool is_ingress = option_is(option, "ingress");
    if ((id == COMMAND_PROXY_ADD || id == COMMAND_PROXY_REMOVE) &&
        (is_ingress || option_is(option, "egress")))
        return rule_option_read(r, option, is_ingress);
    bool is_ipv6 = id == COMMAND_GET_TUNNELIP && (option_is(option, "ipv6") || option_is(option, "6"));
    bool is_full = id == COMMAND_PEERS_LIST && (option_is(option, "full") || option_is(option, "f"));
    if ((is_ipv6 || is_full) && !option->value) {
        r->out->ipv6 = r->out->ipv6 || is_ipv6;
        return NX_OK;
    }
    snprintf(r->error, COMMAND_ERROR_MAX, "Incorrect Usage: flag provided but not defined: -%.*s",
             (int)(option->length < 100 ? option->length : 100), option->name);
    return EXIT_USAGE;
}

static int word_read(struct reader *r, const char *word)
{
    if (r->command) {
        snprintf(r->error, COMMAND_ERROR_MAX, "Incorrect Usage: \"%.100s\" takes no argument (\"%.100s\")",
                 r->command->name, word);
        return EXIT_USAGE;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0) {
        r->help = true;
        return NX_OK;
    }
    for (const struct entry *entry = r->group->entries; entry->name; entry++) {
        if (strcmp(entry->name, word) != 0)
            continue;
        if (entry->group)
            r->group = entry->group;
        else
            r->command = entry;
        return NX_OK;
    }
    snprintf(r->error, COMMAND_ERROR_MAX, "No help topic for '%.100s'", word);
    return EXIT_UNKNOWN_COMMAND;
}

int command_parse(int argc, char *const *argv, struct command *out, char *error)
{
    *out = (struct command){.help = &root};
    struct reader r = {.argc = argc, .at = 1, .argv = argv, .group = &root, .out = out, .error = error};
    int err = NX_OK;
    while (!err && r.at < argc) {
        struct option_text option;
        const char *argument = argv[r.at++];
        err = option_split(argument, &option) ? option_read(&r, &option) : word_read(&r, argument);
    }
    out->help = r.group;
    out->id = r.help || !r.command ? COMMAND_HELP : r.command->id;
    if (!err && (out->id == COMMAND_PROXY_ADD || out->id == COMMAND_PROXY_REMOVE) && out->rule_count == 0) {
        snprintf(error, COMMAND_ERROR_MAX, "No rules provided");
        err = EXIT_USAGE;
    }
    return err;
}

void command_free(struct command *command)
{
    free(command->rules);
    *command = (struct command){0};
}
