/* ICMP echo from our tunnel address, over IPv4 and IPv6. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_PING_H
#define NEXD_TUNNELD_PING_H

#include "common/netaddr.h"

enum { NETSTACK_PINGS_MAX = 2048 /* under way at once */ };

/* NX_OK with the round trip, or NX_ETIMEDOUT. It may send another. */
typedef void (*netstack_ping_fn)(void *arg, uint32_t request, int err, uint64_t round_trip_ns);

/* Sends one echo request; `done` is called once, never from within. NX_OK; or no `done` follows: NX_ENOENT
 * (no address of that family, or no peer has `dest`), NX_EAGAIN (too many are under way), NX_ENOMEM. */
int netstack_ping(const struct netaddr *dest, uint64_t timeout_ns, netstack_ping_fn done, void *arg,
                  uint32_t request);
/* Forgets all that are under way, without calling anybody. */
void netstack_ping_forget(void);

#endif
