/* Where a configured peer is reached: an address as written, or a name whose addresses are tried in turn.
 *
 * A state machine without I/O: the owner reports what it learns (addresses, failures, the tunnel's counters)
 * and asks endpoint_step() what to do now. Times are monotonic nanoseconds. ctld only. */
#ifndef NEXD_CTLD_ENDPOINT_H
#define NEXD_CTLD_ENDPOINT_H

#include "ipc/messages.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    ENDPOINT_ALIVE_MS =
        180000, /* a handshake younger than this proves the present address (WireGuard's REJECT_AFTER_TIME) */
    ENDPOINT_TRY_MS = 15000,         /* three handshake attempts at one address before the next one */
    ENDPOINT_TTL_MIN_MS = 5000,      /* a shorter TTL is stretched to this */
    ENDPOINT_BACKOFF_MIN_MS = 1000,  /* after a failed look-up, doubling … */
    ENDPOINT_BACKOFF_MAX_MS = 60000, /* … up to this */
    ENDPOINT_STATUS_MS = 5000,       /* how often the tunnel is asked while there is no handshake */
};

enum endpoint_step {
    ENDPOINT_NOTHING = 0,
    ENDPOINT_RESOLVE, /* look `host` up; endpoint_resolving() says that it was asked */
    ENDPOINT_USE,     /* give endpoint_address() to the tunnel */
};

struct endpoint {
    char host[IPC_NAME_MAX + 1]; /* "" = the peer has none: it will come to us */
    uint16_t port;
    bool literal;   /* `host` is an address */
    bool resolving; /* a look-up is under way */
    bool changed;   /* the address in use has not been given to the tunnel yet */
    struct netsock candidates[IPC_ADDRS_MAX];
    uint16_t candidate_count, current;
    uint64_t fresh_until_ns; /* end of the addresses' TTL */
    uint64_t resolve_at_ns;  /* no look-up before */
    uint32_t backoff_ms;
    uint64_t handshake_ns; /* last one, 0 = none yet */
    uint64_t tx_bytes;
    bool attempted;        /* the tunnel has sent without success since the last look-up */
    bool trying;           /* … and since the present address was chosen: … */
    uint64_t try_since_ns; /* … from then on */
};

/* `host` as in STATIC_PEER. An address with a zone must have a numeric one; otherwise NX_EINVAL. */
int endpoint_init(struct endpoint *e, const char *host, uint16_t port, uint64_t now_ns);

/* What the tunnel reports: time of the last handshake (0 = none) and bytes sent, handshake messages included.
 */
void endpoint_status(struct endpoint *e, uint64_t handshake_ns, uint64_t tx_bytes, uint64_t now_ns);
void endpoint_resolving(struct endpoint *e);
/* Addresses in the order of preference that the look-up gave them. None at all counts as a failure. */
void endpoint_resolved(struct endpoint *e, const struct netaddr *addresses, size_t count, uint32_t ttl_s,
                       uint64_t now_ns);
void endpoint_resolve_failed(struct endpoint *e, uint64_t now_ns);
/* The resolver is (again) there: a look-up under way is lost, and no back-off stands in the way of a new one.
 */
void endpoint_retry(struct endpoint *e, uint64_t now_ns);

/* The next thing to do. ENDPOINT_USE is answered once a change, before anything else; ENDPOINT_RESOLVE until
 * endpoint_resolving() is called. */
enum endpoint_step endpoint_step(struct endpoint *e, uint64_t now_ns);
/* The address in use; NETADDR_NONE as long as there is none. */
struct netsock endpoint_address(const struct endpoint *e);
/* When endpoint_step() may next have something to do without a new event; UINT64_MAX = never. */
uint64_t endpoint_next_ns(const struct endpoint *e);
/* When the tunnel's counters are needed again; UINT64_MAX = never. */
uint64_t endpoint_status_due_ns(const struct endpoint *e, uint64_t now_ns);

#endif
