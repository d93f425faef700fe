/* The peers that the tunnel shall have, and how tunneld comes to have them.
 *
 * A peer source (static_peers.c now) says what is wanted; this file sends it to tunneld, all of it whenever
 * the link to tunneld is new, and single changes afterwards, and keeps what tunneld reports of each peer. It
 * does no I/O itself: messages go out through `send`, time comes in as an argument. ctld only. */
#ifndef NEXD_CTLD_PEERS_H
#define NEXD_CTLD_PEERS_H

#include "common/key.h"
#include "ipc/codec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEERS_QUERY_TIMEOUT_MS = 2000, PEERS_ALIVE_MS = 180000 };

struct peer_status {
    bool known;                /* tunneld has this peer; the rest is of its last report */
    struct netsock endpoint;   /* family NETADDR_NONE = none */
    uint64_t handshake_unix_s; /* 0 = never */
    uint64_t handshake_ns;     /* the same on the monotonic clock */
    uint64_t rx_bytes, tx_bytes;
};

struct peer {
    uint8_t public_key[KEY_BYTES];
    uint16_t keepalive_s;
    struct netsock endpoint; /* wanted; family NETADDR_NONE = whatever tunneld has learned */
    struct netprefix *allowed;
    size_t allowed_count, allowed_capacity;
    struct peer_status status;
    bool removed;       /* wanted no more; it is here until tunneld has been told */
    bool restart;       /* its prefixes are others than those that are being sent */
    bool dirty;         /* tunneld does not know all of this yet */
    bool send_endpoint; /* … and its endpoint is to be replaced by ours */
};

struct peers_ops {
    /* As ipc_send() on the present link to tunneld. */
    int (*send)(void *arg, enum ipc_type type, uint32_t request, const void *body);
    /* tunneld has just reported on this peer. */
    void (*on_status)(void *arg, const struct peer *peer, uint64_t now_ns);
    /* For the first time since the link came up, tunneld has every peer. */
    void (*on_synced)(void *arg);
};

struct peers;
/* NULL when out of memory. `ops` must outlive it. */
struct peers *peers_new(const struct peers_ops *ops, void *arg);
void peers_free(struct peers *peers);

/* -- What is wanted; the source's side. Changes are sent by peers_pump(). -- */

/* Finds or adds; a removed one comes back without prefixes. NULL when out of memory. The pointer is good
 * until the next peer is added or removed. */
struct peer *peers_get(struct peers *peers, const uint8_t public_key[KEY_BYTES]);
struct peer *peers_find(struct peers *peers, const uint8_t public_key[KEY_BYTES]);
/* Appends to the allowed prefixes. NX_ENOMEM. */
int peers_allow(struct peer *peer, const struct netprefix *prefixes, size_t count);
/* These instead of the allowed prefixes it has. NX_ENOMEM: it has the old ones. */
int peers_replace_allowed(struct peer *peer, const struct netprefix *prefixes, size_t count);
/* Not wanted any more; harmless when there is none. Pointers to peers are stale afterwards. One that is
 * wanted again before tunneld has been told keeps its session. */
void peers_remove(struct peers *peers, const uint8_t public_key[KEY_BYTES]);
/* A new endpoint, to be used instead of what tunneld has learned; family NETADDR_NONE: leave that in place.
 */
void peers_set_endpoint(struct peer *peer, const struct netsock *endpoint);
/* The list is whole: nothing is sent to tunneld before. */
void peers_complete(struct peers *peers);

/* -- tunneld's side -- */

void peers_link_up(struct peers *peers, uint64_t now_ns);
void peers_link_down(struct peers *peers);
/* Sends as much of what is outstanding as the link takes. After changes, and when the link has room again. */
void peers_pump(struct peers *peers, uint64_t now_ns);
/* A PEER_STATUS or RESULT from tunneld. `wall_s`: Unix time. */
void peers_message(struct peers *peers, const struct ipc_message *message, uint64_t now_ns, uint64_t wall_s);

/* -- Reading -- */

/* Peers that were removed are among them until tunneld has been told: see `removed`. */
size_t peers_count(const struct peers *peers);
const struct peer *peers_at(const struct peers *peers, size_t index);
bool peers_synced(const struct peers *peers);
/* Asks tunneld for every peer's status; `done` is called once: when all have been reported, or when there
 * will be no answer (link down, PEERS_QUERY_TIMEOUT_MS), and what was known before stands. NX_EAGAIN: too
 * many are waiting. */
typedef void (*peers_done_fn)(void *arg, void *token);
int peers_refresh(struct peers *peers, peers_done_fn done, void *arg, void *token, uint64_t now_ns);
/* Whoever asked with this token is gone. */
void peers_refresh_cancel(struct peers *peers, const void *token);
/* Asks for status at this time at the latest; nobody waits. */
void peers_poll_at(struct peers *peers, uint64_t at_ns);

/* Time has passed; when it is next needed (UINT64_MAX = never). */
void peers_run(struct peers *peers, uint64_t now_ns);
uint64_t peers_next_ns(const struct peers *peers);

#endif
