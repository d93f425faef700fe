/* The peer source of a control plane's network, beside static_peers.h: ties peering, STUN and names to the
 * links and to peers.h. Devices and the VPC's ranges are told to mesh_peering() directly. No I/O of its own.
 * ctld only. */
#ifndef NEXD_CTLD_PEERING_MESH_H
#define NEXD_CTLD_PEERING_MESH_H

#include "ctld/peering/names.h"
#include "ctld/peering/peering.h"
#include "ctld/peering/stun_client.h"
#include "ctld/peers.h"

/* Request ids of this source have this bit and not the one above, which is control_methods.h's, so that
 * answers can be told from those to others on the same links. */
#define MESH_REQUEST_BIT UINT32_C(0x40000000)

struct mesh_ops {
    /* As ipc_send() on the present links. */
    int (*to_tunneld)(void *arg, enum ipc_type type, uint32_t request, const void *body);
    int (*to_proxyd)(void *arg, enum ipc_type type, uint32_t request, const void *body);
    uint32_t (*random)(void *arg);
    /* As in peering.h: what the tunnel is to be configured with, then mesh_tunnel_ready(). */
    void (*own_addresses)(void *arg, const struct netaddr *v4, const struct netaddr *v6);
    /* What mesh_publish() says has changed, or STUN's start is over: register, or update the device. */
    void (*published_changed)(void *arg);
};

struct mesh_config {
    uint8_t public_key[KEY_BYTES];
    const char *const *stun_servers;
    size_t stun_server_count;
    bool relay_only;
};

struct mesh;
/* NULL when out of memory. `ops` and `peers` must outlive it. */
struct mesh *mesh_new(struct peers *peers, const struct mesh_config *config, const struct mesh_ops *ops,
                      void *arg);
void mesh_free(struct mesh *mesh);

/* For devices (peering_put() and so on), the VPC's ranges, and status; not peering_set_self() and
 * peering_run(). */
struct peering *mesh_peering(struct mesh *mesh);
/* Our device's id, once it is registered. */
void mesh_set_id(struct mesh *mesh, const char *id);
/* Our local endpoint; family NETADDR_NONE = none. */
void mesh_set_local(struct mesh *mesh, const struct netsock *local);
/* tunneld has its configuration: it may be given peers. */
void mesh_tunnel_ready(struct mesh *mesh);

/* From peers_ops.on_status. */
void mesh_status(struct mesh *mesh, const struct peer *peer);
/* Answers whose request id has MESH_REQUEST_BIT: RESOLVED and RESULT of proxyd, STUN_ANSWER and RESULT of
 * tunneld. */
void mesh_message(struct mesh *mesh, const struct ipc_message *message, uint64_t now_ns);
void mesh_proxyd_up(struct mesh *mesh);
void mesh_proxyd_down(struct mesh *mesh);

struct stun_result mesh_stun(const struct mesh *mesh);
/* As stun_publish(). */
int mesh_publish(const struct mesh *mesh, struct stun_published out[2]);

/* Time has passed, something was told, or a link has room again; then peers_pump(). */
void mesh_run(struct mesh *mesh, uint64_t now_ns);
uint64_t mesh_next_ns(const struct mesh *mesh, uint64_t now_ns);

#endif
