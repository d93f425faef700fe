/* Membership in a control plane's network, in ctld: ties session, peering, STUN, names and HTTPS to the
 * links. See network_mode.c for how the tunnel comes to its addresses and peers. ctld only. */
#ifndef NEXD_CTLD_NETWORK_MODE_H
#define NEXD_CTLD_NETWORK_MODE_H

#include "ctld/control_methods.h"
#include "ctld/device.h"
#include "ctld/nexodus/session/session.h"
#include "ctld/peering/mesh.h"

/* Request ids of this part have this bit and none above it. */
#define NETWORK_REQUEST      UINT32_C(0x08000000)
#define NETWORK_REQUEST_MASK UINT32_C(0xf8000000)

struct http_route;
struct network_mode;

struct network_mode_ops {
    /* As ipc_send(), on the present link to that process. */
    int (*send)(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body);
    /* Is there room for bulk to the parent? If not, network_mode_run() is called when there is. */
    bool (*room)(void *arg);
    /* As http_client_set_route(), for the requests that follow. */
    int (*route)(void *arg, const struct http_route *route);
    /* tunneld has key and addresses: it may be given peers from now on. */
    void (*tunnel_up)(void *arg);
};

/* NULL: out of memory. `http`, `peers`, `device` and `ops` must outlive it. */
struct network_mode *network_mode_new(struct http *http, struct peers *peers, struct device *device,
                                      const struct network_mode_ops *ops, void *arg);
void network_mode_free(struct network_mode *mode);
/* NETWORK has come. */
bool network_mode_active(const struct network_mode *mode);

/* False: the message is none of this part's. */
bool network_mode_message(struct network_mode *mode, enum ipc_role from, struct ipc_message *message,
                          uint64_t now_ns);
/* A link to a sibling has come up, or is gone. */
void network_mode_link_up(struct network_mode *mode, enum ipc_role role);
void network_mode_link_down(struct network_mode *mode, enum ipc_role role);
/* From peers_ops.on_status. */
void network_mode_peer_status(struct network_mode *mode, const struct peer *peer);
/* Time has passed, something was told, or a link has room again; then peers_pump(). */
void network_mode_run(struct network_mode *mode, uint64_t now_ns);
uint64_t network_mode_next_ns(const struct network_mode *mode, uint64_t now_ns);

/* We are about to end: what is still to be stored goes to the parent. True once all of it is on its way; if
 * not, to be called again when the link has room. */
bool network_mode_flush(struct network_mode *mode);

/* -- For operators -- */

struct session_status network_mode_status(const struct network_mode *mode);
/* False: NETWORK has not come. */
bool network_mode_tell(const struct network_mode *mode, struct control_network *out, uint64_t now_ns);
/* A peer's host name and how it is reached, if that is known; else both are left alone. Borrowed until
 * anything changes. */
void network_mode_describe(const struct network_mode *mode, const uint8_t public_key[KEY_BYTES],
                           const char **hostname, const char **method, uint64_t now_ns);
/* As connectivity_ops.devices. */
bool network_mode_devices(const struct network_mode *mode, uint64_t now_ns, connectivity_device_fn each,
                          void *each_arg);

#endif
