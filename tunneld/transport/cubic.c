/* CUBIC (RFC 9438) with HyStart++ (RFC 9406): the window grows along a cubic curve around the size at which
 * the last loss came, and at least as fast as Reno's would. The window is counted in segments inside, as in
 * the RFC's formulas. During recovery the sender's proportional rate reduction sets it. */
#include "common/clock.h"
#include "tunneld/transport/congestion.h"
#include "tunneld/transport/hystart.h"
#include <math.h>

#define CUBIC_C             0.4
#define CUBIC_BETA          0.7
#define RENO_ALPHA          (3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA))
#define TARGET_MAX          1.5
#define PACING_SLOW_START   2.0 /* above what the window allows, so that it grows undisturbed */
#define PACING_AVOIDANCE    1.2
#define PACING_QUANTUM_NS   NS_PER_MS
#define RESTART_IDLE_MIN_NS (200 * NS_PER_MS)
enum { QUANTUM_MAX = 256 * 1024 };

struct cubic {
    double w_max, k, w_est, cwnd_prior; /* segments; k in seconds */
    double grown;                       /* fractions of a byte not yet in cwnd */
    uint64_t epoch_start_ns;            /* 0 = none */
    uint64_t last_ack_ns, srtt_ns;
    uint64_t undo_cwnd, undo_ssthresh;
    double undo_w_max;
    bool timed_out; /* since the episode began: further timeouts reduce nothing (RFC 5681, 3.1) */
    struct hystart hystart;
};
_Static_assert(sizeof(struct cubic) <= CC_STATE_BYTES, "CUBIC's state must fit");

static struct cubic *cubic_of(struct cc *cc)
{
    return (struct cubic *)(void *)cc->state;
}

static void pacing_set(struct cc *cc)
{
    const struct cubic *cubic = cubic_of(cc);
    if (cubic->srtt_ns == 0)
        return;
    double gain = cc->cwnd < cc->ssthresh ? PACING_SLOW_START : PACING_AVOIDANCE;
    double rate = gain * (double)cc->cwnd * (double)NS_PER_S / (double)cubic->srtt_ns;
    cc->pacing_rate = (uint64_t)rate + 1;
    double quantum = rate * (double)PACING_QUANTUM_NS / (double)NS_PER_S;
    uint64_t least = 2 * (uint64_t)cc->mss;
    cc->quantum = quantum > QUANTUM_MAX ? QUANTUM_MAX : quantum > (double)least ? (uint64_t)quantum : least;
}

static void cubic_init(struct cc *cc, uint64_t now_ns)
{
    (void)now_ns;
    hystart_init(&cubic_of(cc)->hystart);
}

/* Section 4.2: where on the curve we stand when congestion avoidance (re)starts. */
static void epoch_begin(struct cc *cc, uint64_t now_ns)
{
    struct cubic *cubic = cubic_of(cc);
    double w = (double)cc->cwnd / cc->mss;
    cubic->epoch_start_ns = now_ns;
    if (cubic->w_max < w)
        cubic->w_max = w;
    cubic->k = cbrt((cubic->w_max - w) / CUBIC_C);
    cubic->w_est = w;
}

static void avoidance(struct cc *cc, const struct cc_ack *ack)
{
    struct cubic *cubic = cubic_of(cc);
    if (cubic->epoch_start_ns == 0)
        epoch_begin(cc, ack->now_ns);
    double w = (double)cc->cwnd / cc->mss, acked = (double)ack->newly_acked / cc->mss;
    double t = (double)(ack->now_ns - cubic->epoch_start_ns) / (double)NS_PER_S;
    double later = t + (double)ack->srtt_ns / (double)NS_PER_S - cubic->k;
    double target = CUBIC_C * later * later * later + cubic->w_max;
    if (target < w)
        target = w;
    else if (target > TARGET_MAX * w)
        target = TARGET_MAX * w;
    cubic->w_est += (cubic->w_est < cubic->cwnd_prior ? RENO_ALPHA : 1.0) * acked / w;
    double grown = (target - w) / w * acked;
    double curve = CUBIC_C * (t - cubic->k) * (t - cubic->k) * (t - cubic->k) + cubic->w_max;
    if (curve < cubic->w_est && cubic->w_est > w + grown)
        grown = cubic->w_est - w;
    cubic->grown += grown * cc->mss;
    uint64_t whole = (uint64_t)cubic->grown;
    cubic->grown -= (double)whole;
    cc->cwnd += whole;
}

static void cubic_on_ack(struct cc *cc, const struct cc_ack *ack)
{
    struct cubic *cubic = cubic_of(cc);
    cubic->last_ack_ns = ack->now_ns;
    cubic->srtt_ns = ack->srtt_ns;
    if (!ack->in_recovery && ack->cwnd_limited && ack->newly_acked > 0) {
        if (cc->cwnd < cc->ssthresh) {
            bool done;
            cc->cwnd += hystart_ack(&cubic->hystart, ack->newly_acked, ack->delivered, ack->inflight,
                                    ack->rtt_ns, &done);
            if (done)
                cc->ssthresh = cc->cwnd;
        } else {
            avoidance(cc, ack);
        }
    }
    pacing_set(cc);
}

/* Section 4.6 and 4.7. */
static void reduce(struct cc *cc)
{
    struct cubic *cubic = cubic_of(cc);
    double w = (double)cc->cwnd / cc->mss;
    cubic->undo_cwnd = cc->cwnd;
    cubic->undo_ssthresh = cc->ssthresh;
    cubic->undo_w_max = cubic->w_max;
    cubic->w_max = w < cubic->w_max ? w * (1 + CUBIC_BETA) / 2 : w;
    cubic->cwnd_prior = w;
    cubic->epoch_start_ns = 0;
    uint64_t least = (uint64_t)CC_MIN_SEGMENTS * cc->mss;
    uint64_t reduced = (uint64_t)((double)cc->cwnd * CUBIC_BETA);
    cc->ssthresh = reduced > least ? reduced : least;
}

static void cubic_on_recovery(struct cc *cc, enum cc_recovery event, uint64_t now_ns, uint64_t inflight)
{
    struct cubic *cubic = cubic_of(cc);
    (void)now_ns;
    switch (event) {
    case CC_RECOVERY_ENTER:
        reduce(cc);
        break;
    case CC_RECOVERY_ECHO:
        reduce(cc);
        cc->cwnd = cc->ssthresh;
        break;
    case CC_RECOVERY_TIMEOUT:
        if (!cubic->timed_out)
            reduce(cc);
        cubic->timed_out = true;
        cc->cwnd = inflight + cc->mss;
        break;
    case CC_RECOVERY_EXIT:
        /* After a timeout slow start is under way; else the reduction is complete (RFC 6937, 3). */
        if (!cubic->timed_out || cc->cwnd > cc->ssthresh)
            cc->cwnd = cc->ssthresh;
        cubic->timed_out = false;
        break;
    case CC_RECOVERY_UNDO:
        cubic->timed_out = false;
        if (cc->cwnd < cubic->undo_cwnd)
            cc->cwnd = cubic->undo_cwnd;
        cc->ssthresh = cubic->undo_ssthresh;
        cubic->w_max = cubic->undo_w_max;
        break;
    }
}

/* After idleness the curve's clock has not run (section 5.8), and what the window once was says little of the
 * path now (RFC 5681, 4.1). */
static void cubic_on_send(struct cc *cc, uint64_t now_ns, uint64_t inflight, bool app_limited)
{
    struct cubic *cubic = cubic_of(cc);
    if (inflight != 0 || !app_limited || cubic->last_ack_ns == 0)
        return;
    uint64_t idle = now_ns - cubic->last_ack_ns, initial = (uint64_t)CC_INITIAL_SEGMENTS * cc->mss;
    if (cubic->epoch_start_ns != 0)
        cubic->epoch_start_ns += idle;
    if (idle > RESTART_IDLE_MIN_NS + 2 * cubic->srtt_ns && cc->cwnd > initial) {
        if (cc->ssthresh == CC_UNLIMITED || cc->ssthresh < cc->cwnd)
            cc->ssthresh = cc->cwnd;
        cc->cwnd = initial;
    }
    cubic->last_ack_ns = now_ns;
}

static void cubic_on_loss(struct cc *cc, const struct cc_loss *loss)
{
    (void)cc, (void)loss;
}

static const char *phase_name(const struct cc *cc)
{
    const struct cubic *cubic = (const struct cubic *)(const void *)cc->state;
    if (cc->cwnd >= cc->ssthresh)
        return "avoidance";
    return cubic->hystart.css_rounds != 0 ? "conservative-start" : "slow-start";
}

const struct cc_ops cc_cubic = {
    .name = "cubic",
    .own_recovery = false,
    .init = cubic_init,
    .on_send = cubic_on_send,
    .on_loss = cubic_on_loss,
    .on_ack = cubic_on_ack,
    .on_recovery = cubic_on_recovery,
    .phase = phase_name,
};
