/* Nothing here needs the network: whatever is wrong with the options is found before anything is started. */
#include "nexd/network_setup.h"

#include "common/err.h"
#include "common/log.h"
#include "nexd/local_address.h"
#include "nexd/password_prompt.h"
#include "nexd/secret_file.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* The servers that the Nexodus agent has built in. */
static const struct ipc_stun_server default_stun_servers[] = {{"stun.l.google.com", 19302},
                                                              {"stun1.l.google.com", 19302},
                                                              {"stun2.l.google.com", 19302},
                                                              {"stun3.l.google.com", 19302},
                                                              {"stun4.l.google.com", 19302}};

/* What a device is called, if the host's name can stand in a message. */
static void hostname_fill(char *out, size_t size)
{
    struct utsname names;
    snprintf(out, size, "%s", uname(&names) ? "" : names.nodename);
    for (const char *c = out; *c; c++)
        if (*c <= ' ' || *c > '~')
            out[0] = '\0';
    if (out[0] == '\0')
        snprintf(out, size, "nexd");
}

static void network_fill(const struct options_network *given, const struct reg_key_service *service,
                         struct ipc_network *out)
{
    char authority[URL_AUTHORITY_MAX];
    *out = (struct ipc_network){.request_ip = given->request_ip,
                                .local_endpoint = given->local_endpoint_ip,
                                .relay_only = given->relay_only,
                                .skip_tls_verify = given->insecure_skip_tls_verify};
    snprintf(out->service_url, sizeof out->service_url, "https://%s",
             url_authority(&service->service, authority));
    hostname_fill(out->hostname, sizeof out->hostname);
    snprintf(out->os, sizeof out->os, "linux");
    snprintf(out->vpc_id, sizeof out->vpc_id, "%s", given->vpc_id);
    snprintf(out->security_group_id, sizeof out->security_group_id, "%s", given->security_group_id);
    snprintf(out->no_proxy, sizeof out->no_proxy, "%s", given->no_proxy);
}

static void stun_fill(const struct options_network *given, struct network_config *out)
{
    const bool own = given->stun_server_count > 0;
    const struct ipc_stun_server *servers = own ? given->stun_servers : default_stun_servers;
    out->stun_server_count =
        own ? given->stun_server_count : sizeof default_stun_servers / sizeof *default_stun_servers;
    memcpy(out->stun_servers, servers, out->stun_server_count * sizeof *servers);
}

static void outlets_fill(const struct options_network *given, const struct reg_key_service *service,
                         struct network_config *out)
{
    struct ipc_outlet *api = &out->outlets[out->outlet_count++];
    *api = (struct ipc_outlet){.kind = IPC_OUTLET_SERVICE, .port = service->service.port};
    snprintf(api->host, sizeof api->host, "%s", service->api_host);
    if (given->https_proxy[0])
        out->outlets[out->outlet_count++] = given->https_proxy_outlet;
}

/* What reading has to say is held back until all is right, so that an error is one line. */
struct warnings {
    wgconf_warn_fn warn;
    void *arg;
    char held[2][TEXT_QUOTE_MAX + 96]; /* one a secret's file */
    size_t count;
};

static void hold(void *arg, const char *message)
{
    struct warnings *warnings = arg;
    if (warnings->count < sizeof warnings->held / sizeof *warnings->held)
        snprintf(warnings->held[warnings->count++], sizeof *warnings->held, "%s", message);
}

static void tell(const struct options_network *given, const struct warnings *warnings)
{
    char message[128];
    for (size_t i = 0; i < warnings->count; i++)
        warnings->warn(warnings->arg, warnings->held[i]);
    if (given->secret_argument) {
        snprintf(message, sizeof message,
                 "--%s: every local user can read arguments; --%s-file keeps it to its owner",
                 given->secret_argument, given->secret_argument);
        warnings->warn(warnings->arg, message);
    }
    if (given->positional_count)
        warnings->warn(warnings->arg,
                       "DEPRECATION WARNING: configuring the service url via the positional "
                       "argument will not be supported in a future release, use --service-url");
    if (given->insecure_skip_tls_verify)
        warnings->warn(
            warnings->arg,
            "--insecure-skip-tls-verify: CERTIFICATES ARE NOT CHECKED; whoever is on the way to the "
            "service can read keys and tokens, and add peers");
}

static int reg_key_take(const struct options_network *given, struct reg_key_service *service,
                        struct warnings *warnings, char *error)
{
    char text[OPTIONS_REG_KEY_MAX] = "";
    int err = NX_OK;
    if (given->reg_key_file[0])
        err = secret_file_read(given->reg_key_file, text, sizeof text, hold, warnings, error);
    else
        snprintf(text, sizeof text, "%s", given->reg_key);
    const struct reg_key_options options = options_reg_key(given, text);
    if (!err)
        err = reg_key_resolve(&options, service, error);
    sodium_memzero(text, sizeof text);
    return err;
}

static int password_take(const struct options_network *given, bool ask, struct network_setup *out,
                         struct warnings *warnings, char *error)
{
    int err = NX_OK;
    if (given->username[0] == '\0' || out->service.key[0]) /* a registration key comes first */
        return NX_OK;
    snprintf(out->username, sizeof out->username, "%s", given->username);
    if (given->password_file[0])
        err = secret_file_read(given->password_file, out->password, sizeof out->password, hold, warnings,
                               error);
    else if (given->password[0])
        snprintf(out->password, sizeof out->password, "%s", given->password);
    else if (ask &&
             password_prompt("Enter nexodus account password: ", out->password, sizeof out->password)) {
        snprintf(error, OPTIONS_ERROR_MAX,
                 "--username without a password, and no terminal to ask at; example: --username NAME "
                 "--password-file FILE");
        err = NX_EINVAL;
    }
    return err;
}

int network_setup_make(const struct options *options, bool ask, struct network_setup *out,
                       wgconf_warn_fn warn, void *arg, char *error)
{
    struct warnings warnings = {.warn = warn, .arg = arg};
    const struct options_network *given = &options->network;
    *out = (struct network_setup){0};
    int err = reg_key_take(given, &out->service, &warnings, error);
    if (!err)
        err = password_take(given, ask, out, &warnings, error);
    if (!err && strlen(out->service.api_host) + sizeof "https://:65535" > IPC_URL_MAX) {
        snprintf(error, OPTIONS_ERROR_MAX, "the service URL is too long");
        err = NX_EINVAL;
    }
    if (err) {
        network_setup_wipe(out);
        return err;
    }
    network_fill(given, &out->service, &out->config.network);
    stun_fill(given, &out->config);
    outlets_fill(given, &out->service, &out->config);
    if (given->local_endpoint_ip.family == NETADDR_NONE &&
        local_address_find(&out->config.network.local_endpoint))
        log_debug(
            "there is no default route: peers of the same network are not told an address of this host's");
    out->config.listen_port = options->listen_port > 0 ? (uint16_t)options->listen_port : 0;
    memcpy(out->proxy, given->https_proxy, sizeof out->proxy);
    memcpy(out->ca_file, given->ca_file, sizeof out->ca_file);
    out->config.ca_file = out->ca_file;
    tell(given, &warnings);
    return NX_OK;
}

static void keep(struct vault *vault, enum ipc_credential_kind kind, char *value, size_t size)
{
    if (value[0])
        vault_credential_put(vault, kind, value, strlen(value));
    sodium_memzero(value, size);
}

void network_setup_keep(struct network_setup *setup, struct vault *vault)
{
    keep(vault, IPC_CREDENTIAL_REG_KEY, setup->service.key, sizeof setup->service.key);
    keep(vault, IPC_CREDENTIAL_USERNAME, setup->username, sizeof setup->username);
    keep(vault, IPC_CREDENTIAL_PASSWORD, setup->password, sizeof setup->password);
    keep(vault, IPC_CREDENTIAL_PROXY, setup->proxy, sizeof setup->proxy);
}

void network_setup_wipe(struct network_setup *setup)
{
    sodium_memzero(setup, sizeof *setup);
}

int network_setup_key(struct state *state, struct wgconf *conf, char *error)
{
    uint8_t public_key[KEY_BYTES];
    int err = state_private_key(state, conf->private_key, error);
    if (err != NX_ENOENT)
        return err;
    vault_key_make(conf->private_key, public_key);
    err = state_store_keys(state, conf->private_key, public_key, error);
    if (err)
        sodium_memzero(conf->private_key, KEY_BYTES);
    return err;
}
