/* tunneld's conversation with the parent (configuration, sockets, rules) and with ctld (peers). */
#ifndef NEXD_TUNNELD_CONTROL_H
#define NEXD_TUNNELD_CONTROL_H

#include "child/child.h"

/* ctld's link is held until there is a device to configure or a socket to ask STUN servers from (a device of
 * a control plane's network learns its address before the tunnel can be configured), and proxyd's until ctld
 * has once given all peers, so that no client of an early moment finds a tunnel without them. Call when a
 * sibling's link is up, too. */
void control_links_hold(struct child *child);

void control_parent_message(struct child *child, struct ipc_link *link, struct ipc_message *message);
void control_ctld_message(struct child *child, struct ipc_link *link, struct ipc_message *message);

#endif
