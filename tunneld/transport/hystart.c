/* See hystart.h; constants of RFC 9406, section 4.3. */
#include "tunneld/transport/hystart.h"
#include "common/clock.h"

enum { RTT_SAMPLES = 8, CSS_GROWTH_DIVISOR = 4, CSS_ROUNDS = 5, MIN_RTT_DIVISOR = 8 };
#define RTT_THRESHOLD_MIN_NS (4 * NS_PER_MS)
#define RTT_THRESHOLD_MAX_NS (16 * NS_PER_MS)

void hystart_init(struct hystart *hystart)
{
    *hystart = (struct hystart){
        .last_min_rtt_ns = UINT64_MAX, .current_min_rtt_ns = UINT64_MAX, .baseline_min_rtt_ns = UINT64_MAX};
}

static uint64_t threshold(uint64_t last_min_rtt_ns)
{
    uint64_t t = last_min_rtt_ns / MIN_RTT_DIVISOR;
    if (t < RTT_THRESHOLD_MIN_NS)
        return RTT_THRESHOLD_MIN_NS;
    return t > RTT_THRESHOLD_MAX_NS ? RTT_THRESHOLD_MAX_NS : t;
}

/* True if conservative slow start has lasted long enough. */
static bool round_end(struct hystart *hystart, uint64_t delivered, uint64_t inflight)
{
    hystart->round_end_delivered = delivered + inflight;
    hystart->last_min_rtt_ns = hystart->current_min_rtt_ns;
    hystart->current_min_rtt_ns = UINT64_MAX;
    hystart->samples = 0;
    return hystart->css_rounds != 0 && ++hystart->css_rounds > CSS_ROUNDS;
}

static void rtt_sample(struct hystart *hystart, uint64_t rtt_ns)
{
    if (rtt_ns < hystart->current_min_rtt_ns)
        hystart->current_min_rtt_ns = rtt_ns;
    if (++hystart->samples < RTT_SAMPLES)
        return;
    if (hystart->css_rounds != 0) {
        if (hystart->current_min_rtt_ns < hystart->baseline_min_rtt_ns)
            hystart->css_rounds = 0;
    } else if (hystart->last_min_rtt_ns != UINT64_MAX &&
               hystart->current_min_rtt_ns >=
                   hystart->last_min_rtt_ns + threshold(hystart->last_min_rtt_ns)) {
        hystart->baseline_min_rtt_ns = hystart->current_min_rtt_ns;
        hystart->css_rounds = 1;
    }
}

uint64_t hystart_ack(struct hystart *hystart, uint64_t acked, uint64_t delivered, uint64_t inflight,
                     uint64_t rtt_ns, bool *done)
{
    *done = delivered >= hystart->round_end_delivered && round_end(hystart, delivered, inflight);
    if (rtt_ns != 0)
        rtt_sample(hystart, rtt_ns);
    return hystart->css_rounds != 0 ? acked / CSS_GROWTH_DIVISOR : acked;
}
