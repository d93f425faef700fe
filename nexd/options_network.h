/* The part of the options that is about a control plane's network: where it is, what lets us in, what we want
 * to be there. Its flags stand in the one table of flags (options_table.c). The parent process. */
#ifndef NEXD_NEXD_OPTIONS_NETWORK_H
#define NEXD_NEXD_OPTIONS_NETWORK_H

#include "ctld/nexodus/reg_key.h"
#include "nexd/flags.h"
#include "nexd/network_config.h"

#include <limits.h>

enum {
    OPTIONS_UUID_MAX = IPC_UUID_MAX + 1,
    OPTIONS_REG_KEY_MAX = URL_MAX + REG_KEY_MAX + 1,
    OPTIONS_CREDENTIAL_MAX = IPC_CREDENTIAL_MAX + 1,
    OPTIONS_NO_PROXY_MAX = IPC_URL_MAX + 1,
    OPTIONS_POSITIONAL_MAX = 2,
};

struct options_network {
    char service_url[URL_MAX];
    const char *positional[OPTIONS_POSITIONAL_MAX]; /* the deprecated way to write it; borrowed */
    size_t positional_count;                        /* may be more than are kept */
    char reg_key[OPTIONS_REG_KEY_MAX];              /* "KEY" or "URL#KEY"; a secret */
    char reg_key_file[PATH_MAX];
    char username[OPTIONS_CREDENTIAL_MAX], password[OPTIONS_CREDENTIAL_MAX]; /* the second is a secret */
    char password_file[PATH_MAX];
    char vpc_id[OPTIONS_UUID_MAX], security_group_id[OPTIONS_UUID_MAX]; /* in lower case */
    char ca_file[PATH_MAX];
    bool insecure_skip_tls_verify, relay_only;
    struct netaddr request_ip, local_endpoint_ip; /* family NETADDR_NONE: none */
    struct ipc_stun_server stun_servers[NETWORK_STUN_SERVERS_MAX];
    size_t stun_server_count;                 /* 0: the built-in ones */
    char https_proxy[OPTIONS_CREDENTIAL_MAX]; /* with its scheme and port; may hold a password */
    struct ipc_outlet https_proxy_outlet;
    char no_proxy[OPTIONS_NO_PROXY_MAX];
    const char *secret_argument; /* the flag that put a secret on the command line; NULL = none did */
    bool reg_key_file_configured, password_file_configured; /* in the configuration file */
};

/* Readers of the table; each knows its target in struct options_draft. */
int options_read_secret(const struct flag_value *value);      /* char[max]; never shown in an error */
int options_read_secret_file(const struct flag_value *value); /* char[max] */
int options_read_uuid(const struct flag_value *value);
int options_read_ip(const struct flag_value *value); /* struct netaddr; with `max` = 4 IPv4 alone */
int options_read_stun_server(const struct flag_value *value);
int options_read_refused(const struct flag_value *value); /* a switch for what nexd does not do */

/* An argument that could be the service's URL: false, it could not. */
bool options_positional_put(struct options_network *network, const char *word);
/* HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy. NX_OK or NX_EINVAL with a line in `error`. */
int options_proxy_read(struct options_network *network, char **envp, char *error);
/* Is anything given that makes sense in network mode alone? The flag's name, or NULL. */
const char *options_network_given(const struct options_network *network);
/* What only the whole allows to check; a secret that was given counts instead of a configured file. NX_OK or
 * NX_EINVAL with a line in `error` (FLAG_ERROR_MAX bytes), in which no secret stands. */
int options_network_check(struct options_network *network, char *error);
/* What reg_key_resolve() wants to know, with the key given. */
struct reg_key_options options_reg_key(const struct options_network *network, const char *reg_key);

void options_network_wipe(struct options_network *network);

/* Calls `warn` with a line for each variable NEXD_… that looks like a mistyped one of ours. */
void options_variables_check(char **envp, void (*warn)(void *arg, const char *message), void *arg);

#endif
