/* `nexctl nexd drain`: no new flows, and where that is wanted, a wait for the live ones to end. */
#ifndef NEXD_NEXCTL_DRAIN_H
#define NEXD_NEXCTL_DRAIN_H

#include "nexctl/top.h"

/* Asks for draining and prints the answer. With `wait_s`: then asks until no flow lives, and prints how many
 * do whenever that has changed. NX_ETIMEDOUT: some still live after that time, which `error` says
 * (RPC_ERROR_MAX bytes); other failures as rpc_call(). */
int drain_wait(FILE *out, unsigned wait_s, top_call_fn call, const void *arg, char *error);

#endif
