/* What network mode holds; for network_mode.c and network_ops.c alone. */
#ifndef NEXD_CTLD_NETWORK_MODE_INTERNAL_H
#define NEXD_CTLD_NETWORK_MODE_INTERNAL_H

#include "ctld/documents.h"
#include "ctld/http/client.h"
#include "ctld/network_mode.h"

/* What a request of ours to another process is about. */
enum asked { ASKED_ADDRESSES = 1, ASKED_KEY, ASKED_ISSUER };

struct network_mode {
    struct peers *peers;
    struct device *device;
    const struct network_mode_ops *ops;
    void *arg;
    struct http *http;
    struct session *session;
    struct mesh *mesh;
    struct documents documents;
    /* What the parent told: */
    bool active, started;
    struct ipc_network network;
    struct ipc_credential *credentials[IPC_CREDENTIAL_LAST + 1]; /* NULL = none; gone once started */
    char stun_servers[STUN_SERVERS_MAX][STUN_SERVER_TEXT_MAX];
    size_t stun_server_count;
    uint8_t public_key[KEY_BYTES]; /* of `mesh` and `session` */
    /* The tunnel: */
    struct ipc_mesh_addresses addresses;
    bool tunneld_link, addresses_unsent, key_wanted, key_unsent;
    uint32_t round; /* of requests: only the newest of a kind is waited for */
    uint32_t addresses_request, key_request, issuer_request;
};

/* -- network_ops.c: what session and mesh ask for -- */

extern const struct session_ops network_session_ops;
extern const struct mesh_ops network_mesh_ops;
uint32_t network_request_new(struct network_mode *mode, enum asked what);
void network_give_up(struct network_mode *mode, const char *text);

#endif
