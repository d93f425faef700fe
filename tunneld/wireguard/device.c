/* A device's life, and what its parts share. All memory that packets need is taken here. */
#include "tunneld/wireguard/device.h"

#include "common/err.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MTU_DEFAULT = 1420 };

struct noise_identity *wg_identity_new(void)
{
    return sodium_malloc(sizeof(struct noise_identity));
}

void wg_identity_free(struct noise_identity *identity)
{
    sodium_free(identity);
}

struct wg_device *wg_new(struct noise_identity *identity, const uint8_t private_key[32],
                         const struct aead_engine *engine, struct timerq *queue, const struct wg_ops *ops,
                         void *arg)
{
    struct wg_device *device = NULL;

    if (sodium_init() < 0)
        return NULL;
    device = calloc(1, sizeof(*device));
    if (!device)
        return NULL;
    device->engine = engine;
    device->queue = queue;
    device->ops = *ops;
    device->ops_arg = arg;
    device->mtu = MTU_DEFAULT;
    device->limits.rekey_after_messages = REKEY_AFTER_MESSAGES;
    device->limits.reject_after_messages = REJECT_AFTER_MESSAGES;
    LIST_INIT(&device->peers);
    allowedips_init(&device->allowed);
    index_table_init(&device->indices);
    randombytes_buf(device->bucket_hash_key, sizeof(device->bucket_hash_key));
    device->identity = identity;
    device->ratelimit = ratelimit_new();
    device->rx = rx_batch_new();
    device->tx = tx_batch_new();
    if (!device->ratelimit || !device->rx || !device->tx) {
        wg_free(device);
        return NULL;
    }
    noise_identity_init(device->identity, private_key);
    cookie_checker_init(&device->cookies, device->identity->public_key);
    return device;
}

void wg_free(struct wg_device *device)
{
    if (!device)
        return;
    device_enter(device);
    while (!LIST_EMPTY(&device->peers))
        peer_retire(LIST_FIRST(&device->peers));
    device_leave(device);
    preshared_destroy(&device->preshared);
    allowedips_destroy(&device->allowed);
    index_table_destroy(&device->indices);
    free(device->buckets);
    free(device->status_prefixes);
    free(device->ratelimit);
    rx_batch_free(device->rx);
    tx_batch_free(device->tx);
    sodium_memzero(device->identity, sizeof(*device->identity));
    sodium_memzero(device, sizeof(*device));
    free(device);
}

const uint8_t *wg_public_key(const struct wg_device *device)
{
    return device->identity->public_key;
}

void wg_set_mtu(struct wg_device *device, uint16_t mtu)
{
    device->mtu = mtu;
}

const struct wg_counters *wg_counters_get(const struct wg_device *device)
{
    return &device->counters;
}

void device_transmit(struct wg_device *device, const struct netsock *to, const void *message, size_t length)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = length};
    struct wg_out out = {.to = *to, .iov = &iov, .iov_count = 1, .datagrams = 1, .segment = (uint16_t)length};

    device->ops.transmit(device->ops_arg, &out, 1);
}
