/* Changes of proxy rules: one call a rule, each with its own outcome. */
#ifndef NEXD_NEXCTL_PROXY_H
#define NEXD_NEXCTL_PROXY_H

#include "nexctl/command.h"

/* As rpc_call(). */
typedef int (*proxy_call_fn)(const void *arg, const char *method, const char *rule, char **result,
                             char *error);

/* Makes the calls of COMMAND_PROXY_ADD or COMMAND_PROXY_REMOVE, ingress rules first, and prints to `out` what
 * came of each. A rule that is refused does not keep the others from being tried. NX_OK; or NX_ENOENT if nexd
 * cannot be reached, `error` (RPC_ERROR_MAX bytes) as rpc_call() left it. NX_ENOMEM. */
int proxy_change(FILE *out, const struct command *command, proxy_call_fn call, const void *arg, char *error);

#endif
