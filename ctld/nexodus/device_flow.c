/* WAIT -> (time) -> ASKING -> (answer) -> WAIT, or one of the ends. The deadline ends waiting, but never an
 * answer that is on its way. */
#include "ctld/nexodus/device_flow.h"

#include "common/clock.h"

enum { UNANSWERED_PAUSE_MAX_S = 60, DOUBLINGS_MAX = 8 };

void device_flow_start(struct device_flow *flow, const struct oidc_device_authorization *authorization,
                       uint64_t now_ns)
{
    *flow = (struct device_flow){
        .interval_ns = authorization->interval_s * NS_PER_S,
        .next_ns = now_ns + authorization->interval_s * NS_PER_S,
        .deadline_ns = now_ns + authorization->expires_in_s * NS_PER_S,
        .state = DEVICE_FLOW_WAIT,
    };
}

enum device_flow_step device_flow_step(struct device_flow *flow, uint64_t now_ns)
{
    if (flow->state != DEVICE_FLOW_WAIT)
        return flow->state;
    if (now_ns >= flow->deadline_ns) {
        flow->state = DEVICE_FLOW_EXPIRED;
        return flow->state;
    }
    if (now_ns < flow->next_ns)
        return DEVICE_FLOW_WAIT;
    flow->state = DEVICE_FLOW_ASKING;
    return DEVICE_FLOW_POLL;
}

uint64_t device_flow_next_ns(const struct device_flow *flow)
{
    if (flow->state != DEVICE_FLOW_WAIT)
        return UINT64_MAX;
    return flow->next_ns < flow->deadline_ns ? flow->next_ns : flow->deadline_ns;
}

static void wait_for(struct device_flow *flow, uint64_t pause_ns, uint64_t now_ns)
{
    flow->state = DEVICE_FLOW_WAIT;
    flow->next_ns = now_ns + pause_ns;
}

void device_flow_granted(struct device_flow *flow)
{
    flow->state = DEVICE_FLOW_GRANTED;
}

void device_flow_refused(struct device_flow *flow, enum oidc_error code, uint64_t now_ns)
{
    flow->unanswered = 0;
    switch (code) {
    case OIDC_ERROR_SLOW_DOWN:
        if (flow->interval_ns < OIDC_INTERVAL_MAX_S * NS_PER_S)
            flow->interval_ns += DEVICE_FLOW_SLOW_DOWN_S * NS_PER_S;
        wait_for(flow, flow->interval_ns, now_ns);
        break;
    case OIDC_ERROR_AUTHORIZATION_PENDING:
    case OIDC_ERROR_OTHER:
        wait_for(flow, flow->interval_ns, now_ns);
        break;
    case OIDC_ERROR_ACCESS_DENIED:
        flow->state = DEVICE_FLOW_DENIED;
        break;
    case OIDC_ERROR_EXPIRED_TOKEN:
    case OIDC_ERROR_INVALID_GRANT: /* a code that the provider has forgotten */
        flow->state = DEVICE_FLOW_EXPIRED;
        break;
    case OIDC_ERROR_INVALID_CLIENT:
    case OIDC_ERROR_INVALID_REQUEST:
    case OIDC_ERROR_INVALID_SCOPE:
    case OIDC_ERROR_UNAUTHORIZED_CLIENT:
    case OIDC_ERROR_UNSUPPORTED_GRANT:
        flow->state = DEVICE_FLOW_FAILED;
        break;
    }
}

void device_flow_unanswered(struct device_flow *flow, uint64_t retry_after_s, uint64_t now_ns)
{
    if (flow->unanswered < DOUBLINGS_MAX)
        flow->unanswered++;
    uint64_t pause_ns = flow->interval_ns << flow->unanswered;
    if (pause_ns > UNANSWERED_PAUSE_MAX_S * NS_PER_S)
        pause_ns = UNANSWERED_PAUSE_MAX_S * NS_PER_S;
    if (pause_ns < flow->interval_ns)
        pause_ns = flow->interval_ns;
    const uint64_t wished_s = retry_after_s < OIDC_LIFE_MAX_S ? retry_after_s : OIDC_LIFE_MAX_S;
    if (pause_ns < wished_s * NS_PER_S)
        pause_ns = wished_s * NS_PER_S;
    wait_for(flow, pause_ns, now_ns);
}
