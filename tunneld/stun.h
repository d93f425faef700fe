/* STUN on behalf of ctld: ties udp/stun_probe.c to the tunnel's UDP sockets and to ctld's link. tunneld only.
 */
#ifndef NEXD_TUNNELD_STUN_H
#define NEXD_TUNNELD_STUN_H

#include "child/child.h"

/* Before the loop. `*child` is looked up anew for each answer, so it may be set later. */
void stun_setup(struct child **child);
/* NX_OK: the request is on its way; STUN_ANSWER or RESULT may follow. Otherwise as stun_probe_send(). */
int stun_send(uint32_t request, const struct ipc_stun_send *body);
/* ctld is gone. */
void stun_forget(void);

#endif
