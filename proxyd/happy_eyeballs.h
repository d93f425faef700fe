/* Connecting to a destination with several addresses, after RFC 8305: attempts start 250 ms apart, or as soon
 * as the one before has failed; the first that succeeds wins, the others are dropped. */
#ifndef NEXD_PROXYD_HAPPY_EYEBALLS_H
#define NEXD_PROXYD_HAPPY_EYEBALLS_H

#include "common/netaddr.h"
#include "common/rule.h"

struct event_base;

enum { EYEBALLS_ADDRS_MAX = 16, EYEBALLS_STAGGER_MS = 250 };

/* The order of attempts: families alternate, beginning with IPv6, each in the given order; duplicates are
 * left out. `out` has EYEBALLS_ADDRS_MAX entries; addresses beyond that are left out. Returns how many. Pure.
 */
size_t eyeballs_order(const struct netaddr *addrs, size_t count, struct netaddr *out);

/* What came of a race. fd is -1 when every attempt has failed; `error` is then the most telling errno. */
struct eyeballs_outcome {
    int fd; /* non-blocking, close-on-exec, options set; the receiver's */
    int error;
    struct netsock dest; /* where fd leads; on failure the last address tried */
};

struct eyeballs_race;
typedef void (*eyeballs_fn)(const struct eyeballs_outcome *outcome, void *arg);

/* Starts a race over `addrs` in that order (already ordered; 1 to EYEBALLS_ADDRS_MAX). `scope_id` is put to
 * IPv6 addresses. UDP sockets are "connected" at once. NX_OK: it is over, `outcome` is filled in (it may be a
 * failure). NX_EAGAIN: `*race` is set and `fn` is called once, from the loop; in the callback the race is
 * gone already. NX_ENOMEM. */
int eyeballs_start(struct event_base *base, enum rule_protocol protocol, const struct netaddr *addrs,
                   size_t count, uint16_t port, uint32_t scope_id, eyeballs_fn fn, void *arg,
                   struct eyeballs_outcome *outcome, struct eyeballs_race **race);
/* Ends a race without a callback. NULL is harmless. */
void eyeballs_cancel(struct eyeballs_race *race);

#endif
