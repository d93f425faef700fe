/* A line for each flag. A new flag needs a line here and a field in struct options. */
#include "nexd/options_table.h"

#include "common/array.h"
#include "common/err.h"
#include "common/text.h"
#include "nexd/group.h"

#include <stdio.h>
#include <string.h>

#define TARGET(field) offsetof(struct options_draft, options.field)

static const char *const log_levels[] = {"debug", "info", "warn", "error", "fatal", NULL};
static const char *const log_formats[] = {[LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};
static const char *const sandbox_modes[] = {
    [SANDBOX_STRICT] = "strict", [SANDBOX_BEST_EFFORT] = "best-effort", NULL};
static const char *const report_outputs[] = {
    [OPTIONS_REPORT_TEXT] = "text", [OPTIONS_REPORT_JSON] = "json", NULL};
static const char *const congestion_controls[] = {
    [IPC_CONGESTION_BBR] = "bbr", [IPC_CONGESTION_CUBIC] = "cubic", NULL};
_Static_assert(sizeof(enum ipc_congestion) == sizeof(unsigned), "flag_read_choice() writes an unsigned");
_Static_assert(sizeof(enum sandbox_mode) == sizeof(unsigned) && sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum log_format) == sizeof(unsigned) &&
                   sizeof(enum options_report_output) == sizeof(unsigned),
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

static int read_proxy_protocol(const struct flag_value *value)
{
    struct port_set *const ports = flag_target(value);
    uint64_t port;
    if (text_to_u64(value->text, strlen(value->text), 1, UINT16_MAX, &port) != NX_OK)
        return flag_fail(value, "must be the listen port of a TCP ingress rule, from 1 to 65535");
    if (port_set_has(ports, (uint16_t)port))
        return flag_fail(value, "is given twice; give each port once");
    port_set_add(ports, (uint16_t)port);
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

static const char agent_group[] = "Agent options";
static const char service_group[] = "Nexodus service options";
static const char wireguard_group[] = "WireGuard options";

/* Help shows them in this order, each group with its own. */
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
    {.name = "proxy-protocol",
     .environment = "NEXD_PROXY_PROTOCOL",
     .is_list = true,
     .read = read_proxy_protocol,
     .offset = TARGET(proxy_protocol),
     .argument = "PORT",
     .example = "8080",
     .help = "Tell the destinations of this port's TCP ingress rules\nfirst who called, by a PROXY protocol "
             "header, version 2"},
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
    {.name = "output",
     .is_only_flag = true,
     .read = flag_read_choice,
     .offset = TARGET(report_output),
     .choices = report_outputs,
     .argument = "FORMAT",
     .example = "json",
     .help = "Of sandbox-report: text or json (text)"},
    {.name = "pid",
     .is_only_flag = true,
     .read = flag_read_number,
     .offset = TARGET(report_pid),
     .min = 1,
     .max = INT32_MAX,
     .argument = "PID",
     .example = "4711",
     .help = "Of sandbox-report: process number of the nexd, in place of\nthe one behind the control socket"},
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
    {.name = "metrics-listen",
     .environment = "NEXD_METRICS_LISTEN",
     .read = read_address,
     .offset = TARGET(metrics_listen),
     .argument = "ADDRESS:PORT",
     .example = "127.0.0.1:9586",
     .help = "Serve Prometheus metrics, /healthz and /readyz over HTTP\nat this address of the host"},
    {.name = "policy",
     .environment = "NEXD_POLICY",
     .read = flag_read_path,
     .offset = TARGET(policy),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/nexd/policy",
     .help =
         "Operator's policy: which rules may exist, wherever they\ncome from, how much they may carry, and "
         "who may change\nthem. A file that only root or the user who starts nexd\ncan write"},
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
    {.name = "congestion-control",
     .environment = "NEXD_CONGESTION_CONTROL",
     .read = flag_read_choice,
     .offset = TARGET(congestion_control),
     .choices = congestion_controls,
     .argument = "NAME",
     .example = "cubic",
     .help = "How TCP in the mesh finds its rate: bbr (default) or\ncubic"},
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
    {.name = "security-group-id",
     .environment = "NEXAPI_SECURITY_GROUP_ID",
     .read = options_read_uuid,
     .offset = TARGET(network.security_group_id),
     .argument = "UUID",
     .example = "0d2f3a7c-8a52-4e0c-9a37-2d8f9a1b6c01",
     .help = "Security group to put this device into"},
    {.name = "exit-node-client",
     .environment = "NEXD_EXIT_NODE_CLIENT",
     .is_switch = true,
     .read = options_read_refused,
     .offset = TARGET(exit_node_client),
     .example = "false",
     .help = "Refused: it is for agents with a network interface"},
    {.name = "relay-only",
     .environment = "NEXD_RELAY_ONLY",
     .is_switch = true,
     .read = flag_read_switch,
     .offset = TARGET(network.relay_only),
     .example = "true",
     .help = "Reach peers through relays alone, as behind a symmetric\nNAT (which is found out without this "
             "flag)",
     .group = agent_group},
    {.name = "ca-file",
     .environment = "NEXD_CA_FILE",
     .read = flag_read_path,
     .offset = TARGET(network.ca_file),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/nexd/ca.crt",
     .help = "Certificate authorities of the service, in PEM, in place\nof the system's",
     .group = service_group},
    {.name = "insecure-skip-tls-verify",
     .environment = "NEXD_INSECURE_SKIP_TLS_VERIFY",
     .is_switch = true,
     .read = flag_read_switch,
     .offset = TARGET(network.insecure_skip_tls_verify),
     .example = "true",
     .help = "Do not check certificates: whoever is on the way can read\nand change everything",
     .group = service_group},
    {.name = "password",
     .environment = "NEXD_PASSWORD",
     .is_secret = true,
     .read = options_read_secret,
     .offset = TARGET(network.password),
     .max = OPTIONS_CREDENTIAL_MAX,
     .argument = "PASSWORD",
     .example = "secret",
     .help = "Password to log in with; every local user can read it:\n--password-file is better",
     .group = service_group},
    {.name = "password-file",
     .environment = "NEXD_PASSWORD_FILE",
     .read = options_read_secret_file,
     .offset = TARGET(network.password_file),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/nexd/password",
     .help = "File whose first line is the password",
     .group = service_group},
    {.name = "reg-key",
     .environment = "NEXD_REG_KEY",
     .is_secret = true,
     .read = options_read_secret,
     .offset = TARGET(network.reg_key),
     .max = OPTIONS_REG_KEY_MAX,
     .argument = "KEY",
     .example = "https://nexodus.example#RK:KEY",
     .help = "Registration key, KEY or URL#KEY; every local user can\nread it: --reg-key-file is better",
     .group = service_group},
    {.name = "reg-key-file",
     .environment = "NEXD_REG_KEY_FILE",
     .read = options_read_secret_file,
     .offset = TARGET(network.reg_key_file),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/nexd/key",
     .help = "File whose first line is the registration key",
     .group = service_group},
    {.name = "service-url",
     .environment = "NEXD_SERVICE_URL",
     .read = flag_read_path,
     .offset = TARGET(network.service_url),
     .max = URL_MAX,
     .argument = "URL",
     .example = REG_KEY_SERVICE_DEFAULT,
     .help = "The Nexodus service (" REG_KEY_SERVICE_DEFAULT "); its API\nis at \"api.\" before the host",
     .group = service_group},
    {.name = "state-dir",
     .environment = "NEXD_STATE_DIR",
     .read = read_state_dir,
     .offset = TARGET(state_dir),
     .max = PATH_MAX,
     .argument = "DIR",
     .example = "/var/lib/nexd",
     .help = "Folder for what must survive a restart (root:\n/var/lib/nexd, others: $HOME/.nexodus)",
     .group = service_group},
    {.name = "stun-server",
     .environment = "NEXD_STUN_SERVER",
     .is_list = true,
     .read = options_read_stun_server,
     .argument = "HOST:PORT",
     .example = "stun.example:3478",
     .help = "Servers that tell this device's address outside; at least\ntwo, in place of the built-in ones",
     .group = service_group},
    {.name = "username",
     .environment = "NEXD_USERNAME",
     .read = flag_read_path,
     .offset = TARGET(network.username),
     .max = OPTIONS_CREDENTIAL_MAX,
     .argument = "NAME",
     .example = "kitteh1",
     .help = "User to log in as; without a password it is asked for on\nthe terminal",
     .group = service_group},
    {.name = "vpc-id",
     .environment = "NEXD_VPC_ID",
     .read = options_read_uuid,
     .offset = TARGET(network.vpc_id),
     .argument = "UUID",
     .example = "1756da01-fd11-4fce-900c-52dd8a4ceaaa",
     .help = "VPC to join, in place of the user's own",
     .group = service_group},
    {.name = "listen-port",
     .environment = "NEXD_LISTEN_PORT",
     .read = flag_read_number,
     .offset = TARGET(listen_port),
     .max = UINT16_MAX,
     .argument = "PORT",
     .example = "51820",
     .help = "UDP port of the tunnel, in place of a configuration's\nListenPort; 0: the one that was "
             "remembered, or any",
     .group = wireguard_group},
    {.name = "local-endpoint-ip",
     .environment = "NEXD_LOCAL_ENDPOINT_IP",
     .read = options_read_ip,
     .offset = TARGET(network.local_endpoint_ip),
     .argument = "IP",
     .example = "192.0.2.7",
     .help = "Address at which peers of the same network reach this\nhost, in place of the one that is found",
     .group = wireguard_group},
    {.name = "request-ip",
     .environment = "NEXD_REQUESTED_IP",
     .read = options_read_ip,
     .offset = TARGET(network.request_ip),
     .max = NETADDR_V4,
     .argument = "IPv4",
     .example = "100.64.0.7",
     .help = "Address inside the mesh to ask for at the registration",
     .group = wireguard_group},
    {.name = "wireguard-config",
     .environment = "NEXD_WIREGUARD_CONFIG",
     .read = flag_read_path,
     .offset = TARGET(wireguard_config),
     .max = PATH_MAX,
     .argument = "FILE",
     .example = "/etc/wireguard/wg0.conf",
     .help = "WireGuard configuration of this device and its peers, in\nplace of a service: static mode",
     .group = wireguard_group},
};
const size_t options_flag_count = sizeof(options_flags) / sizeof(options_flags[0]);
_Static_assert(sizeof(options_flags) / sizeof(options_flags[0]) <= FLAGS_MAX,
               "struct flag_scan counts in 64 bits");

const struct options_command_name options_commands[] = {
    {"proxy", OPTIONS_PROXY, "carry TCP and UDP services across the mesh by rules"},
    {"check", OPTIONS_CHECK, "say what is wrong with the configuration, and what proxy would do"},
    {"sandbox-report", OPTIONS_SANDBOX_REPORT, "say what holds the processes of a running nexd"},
    {"version", OPTIONS_VERSION, "print the version"},
    {"help", OPTIONS_HELP, "explain nexd or one of its commands"},
};
const size_t options_command_count = sizeof(options_commands) / sizeof(options_commands[0]);
