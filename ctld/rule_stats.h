/* What two processes count of one rule, added up. ctld only. */
#ifndef NEXD_CTLD_RULE_STATS_H
#define NEXD_CTLD_RULE_STATS_H

#include "ipc/messages.h"

/* Adds `from` to `to`; the later one of the last errors stays. */
void rule_stats_sum(struct ipc_rule_stats *to, const struct ipc_rule_stats *from);

#endif
