/* What tunneld tells ctld when asked: live flows, statistics of rules, the status of peers, pings. Series go
 * through outbox.h. tunneld only. */
#ifndef NEXD_TUNNELD_REPORT_H
#define NEXD_TUNNELD_REPORT_H

#include "child/child.h"

/* Before the loop. `*child` is looked up anew for each answer, so it may be set later. */
void report_setup(struct child **child);
/* Each answers `request` itself, sooner or later. The tunnel is configured. */
void report_peers(uint32_t request);
void report_flows(uint32_t request, const struct ipc_flows_query *query);
void report_rule_stats(uint32_t request);
void report_metrics(uint32_t request);
void report_ping(uint32_t request, const struct ipc_ping *ping);
/* Once a turn, and when ctld's link has room: sends some of what waits. True if more could go at once. */
bool report_turn(void);
/* ctld is gone. */
void report_forget(void);

#endif
