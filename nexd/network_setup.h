/* From the options to what network mode runs with: secrets read from their files or asked for, defaults
 * filled in. The parent process, before its sandbox. */
#ifndef NEXD_NEXD_NETWORK_SETUP_H
#define NEXD_NEXD_NETWORK_SETUP_H

#include "nexd/network_config.h"
#include "nexd/options.h"
#include "nexd/state/state.h"
#include "nexd/vault.h"

struct network_setup {
    struct network_config config;
    struct reg_key_service service; /* with the key, a secret */
    char username[OPTIONS_CREDENTIAL_MAX], password[OPTIONS_CREDENTIAL_MAX], proxy[OPTIONS_CREDENTIAL_MAX];
    char ca_file[PATH_MAX];
};

/* NX_OK; or NX_EINVAL with a line in `error` (OPTIONS_ERROR_MAX bytes), and nothing to wipe. `warn` is told
 * what an operator should know about what was given, only on success. With `ask`, a user's password that is
 * missing is asked for on the terminal. */
int network_setup_make(const struct options *options, bool ask, struct network_setup *out,
                       wgconf_warn_fn warn, void *arg, char *error);
/* Puts the credentials where they stay, and wipes them here. */
void network_setup_keep(struct network_setup *setup, struct vault *vault);
void network_setup_wipe(struct network_setup *setup);

/* The device's private key into `conf`: the stored one, or a new one, which then is stored. NX_OK; else with
 * a line in `error` (STATE_ERROR_MAX bytes). */
int network_setup_key(struct state *state, struct wgconf *conf, char *error);

#endif
