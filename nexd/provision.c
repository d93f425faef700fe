/* What each child needs to know, sent as a whole each time a process of it comes up.
 *
 * Each: what it has to enforce of the operator's policy (guard.c).
 *
 * proxyd:  that it is to drain, if it is; the listener of metrics; the kept sockets, then TUNNEL_BIND unless
 * the tunnel's sockets are kept too, then the rules. tunneld: key, addresses, the tunnel's sockets, preshared
 * keys, rules. ctld: the device's public side, rules, peers of the configuration, the control socket.
 *
 * In network mode, proxyd is also told where ctld's connections may lead; tunneld has the sockets at once,
 * and key, addresses and rules when the addresses are known (network.c); ctld is fed, in place of peers, what
 * it needs to join (feed.c).
 *
 * Only tunneld is ever sent a key. A link's queue has room for all of it (provision_messages_max), so that
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
enum { PROVISION_FIXED_MAX = 64 + FEED_QUEUE_MAX + 2 * RULE_CHANGE_QUEUE_MAX };

size_t provision_messages_max(const struct parent *parent)
{
    const struct parent_config *config = parent->config;
    size_t messages = PROVISION_FIXED_MAX + guard_messages_max(parent) + 2 * parent->rules.count +
                      vault_preshared_count(config->vault);
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

/* Not those that are going; ctld is told of none that is not promised yet, and nobody else of those that the
 * policy bars. */
static void send_rules(struct parent_child *child, int *err)
{
    const struct rulebook *book = &child->parent->rules;
    for (size_t i = 0; i < book->count; i++) {
        const struct rulebook_entry *entry = &book->entries[i];
        if (entry->state == RULEBOOK_GOING || (entry->barred && child->role != IPC_CTLD) ||
            (child->role == IPC_CTLD && entry->state == RULEBOOK_COMING))
            continue;
        struct ipc_rule_add add;
        rule_change_add_fill(entry, &add);
        send_one(child, err, IPC_MSG_RULE_ADD, add.rule_id, &add);
        if (child->role == IPC_CTLD && entry->problem) {
            struct ipc_rule_problem problem = {.rule_id = entry->id};
            snprintf(problem.text, sizeof problem.text, "%s", entry->problem);
            send_one(child, err, IPC_MSG_RULE_PROBLEM, 0, &problem);
        }
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

static void send_outlets(struct parent_child *child, int *err)
{
    const struct network_config *network = child->parent->config->network;
    for (size_t i = 0; network && i < network->outlet_count; i++)
        send_one(child, err, IPC_MSG_OUTLET, 0, &network->outlets[i]);
}

static void send_proxyd(struct parent_child *child, int *err)
{
    const struct kept *kept = &child->parent->kept;
    guard_provision(child, err);
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
    send_outlets(child, err);
    if (kept->tunnel4 < 0) {
        const struct ipc_tunnel_bind bind = {.port = join_port(child->parent)};
        send_one(child, err, IPC_MSG_TUNNEL_BIND, PARENT_REQUEST_BIND, &bind);
    }
    send_rules(child, err);
}

/* Completes `tunnel`, which has the addresses, and wipes it. */
static void send_tunnel_config(struct parent_child *child, int *err, uint32_t request,
                               struct ipc_tunnel_config *tunnel)
{
    const struct parent_config *config = child->parent->config;
    tunnel->mtu = config->wgconf->mtu;
    tunnel->congestion_control = (uint8_t)config->congestion_control;
    vault_private_key(config->vault, tunnel->private_key);
    send_one(child, err, IPC_MSG_TUNNEL_CONFIG, request, tunnel);
    sodium_memzero(tunnel, sizeof *tunnel);
}

static void send_tunnel_sockets(struct parent_child *child, int *err)
{
    const struct kept *kept = &child->parent->kept;
    const struct ipc_tunnel_sockets sockets = {.udp4 = kept->tunnel4, .udp6 = kept->tunnel6};
    send_one(child, err, IPC_MSG_TUNNEL_SOCKETS, 0, &sockets);
}

static void send_tunneld(struct parent_child *child, int *err)
{
    const struct parent_config *config = child->parent->config;
    struct ipc_tunnel_config tunnel = {0};
    guard_provision(child, err);
    if (config->network) { /* the rest follows when the addresses are known */
        send_tunnel_sockets(child, err);
        return;
    }
    tunnel.addresses.count = addresses_fill(config->wgconf, tunnel.addresses.item);
    send_tunnel_config(child, err, 0, &tunnel);
    send_tunnel_sockets(child, err);
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

static void send_device(struct parent_child *child, int *err)
{
    const struct parent *parent = child->parent;
    const struct parent_config *config = parent->config;
    const struct ipc_mesh_addresses *given = &parent->join.network.addresses;
    struct ipc_device device = {.listen_port = parent->kept.tunnel_port};
    memcpy(device.public_key, vault_public_key(config->vault), KEY_BYTES);
    if (!config->network)
        device.addresses.count = addresses_fill(config->wgconf, device.addresses.item);
    for (; config->network && device.addresses.count < given->addresses.count; device.addresses.count++)
        device.addresses.item[device.addresses.count] = given->addresses.item[device.addresses.count];
    send_one(child, err, IPC_MSG_DEVICE, 0, &device);
}

static void send_static_peers(struct parent_child *child, int *err)
{
    const struct wgconf *conf = child->parent->config->wgconf;
    for (size_t i = 0; i < conf->peer_count; i++)
        send_static_peer(child, err, &conf->peers[i]);
    const struct ipc_static_done done = {.peers = (uint32_t)conf->peer_count};
    send_one(child, err, IPC_MSG_STATIC_DONE, PARENT_REQUEST_PEERS, &done);
}

static void send_ctld(struct parent_child *child, int *err)
{
    const struct parent_config *config = child->parent->config;
    send_device(child, err);
    guard_provision(child, err);
    drain_provision(child, err);
    metrics_provision(child, err);
    send_rules(child, err);
    if (!config->network)
        send_static_peers(child, err);
    if (config->report_version && config->report_version[0]) {
        struct ipc_report_version version;
        snprintf(version.version, sizeof version.version, "%s", config->report_version);
        send_one(child, err, IPC_MSG_REPORT_VERSION, 0, &version);
    }
    if (config->control->fd >= 0) {
        const struct ipc_control_socket control = {.fd = config->control->fd};
        send_one(child, err, IPC_MSG_CONTROL_SOCKET, 0, &control);
    }
    if (config->network) {
        readiness_peers(&child->parent->readiness); /* TUNNEL_READY comes after the peers */
        feed_start(child, err);
    }
}

/* NX_ECLOSED: it died meanwhile, which its exit will tell. */
static bool all_sent(struct parent_child *child, int err)
{
    if (err && err != NX_ECLOSED)
        parent_misbehaved(child, nx_strerror(err));
    return !err || err == NX_ECLOSED;
}

void provision_tunnel_addresses(struct parent_child *tunneld, const struct ipc_mesh_addresses *addresses)
{
    struct ipc_tunnel_config tunnel = {0};
    int err = NX_OK;
    tunnel.addresses.count = addresses->addresses.count;
    memcpy(tunnel.addresses.item, addresses->addresses.item, sizeof tunnel.addresses.item);
    send_tunnel_config(tunneld, &err, PARENT_REQUEST_TUNNEL, &tunnel);
    send_rules(tunneld, &err);
    if (all_sent(tunneld, err))
        rule_change_child_up(&tunneld->parent->rule_change, IPC_TUNNELD, clock_now_ns());
}

void provision_device(struct parent_child *ctld)
{
    int err = NX_OK;
    send_device(ctld, &err);
    all_sent(ctld, err);
}

void provision_child(struct parent_child *child)
{
    const bool in_network = child->parent->config->network != NULL;
    int err = NX_OK;
    if (child->role == IPC_PROXYD)
        send_proxyd(child, &err);
    else if (child->role == IPC_TUNNELD)
        send_tunneld(child, &err);
    else
        send_ctld(child, &err);
    if (!all_sent(child, err))
        return;
    if (child->role == IPC_TUNNELD && in_network)
        join_tunnel_up(child->parent);
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
