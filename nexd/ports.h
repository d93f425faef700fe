/* Which TCP ports proxyd may ever need, said when it is started, so that Landlock can close all others. Only
 * where that is known for good: rules cannot change. Only the parent process. */
#ifndef NEXD_NEXD_PORTS_H
#define NEXD_NEXD_PORTS_H

#include "nexd/rulebook.h"

#include "common/netaddr.h"

/* Past so many ports of one kind, all are open. */
enum { PORTS_MAX = 4096 };

/* "--tcp-ports=bind:80,81;connect:53", to be freed, or NULL: out of memory, or too many. With `any_connect`
 * the second half is left out. `metrics` may be NULL or absent. */
char *ports_option(const struct rulebook *rules, const struct netsock *metrics, bool any_connect);

#endif
