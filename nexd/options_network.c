/* See options_network.h. Texts follow the Nexodus agent's where scripts look for them. */
#include "nexd/options_network.h"

#include "common/err.h"
#include "common/text.h"
#include "nexd/options_table.h"
#include "nexd/proxy_url.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int __attribute__((format(printf, 2, 3))) fail(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, FLAG_ERROR_MAX, format, arguments);
    va_end(arguments);
    return NX_EINVAL;
}

static struct options_network *network_of(const struct flag_value *value)
{
    return &((struct options_draft *)value->result)->options.network;
}

/* -- Readers -- */

int options_read_secret(const struct flag_value *value)
{
    struct options_network *network = network_of(value);
    const size_t length = strlen(value->text);
    if (length == 0 || length >= value->flag->max)
        return fail(value->error, "%s%s: must have 1 to %llu bytes; example: --%s %s",
                    value->from_environment ? "" : "--",
                    value->from_environment ? value->flag->environment : value->flag->name,
                    (unsigned long long)value->flag->max - 1, value->flag->name, value->flag->example);
    memcpy(flag_target(value), value->text, length + 1);
    if (!value->from_environment && !value->from_file)
        network->secret_argument = value->flag->name;
    return NX_OK;
}

int options_read_secret_file(const struct flag_value *value)
{
    struct options_network *network = network_of(value);
    if (flag_target(value) == network->reg_key_file)
        network->reg_key_file_configured = value->from_file;
    else
        network->password_file_configured = value->from_file;
    return flag_read_path(value);
}

static bool uuid_digit(char c, size_t at)
{
    if (at == 8 || at == 13 || at == 18 || at == 23)
        return c == '-';
    const char lower = (char)(c | 0x20);
    return text_is_digit(c) || (lower >= 'a' && lower <= 'f');
}

int options_read_uuid(const struct flag_value *value)
{
    char *const out = flag_target(value);
    const size_t length = strlen(value->text);
    bool right = length == IPC_UUID_MAX;
    for (size_t i = 0; right && i < length; i++)
        right = uuid_digit(value->text[i], i);
    if (!right)
        return flag_fail(value, "is not a UUID");
    for (size_t i = 0; i <= length; i++)
        out[i] =
            value->text[i] >= 'A' && value->text[i] <= 'F' ? (char)(value->text[i] | 0x20) : value->text[i];
    return NX_OK;
}

int options_read_ip(const struct flag_value *value)
{
    struct netaddr *const out = flag_target(value);
    if (netaddr_parse(value->text, out) != NX_OK)
        return flag_fail(value, "is not a valid IP address");
    if (value->flag->max == NETADDR_V4 && out->family != NETADDR_V4)
        return flag_fail(value, "only IPv4 addresses are supported");
    return NX_OK;
}

int options_read_stun_server(const struct flag_value *value)
{
    struct options_network *network = network_of(value);
    const struct text_span text = {value->text, strlen(value->text)};
    struct text_span host, port;
    struct host_problem problem;
    struct netaddr addr;
    uint64_t number;
    if (network->stun_server_count == NETWORK_STUN_SERVERS_MAX)
        return flag_fail(value, "there are too many STUN servers, 16 at most");
    struct ipc_stun_server *server = &network->stun_servers[network->stun_server_count];
    if (host_split_port(text, &host, &port, &problem) != NX_OK ||
        host_parse(host, server->host, &addr, &problem) != NX_OK ||
        text_to_u64(port.start, port.length, 1, UINT16_MAX, &number) != NX_OK)
        return flag_fail(value, "must be HOST:PORT, IPv6 in brackets");
    server->port = (uint16_t)number;
    network->stun_server_count++;
    return NX_OK;
}

int options_read_refused(const struct flag_value *value)
{
    int err = flag_read_switch(value);
    if (err != NX_OK || !*(bool *)flag_target(value))
        return err;
    *(bool *)flag_target(value) = false;
    return flag_fail(value, "nexd proxies only, and makes no network interface");
}

/* -- Arguments and environment that are no flags -- */

bool options_positional_put(struct options_network *network, const char *word)
{
    if (network->positional_count == 0 && strstr(word, "://") == NULL)
        return false;
    if (network->positional_count < OPTIONS_POSITIONAL_MAX)
        network->positional[network->positional_count] = word;
    network->positional_count++;
    return true;
}

static const char *variable_get(char **envp, const char *upper, const char *lower, const char **name)
{
    const char *const text = flag_environment_get(envp, upper);
    *name = text && text[0] ? upper : lower;
    return text && text[0] ? text : flag_environment_get(envp, lower);
}

int options_proxy_read(struct options_network *network, char **envp, char *error)
{
    const char *name, *why;
    const char *text = variable_get(envp, "HTTPS_PROXY", "https_proxy", &name);
    if (text && text[0]) {
        why = proxy_url_parse(text, network->https_proxy, sizeof network->https_proxy,
                              &network->https_proxy_outlet);
        if (why)
            return fail(error, "%s: %s; example: %s=http://proxy.example:3128", name, why, name);
    }
    text = variable_get(envp, "NO_PROXY", "no_proxy", &name);
    if (!text)
        return NX_OK;
    if (strlen(text) >= sizeof network->no_proxy)
        return fail(error, "%s: is longer than %zu bytes", name, sizeof network->no_proxy - 1);
    for (const char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            return fail(error, "%s: a character that has no place in a list of hosts", name);
    strcpy(network->no_proxy, text);
    return NX_OK;
}

/* -- The whole -- */

const char *options_network_given(const struct options_network *network)
{
    if (network->reg_key[0] || network->reg_key_file[0])
        return "--reg-key";
    if (network->service_url[0] || network->positional_count)
        return "--service-url";
    return network->username[0] ? "--username" : NULL;
}

struct reg_key_options options_reg_key(const struct options_network *network, const char *reg_key)
{
    return (struct reg_key_options){.service_url = network->service_url,
                                    .positional = network->positional_count ? network->positional[0] : NULL,
                                    .reg_key = reg_key,
                                    .vpc_id = network->vpc_id,
                                    .security_group_id = network->security_group_id};
}

/* What is wrong with the service or the key is told in the Nexodus agent's words, which show no right one. */
static void example_append(char *error)
{
    const size_t length = strlen(error);
    const bool of_key = strncmp(error, "invalid '--reg-key", 18) == 0;
    snprintf(error + length, FLAG_ERROR_MAX - length, "; example: %s",
             of_key ? "--reg-key https://nexodus.example#RK:KEY" : "--service-url https://nexodus.example");
}

/* With the key in a file that has not been read yet, any key tells whether the rest agrees with one. */
static int service_check(const struct options_network *network, char *error)
{
    struct reg_key_service service;
    const char *key = network->reg_key_file[0] ? "RK:" : network->reg_key;
    const struct reg_key_options options = options_reg_key(network, key);
    int err = reg_key_resolve(&options, &service, error);
    if (!err && service.api_base[0] == '\0')
        err = fail(error, "no service URL");
    reg_key_clear(&service);
    if (err && strncmp(error, "invalid '", 9) == 0)
        example_append(error);
    return err;
}

/* True: both were given, and neither counts more. */
static bool secret_ambiguous(const char *secret, char *file, bool file_configured)
{
    if (!secret[0] || !file[0])
        return false;
    if (file_configured)
        file[0] = '\0';
    return !file_configured;
}

int options_network_check(struct options_network *network, char *error)
{
    char quoted[TEXT_QUOTE_MAX];
    _Static_assert((int)FLAG_ERROR_MAX >= (int)REG_KEY_ERROR_MAX, "its errors pass through");
    if (network->positional_count > 1)
        return fail(error,
                    "nexd only takes one positional argument, the service URL; what is %s for? "
                    "example: nexd --service-url https://nexodus.example proxy",
                    text_quote(network->positional[1], quoted, sizeof quoted));
    if (secret_ambiguous(network->reg_key, network->reg_key_file, network->reg_key_file_configured))
        return fail(error, "the --reg-key and --reg-key-file flags are mutually exclusive; "
                           "example: --reg-key-file /etc/nexd/key");
    if (secret_ambiguous(network->password, network->password_file, network->password_file_configured))
        return fail(error, "the --password and --password-file flags are mutually exclusive; "
                           "example: --username NAME --password-file FILE");
    if ((network->password[0] || network->password_file[0]) && !network->username[0])
        return fail(error, "a password needs a user; example: --username NAME --password-file FILE");
    if (network->stun_server_count == 1)
        return fail(error, "at least two stun servers are required; example: --stun-server "
                           "stun1.example:3478,stun2.example:3478");
    return service_check(network, error);
}

void options_network_wipe(struct options_network *network)
{
    sodium_memzero(network, sizeof *network);
}

/* -- Mistyped variables -- */

/* Of the Nexodus agent, for what nexd does not do; and of its logs. */
static const char *const foreign_variables[] = {"NEXD_EXIT_NODE", "NEXD_REQUESTED_ADVERTISE_CIDR",
                                                "NEXD_NET_ROUTER_NODE", "NEXD_DISABLE_NAT",
                                                "NEXD_PROXY_DEBUG_TRAFFIC"};

static bool variable_known(const char *name)
{
    for (size_t i = 0; i < options_flag_count; i++)
        if (options_flags[i].environment && strcmp(options_flags[i].environment, name) == 0)
            return true;
    for (size_t i = 0; i < sizeof foreign_variables / sizeof *foreign_variables; i++)
        if (strcmp(foreign_variables[i], name) == 0)
            return true;
    return false;
}

static const char *variable_nearest(const char *name)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < options_flag_count; i++) {
        const char *const known = options_flags[i].environment;
        /* What all have in common says nothing about which one was meant. */
        const size_t errors =
            known && strncmp(known, "NEXD_", 5) == 0 ? text_typing_errors(name + 5, known + 5) : SIZE_MAX;
        if (errors < best) {
            best = errors;
            nearest = known;
        }
    }
    return nearest;
}

void options_variables_check(char **envp, void (*warn)(void *arg, const char *message), void *arg)
{
    for (; envp && *envp; envp++) {
        char name[TEXT_QUOTE_MAX], quoted[TEXT_QUOTE_MAX + 16], message[2 * TEXT_QUOTE_MAX + 64];
        const size_t length = strcspn(*envp, "=");
        if (strncmp(*envp, "NEXD_", 5) != 0 || length >= sizeof name)
            continue;
        memcpy(name, *envp, length);
        name[length] = '\0';
        const char *const nearest = variable_known(name) ? NULL : variable_nearest(name);
        if (!nearest)
            continue;
        snprintf(message, sizeof message, "unknown variable %s, did you mean %s?",
                 text_quote(name, quoted, sizeof quoted), nearest);
        warn(arg, message);
    }
}
