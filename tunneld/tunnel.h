/* The tunnel as one thing: WireGuard, its UDP sockets, the netstack and the flows, wired together and driven
 * by turns of the event loop. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_TUNNEL_H
#define NEXD_TUNNELD_TUNNEL_H

#include "ipc/messages.h"
#include "tunneld/flow/broker.h"
#include "tunneld/wireguard/wireguard.h"
#include <event2/event.h>

/* Before the sandbox: chooses the AEAD engine and sets up what needs no configuration. `max_files`:
 * descriptors this process may have. NX_OK, or an error already logged. */
int tunnel_setup(struct event_base *base, const struct broker *broker, size_t max_files);
/* Takes key, addresses and MTU; once only. The key in `config` is wiped. NX_OK, NX_EEXIST, or why not. */
int tunnel_configure(struct ipc_tunnel_config *config);
bool tunnel_configured(void);
/* NULL before tunnel_configure(). */
struct wg_device *tunnel_device(void);
/* End of a turn of the event loop: timers, flows, and everything that is to be sent. True: more to do at
 * once. */
bool tunnel_turn(void);
/* The end of the flows, in two steps some time apart: see tcp_flow.h. False: there are none, no need to wait.
 */
bool tunnel_drain(void);
void tunnel_close_flows(void);
/* Wipes the keys. */
void tunnel_destroy(void);

#endif
