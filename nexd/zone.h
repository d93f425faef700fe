/* IPv6 zones in endpoints ("fe80::1%eth0"): interface names become numbers here, because no other process may
 * ask for them. Only the parent process. */
#ifndef NEXD_NEXD_ZONE_H
#define NEXD_NEXD_ZONE_H

#include "common/wgconf.h"

/* Replaces the zone name of every endpoint that has one by the interface's index. An interface that does not
 * exist is logged as a warning and the endpoint left as it is; ctld then says that it cannot be used. */
void zones_number(struct wgconf *conf);

#endif
