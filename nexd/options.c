/* Arguments are read from left to right: flags by the table, the first other word is the command. Then come
 * the environment, for flags that were not given, and the checks that only the whole allows. */
#include "nexd/config_file.h"
#include "nexd/identity.h"
#include "nexd/options_table.h"

#include "common/err.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One command line being read. */
struct options_reader {
    struct options_draft draft;
    struct flag_scan scan;
    bool has_command;
    char *error;
};

/* "BEFORE "ARGUMENT"AFTER" */
static int fail_argument(const struct options_reader *reader, const char *before, const char *argument,
                         const char *after)
{
    char quoted[TEXT_QUOTE_MAX];
    snprintf(reader->error, OPTIONS_ERROR_MAX, "%s %s%s", before,
             text_quote(argument, quoted, sizeof(quoted)), after);
    return NX_EINVAL;
}

static int fail_command(const struct options_reader *reader, const char *word)
{
    static const char *const kernel_modes[] = {"router", "relay", "relayderp"};
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    char hint[96];
    for (size_t i = 0; i < sizeof(kernel_modes) / sizeof(kernel_modes[0]); i++) {
        if (strcmp(word, kernel_modes[i]) == 0)
            return fail_argument(reader, "unknown command", word,
                                 ", nexd proxies only; example: nexd help proxy");
    }
    for (size_t i = 0; i < options_command_count; i++) {
        const size_t errors = text_typing_errors(word, options_commands[i].name);
        if (errors < best) {
            best = errors;
            nearest = options_commands[i].name;
        }
    }
    if (nearest == NULL)
        return fail_argument(
            reader, "unknown command", word,
            ", commands are proxy, check, sandbox-report, version and help; example: nexd help");
    snprintf(hint, sizeof(hint), ", did you mean %s? example: nexd %s", nearest, nearest);
    return fail_argument(reader, "unknown command", word, hint);
}

static const struct options_command_name *find_command(const char *word)
{
    for (size_t i = 0; i < options_command_count; i++) {
        if (strcmp(word, options_commands[i].name) == 0)
            return &options_commands[i];
    }
    return NULL;
}

/* From here on the command line asks for help with the command it has named so far. */
static void ask_for_help(struct options_reader *reader)
{
    struct options *const options = &reader->draft.options;
    options->help_topic = reader->has_command ? options->command : OPTIONS_HELP;
    options->command = OPTIONS_HELP;
    reader->has_command = true;
}

/* proxy, and check, which is told the same. */
static bool takes_rules(const struct options *options)
{
    return options->command == OPTIONS_PROXY || options->command == OPTIONS_CHECK;
}

/* A word that is no flag and no flag's value. */
static int read_word(struct options_reader *reader, const char *word)
{
    struct options *const options = &reader->draft.options;
    const struct options_command_name *const named = find_command(word);
    if (!reader->has_command || (options->command == OPTIONS_HELP && options->help_topic == OPTIONS_HELP)) {
        if (named == NULL)
            return !reader->has_command && options_positional_put(&options->network, word)
                       ? NX_OK
                       : fail_command(reader, word);
        if (reader->has_command)
            options->help_topic = named->command;
        else
            options->command = named->command;
        reader->has_command = true;
        return NX_OK;
    }
    if (named != NULL && named->command == OPTIONS_HELP) {
        ask_for_help(reader);
        return NX_OK;
    }
    if (takes_rules(options) && options_positional_put(&options->network, word))
        return NX_OK;
    return fail_argument(reader, "unexpected argument", word,
                         ", rules follow --ingress or --egress; example: "
                         "nexd proxy --ingress tcp:8080:127.0.0.1:80");
}

static int read_arguments(struct options_reader *reader, int argc, char **argv)
{
    bool only_words = false;
    int err = NX_OK;
    for (int i = 1; i < argc && err == NX_OK;) {
        if (only_words || !flag_is_written(argv[i])) {
            err = read_word(reader, argv[i++]);
        } else if (strcmp(argv[i], "--") == 0) {
            only_words = true;
            i++;
        } else if (flag_is_named(argv[i], "help") || flag_is_named(argv[i], "h")) {
            ask_for_help(reader);
            return NX_OK;
        } else if (flag_is_named(argv[i], "version")) {
            reader->draft.options.command = OPTIONS_VERSION;
            reader->has_command = true;
            return NX_OK;
        } else {
            const bool after_proxy = reader->has_command && takes_rules(&reader->draft.options);
            err = flag_scan_argument(&reader->scan, argc, argv, &i, after_proxy);
        }
    }
    return err;
}

static int compare_rules(const void *left, const void *right)
{
    return rule_compare(*(const struct rule *const *)left, *(const struct rule *const *)right);
}

static int check_duplicate_rules(const struct options_reader *reader)
{
    const struct options *const options = &reader->draft.options;
    int err = NX_OK;
    if (options->rule_count < 2)
        return NX_OK;
    const struct rule **const sorted = calloc(options->rule_count, sizeof(struct rule *));
    if (sorted == NULL) {
        snprintf(reader->error, OPTIONS_ERROR_MAX, "out of memory");
        return NX_ENOMEM;
    }
    for (size_t i = 0; i < options->rule_count; i++)
        sorted[i] = &options->rules[i];
    qsort((void *)sorted, options->rule_count, sizeof(struct rule *), compare_rules);
    for (size_t i = 1; err == NX_OK && i < options->rule_count; i++) {
        if (rule_equal(sorted[i - 1], sorted[i])) {
            char text[RULE_TEXT_MAX], quoted[TEXT_QUOTE_MAX];
            text_quote(rule_format(sorted[i], text), quoted, sizeof(quoted));
            snprintf(reader->error, OPTIONS_ERROR_MAX,
                     "the %s rule %s is given twice; give each rule once (rules may share a port only with "
                     "different destinations)",
                     rule_direction_name(sorted[i]->direction), quoted);
            err = NX_EINVAL;
        }
    }
    free((void *)sorted);
    return err;
}

/* A header of the PROXY protocol stands before the bytes of a TCP connection. A port that no rule given here
 * names is none of this: its rules may come at run time. */
static int check_proxy_protocol(const struct options_reader *reader)
{
    const struct options *const options = &reader->draft.options;
    struct port_set tcp = {0};
    for (size_t i = 0; i < options->rule_count; i++) {
        const struct rule *const rule = &options->rules[i];
        if (rule->direction == RULE_INGRESS && rule->protocol == RULE_TCP)
            port_set_add(&tcp, rule->listen_port);
    }
    for (size_t i = 0; i < options->rule_count; i++) {
        const struct rule *const rule = &options->rules[i];
        if (rule->direction != RULE_INGRESS || !port_set_has(&options->proxy_protocol, rule->listen_port) ||
            port_set_has(&tcp, rule->listen_port))
            continue;
        char text[RULE_TEXT_MAX], quoted[TEXT_QUOTE_MAX];
        text_quote(rule_format(rule, text), quoted, sizeof(quoted));
        snprintf(
            reader->error, OPTIONS_ERROR_MAX,
            "--proxy-protocol \"%u\": the ingress rule %s is UDP, and the PROXY protocol is for TCP alone; "
            "example: --ingress tcp:8080:127.0.0.1:80 --proxy-protocol 8080",
            rule->listen_port, quoted);
        return NX_EINVAL;
    }
    return NX_OK;
}

/* Egress before ingress, each kind in the order given. */
static int order_rules(const struct options_reader *reader, struct options *options)
{
    if (options->rule_count == 0)
        return NX_OK;
    struct rule *const ordered = calloc(options->rule_count, sizeof(*ordered));
    size_t count = 0;
    if (ordered == NULL) {
        snprintf(reader->error, OPTIONS_ERROR_MAX, "out of memory");
        return NX_ENOMEM;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < options->rule_count; i++) {
            if (options->rules[i].direction == (pass == 0 ? RULE_EGRESS : RULE_INGRESS))
                ordered[count++] = options->rules[i];
        }
    }
    free(options->rules);
    options->rules = ordered;
    return NX_OK;
}

/* Static mode or network mode, not both. */
static int check_mode(struct options_reader *reader)
{
    struct options *const options = &reader->draft.options;
    if (options->wireguard_config[0] == '\0')
        return options_network_check(&options->network, reader->error);
    const char *const given = options_network_given(&options->network);
    if (given == NULL)
        return NX_OK;
    snprintf(reader->error, OPTIONS_ERROR_MAX,
             "the --wireguard-config and %s flags are mutually exclusive: peers come from a file or from a "
             "control plane; example: nexd --wireguard-config /etc/wireguard/wg0.conf proxy",
             given);
    return NX_EINVAL;
}

static int check_whole(struct options_reader *reader)
{
    static const char example[] = "nexd --reg-key-file /etc/nexd/key proxy --ingress tcp:8080:127.0.0.1:80";
    struct options *const options = &reader->draft.options;
    if (!reader->has_command) {
        snprintf(reader->error, OPTIONS_ERROR_MAX, "no command given; example: %s", example);
        return NX_EINVAL;
    }
    int err = check_duplicate_rules(reader);
    if (err == NX_OK)
        err = check_proxy_protocol(reader);
    if (err == NX_OK && takes_rules(options))
        err = check_mode(reader);
    return err != NX_OK ? err : order_rules(reader, options);
}

static void set_default_path(char *out, size_t size, const char *folder, const char *rest)
{
    const int length = folder == NULL ? 0 : snprintf(out, size, "%s%s", folder, rest);
    if (length <= 0 || (size_t)length >= size)
        out[0] = '\0';
}

static void set_default_paths(struct options *options, char **envp)
{
    const bool is_root = geteuid() == 0;
    const char *home = flag_environment_get(envp, "HOME");
    if (home != NULL && home[0] != '/')
        home = NULL;
    if (!options->unix_socket_given)
        set_default_path(options->unix_socket, sizeof(options->unix_socket), is_root ? "/var/run" : home,
                         is_root ? "/nexd.sock" : "/.nexodus/nexd.sock");
    if (!options->state_dir_given)
        set_default_path(options->state_dir, sizeof(options->state_dir), is_root ? "/var/lib" : home,
                         is_root ? "/nexd" : "/.nexodus");
}

int options_parse(int argc, char **argv, char **envp, struct options *out, char *error)
{
    struct options_reader reader = {
        .draft.options = {.listen_port = -1,
                          .unix_socket_group = -1,
                          .log_level = LOG_LEVEL_INFO,
                          .sandbox = SANDBOX_STRICT,
                          .child_uids = IDENTITY_FIRST_DEFAULT},
        .error = error,
    };
    reader.scan = (struct flag_scan){
        .flags = options_flags, .count = options_flag_count, .result = &reader.draft, .error = error};
    struct options *const options = &reader.draft.options;
    error[0] = '\0';
    int err = read_arguments(&reader, argc, argv);
    if (err == NX_OK && takes_rules(options))
        err = flag_scan_environment(&reader.scan, envp);
    if (err == NX_OK && takes_rules(options) && options->config_file[0] != '\0')
        err = config_file_load(&reader.scan, options->config_file);
    if (err == NX_OK && takes_rules(options) && options->wireguard_config[0] == '\0')
        err = options_proxy_read(&options->network, envp, error);
    if (err == NX_OK)
        err = check_whole(&reader);
    if (err != NX_OK) {
        options_free(options);
        *out = (struct options){0};
        return err;
    }
    set_default_paths(options, envp);
    *out = *options;
    options_network_wipe(&options->network);
    return NX_OK;
}

void options_free(struct options *options)
{
    free(options->rules);
    options->rules = NULL;
    options->rule_count = 0;
    options_network_wipe(&options->network);
}

/* Warnings held back until the file proves right; past the first few only their number is kept. */
struct held_warnings {
    char messages[16][WGCONF_ERROR_MAX];
    size_t count;
};

static void hold_warning(void *arg, const char *message)
{
    struct held_warnings *const held = arg;
    if (held->count < sizeof(held->messages) / sizeof(held->messages[0]))
        snprintf(held->messages[held->count], WGCONF_ERROR_MAX, "%s", message);
    held->count++;
}

int options_load_config(const struct options *options, struct wgconf *out, wgconf_warn_fn warn,
                        void *warn_arg, char *error)
{
    struct held_warnings held = {.count = 0};
    const size_t kept_max = sizeof(held.messages) / sizeof(held.messages[0]);
    const int err = wgconf_load(options->wireguard_config, out, hold_warning, &held, error);
    if (err != NX_OK)
        return err;
    if (options->listen_port >= 0)
        out->listen_port = (uint16_t)options->listen_port;
    for (size_t i = 0; warn != NULL && i < held.count && i < kept_max; i++)
        warn(warn_arg, held.messages[i]);
    if (warn != NULL && held.count > kept_max) {
        char more[WGCONF_ERROR_MAX];
        snprintf(more, sizeof(more), "%zu more warnings about the WireGuard configuration",
                 held.count - kept_max);
        warn(warn_arg, more);
    }
    return NX_OK;
}
