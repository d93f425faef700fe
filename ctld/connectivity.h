/* ConnectivityV4 and ConnectivityV6: every device of the network, those behind a relay among them, or without
 * a network every peer, is pinged through the tunnel, up to CONNECTIVITY_AT_ONCE at a time and twice at most;
 * the answers make one JSON text. Whoever asks while a sweep of that family is under way shares it. No I/O:
 * messages go out through `send`; tunneld keeps the time of each ping. ctld only. */
#ifndef NEXD_CTLD_CONNECTIVITY_H
#define NEXD_CTLD_CONNECTIVITY_H

#include "ctld/control_server.h"
#include "ctld/peers.h"

enum { CONNECTIVITY_AT_ONCE = 1000, CONNECTIVITY_TRIES = 2, CONNECTIVITY_TIMEOUT_MS = 1200 };
/* Request ids of pings have these two bits; control_methods.h's have the first only. */
#define CONNECTIVITY_REQUEST UINT32_C(0xc0000000)

/* A device of the network. Texts are borrowed for the call. */
struct connectivity_device {
    const char *hostname;  /* "" = it has none */
    const char *method;    /* how it is reached; a constant */
    struct netaddr v4, v6; /* family NETADDR_NONE = it has none of that family */
};
typedef void (*connectivity_device_fn)(void *each_arg, const struct connectivity_device *device);

struct connectivity_ops {
    /* As ipc_send(), to tunneld. */
    int (*send)(void *arg, enum ipc_type type, uint32_t request, const void *body);
    /* Calls `each` for every other device of the network. False: there is no network; its peers are asked
     * then. NULL: there never is. */
    bool (*devices)(void *arg, connectivity_device_fn each, void *each_arg);
};

struct connectivity;
/* NULL when out of memory. `ops` must outlive it. */
struct connectivity *connectivity_new(const struct connectivity_ops *ops, void *arg);
void connectivity_free(struct connectivity *connectivity);

/* `call` is answered when the sweep is over. `family`: NETADDR_V4 or NETADDR_V6. */
void connectivity_request(struct connectivity *connectivity, const struct peers *peers,
                          enum netaddr_family family, struct control_call *call);
/* That call is gone. */
void connectivity_cancel(struct connectivity *connectivity, const struct control_call *call);
/* A message from tunneld. False: it answers no ping. */
bool connectivity_message(struct connectivity *connectivity, const struct ipc_message *message);
/* Sends what the link takes. When it has room again. */
void connectivity_pump(struct connectivity *connectivity);
/* tunneld is gone: what it has not answered is unreachable. */
void connectivity_link_down(struct connectivity *connectivity);

#endif
