/* What each child needs to know, sent as a whole each time a process of it comes up.
 *
 * proxyd:  that it is to drain, if it is; the listener of metrics; the kept sockets, then TUNNEL_BIND unless
 * the tunnel's sockets are kept too, then the rules. tunneld: key, addresses, the tunnel's sockets, preshared
 * keys, rules. ctld: the device's public side, rules, peers of the configuration, the control socket.
 *
 * Only tunneld is ever sent a secret. A link's queue has room for all of it (provision_messages_max), so that
 * nothing here waits; a send that fails nevertheless means that the process is gone or stuck, and it is given
 * up. */
#include "nexd/parent.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Messages that do not grow with the configuration, and changes of rules on their way. */
enum { PROVISION_FIXED_MAX = 64 + 2 * RULE_CHANGE_QUEUE_MAX };

size_t provision_messages_max(const struct parent *parent)
{
    const struct parent_config *config = parent->config;
    size_t messages = PROVISION_FIXED_MAX + 2 * parent->rules.count + vault_preshared_count(config->vault);
    for (size_t i = 0; i < config->wgconf->peer_count; i++)
        messages += 1 + config->wgconf->peers[i].allowed_count / IPC_PREFIXES_MAX;
    return messages;
}

/* The first failure is kept: what follows it would not arrive either. */
static void send_one(struct parent_child *child, int *err, enum ipc_type type, uint32_t request,
                     const void *body)
{
    if (*err == NX_OK)
        *err = ipc_send(child->link, type, request, body);
}

/* Not those that are going; ctld is told of none that is not promised yet. */
static void send_rules(struct parent_child *child, int *err)
{
    const struct rulebook *book = &child->parent->rules;
    for (size_t i = 0; i < book->count; i++) {
        const struct rulebook_entry *entry = &book->entries[i];
        if (entry->state == RULEBOOK_GOING || (child->role == IPC_CTLD && entry->state == RULEBOOK_COMING))
            continue;
        struct ipc_rule_add add;
        rule_change_add_fill(entry, &add);
        send_one(child, err, IPC_MSG_RULE_ADD, add.rule_id, &add);
    }
}

/* The addresses of the configuration, without their prefix lengths. */
static uint16_t addresses_fill(const struct wgconf *conf, struct netaddr *out)
{
    uint16_t count = 0;
    for (size_t i = 0; i < conf->address_count && count < IPC_ADDRS_MAX; i++)
        out[count++] = conf->addresses[i].addr;
    return count;
}

static void send_proxyd(struct parent_child *child, int *err)
{
    const struct kept *kept = &child->parent->kept;
    drain_provision(child, err);
    metrics_provision(child, err);
    for (size_t i = 0; i < kept->count; i++) {
        const struct kept_socket *socket = &kept->sockets[i];
        const struct ipc_listener_keep listener = {.port = socket->port, .fd = socket->fd};
        const struct ipc_udp_keep udp = {.port = socket->port, .fd = socket->fd};
        if (socket->protocol == RULE_TCP)
            send_one(child, err, IPC_MSG_LISTENER_KEEP, 0, &listener);
        else
            send_one(child, err, IPC_MSG_UDP_KEEP, 0, &udp);
    }
    if (kept->tunnel4 < 0) {
        const struct ipc_tunnel_bind bind = {.port = child->parent->config->wgconf->listen_port};
        send_one(child, err, IPC_MSG_TUNNEL_BIND, PARENT_REQUEST_BIND, &bind);
    }
    send_rules(child, err);
}

static void send_tunneld(struct parent_child *child, int *err)
{
    const struct parent_config *config = child->parent->config;
    const struct kept *kept = &child->parent->kept;
    struct ipc_tunnel_config tunnel = {.mtu = config->wgconf->mtu};
    tunnel.addresses.count = addresses_fill(config->wgconf, tunnel.addresses.item);
    vault_private_key(config->vault, tunnel.private_key);
    send_one(child, err, IPC_MSG_TUNNEL_CONFIG, 0, &tunnel);
    sodium_memzero(&tunnel, sizeof tunnel);
    const struct ipc_tunnel_sockets sockets = {.udp4 = kept->tunnel4, .udp6 = kept->tunnel6};
    send_one(child, err, IPC_MSG_TUNNEL_SOCKETS, 0, &sockets);
    for (size_t i = 0; i < vault_preshared_count(config->vault); i++) {
        struct ipc_peer_secret secret;
        vault_preshared(config->vault, i, &secret);
        send_one(child, err, IPC_MSG_PEER_SECRET, 0, &secret);
        sodium_memzero(&secret, sizeof secret);
    }
    send_rules(child, err);
}

/* One peer: as many messages as its prefixes fill, at least one. */
static void send_static_peer(struct parent_child *child, int *err, const struct wgconf_peer *peer)
{
    struct ipc_static_peer message = {.endpoint_port = peer->endpoint_port, .keepalive_s = peer->keepalive_s};
    memcpy(message.public_key, peer->public_key, KEY_BYTES);
    snprintf(message.endpoint_host, sizeof message.endpoint_host, "%s", peer->endpoint_host);
    size_t sent = 0;
    do {
        size_t left = peer->allowed_count - sent;
        message.allowed.count = (uint16_t)(left < IPC_PREFIXES_MAX ? left : IPC_PREFIXES_MAX);
        for (size_t i = 0; i < message.allowed.count; i++)
            message.allowed.item[i] = peer->allowed[sent + i];
        message.append = sent > 0;
        send_one(child, err, IPC_MSG_STATIC_PEER, 0, &message);
        sent += message.allowed.count;
    } while (sent < peer->allowed_count);
}

static void send_ctld(struct parent_child *child, int *err)
{
    const struct parent_config *config = child->parent->config;
    const struct wgconf *conf = config->wgconf;
    struct ipc_device device = {.listen_port = child->parent->kept.tunnel_port};
    memcpy(device.public_key, vault_public_key(config->vault), KEY_BYTES);
    device.addresses.count = addresses_fill(conf, device.addresses.item);
    send_one(child, err, IPC_MSG_DEVICE, 0, &device);
    drain_provision(child, err);
    metrics_provision(child, err);
    send_rules(child, err);
    for (size_t i = 0; i < conf->peer_count; i++)
        send_static_peer(child, err, &conf->peers[i]);
    const struct ipc_static_done done = {.peers = (uint32_t)conf->peer_count};
    send_one(child, err, IPC_MSG_STATIC_DONE, PARENT_REQUEST_PEERS, &done);
    if (config->report_version && config->report_version[0]) {
        struct ipc_report_version version;
        snprintf(version.version, sizeof version.version, "%s", config->report_version);
        send_one(child, err, IPC_MSG_REPORT_VERSION, 0, &version);
    }
    if (config->control->fd >= 0) {
        const struct ipc_control_socket control = {.fd = config->control->fd};
        send_one(child, err, IPC_MSG_CONTROL_SOCKET, 0, &control);
    }
}

void provision_child(struct parent_child *child)
{
    int err = NX_OK;
    if (child->role == IPC_PROXYD)
        send_proxyd(child, &err);
    else if (child->role == IPC_TUNNELD)
        send_tunneld(child, &err);
    else
        send_ctld(child, &err);
    /* NX_ECLOSED: it died meanwhile, which its exit will tell. */
    if (err && err != NX_ECLOSED)
        parent_misbehaved(child, nx_strerror(err));
    else
        rule_change_child_up(&child->parent->rule_change, child->role, clock_now_ns());
}

static void send_link(struct parent *parent, enum ipc_role to, enum ipc_role peer, uint32_t generation,
                      int fd)
{
    const struct ipc_sibling message = {.peer = (uint8_t)peer, .generation = generation, .fd = fd};
    struct parent_child *child = parent_child_of(parent, to);
    int err = NX_OK;
    send_one(child, &err, IPC_MSG_LINK, 0, &message);
    if (err && err != NX_ECLOSED)
        parent_misbehaved(child, nx_strerror(err));
}

void provision_link(struct parent *parent, enum ipc_role a, enum ipc_role b, uint32_t generation)
{
    int fds[2];
    if (ipc_socketpair(fds)) {
        log_error("no socket pair for %s and %s: %m", ipc_role_name(a), ipc_role_name(b));
        parent_fail(parent);
        return;
    }
    send_link(parent, a, b, generation, fds[0]);
    send_link(parent, b, a, generation, fds[1]);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

void provision_link_down(struct parent *parent, enum ipc_role to, enum ipc_role peer, uint32_t generation)
{
    const struct ipc_link_down message = {.peer = (uint8_t)peer, .generation = generation};
    struct parent_child *child = parent_child_of(parent, to);
    int err = NX_OK;
    send_one(child, &err, IPC_MSG_LINK_DOWN, 0, &message);
    if (err && err != NX_ECLOSED)
        parent_misbehaved(child, nx_strerror(err));
}
