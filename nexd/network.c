/* States of the tunnel:
 *
 *              tunnel_up, addresses                 tunnel_up,
 *              known                                none known
 *        ┌──────────────────────── NONE ───────────────────────┐
 *        ▼                           ▲                         ▼
 *   CONFIGURING ◄─────────────────── │ ◄─── addresses ─── WAITING
 *        │                           │
 *        │ result             other addresses,
 *        ▼                    another key, it ended
 *   CONFIGURED ──────────────────────┘
 *
 * In WAITING the tunnel's sockets serve STUN already, since a device has to know its own address outside
 * before it can join. Addresses that are known survive tunneld and ctld; those that ctld gives at its start,
 * from what was stored, let the tunnel run before the control plane has answered. The same addresses again
 * change nothing, so that flows live on when the control plane confirms what was stored.
 *
 * At most one MESH_ADDRESSES waits for its answer: ctld gives the tunnel peers only once it is answered. */
#include "nexd/network.h"

#include "common/err.h"

#include <string.h>

void network_init(struct network *network, const struct network_ops *ops, void *arg)
{
    *network = (struct network){.ops = ops, .arg = arg};
}

static void answer_pending(struct network *network, enum ipc_outcome outcome, const char *text)
{
    uint32_t request = network->request;
    network->request = 0;
    if (request)
        network->ops->answer(network->arg, request, outcome, text);
}

static void configure(struct network *network)
{
    network->tunnel = NETWORK_TUNNEL_CONFIGURING;
    network->ops->configure(network->arg, &network->addresses);
}

static void restart(struct network *network, const char *why)
{
    network->tunnel = NETWORK_TUNNEL_NONE;
    network->ops->restart(network->arg, why);
}

/* -- tunneld -- */

void network_tunnel_up(struct network *network)
{
    network->tunnel = NETWORK_TUNNEL_WAITING;
    if (network->addresses.addresses.count > 0)
        configure(network);
}

void network_tunnel_gone(struct network *network)
{
    network->tunnel = NETWORK_TUNNEL_NONE;
}

bool network_tunnel_result(struct network *network, const char *failure)
{
    if (network->tunnel != NETWORK_TUNNEL_CONFIGURING)
        return false;
    if (failure) {
        answer_pending(network, IPC_FAILED, failure);
        restart(network, failure);
        return true;
    }
    network->tunnel = NETWORK_TUNNEL_CONFIGURED;
    answer_pending(network, IPC_OK, "");
    return true;
}

/* -- ctld -- */

/* Could a device have it? Not: 0.0.0.0/8, 127.0.0.0/8, multicast and above; ::, ::1, link-local, multicast.
 */
static bool address_usable(const struct netaddr *address)
{
    static const uint8_t zeros[15];
    const uint8_t *bytes = address->bytes;
    if (address->family == NETADDR_V4)
        return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224;
    if (memcmp(bytes, zeros, sizeof zeros) == 0 && bytes[15] <= 1)
        return false;
    return bytes[0] != 0xff && !(bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

static bool has(const struct ipc_mesh_addresses *set, const struct netaddr *address, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (netaddr_equal(&set->addresses.item[i], address))
            return true;
    return false;
}

/* Why these cannot be ours; NULL: they can. */
static const char *addresses_check(const struct ipc_mesh_addresses *set)
{
    if (set->addresses.count == 0)
        return "the network gives this device no address";
    for (size_t i = 0; i < set->addresses.count; i++) {
        if (!address_usable(&set->addresses.item[i]))
            return "an address that no device can have";
        if (has(set, &set->addresses.item[i], i))
            return "an address stands there twice";
    }
    return NULL;
}

/* In any order. */
static bool addresses_equal(const struct ipc_mesh_addresses *a, const struct ipc_mesh_addresses *b)
{
    if (a->addresses.count != b->addresses.count)
        return false;
    for (size_t i = 0; i < a->addresses.count; i++)
        if (!has(b, &a->addresses.item[i], b->addresses.count))
            return false;
    return true;
}

void network_addresses(struct network *network, uint32_t request, const struct ipc_mesh_addresses *addresses)
{
    const char *wrong = addresses_check(addresses);
    if (wrong) {
        if (request)
            network->ops->answer(network->arg, request, IPC_FAILED, wrong);
        return;
    }
    answer_pending(network, IPC_FAILED, "other addresses came meanwhile");
    network->request = request;
    if (addresses_equal(addresses, &network->addresses)) {
        if (network->tunnel == NETWORK_TUNNEL_CONFIGURED)
            answer_pending(network, IPC_OK, "");
        return;
    }
    network->addresses = *addresses;
    if (network->tunnel == NETWORK_TUNNEL_WAITING)
        configure(network);
    else if (network->tunnel != NETWORK_TUNNEL_NONE)
        restart(network, "its addresses inside the mesh have changed");
}

void network_key_renew(struct network *network, uint32_t request, bool current)
{
    char error[NETWORK_TEXT_MAX] = "";
    int err = current ? network->ops->renew(network->arg, error) : NX_OK;
    if (!err && current) {
        network->addresses.addresses.count = 0;
        answer_pending(network, IPC_FAILED, "the key pair was replaced meanwhile");
        if (network->tunnel > NETWORK_TUNNEL_WAITING)
            restart(network, "its key pair was replaced");
    }
    if (!err)
        network->ops->announce(network->arg);
    if (request)
        network->ops->answer(network->arg, request, err ? IPC_FAILED : IPC_OK, error);
}

void network_ctld_gone(struct network *network)
{
    network->request = 0;
}
