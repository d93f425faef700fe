/* How the tunnel comes to its addresses and keys while a control plane decides on them: a state machine
 * without I/O, as the supervisor. Its owner reports what ctld asks and what becomes of tunneld; it acts
 * through its operations. See network.c for the states. Only the parent process, in network mode. */
#ifndef NEXD_NEXD_NETWORK_H
#define NEXD_NEXD_NETWORK_H

#include "ipc/messages.h"

enum {
    NETWORK_TEXT_MAX = IPC_TEXT_MAX + 1,
    NETWORK_MTU = 1420,
};

enum network_tunnel {
    NETWORK_TUNNEL_NONE = 0,    /* tunneld has nothing yet, or is being started anew */
    NETWORK_TUNNEL_WAITING,     /* it has its sockets; our addresses are not known */
    NETWORK_TUNNEL_CONFIGURING, /* it was sent key and addresses; its answer is awaited */
    NETWORK_TUNNEL_CONFIGURED,
};

struct network_ops {
    /* tunneld is to have key, addresses and rules; its answer goes to network_tunnel_result(). */
    void (*configure)(void *arg, const struct ipc_mesh_addresses *addresses);
    /* tunneld takes key and addresses once in its life: start it anew. network_tunnel_up() follows. */
    void (*restart)(void *arg, const char *why);
    /* ctld's request is answered. */
    void (*answer)(void *arg, uint32_t request, enum ipc_outcome outcome, const char *text);
    /* Another key pair takes the old one's place, on the disk too. NX_OK; or `error` (NETWORK_TEXT_MAX bytes)
     * says why the old one is still in use. */
    int (*renew)(void *arg, char *error);
    /* ctld is told our public key. */
    void (*announce)(void *arg);
};

struct network {
    const struct network_ops *ops;
    void *arg;
    enum network_tunnel tunnel;
    struct ipc_mesh_addresses addresses; /* none: not known */
    uint32_t request;                    /* the MESH_ADDRESSES that waits for its answer; 0 = none */
};

void network_init(struct network *network, const struct network_ops *ops, void *arg);

/* -- Events -- */

/* A new process of tunneld has its sockets. */
void network_tunnel_up(struct network *network);
void network_tunnel_gone(struct network *network);
/* Its answer to what `configure` sent: NULL = it has it, else why not. False: it was not asked. */
bool network_tunnel_result(struct network *network, const char *failure);
/* MESH_ADDRESSES. */
void network_addresses(struct network *network, uint32_t request, const struct ipc_mesh_addresses *addresses);
/* KEY_RENEW; `current`: it names the key that is in use. */
void network_key_renew(struct network *network, uint32_t request, bool current);
void network_ctld_gone(struct network *network);

#endif
