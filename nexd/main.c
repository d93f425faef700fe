/* nexd: reads command line and configuration, makes what must be made before the sandbox closes (control
 * socket, notification socket), and hands over to the parent's loop.
 *
 * Exit status: 0 after a requested stop; 2 for a command line, environment or configuration that is wrong; 1
 * for everything else. */
#include "common/err.h"
#include "common/log.h"
#include "nexd/check.h"
#include "nexd/network.h"
#include "nexd/network_setup.h"
#include "nexd/options.h"
#include "nexd/parent.h"
#include "nexd/policy_file.h"
#include "nexd/report/report.h"
#include "nexd/zone.h"
#include "seccomp/nexd.h"

#include <fcntl.h>
#include <libgen.h>
#include <linux/capability.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILES = 1 << 14, MAX_FILE_BYTES = 1 << 24 };

/* Filled in before the sandbox is entered. A path ends the list where it is not set. */
static struct sandbox_path written_folders[2] = {{.may_be_missing = true}},
                           socket_folders[2] = {{.may_be_missing = true}};

static struct sandbox_spec sandbox = {
    .read_write = written_folders,
    .removable = socket_folders,
    .name = "nexd",
    .start = nexd_start_filter,
    .start_count = sizeof nexd_start_filter / sizeof *nexd_start_filter,
    .run = nexd_run_filter,
    .run_count = sizeof nexd_run_filter / sizeof *nexd_run_filter,
    .max_files = MAX_FILES,
    .max_file_bytes = MAX_FILE_BYTES,
    .may_fork = true,
};

/* From here until the loop listens, a stop signal waits instead of being lost, which as process 1 it would
 * be. */
static void signals_hold(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Whoever started us without the standard descriptors must not get a socket's bytes written to them. */
static int standard_descriptors_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return NX_ESYS;
    return NX_OK;
}

static void config_warning(void *arg, const char *message)
{
    (void)arg;
    log_warn("%s", message);
}

/* The socket at the default path is a convenience: where it cannot be made (a read-only root file system),
 * the proxy runs without it. A path that was asked for, and another nexd that is already there, are errors.
 */
static int control_open(const struct options *options, struct control_socket *out)
{
    char error[CONTROL_SOCKET_ERROR_MAX];
    *out = (struct control_socket){.fd = -1};
    if (strcmp(options->unix_socket, "none") == 0)
        return NX_OK;
    if (options->unix_socket[0] == '\0') {
        log_warn("no control socket: HOME is not set (--unix-socket PATH names one)");
        return NX_OK;
    }
    bool make_folder = !options->unix_socket_given && geteuid() != 0;
    int err = control_socket_open(options->unix_socket, make_folder, out, error);
    if (err == NX_ESYS && !options->unix_socket_given) {
        log_warn("%s: running without (--unix-socket PATH names another, \"none\" says that none is wanted)",
                 error);
        return NX_OK;
    }
    if (!err && options->unix_socket_group >= 0) {
        err = control_socket_share(out, (gid_t)options->unix_socket_group, error);
        if (err)
            control_socket_close(out);
    }
    if (err)
        log_error("%s", error);
    return err;
}

/* What was stored by an earlier run. A state folder that was asked for, or that holds something, must be fit
 * for use, since rules would be missing without it. At the default place it is a convenience as the control
 * socket is: without it there are no changes of rules at run time, and who asks for one is told why. */
static int stored_open(const struct options *options, struct state **out, char *error)
{
    char path[PATH_MAX + 16];
    int err = state_open(options->state_dir, &state_sys_default, out, error);
    if (err == NX_OK)
        return NX_OK;
    snprintf(path, sizeof path, "%s/state.json", options->state_dir);
    if (options->state_dir_given || access(path, F_OK) == 0 || (err != NX_EEXIST && err != NX_ESYS)) {
        log_error("%s", error);
        return err;
    }
    log_info("proxy rules cannot be changed at run time: %s", error);
    return NX_OK;
}

/* Without a place for its key pair a device would be another one after each start; so here the state folder
 * is no convenience. */
static int identity_open(const struct options *options, struct state **state, struct wgconf *conf)
{
    char error[STATE_ERROR_MAX];
    int err = state_open(options->state_dir, &state_sys_default, state, error);
    if (!err)
        err = state_migrate(*state, error);
    if (!err)
        err = network_setup_key(*state, conf, error);
    if (err)
        log_error("%s", error);
    return err;
}

/* The policy, and whether it admits every rule of the command line. On NX_EINVAL and NX_ENOMEM the line for
 * standard error is in `error` (OPTIONS_ERROR_MAX bytes). *out is NULL without a policy. */
static int policy_open(const struct options *options, struct policy **out, char *error)
{
    char text[RULE_TEXT_MAX], why[POLICY_WHY_MAX];
    _Static_assert((int)OPTIONS_ERROR_MAX >= (int)POLICY_ERROR_MAX, "errors of the policy pass through");
    *out = NULL;
    if (options->policy[0] == '\0')
        return NX_OK;
    int err = policy_file_load(options->policy, getuid(), config_warning, NULL, out, error);
    for (size_t i = 0; err == NX_OK && i < options->rule_count; i++) {
        const struct rule *const rule = &options->rules[i];
        const struct policy_verdict verdict = policy_rule(*out, rule);
        if (verdict.reason == POLICY_ADMITTED)
            continue;
        snprintf(error, OPTIONS_ERROR_MAX, "%s rule %.80s: %s", rule_direction_name(rule->direction),
                 rule_format(rule, text), policy_why(*out, verdict, why));
        err = NX_EINVAL;
    }
    return err;
}

/* With everything in hand: until the end. `setup`: of network mode, else NULL. */
static int proxy_run(const struct options *options, struct wgconf *conf, struct network_setup *setup,
                     const struct policy *policy, const struct identities *identities)
{
    int status = EXIT_FAILURE;
    struct control_socket control = {.fd = -1};
    struct notify notify;
    char state_error[STATE_ERROR_MAX] = "";
    struct parent_config config = {.rules = options->rules,
                                   .rule_count = options->rule_count,
                                   .proxy_protocol = &options->proxy_protocol,
                                   .policy = policy,
                                   .network = setup ? &setup->config : NULL,
                                   .wgconf = conf,
                                   .control = &control,
                                   .metrics_listen = &options->metrics_listen,
                                   .report_version = options->report_version,
                                   .notify = &notify,
                                   .sandbox_mode = options->sandbox,
                                   .congestion_control = options->congestion_control,
                                   .identities = *identities,
                                   .sandbox = &sandbox};
    static char control_path[OPTIONS_SOCKET_MAX];
    snprintf(control_path, sizeof control_path, "%s", options->unix_socket);
    if (strchr(control_path, '/'))
        socket_folders[0].path = dirname(control_path);
    if (options->state_dir[0])
        written_folders[0].path = options->state_dir;
    notify_open(&notify);
    if (options->rule_count > RULEBOOK_RULES_MAX) {
        log_error("more than %d rules", RULEBOOK_RULES_MAX);
        goto out;
    }
    if (setup ? identity_open(options, &config.state, conf)
              : stored_open(options, &config.state, state_error))
        goto out;
    config.state_missing = config.state ? NULL : state_error;
    if (control_open(options, &control))
        goto out;
    config.unattended = control.fd < 0;
    if (vault_take(conf, &config.vault)) {
        log_error("no memory that is fit for keys");
        goto out;
    }
    if (setup)
        network_setup_keep(setup, config.vault);
    status = parent_run(&config);
out:
    vault_free(config.vault);
    state_close(config.state);
    control_socket_close(&control);
    notify_close(&notify);
    return status;
}

/* The following two: until the end; the sandbox's first stage is entered, and secrets can be kept. */
static int static_mode(const struct options *options, const struct policy *policy,
                       const struct identities *identities)
{
    char error[OPTIONS_ERROR_MAX];
    struct wgconf conf;
    if (options_load_config(options, &conf, config_warning, NULL, error)) {
        fprintf(stderr, "nexd: %s\n", error);
        return OPTIONS_EXIT_USAGE;
    }
    zones_number(&conf);
    int status = proxy_run(options, &conf, NULL, policy, identities);
    wgconf_free(&conf);
    return status;
}

static int network_mode(const struct options *options, struct network_setup *setup,
                        const struct policy *policy, const struct identities *identities)
{
    struct wgconf conf = {.mtu = NETWORK_MTU};
    int status = proxy_run(options, &conf, setup, policy, identities);
    wgconf_free(&conf);
    return status;
}

static int proxy(struct options *options)
{
    static struct network_setup setup;
    const bool in_network = options->wireguard_config[0] == '\0';
    char error[OPTIONS_ERROR_MAX];
    struct identities identities;
    struct policy *policy = NULL;
    log_init("nexd", options->log_level);
    log_set_format(options->log_format, log_journal_detect(getenv("JOURNAL_STREAM")));
    if (policy_open(options, &policy, error)) {
        fprintf(stderr, "nexd: %s\n", error);
        policy_free(policy);
        return OPTIONS_EXIT_USAGE;
    }
    if (in_network && network_setup_make(options, true, &setup, config_warning, NULL, error)) {
        fprintf(stderr, "nexd: %s\n", error);
        policy_free(policy);
        return OPTIONS_EXIT_USAGE;
    }
    if (in_network && setup.service.service_defaulted)
        log_info("no service URL was given: the default, %s, is used", REG_KEY_SERVICE_DEFAULT);
    options_variables_check(environ, config_warning, NULL);
    options_network_wipe(&options->network);
    const char *shared = identities_find((uid_t)options->child_uids, &identities);
    sandbox.keep_capabilities = identities_capabilities(&identities);
    if (options->unix_socket_group >= 0) /* of use until the [run] filter takes chown away */
        sandbox.keep_capabilities |= UINT64_C(1) << CAP_CHOWN;
    (void)sandbox_start(&sandbox, options->sandbox);
    if (shared && shared[0])
        log_warn("the children run as root, without capabilities, and not as users of their own: %s", shared);
    if (sodium_init() < 0) {
        log_error("libsodium does not start: no source of random numbers");
        policy_free(policy);
        return EXIT_FAILURE;
    }
    int status = in_network ? network_mode(options, &setup, policy, &identities)
                            : static_mode(options, policy, &identities);
    policy_free(policy);
    network_setup_wipe(&setup);
    return status;
}

int main(int argc, char **argv)
{
    char error[OPTIONS_ERROR_MAX];
    struct options options;
    int status = EXIT_SUCCESS;
    signals_hold();
    if (standard_descriptors_fill())
        return EXIT_FAILURE;
    if (options_parse(argc, argv, environ, &options, error)) {
        fprintf(stderr, "nexd: %s\n", error);
        return OPTIONS_EXIT_USAGE;
    }
    if (options.command == OPTIONS_HELP)
        options_usage(stdout, options.help_topic);
    else if (options.command == OPTIONS_VERSION)
        printf("version: %s\n", NEXD_VERSION);
    else if (options.command == OPTIONS_CHECK)
        status = check_run(&options, stdout, stderr);
    else if (options.command == OPTIONS_SANDBOX_REPORT)
        status = report_run(&options, stdout, stderr);
    else
        status = proxy(&options);
    options_free(&options);
    return fflush(stdout) ? EXIT_FAILURE : status;
}
