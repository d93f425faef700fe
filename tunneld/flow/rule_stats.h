/* What has become of the flows of each rule, since this process has it. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_RULE_STATS_H
#define NEXD_TUNNELD_RULE_STATS_H

#include "common/netaddr.h"

enum rule_error {
    RULE_ERROR_REFUSED,     /* the far side answered with a reset */
    RULE_ERROR_TIMED_OUT,   /* … or not at all */
    RULE_ERROR_UNREACHABLE, /* no peer has that address */
    RULE_ERROR_LIMITED,     /* a bound of ours */
    RULE_ERROR_POLICY,      /* the operator's policy; see rule_stats_policy() */
    RULE_ERROR_RESET,       /* reset after it was open */
    RULE_ERROR_FAILED,      /* anything else */
    RULE_ERRORS
};

enum { RULE_STATS_TEXT_MAX = 128 };

struct rule_stats {
    uint32_t rule_id;
    uint64_t flows, live;
    uint64_t to_mesh_bytes, to_host_bytes;           /* of flows that have ended */
    uint64_t live_to_mesh_bytes, live_to_host_bytes; /* of the others, as rule_stats_live() was told */
    uint64_t errors[RULE_ERRORS];
    uint64_t last_error_unix_s; /* 0 = none */
    char last_error[RULE_STATS_TEXT_MAX];
};

/* The rule has come: NX_OK or NX_ENOMEM; or goes: its numbers are forgotten with its last flow. */
int rule_stats_add(uint32_t rule_id);
void rule_stats_remove(uint32_t rule_id);

/* What happens; of rules that are not there, nothing is kept. */
void rule_stats_opened(uint32_t rule_id);
void rule_stats_closed(uint32_t rule_id, uint64_t to_mesh_bytes, uint64_t to_host_bytes);
/* `dest`: where the flow was to go. */
void rule_stats_error(uint32_t rule_id, enum rule_error kind, const struct netsock *dest);

/* Refused by that line of the operator's policy. */
void rule_stats_policy(uint32_t rule_id, unsigned line, const struct netsock *dest);

/* Before they are read: bytes of live flows are taken down anew, flow by flow. */
void rule_stats_live_begin(void);
void rule_stats_live(uint32_t rule_id, uint64_t to_mesh_bytes, uint64_t to_host_bytes);
void rule_stats_each(void (*each)(void *arg, const struct rule_stats *stats), void *arg);

#endif
