/* Peering's differences become changes in `peers`, which sends them; the tunnel's reports come back the same
 * way. All that peering is told is acted upon in the next mesh_run(). */
#include "ctld/peering/mesh.h"

#include "common/clock.h"
#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mesh {
    struct peers *peers;
    const struct mesh_ops *ops;
    void *arg;
    struct peering *peering;
    struct stun_client *stun;
    struct names *names;
    char id[MEMBER_ID_MAX];
    struct peering_self self;
    uint64_t poll_ns; /* when the tunnel's counters are due */
    bool tunnel_ready, self_changed, published_changed;
};

/* -- Peering's callbacks -- */

static int on_set(void *arg, const struct peering_peer *wanted)
{
    struct mesh *mesh = arg;
    struct peer *peer = peers_get(mesh->peers, wanted->public_key);
    if (!peer || peers_replace_allowed(peer, wanted->allowed, wanted->allowed_count) != NX_OK)
        return NX_ENOMEM;
    peer->keepalive_s = wanted->keepalive_s;
    peers_set_endpoint(peer, &wanted->endpoint);
    return NX_OK;
}

static void on_remove(void *arg, const uint8_t public_key[KEY_BYTES])
{
    struct mesh *mesh = arg;
    peers_remove(mesh->peers, public_key);
}

static void on_own_addresses(void *arg, const struct netaddr *v4, const struct netaddr *v6)
{
    struct mesh *mesh = arg;
    mesh->ops->own_addresses(mesh->arg, v4, v6);
}

static const struct peering_ops peering_ops = {
    .set = on_set, .remove = on_remove, .own_addresses = on_own_addresses};

/* -- STUN's callbacks -- */

static int on_resolve(void *arg, uint32_t request, const char *host)
{
    struct mesh *mesh = arg;
    struct ipc_resolve body;
    if (snprintf(body.host, sizeof body.host, "%s", host) >= (int)sizeof body.host)
        return NX_EINVAL;
    return mesh->ops->to_proxyd(mesh->arg, IPC_MSG_RESOLVE, request | MESH_REQUEST_BIT, &body);
}

static int on_stun_send(void *arg, uint32_t request, const struct netsock *server)
{
    struct mesh *mesh = arg;
    const struct ipc_stun_send body = {.server = *server};
    return mesh->ops->to_tunneld(mesh->arg, IPC_MSG_STUN_SEND, request | MESH_REQUEST_BIT, &body);
}

static uint32_t on_random(void *arg)
{
    struct mesh *mesh = arg;
    return mesh->ops->random(mesh->arg);
}

static void on_stun_changed(void *arg)
{
    struct mesh *mesh = arg;
    mesh->self_changed = mesh->published_changed = true;
}

static const struct stun_client_ops stun_ops = {
    .resolve = on_resolve, .send = on_stun_send, .random = on_random, .changed = on_stun_changed};

/* -- Names' callback -- */

static int on_name_send(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    struct mesh *mesh = arg;
    return mesh->ops->to_proxyd(mesh->arg, type, request, body);
}

static const struct names_ops names_ops = {.send = on_name_send};

/* -- Life -- */

struct mesh *mesh_new(struct peers *peers, const struct mesh_config *config, const struct mesh_ops *ops,
                      void *arg)
{
    struct mesh *mesh = calloc(1, sizeof *mesh);
    if (!mesh)
        return NULL;
    mesh->peers = peers;
    mesh->ops = ops;
    mesh->arg = arg;
    mesh->self_changed = true;
    mesh->self.id = mesh->id;
    mesh->self.facts.relay_only = config->relay_only;
    memcpy(mesh->self.public_key, config->public_key, KEY_BYTES);
    mesh->peering = peering_new(&peering_ops, mesh);
    mesh->names = names_new(&names_ops, mesh);
    mesh->stun =
        stun_client_new(config->stun_servers, config->stun_server_count, config->relay_only, &stun_ops, mesh);
    if (mesh->peering && mesh->names && mesh->stun)
        return mesh;
    mesh_free(mesh);
    return NULL;
}

void mesh_free(struct mesh *mesh)
{
    if (!mesh)
        return;
    peering_free(mesh->peering);
    names_free(mesh->names);
    stun_client_free(mesh->stun);
    free(mesh);
}

/* -- What is told -- */

struct peering *mesh_peering(struct mesh *mesh)
{
    return mesh->peering;
}

void mesh_set_id(struct mesh *mesh, const char *id)
{
    snprintf(mesh->id, sizeof mesh->id, "%s", id);
    mesh->self_changed = true;
}

void mesh_set_local(struct mesh *mesh, const struct netsock *local)
{
    if (netsock_equal(&mesh->self.facts.local, local))
        return;
    mesh->self.facts.local = *local;
    mesh->self_changed = mesh->published_changed = true;
}

void mesh_tunnel_ready(struct mesh *mesh)
{
    mesh->tunnel_ready = true;
}

void mesh_status(struct mesh *mesh, const struct peer *peer)
{
    peering_report(mesh->peering, peer->public_key, peer->status.handshake_ns, peer->status.rx_bytes,
                   &peer->status.endpoint);
}

void mesh_message(struct mesh *mesh, const struct ipc_message *message, uint64_t now_ns)
{
    const uint32_t request = message->header.request & ~MESH_REQUEST_BIT;
    const union ipc_body *body = &message->body;
    switch (message->header.type) {
    case IPC_MSG_RESOLVED:
        stun_client_resolved(mesh->stun, request, body->resolved.addresses.item,
                             body->resolved.addresses.count, now_ns);
        break;
    case IPC_MSG_STUN_ANSWER:
        stun_client_answered(mesh->stun, request, &body->stun_answer.server, &body->stun_answer.mapped,
                             now_ns);
        break;
    case IPC_MSG_RESULT: /* of the one or the other: a question is in one state only */
        stun_client_resolved(mesh->stun, request, NULL, 0, now_ns);
        stun_client_refused(mesh->stun, request, now_ns);
        break;
    default:
        break;
    }
}

void mesh_proxyd_up(struct mesh *mesh)
{
    names_link_up(mesh->names);
}

void mesh_proxyd_down(struct mesh *mesh)
{
    names_link_down(mesh->names);
}

struct stun_result mesh_stun(const struct mesh *mesh)
{
    return stun_client_result(mesh->stun);
}

int mesh_publish(const struct mesh *mesh, struct stun_published out[2])
{
    const struct stun_result result = stun_client_result(mesh->stun);
    return stun_publish(&mesh->self.facts.local, &result, out);
}

/* -- Turns -- */

static void self_tell(struct mesh *mesh)
{
    const struct stun_result stun = stun_client_result(mesh->stun);
    mesh->self.facts.reflexive = stun.reflexive;
    mesh->self.facts.symmetric_nat = stun.symmetric;
    mesh->self_changed = false;
    peering_set_self(mesh->peering, &mesh->self);
}

void mesh_run(struct mesh *mesh, uint64_t now_ns)
{
    stun_client_run(mesh->stun, now_ns);
    if (mesh->self_changed)
        self_tell(mesh);
    if (mesh->published_changed) {
        mesh->published_changed = false;
        mesh->ops->published_changed(mesh->arg);
    }
    peering_run(mesh->peering, now_ns);
    /* The first list has been handed out: only now is what `peers` holds the whole of it. */
    if (mesh->tunnel_ready && peering_revision(mesh->peering) > 0) {
        peers_complete(mesh->peers);
        if (now_ns >= mesh->poll_ns) {
            mesh->poll_ns = now_ns + PEERING_POLL_MS * NS_PER_MS;
            peers_poll_at(mesh->peers, mesh->poll_ns);
        }
    }
    names_follow(mesh->names, mesh->peering, now_ns);
    names_pump(mesh->names);
}

uint64_t mesh_next_ns(const struct mesh *mesh, uint64_t now_ns)
{
    uint64_t next_ns = stun_client_next_ns(mesh->stun);
    const uint64_t peering_ns = peering_next_ns(mesh->peering, now_ns);
    next_ns = peering_ns < next_ns ? peering_ns : next_ns;
    if (mesh->poll_ns > 0 && mesh->poll_ns < next_ns)
        next_ns = mesh->poll_ns;
    return mesh->self_changed || mesh->published_changed ? now_ns : next_ns;
}
