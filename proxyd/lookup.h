/* One name's way through the search list: both address families of each candidate, until one has an address.
 */
#ifndef NEXD_PROXYD_LOOKUP_H
#define NEXD_PROXYD_LOOKUP_H

#include "proxyd/dns_channel.h"
#include "proxyd/resolver.h"

struct lookup;

/* `final` false: one family has answered, the other is late; a final answer follows. After a final one the
 * lookup is gone. */
typedef void (*lookup_fn)(const struct resolver_answer *answer, bool final, void *arg);

/* Asks for `name`, a valid host name. `fn` is never called before this returns. NULL when out of memory. */
struct lookup *lookup_start(struct event_base *base, struct dns_channel *channel, const char *name,
                            lookup_fn fn, void *arg);
/* Only once the channel is gone: it would call back. NULL is harmless. */
void lookup_free(struct lookup *lookup);

/* Candidate number `index` (from 0) for `name` under a search list, into `out` (DNS_NAME_MAX + 1 bytes):
 * NX_OK, NX_ENOENT: there are no more, or NX_ERANGE: it would be too long, go on with the next. Pure. */
int lookup_candidate(const struct dns_search *search, const char *name, size_t index, char *out);

#endif
