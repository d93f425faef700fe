/* The poll of the device authorization grant (RFC 8628 section 3.5) as a state machine without I/O: when to
 * ask next, and what an answer means. Times are monotonic nanoseconds. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_DEVICE_FLOW_H
#define NEXD_CTLD_NEXODUS_DEVICE_FLOW_H

#include "ctld/nexodus/oidc.h"

enum { DEVICE_FLOW_SLOW_DOWN_S = 5 };

enum device_flow_step {
    DEVICE_FLOW_WAIT,    /* until device_flow_next_ns() */
    DEVICE_FLOW_POLL,    /* send the token request now, then report its answer */
    DEVICE_FLOW_ASKING,  /* an answer is awaited */
    DEVICE_FLOW_GRANTED, /* the tokens came */
    DEVICE_FLOW_DENIED,  /* the user said no */
    DEVICE_FLOW_EXPIRED, /* nobody answered in time: a new code is needed */
    DEVICE_FLOW_FAILED,  /* the provider does not take such requests from this client */
};
struct device_flow {
    uint64_t next_ns, deadline_ns;
    uint64_t interval_ns;
    unsigned unanswered; /* polls in a row */
    enum device_flow_step state;
};

/* The code was received at `now_ns`. The first poll comes after one interval. */
void device_flow_start(struct device_flow *flow, const struct oidc_device_authorization *authorization,
                       uint64_t now_ns);
/* What is to be done now. DEVICE_FLOW_POLL is returned once; then it is ASKING until an answer is reported.
 */
enum device_flow_step device_flow_step(struct device_flow *flow, uint64_t now_ns);
/* When device_flow_step() will say something new by itself; UINT64_MAX = never. */
uint64_t device_flow_next_ns(const struct device_flow *flow);

/* -- Answers to the poll -- */

void device_flow_granted(struct device_flow *flow);
/* An error answer: pending and unknown ones go on, slow_down asks 5 s more seldom from now on, the rest ends
 * it. */
void device_flow_refused(struct device_flow *flow, enum oidc_error code, uint64_t now_ns);
/* No answer (connection, time-out, 5xx): goes on, each time in a row after twice the pause (RFC 8628), at
 * most a minute; an answer brings the interval back. `retry_after_s` 0 = not said. */
void device_flow_unanswered(struct device_flow *flow, uint64_t retry_after_s, uint64_t now_ns);

#endif
