/* WireGuard for one interface: peers, handshakes, sessions, cryptokey routing. See the WireGuard paper
 * (Donenfeld, NDSS 2017) and wireguard.com/protocol for the names used here.
 *
 * It does no I/O and reads no clock: datagrams and the time come in through calls, and leave through wg_ops.
 * Batches in, batches out: wg_receive() opens all data messages of a receive batch in one go and delivers
 * them together; packets to send are collected by wg_tx_begin/end, sealed in one go and handed over in groups
 * of equal size (for UDP_SEGMENT) by wg_tx_flush(). tunneld only, one thread. */
#ifndef NEXD_TUNNELD_WIREGUARD_H
#define NEXD_TUNNELD_WIREGUARD_H

#include "common/netaddr.h"
#include "common/timerq.h"
#include "tunneld/aead/aead.h"
#include <sys/uio.h>

struct wg_device;
struct wg_peer;

/* A received UDP datagram. `data` is decrypted in place. */
struct wg_datagram {
    uint8_t *data;
    size_t length;
    struct netsock from;
    void *owner; /* the caller's, passed on to wg_inner */
};

/* An authenticated inner IP packet whose source address the peer is allowed to use. `data` points into its
 * datagram. */
struct wg_inner {
    uint8_t *data;
    size_t length; /* the IP header's total length; padding is cut */
    struct wg_peer *peer;
    void *owner;
};

/* Datagrams to one endpoint: the bytes of iov, cut every `segment` bytes (only the last may be shorter). */
struct wg_out {
    struct netsock to;
    const struct iovec *iov;
    unsigned iov_count;
    unsigned datagrams;
    uint16_t segment;
};

struct wg_ops {
    /* Inner packets of one wg_receive() call in order of arrival, WG_DELIVER_MAX at a time; the data is valid
     * during the call unless the owner is kept. May call everything here but wg_receive() and wg_free(). */
    void (*deliver)(void *arg, const struct wg_inner *packets, size_t count);
    /* Sends now or drops; the bytes are not kept. May change and remove peers, but packets cannot be sent
     * from here: wg_tx_begin() answers NX_EAGAIN. */
    void (*transmit)(void *arg, const struct wg_out *out, size_t count);
    /* Unix time in ns, for TAI64N and statistics. */
    uint64_t (*wall_ns)(void *arg);
};

enum { WG_MTU_MAX = 9000, WG_STAGED_MAX = 128, WG_DATA_OVERHEAD = 32, WG_DELIVER_MAX = 1024 };

/* Memory for one device's private key: locked, and between guard pages (sodium_malloc). Made before the
 * sandbox closes, since that takes system calls that nothing needs later. NULL: out of memory. */
struct noise_identity *wg_identity_new(void);
void wg_identity_free(struct noise_identity *identity);

/* Copies the key to `identity`, which outlives the device; the caller wipes its own. `queue` drives all
 * timers and outlives the device too. NULL: out of memory. */
struct wg_device *wg_new(struct noise_identity *identity, const uint8_t private_key[32],
                         const struct aead_engine *engine, struct timerq *queue, const struct wg_ops *ops,
                         void *arg);
/* Wipes all keys, the identity too. Not from a callback. NULL is harmless. */
void wg_free(struct wg_device *device);
const uint8_t *wg_public_key(const struct wg_device *device);
/* The tunnel's MTU (default 1420): packets are padded to a multiple of 16 bytes, but never beyond it. */
void wg_set_mtu(struct wg_device *device, uint16_t mtu);

/* A whole receive batch (any number of datagrams). Everything that is not WireGuard or not authentic is
 * dropped and counted. Handshake messages are answered at once; keepalives and packets that waited for a
 * session go into the transmit batch, as do those of timers: see wg_tx_flush(). */
void wg_receive(struct wg_device *device, struct wg_datagram *datagrams, size_t count, uint64_t now_ns);

/* Begins an inner packet of `length` bytes (1..WG_MTU_MAX) to the peer that `dst` routes to; *slot is where
 * its bytes go. Follow with wg_tx_end() before any other call. A peer without a session gets a handshake, and
 * up to WG_STAGED_MAX packets wait for it (the oldest is dropped past that). NX_ENOENT: no peer has `dst`, or
 * the peer has no endpoint. NX_ENOMEM. NX_ERANGE: the length. NX_EAGAIN: called from transmit. Flushes by
 * itself when the batch is full. */
int wg_tx_begin(struct wg_device *device, const struct netaddr *dst, size_t length, uint64_t now_ns,
                uint8_t **slot);
void wg_tx_end(struct wg_device *device);
/* Seals and transmits what was collected. Call once at the end of each loop turn, also of one that only
 * received or only ran timers. */
void wg_tx_flush(struct wg_device *device, uint64_t now_ns);

struct wg_peer_config {
    uint8_t public_key[32];
    /* Family NETADDR_NONE, or the same as was set last: keep what is known, so that a resync does not undo
     * roaming. */
    struct netsock endpoint;
    uint16_t keepalive_s; /* 0 = off */
    const struct netprefix *allowed;
    size_t allowed_count;
    bool replace_allowed; /* else add */
};
/* Creates or updates. A prefix that another peer has moves to this one. NX_EINVAL: the device's own key, or a
 * key that gives an all-zero shared secret, or a malformed prefix. NX_ENOMEM. After an error nothing has
 * changed. */
int wg_peer_set(struct wg_device *device, const struct wg_peer_config *config, uint64_t now_ns);
/* For a peer that exists or comes later, and still after it was removed; zero key = none. A change ends the
 * peer's sessions. NX_ENOMEM. */
int wg_peer_set_preshared(struct wg_device *device, const uint8_t public_key[32], const uint8_t psk[32]);
/* NX_ENOENT. */
int wg_peer_remove(struct wg_device *device, const uint8_t public_key[32]);
/* Marks and sweep for a resync: mark all stale; wg_peer_set() clears the mark; remove what is still marked.
 */
void wg_peers_mark(struct wg_device *device);
void wg_peers_sweep(struct wg_device *device);

struct wg_peer_status {
    uint8_t public_key[32];
    struct netsock endpoint;
    uint64_t handshake_unix_ns; /* 0 = never */
    uint64_t rx_bytes, tx_bytes;
    const struct netprefix *allowed; /* valid during the callback */
    size_t allowed_count;
};
/* `each` may not add or remove peers. */
void wg_peers_each(struct wg_device *device, void (*each)(void *arg, const struct wg_peer_status *),
                   void *arg);
/* The peer's key and the peer an address routes to (NULL = none). Peers stay valid until removed. */
const uint8_t *wg_peer_key(const struct wg_peer *peer);
struct wg_peer *wg_route(struct wg_device *device, const struct netaddr *dst);

/* What was dropped, by reason, and what was done. Monotonic. */
struct wg_counters {
    uint64_t rx_data, rx_keepalive, tx_data, tx_keepalive;
    uint64_t handshakes_initiated, handshakes_answered, handshakes_completed, cookies_sent, cookies_received;
    uint64_t drop_malformed, drop_mac1, drop_unknown_peer, drop_unknown_index, drop_replay, drop_auth,
        drop_expired, drop_source, drop_inner, drop_staged, drop_no_route, drop_rate;
};
const struct wg_counters *wg_counters_get(const struct wg_device *device);

#endif
