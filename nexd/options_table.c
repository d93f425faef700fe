/* A line for each flag. A new flag needs a line here and a field in struct options. */
#include "nexd/options_table.h"

#include "common/array.h"
#include "common/err.h"
#include "nexd/group.h"

#include <stdio.h>
#include <string.h>

#define TARGET(field) offsetof(struct options_draft, options.field)

static const char *const log_levels[] = {"debug", "info", "warn", "error", "fatal", NULL};
static const char *const log_formats[] = {[LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};
static const char *const sandbox_modes[] = {
    [SANDBOX_STRICT] = "strict", [SANDBOX_BEST_EFFORT] = "best-effort", NULL};
_Static_assert(sizeof(enum sandbox_mode) == sizeof(unsigned) && sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum log_format) == sizeof(unsigned),
               "flag_read_choice() writes an unsigned");

/* The variable takes what the flag refuses: any other text means debug, as scripts for Nexodus expect. */
static int read_log_level(const struct flag_value *value)
{
    enum log_level level = LOG_LEVEL_DEBUG;
    if (!value->from_environment)
        return flag_read_choice(value);
    log_level_parse(value->text, &level);
    memcpy(flag_target(value), &level, sizeof(level));
    return NX_OK;
}

static int read_rule(const struct flag_value *value)
{
    struct options_draft *const draft = value->result;
    struct options *const options = &draft->options;
    const bool ingress = strcmp(value->flag->name, "ingress") == 0;
    char error[RULE_ERROR_MAX];
    struct rule rule;
    if (rule_parse(ingress ? RULE_INGRESS : RULE_EGRESS, value->text, &rule, error) != NX_OK) {
        snprintf(value->error, FLAG_ERROR_MAX, "%s", error);
        return NX_EINVAL;
    }
    struct rule *const rules =
        array_reserve(options->rules, &draft->rule_capacity, options->rule_count + 1, sizeof(*rules));
    if (rules == NULL) {
        snprintf(value->error, FLAG_ERROR_MAX, "out of memory");
        return NX_ENOMEM;
    }
    options->rules = rules;
    rules[options->rule_count++] = rule;
    return NX_OK;
}

static int read_unix_socket(const struct flag_value *value)
{
    ((struct options_draft *)value->result)->options.unix_socket_given = true;
    return flag_read_path(value);
}

static int read_state_dir(const struct flag_value *value)
{
    ((struct options_draft *)value->result)->options.state_dir_given = true;
    return flag_read_path(value);
}

static int read_address(const struct flag_value *value)
{
    int err = netsock_parse(value->text, flag_target(value));
    return err == NX_OK ? NX_OK : flag_fail(value, "must be an address and a port, IPv6 in brackets");
}

static int read_group(const struct flag_value *value)
{
    int err = group_find("/etc/group", value->text, flag_target(value));
    return err == NX_OK
               ? NX_OK
               : flag_fail(value, err == NX_ENOENT ? "there is no such group" : "/etc/group cannot be read");
}

/* It goes to terminals and into comparisons. */
static int read_report_version(const struct flag_value *value)
{
    for (const char *c = value->text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return flag_fail(value, "must be printable ASCII without blanks");
    return flag_read_path(value);
}

const struct flag options_flags[] = {
    {.name = "ingress",
     .place = FLAG_AFTER_COMMAND,
     .is_list = true,
     .read = read_rule,
     .argument = "RULE",
     .example = "tcp:8080:127.0.0.1:80",
     .help = "Forward what peers send to a port of this device's tunnel\naddress to a destination reachable "
             "from this host"},
    {.name = "egress",
     .place = FLAG_AFTER_COMMAND,
     .is_list = true,
     .read = read_rule,
     .argument = "RULE",
     .example = "tcp:8443:100.64.0.7:443",
     .help = "Forward what local programs send to a port of this host\nto a destination in the mesh"},
    {.name = "config",
     .environment = "NEXD_CONFIG",
     .is_only_flag = true,
     .read = flag_read_path,
     .offset = TARGET(config_file),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/nexd/nexd.conf",
     .help = "Configuration file: lines \"name = value\" with the names of\nthese flags; flags and variables "
             "count before it"},
    {.name = "wireguard-config",
     .environment = "NEXD_WIREGUARD_CONFIG",
     .read = flag_read_path,
     .offset = TARGET(wireguard_config),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/wireguard/wg0.conf",
     .help = "WireGuard configuration of this device and its peers"},
    {.name = "listen-port",
     .environment = "NEXD_LISTEN_PORT",
     .read = flag_read_number,
     .offset = TARGET(listen_port),
     .max = UINT16_MAX,
     .argument = "PORT",
     .example = "51820",
     .help = "UDP port of the tunnel, in place of the configuration's\nListenPort; 0 lets the system choose"},
    {.name = "unix-socket",
     .place = FLAG_BEFORE_COMMAND,
     .read = read_unix_socket,
     .offset = TARGET(unix_socket),
     .max = OPTIONS_SOCKET_MAX,
     .argument = "PATH",
     .example = "/run/nexd.sock",
     .help = "Control socket (root: /var/run/nexd.sock, others:\n$HOME/.nexodus/nexd.sock); must stand "
             "before the command"},
    {.name = "unix-socket-group",
     .environment = "NEXD_UNIX_SOCKET_GROUP",
     .read = read_group,
     .offset = TARGET(unix_socket_group),
     .argument = "GROUP",
     .example = "nexd",
     .help =
         "Group whose members may use the control socket too: a name\nof /etc/group or a number (nobody but "
         "the owner may)"},
    {.name = "state-dir",
     .environment = "NEXD_STATE_DIR",
     .read = read_state_dir,
     .offset = TARGET(state_dir),
     .max = PATH_MAX,
     .argument = "DIR",
     .example = "/var/lib/nexd",
     .help = "Folder for what must survive a restart (root:\n/var/lib/nexd, others: $HOME/.nexodus)"},
    {.name = "metrics-listen",
     .environment = "NEXD_METRICS_LISTEN",
     .read = read_address,
     .offset = TARGET(metrics_listen),
     .argument = "ADDRESS:PORT",
     .example = "127.0.0.1:9586",
     .help = "Serve Prometheus metrics, /healthz and /readyz over HTTP\nat this address of the host"},
    {.name = "report-version",
     .environment = "NEXD_REPORT_VERSION",
     .read = read_report_version,
     .offset = TARGET(report_version),
     .max = OPTIONS_VERSION_MAX,
     .argument = "VERSION",
     .example = "dev",
     .help = "Version to report on the control socket, for clients that\ninsist on their own (the Nexodus "
             "client does)"},
    {.name = "sandbox",
     .environment = "NEXD_SANDBOX",
     .read = flag_read_choice,
     .offset = TARGET(sandbox),
     .choices = sandbox_modes,
     .argument = "MODE",
     .example = "best-effort",
     .help = "strict (default): refuse to run where a layer of the\nsandbox is missing; best-effort: warn "
             "and go on"},
    {.name = "child-uids",
     .environment = "NEXD_CHILD_UIDS",
     .read = flag_read_number,
     .offset = TARGET(child_uids),
     .min = 1,
     .max = UINT32_MAX - 3,
     .argument = "UID",
     .example = "65521",
     .help =
         "Started as root: the first of the three user and group\nnumbers that the children run as (65521)"},
    {.name = "log-level",
     .environment = "NEXD_LOGLEVEL",
     .read = read_log_level,
     .offset = TARGET(log_level),
     .choices = log_levels,
     .argument = "LEVEL",
     .example = "info",
     .help = "debug, info (default), warn, error or fatal; a variable\nthat holds anything else means debug"},
    {.name = "log-format",
     .environment = "NEXD_LOG_FORMAT",
     .read = flag_read_choice,
     .offset = TARGET(log_format),
     .choices = log_formats,
     .argument = "FORMAT",
     .example = "json",
     .help = "text (default), or json: one object a line, as the\nNexodus agent logs"},
};
const size_t options_flag_count = sizeof(options_flags) / sizeof(options_flags[0]);
_Static_assert(sizeof(options_flags) / sizeof(options_flags[0]) <= FLAGS_MAX,
               "struct flag_scan counts in 64 bits");

const struct options_command_name options_commands[] = {
    {"proxy", OPTIONS_PROXY, "carry TCP and UDP services across the mesh by rules"},
    {"check", OPTIONS_CHECK, "say what is wrong with the configuration, and what proxy would do"},
    {"version", OPTIONS_VERSION, "print the version"},
    {"help", OPTIONS_HELP, "explain nexd or one of its commands"},
};
const size_t options_command_count = sizeof(options_commands) / sizeof(options_commands[0]);
