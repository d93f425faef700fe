/* nexd's command line and environment, turned into one struct:
 *
 *     nexd [global flags] proxy [--ingress RULE]... [--egress RULE]... [SERVICE-URL]
 *     nexd check, with the same flags: says what `proxy` would do
 *     nexd sandbox-report [--output json] [--pid PID]
 *     nexd version
 *     nexd help [COMMAND]
 *
 * Global flags stand before or after the command, --unix-socket only before it. Every malformed argument,
 * variable or rule is an error of one line, to be printed as it is, with exit status OPTIONS_EXIT_USAGE. The
 * parent process. */
#ifndef NEXD_NEXD_OPTIONS_H
#define NEXD_NEXD_OPTIONS_H

#include "common/log.h"
#include "common/rule.h"
#include "common/wgconf.h"
#include "ipc/messages.h"
#include "nexd/options_network.h"
#include "nexd/port_set.h"
#include "sandbox/sandbox.h"

#include <limits.h>
#include <stdio.h>

enum {
    OPTIONS_ERROR_MAX = 512,
    OPTIONS_EXIT_USAGE = 2,
    OPTIONS_SOCKET_MAX = 108 /* sun_path */,
    OPTIONS_VERSION_MAX = 65
};
_Static_assert((int)OPTIONS_ERROR_MAX >= (int)WGCONF_ERROR_MAX, "errors of the configuration pass through");

enum options_command { OPTIONS_HELP, OPTIONS_PROXY, OPTIONS_VERSION, OPTIONS_CHECK, OPTIONS_SANDBOX_REPORT };
enum options_report_output { OPTIONS_REPORT_TEXT, OPTIONS_REPORT_JSON };

struct options {
    enum options_command command;
    enum options_command help_topic; /* with OPTIONS_HELP; OPTIONS_HELP is nexd as a whole */
    char config_file[PATH_MAX];      /* "" = none */
    char policy[PATH_MAX];           /* the operator's; "" = none */
    char wireguard_config[PATH_MAX]; /* static mode; "" = network mode: `network` says which network */
    struct options_network network;
    bool exit_node_client; /* never true: refused */
    /* Defaults: for root /var/run/nexd.sock and /var/lib/nexd, for others below $HOME/.nexodus, and ""
     * without a usable HOME. */
    char unix_socket[OPTIONS_SOCKET_MAX];
    char state_dir[PATH_MAX];
    struct netsock metrics_listen;            /* family NETADDR_NONE: nobody reads metrics */
    char report_version[OPTIONS_VERSION_MAX]; /* "" = our own */
    int64_t unix_socket_group;                /* -1 = its owner only */
    bool unix_socket_given, state_dir_given;  /* by flag or environment, not by default */
    int64_t listen_port;                      /* -1 = as the configuration says, 0 = any, else the port */
    enum log_level log_level;
    enum log_format log_format;
    enum sandbox_mode sandbox;
    enum ipc_congestion congestion_control;
    int64_t child_uids; /* the first of three users that the children become */
    enum options_report_output report_output;
    int64_t report_pid; /* 0 = the one behind the control socket */
    struct rule *rules; /* egress before ingress, each kind as ordered on the command line; no two equal */
    size_t rule_count;
    struct port_set proxy_protocol; /* of the tunnel, TCP: destinations are told first who called */
};

/* Reads arguments (argv[0] is skipped), environment, and the configuration file that they name. NX_OK; else
 * NX_EINVAL or NX_ENOMEM with the line for standard error in `error` (OPTIONS_ERROR_MAX bytes, no newline)
 * and nothing allocated. `out` is overwritten. */
int options_parse(int argc, char **argv, char **envp, struct options *out, char *error);
/* Wipes the secrets among them, too. */
void options_free(struct options *options);

/* Loads options->wireguard_config and applies --listen-port. On failure as wgconf_load(). Warnings are passed
 * on only when it succeeds, so that a failure is one line. */
int options_load_config(const struct options *options, struct wgconf *out, wgconf_warn_fn warn,
                        void *warn_arg, char *error);

/* Prints the help for a command, or for OPTIONS_HELP the overview. */
void options_usage(FILE *stream, enum options_command topic);

#endif
