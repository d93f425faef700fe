/* Changes from outside: peers made, changed, removed and listed. Whatever can fail comes before the first
 * change, so that a call either does all of its work or none. */
#include "tunneld/wireguard/device.h"

#include "common/array.h"
#include "common/err.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_number(const struct wg_device *device, const uint8_t *public_key, size_t buckets)
{
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, public_key, NOISE_PUBLIC_KEY_LEN, device->bucket_hash_key);
    return hash & (buckets - 1);
}

struct peer_list *peer_bucket(const struct wg_device *device, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    return &device->buckets[bucket_number(device, public_key, device->bucket_count)];
}

/* Keeps about one peer a bucket. */
static int buckets_reserve(struct wg_device *device, size_t peers)
{
    size_t count = device->bucket_count ? device->bucket_count : PEER_BUCKETS_MIN;
    struct peer_list *buckets;
    struct wg_peer *peer;

    while (count < peers)
        count *= 2;
    if (count == device->bucket_count)
        return NX_OK;
    buckets = calloc(count, sizeof(*buckets));
    if (!buckets)
        return NX_ENOMEM;
    LIST_FOREACH (peer, &device->peers, in_list) {
        LIST_REMOVE(peer, in_bucket);
        LIST_INSERT_HEAD(&buckets[bucket_number(device, peer->remote.public_key, count)], peer, in_bucket);
    }
    free(device->buckets);
    device->buckets = buckets;
    device->bucket_count = count;
    return NX_OK;
}

static int status_prefixes_reserve(struct wg_device *device, size_t count)
{
    struct netprefix *prefixes =
        array_reserve(device->status_prefixes, &device->status_prefix_capacity, count, sizeof(*prefixes));

    if (!prefixes)
        return NX_ENOMEM;
    device->status_prefixes = prefixes;
    return NX_OK;
}

static bool prefixes_valid(const struct netprefix *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t family = prefixes[i].addr.family;

        if (!(family == NETADDR_V4 && prefixes[i].length <= 32) &&
            !(family == NETADDR_V6 && prefixes[i].length <= 128))
            return false;
    }
    return true;
}

/* A peer that is in no table yet. */
static int peer_new(struct wg_device *device, const uint8_t *public_key, struct wg_peer **out)
{
    struct wg_peer *peer = calloc(1, sizeof(*peer));
    int err;

    if (!peer)
        return NX_ENOMEM;
    err = noise_remote_init(&peer->remote, device->identity, public_key);
    if (err != NX_OK) {
        free(peer);
        return err;
    }
    peer->device = device;
    peer->batch_tail = -1;
    STAILQ_INIT(&peer->staged);
    preshared_get(&device->preshared, public_key, peer->remote.preshared_key);
    cookie_jar_init(&peer->cookies, public_key);
    key_short(public_key, peer->name);
    timers_init(peer);
    *out = peer;
    return NX_OK;
}

static void peer_insert(struct wg_device *device, struct wg_peer *peer)
{
    LIST_INSERT_HEAD(&device->peers, peer, in_list);
    LIST_INSERT_HEAD(peer_bucket(device, peer->remote.public_key), peer, in_bucket);
    device->peer_count++;
}

/* The part that cannot fail. */
static void peer_apply(struct wg_peer *peer, const struct wg_peer_config *config, uint64_t now_ns)
{
    struct wg_device *device = peer->device;
    uint64_t keepalive_ns = config->keepalive_s * NS_PER_S;
    bool reachable_before = peer_has_endpoint(peer),
         keepalive_began = keepalive_ns != 0 && peer->keepalive_ns == 0;

    peer->stale = false;
    if (config->endpoint.addr.family != NETADDR_NONE &&
        !netsock_equal(&config->endpoint, &peer->configured_endpoint)) {
        peer->configured_endpoint = config->endpoint;
        peer->endpoint = config->endpoint;
        peer_source_know(peer);
    }
    peer->keepalive_ns = keepalive_ns;
    if (config->replace_allowed)
        allowedips_remove_all(&device->allowed, &peer->allowed);
    for (size_t i = 0; i < config->allowed_count; i++)
        allowedips_insert(&device->allowed, &config->allowed[i], peer, &peer->allowed);
    if (keepalive_ns != 0 && (keepalive_began || !reachable_before))
        send_keepalive(peer, now_ns);
}

int wg_peer_set(struct wg_device *device, const struct wg_peer_config *config, uint64_t now_ns)
{
    struct wg_peer *peer = peer_lookup(device, config->public_key);
    bool is_new = !peer;
    int err;

    if (sodium_memcmp(config->public_key, device->identity->public_key, NOISE_PUBLIC_KEY_LEN) == 0 ||
        !prefixes_valid(config->allowed, config->allowed_count))
        return NX_EINVAL;
    if ((err = allowedips_reserve(&device->allowed, config->allowed_count)) != NX_OK ||
        (err = status_prefixes_reserve(device, (peer ? peer->allowed.count : 0) + config->allowed_count)) !=
            NX_OK)
        return err;
    if (is_new) {
        if ((err = buckets_reserve(device, device->peer_count + 1)) != NX_OK ||
            (err = index_table_reserve(&device->indices, (device->peer_count + 1) * INDICES_PER_PEER)) !=
                NX_OK ||
            (err = peer_new(device, config->public_key, &peer)) != NX_OK)
            return err;
        peer_insert(device, peer);
    }
    device_enter(device);
    peer_apply(peer, config, now_ns);
    device_leave(device);
    return NX_OK;
}

int wg_peer_set_preshared(struct wg_device *device, const uint8_t public_key[32], const uint8_t psk[32])
{
    struct wg_peer *peer = peer_lookup(device, public_key);
    int err = preshared_set(&device->preshared, public_key, psk);

    if (err != NX_OK || !peer || sodium_memcmp(peer->remote.preshared_key, psk, NOISE_SYMMETRIC_KEY_LEN) == 0)
        return err;
    memcpy(peer->remote.preshared_key, psk, NOISE_SYMMETRIC_KEY_LEN);
    device_enter(device);
    peer_keys_clear(peer);
    device_leave(device);
    return NX_OK;
}

int wg_peer_remove(struct wg_device *device, const uint8_t public_key[32])
{
    struct wg_peer *peer = peer_lookup(device, public_key);

    if (!peer)
        return NX_ENOENT;
    device_enter(device);
    peer_retire(peer);
    device_leave(device);
    return NX_OK;
}

void wg_peers_mark(struct wg_device *device)
{
    struct wg_peer *peer;

    LIST_FOREACH (peer, &device->peers, in_list) {
        peer->stale = true;
    }
}

void wg_peers_sweep(struct wg_device *device)
{
    struct wg_peer *peer, *next;

    device_enter(device);
    for (peer = LIST_FIRST(&device->peers); peer; peer = next) {
        next = LIST_NEXT(peer, in_list);
        if (peer->stale)
            peer_retire(peer);
    }
    device_leave(device);
}

void wg_peers_each(struct wg_device *device, void (*each)(void *arg, const struct wg_peer_status *),
                   void *arg)
{
    const struct wg_peer *peer;

    LIST_FOREACH (peer, &device->peers, in_list) {
        struct wg_peer_status status = {
            .endpoint = peer->endpoint,
            .handshake_unix_ns = peer->handshake_unix_ns,
            .rx_bytes = peer->rx_bytes,
            .tx_bytes = peer->tx_bytes,
            .allowed = device->status_prefixes,
            .allowed_count = peer->allowed.count,
        };

        memcpy(status.public_key, peer->remote.public_key, sizeof(status.public_key));
        allowedips_list_read(&peer->allowed, device->status_prefixes);
        each(arg, &status);
    }
}

const uint8_t *wg_peer_key(const struct wg_peer *peer)
{
    return peer->remote.public_key;
}

struct wg_peer *wg_route(struct wg_device *device, const struct netaddr *dst)
{
    return allowedips_lookup(&device->allowed, dst);
}
