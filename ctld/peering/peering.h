/* Peering: from the devices of a VPC to the peers that the tunnel shall have.
 *
 * The owner reports what it learns (devices, the VPC's ranges, our own addresses, the tunnel's counters) and
 * calls peering_run(); what is to change in the tunnel comes out through the callbacks, as differences. No
 * I/O, no clock: times are monotonic nanoseconds. ctld only. */
#ifndef NEXD_CTLD_PEERING_PEERING_H
#define NEXD_CTLD_PEERING_PEERING_H

#include "ctld/peering/method.h"

enum {
    PEERING_KEEPALIVE_S = 20,
    PEERING_POLL_MS = 5000, /* how often the tunnel's counters are needed: peering_report() */
    PEERING_DEVICES_MAX = 8192,
};

/* A peer as the tunnel shall have it. Borrowed for the call. */
struct peering_peer {
    const uint8_t *public_key;
    struct netsock endpoint; /* family NETADDR_NONE = leave what the tunnel has learned */
    bool via_derp;           /* no endpoint: packets go to a DERP server */
    uint16_t keepalive_s;
    const struct netprefix *allowed;
    size_t allowed_count;
};

struct peering_ops {
    /* Create or update: these prefixes replace the old ones. May not call back into peering. Not NX_OK (short
     * of memory): it comes again with the next run. */
    int (*set)(void *arg, const struct peering_peer *peer);
    void (*remove)(void *arg, const uint8_t public_key[KEY_BYTES]);
    /* Our own device's tunnel addresses, as the list of devices has them: at first, and when they change
     * (family NETADDR_NONE = it has none of that family). What was built on others has to be built anew. */
    void (*own_addresses)(void *arg, const struct netaddr *v4, const struct netaddr *v6);
};

struct peering;
/* NULL when out of memory. `ops` must outlive it. */
struct peering *peering_new(const struct peering_ops *ops, void *arg);
void peering_free(struct peering *peering);

/* -- What is known -- */

struct peering_self {
    const char *id; /* of our device; NULL or "" = not known yet: told by its key */
    uint8_t public_key[KEY_BYTES];
    struct method_self facts;
};
/* Again whenever something of it changes: STUN, the local address. */
void peering_set_self(struct peering *peering, const struct peering_self *self);
/* The VPC's ranges as texts; NULL or "" = none. NX_EINVAL: one cannot be read, or no VPC can have it, or
 * there is none at all; what was known before stands. */
int peering_set_vpc(struct peering *peering, const char *ipv4_cidr, const char *ipv6_cidr);

/* A device that is new or has changed, our own among them. NX_EINVAL: without an id or a proper public key;
 * what was known of that id before stands. NX_ENOMEM: no memory, or PEERING_DEVICES_MAX. */
int peering_put(struct peering *peering, const struct peering_device *device);
/* A device that was deleted; one that is not known is harmless. */
void peering_remove(struct peering *peering, const char *id);
/* Around a whole list: what is not put between the two is removed. Nothing is handed out before the first
 * list has ended, so that no part of a list is taken for all of it. */
void peering_list_begin(struct peering *peering);
void peering_list_end(struct peering *peering);

/* What the tunnel says of a peer: time of its last handshake (0 = none), bytes received, endpoint in use. */
void peering_report(struct peering *peering, const uint8_t public_key[KEY_BYTES], uint64_t handshake_ns,
                    uint64_t rx_bytes, const struct netsock *endpoint);

/* -- What follows -- */

/* Chooses, and hands out the differences. After each of the above, and at peering_next_ns(). */
void peering_run(struct peering *peering, uint64_t now_ns);
/* UINT64_MAX = not without a new event. */
uint64_t peering_next_ns(const struct peering *peering, uint64_t now_ns);

/* -- For operators, and for names -- */

struct peering_status {
    const char *id, *hostname; /* the name is "" where there is none */
    const uint8_t *public_key;
    struct netaddr tunnel_v4, tunnel_v6; /* granted ones only; family NETADDR_NONE = none */
    const char *method;                  /* as upstream's programs name it */
    bool own;                            /* our own device: the rest says nothing */
    bool served;  /* packets can be sent: false for "none", and for DERP as long as nothing carries it */
    bool healthy; /* … and they have been answered */
};
/* In the order of ids. `each` may not call back into peering. As of the last peering_run(). */
void peering_each(const struct peering *peering, uint64_t now_ns,
                  void (*each)(void *arg, const struct peering_status *status), void *arg);
/* The same of the one peer with that key. False: there is none. */
bool peering_find(const struct peering *peering, const uint8_t public_key[KEY_BYTES], uint64_t now_ns,
                  struct peering_status *out);
/* A relay answers. */
bool peering_relay_present(const struct peering *peering, uint64_t now_ns);
/* Our NAT, or the operator, keeps others from reaching us directly. */
bool peering_relay_required(const struct peering *peering);
/* Raised by each change of devices, names or grants: whoever copies them compares. */
uint64_t peering_revision(const struct peering *peering);

#endif
