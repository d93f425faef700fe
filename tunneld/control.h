/* tunneld's conversation with the parent (configuration, sockets, rules) and with ctld (peers). */
#ifndef NEXD_TUNNELD_CONTROL_H
#define NEXD_TUNNELD_CONTROL_H

#include "child/child.h"

void control_parent_message(struct child *child, struct ipc_link *link, struct ipc_message *message);
void control_ctld_message(struct ipc_link *link, struct ipc_message *message);

#endif
