/* The peer source of static mode: the [Peer] sections of the configuration, as the parent sends them. It sees
 * to it that each peer's endpoint is an address that works, through look-ups that proxyd makes. ctld only. */
#ifndef NEXD_CTLD_STATIC_PEERS_H
#define NEXD_CTLD_STATIC_PEERS_H

#include "ctld/peers.h"

enum { STATIC_LOOKUPS_MAX = 16 }; /* look-ups under way at once */

struct static_peers_ops {
    /* As ipc_send() on the present link to proxyd. */
    int (*send)(void *arg, enum ipc_type type, uint32_t request, const void *body);
};

struct static_peers;
/* NULL when out of memory. Feeds `peers`. */
struct static_peers *static_peers_new(struct peers *peers, const struct static_peers_ops *ops, void *arg);
void static_peers_free(struct static_peers *source);

/* A STATIC_PEER. Two sections of one public key make one peer. NX_EINVAL (logged: an endpoint that cannot be
 * used; the peer is there without it) or NX_ENOMEM. */
int static_peers_add(struct static_peers *source, const struct ipc_static_peer *message, uint64_t now_ns);

void static_peers_status(struct static_peers *source, const struct peer *peer, uint64_t now_ns);
/* RESOLVED or RESULT from proxyd. */
void static_peers_message(struct static_peers *source, const struct ipc_message *message, uint64_t now_ns);
void static_peers_resolver_up(struct static_peers *source, uint64_t now_ns);
void static_peers_resolver_down(struct static_peers *source);

/* Time has passed: starts look-ups, changes endpoints in `peers` (which is then to be pumped) and asks it for
 * status where it is needed. */
void static_peers_run(struct static_peers *source, uint64_t now_ns);
/* When that is next needed; UINT64_MAX = never. */
uint64_t static_peers_next_ns(const struct static_peers *source);

#endif
