/* The checks are those of the start itself: the same parsers, and the state folder as the start reads it.
 * Ports are not tried: nexd may be running with this very configuration. But those that need a right which
 * its processes do not have are found: whoever asks, root or not, they bind without capabilities. */
#include "nexd/check.h"

#include "common/err.h"
#include "nexd/network_setup.h"
#include "nexd/policy_file.h"
#include "nexd/state/state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct check {
    const struct options *options;
    FILE *out, *errors;
    int status;
    unsigned first_port;        /* that a process without rights may bind */
    struct policy *policy;      /* NULL = none */
    struct port_set introduced; /* ports of rules that send PROXY protocol headers */
};

static unsigned first_port_read(void)
{
    unsigned port = 1024; /* where it is not told, of old */
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    if (!file)
        return port;
    if (fscanf(file, "%u", &port) != 1)
        port = 1024;
    fclose(file);
    return port;
}

/* `who` listens on that port of the host (0 = any). */
static void port_check(struct check *check, const char *who, uint16_t port)
{
    if (port == 0 || port >= check->first_port)
        return;
    fprintf(check->errors,
            "nexd: %s: port %u needs a right that nexd does not have: choose a port from %u on, or set the "
            "sysctl net.ipv4.ip_unprivileged_port_start to %u\n",
            who, port, check->first_port, port);
    check->status = check->status ? check->status : EXIT_FAILURE;
}

static void warning(void *arg, const char *message)
{
    const struct check *check = arg;
    fprintf(check->errors, "nexd: warning: %s\n", message);
}

static void device_check(struct check *check, const struct wgconf *conf)
{
    char text[NETPREFIX_TEXT_MAX];
    const char *peers = conf->peer_count == 1 ? "peer" : "peers";
    fprintf(check->out, "device:         ");
    for (size_t i = 0; i < conf->address_count; i++)
        fprintf(check->out, "%s%s", i ? ", " : "", netprefix_format(&conf->addresses[i], text));
    if (conf->listen_port)
        fprintf(check->out, "; UDP port %u; %zu %s\n", conf->listen_port, conf->peer_count, peers);
    else
        fprintf(check->out, "; any UDP port; %zu %s\n", conf->peer_count, peers);
    port_check(check, "tunnel (UDP)", conf->listen_port);
}

static void wireguard_check(struct check *check)
{
    struct wgconf conf = {0};
    char error[OPTIONS_ERROR_MAX];
    if (check->options->wireguard_config[0] == '\0')
        return;
    if (options_load_config(check->options, &conf, warning, check, error)) {
        fprintf(check->errors, "nexd: %s\n", error);
        check->status = OPTIONS_EXIT_USAGE;
        return;
    }
    device_check(check, &conf);
    wgconf_free(&conf);
}

static const char *way_in(const struct options_network *network)
{
    if (network->reg_key[0] != '\0' || network->reg_key_file[0] != '\0')
        return "with a registration key";
    return network->username[0] != '\0' ? "as a user with a password" : "as a user who logs in in a browser";
}

static void network_check(struct check *check)
{
    static struct network_setup setup;
    char error[OPTIONS_ERROR_MAX];
    const struct options *options = check->options;
    if (options->wireguard_config[0] != '\0')
        return;
    if (network_setup_make(options, false, &setup, warning, check, error)) {
        fprintf(check->errors, "nexd: %s\n", error);
        check->status = OPTIONS_EXIT_USAGE;
        return;
    }
    port_check(check, "tunnel (UDP)", options->listen_port > 0 ? (uint16_t)options->listen_port : 0);
    fprintf(check->out, "network:        %s, %s; %zu STUN servers\n", setup.config.network.service_url,
            way_in(&options->network), setup.config.stun_server_count);
    for (size_t i = 0; i < setup.config.outlet_count; i++)
        fprintf(check->out, "connects to:    %s port %u%s\n", setup.config.outlets[i].host,
                setup.config.outlets[i].port, i ? " (proxy)" : ", and to the login server that it names");
    network_setup_wipe(&setup);
}

static void control_print(const struct check *check)
{
    const struct options *options = check->options;
    if (strcmp(options->unix_socket, "none") == 0 || options->unix_socket[0] == '\0')
        fprintf(check->out, "control socket: none\n");
    else if (options->unix_socket_group >= 0)
        fprintf(check->out, "control socket: %s, for group %u\n", options->unix_socket,
                (unsigned)options->unix_socket_group);
    else
        fprintf(check->out, "control socket: %s, for its owner only\n", options->unix_socket);
}

static void metrics_check(struct check *check)
{
    char text[NETSOCK_TEXT_MAX];
    const struct netsock *address = &check->options->metrics_listen;
    if (address->addr.family == NETADDR_NONE)
        return;
    fprintf(check->out, "metrics:        http://%s/metrics\n", netsock_format(address, text));
    port_check(check, "metrics", address->port);
}

static void policy_check(struct check *check)
{
    char error[POLICY_ERROR_MAX];
    unsigned line;
    const struct options *options = check->options;
    if (options->policy[0] == '\0')
        return;
    if (policy_file_load(options->policy, getuid(), warning, check, &check->policy, error)) {
        fprintf(check->errors, "nexd: %s\n", error);
        check->status = OPTIONS_EXIT_USAGE;
        return;
    }
    const bool may_change = policy_run_time_rules(check->policy, &line);
    fprintf(check->out, "policy:         %s, %zu lines; rules %s at run time\n", policy_file(check->policy),
            policy_line_count(check->policy), may_change ? "may change" : "do not change");
}

static void bound_print(const struct check *check, const char *what, struct policy_bound bound)
{
    if (bound.value)
        fprintf(check->out, "; at most %" PRIu64 " %s (line %u)", bound.value, what, bound.line);
}

/* Below a rule: which line of the policy admits or refuses it, and what it is granted. False: refused. */
static bool policy_print(const struct check *check, const struct rule *rule)
{
    char why[POLICY_WHY_MAX];
    if (!check->policy)
        return true;
    const struct policy_verdict verdict = policy_rule(check->policy, rule);
    const bool admitted = verdict.reason == POLICY_ADMITTED;
    const struct policy_rule_limits limits = policy_rule_limits(check->policy, rule);
    fprintf(check->out, "                %s: %s", admitted ? "admitted" : "refused",
            policy_why(check->policy, verdict, why));
    bound_print(check, "flows", limits.flows);
    bound_print(check, "new flows a second", limits.new_flows);
    bound_print(check, "bytes a second each way", limits.bandwidth);
    if (admitted && rule->addr.family == NETADDR_NONE)
        fprintf(check->out, "; its addresses are judged when a flow begins");
    fprintf(check->out, "\n");
    return admitted;
}

/* Where it listens on this host. */
static const char *listen_text(const struct check *check, const struct rule *rule, char *out, size_t size)
{
    char address[NETADDR_TEXT_MAX];
    unsigned line;
    const struct netaddr at = policy_listen(check->policy, rule->protocol, rule->listen_port, &line);
    if (at.family == NETADDR_NONE)
        return "this host";
    snprintf(out, size, "%s (line %u of the policy)", netaddr_format(&at, address), line);
    return out;
}

/* False: the policy refuses it. */
static bool rule_print(struct check *check, const struct rule *rule, const char *origin)
{
    char text[RULE_TEXT_MAX], who[RULE_TEXT_MAX + 16], place[NETADDR_TEXT_MAX + 40];
    const bool egress = rule->direction == RULE_EGRESS;
    const bool introduced = !egress && rule->protocol == RULE_TCP &&
                            port_set_has(&check->options->proxy_protocol, rule->listen_port);
    fprintf(check->out, "%-15s %s; listens on %s port %u of %s%s%s\n",
            egress ? "egress rule:" : "ingress rule:", rule_format(rule, text),
            rule_protocol_name(rule->protocol), rule->listen_port,
            egress ? listen_text(check, rule, place, sizeof place) : "the tunnel's addresses",
            introduced ? "; sends PROXY protocol headers" : "", origin);
    if (introduced)
        port_set_add(&check->introduced, rule->listen_port);
    snprintf(who, sizeof who, "egress rule %s", text);
    if (egress)
        port_check(check, who, rule->listen_port);
    return policy_print(check, rule);
}

static void given_rule_check(struct check *check, const struct rule *rule)
{
    char text[RULE_TEXT_MAX], why[POLICY_WHY_MAX];
    if (rule_print(check, rule, ""))
        return;
    fprintf(check->errors, "nexd: %s rule %s: %s\n", rule_direction_name(rule->direction),
            rule_format(rule, text), policy_why(check->policy, policy_rule(check->policy, rule), why));
    check->status = OPTIONS_EXIT_USAGE;
}

/* One that is refused stays where it is, out of force: no reason not to start. */
static void stored_rule_check(struct check *check, const struct rule *rule)
{
    char text[RULE_TEXT_MAX];
    if (!rule_print(check, rule, " (added at run time)"))
        fprintf(check->errors, "nexd: warning: the stored %s rule %s will not be in force\n",
                rule_direction_name(rule->direction), rule_format(rule, text));
}

/* A folder that another instance has is no mistake: that may be the nexd that this configuration runs. */
static void state_check(struct check *check)
{
    char error[STATE_ERROR_MAX];
    struct state *state = NULL;
    size_t count = 0;
    const char *folder = check->options->state_dir;
    if (folder[0] == '\0') {
        fprintf(check->out, "state folder:   none: rules cannot be changed at run time\n");
        return;
    }
    int err = state_open(folder, &state_sys_default, &state, error);
    if (err == NX_EEXIST) {
        fprintf(check->out, "state folder:   %s, in use by a running nexd\n", folder);
    } else if (err) {
        fprintf(check->errors, "nexd: %s\n", error);
        check->status = check->status ? check->status : EXIT_FAILURE;
    } else {
        const struct rule *rules = state_rules(state, &count);
        fprintf(check->out, "state folder:   %s\n", folder);
        for (size_t i = 0; i < count; i++)
            stored_rule_check(check, &rules[i]);
    }
    state_close(state);
}

/* Rules may come at run time; or the port is a slip of the pen. */
static void proxy_protocol_check(const struct check *check)
{
    for (unsigned port = 1; port <= UINT16_MAX; port++)
        if (port_set_has(&check->options->proxy_protocol, (uint16_t)port) &&
            !port_set_has(&check->introduced, (uint16_t)port))
            fprintf(check->errors,
                    "nexd: warning: --proxy-protocol %u: there is no TCP ingress rule of that port yet\n",
                    port);
}

int check_run(const struct options *options, FILE *out, FILE *errors)
{
    struct check check = {.options = options,
                          .out = out,
                          .errors = errors,
                          .status = EXIT_SUCCESS,
                          .first_port = first_port_read()};
    policy_check(&check);
    wireguard_check(&check);
    network_check(&check);
    control_print(&check);
    metrics_check(&check);
    for (size_t i = 0; i < options->rule_count; i++)
        given_rule_check(&check, &options->rules[i]);
    state_check(&check);
    proxy_protocol_check(&check);
    policy_free(check.policy);
    fprintf(out, check.status ? "not ok\n" : "ok\n");
    return check.status;
}
