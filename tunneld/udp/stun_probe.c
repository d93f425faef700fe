/* A request waits in one of a few places for its answer. Nobody is told when none comes: its place is free
 * again after STUN_PROBE_PENDING_MS, and who asked has a clock of its own. */
#include "tunneld/udp/stun_probe.h"

#include "common/clock.h"
#include "common/err.h"

#include <string.h>

#define TOKEN_NS (NS_PER_S / STUN_PROBE_PER_SECOND)

void stun_probe_init(struct stun_probe *probe, const struct stun_probe_ops *ops, void *arg)
{
    *probe = (struct stun_probe){.ops = ops, .arg = arg};
}

static bool is_host(const struct netaddr *addr)
{
    static const uint8_t zero[16];
    if (addr->family == NETADDR_V4)
        return addr->bytes[0] != 0 && addr->bytes[0] < 224;
    return addr->family == NETADDR_V6 && addr->bytes[0] != 0xff && memcmp(addr->bytes, zero, 16) != 0;
}

static bool token_take(struct stun_probe *probe, uint64_t now_ns)
{
    const uint64_t full_ns = probe->full_ns > now_ns ? probe->full_ns : now_ns;
    if (full_ns + TOKEN_NS > now_ns + STUN_PROBE_BURST * TOKEN_NS)
        return false;
    probe->full_ns = full_ns + TOKEN_NS;
    return true;
}

static bool is_waiting(const struct stun_probe_pending *pending, uint64_t now_ns)
{
    return pending->used && now_ns - pending->sent_ns < STUN_PROBE_PENDING_MS * NS_PER_MS;
}

int stun_probe_send(struct stun_probe *probe, uint32_t request, const struct netsock *server, uint64_t now_ns)
{
    struct stun_probe_pending *place = NULL;
    uint8_t message[STUN_REQUEST_BYTES];
    if (!is_host(&server->addr) || server->port == 0)
        return NX_EINVAL;
    for (size_t i = 0; i < STUN_PROBE_PENDING_MAX && !place; i++)
        if (!is_waiting(&probe->pending[i], now_ns))
            place = &probe->pending[i];
    if (!place || !token_take(probe, now_ns))
        return NX_ENOMEM;
    *place =
        (struct stun_probe_pending){.used = true, .request = request, .sent_ns = now_ns, .server = *server};
    probe->ops->random(probe->arg, place->txid, sizeof place->txid);
    stun_request_write(place->txid, message);
    probe->ops->transmit(probe->arg, server, message, sizeof message);
    return NX_OK;
}

void stun_probe_receive(struct stun_probe *probe, const uint8_t *data, size_t length,
                        const struct netsock *from, uint64_t now_ns)
{
    for (size_t i = 0; i < STUN_PROBE_PENDING_MAX; i++) {
        struct stun_probe_pending *pending = &probe->pending[i];
        struct netsock mapped = {0};
        if (!is_waiting(pending, now_ns) || !netsock_equal(&pending->server, from))
            continue;
        const int err = stun_answer_read(data, length, pending->txid, &mapped);
        if (err != NX_OK && err != NX_EPERM)
            continue; /* of another request, or broken: the true answer may still come */
        pending->used = false;
        probe->answers++;
        probe->ops->answered(probe->arg, pending->request, &pending->server, err, &mapped);
        return;
    }
    probe->strangers++;
}

void stun_probe_forget(struct stun_probe *probe)
{
    for (size_t i = 0; i < STUN_PROBE_PENDING_MAX; i++)
        probe->pending[i].used = false;
}
