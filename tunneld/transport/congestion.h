/* Congestion control behind one small interface. The sender (sender.h) tells what happened to the segments;
 * the algorithm answers with a window, a pacing rate and how much may leave at once. It knows nothing of
 * sequence numbers, segments or timers, so it runs the same in tunneld and in the simulator, and a new
 * algorithm is one more file with one `struct cc_ops`.
 *
 * Amounts are bytes, times monotonic nanoseconds, rates bytes a second. One thread. */
#ifndef NEXD_TUNNELD_CONGESTION_H
#define NEXD_TUNNELD_CONGESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CC_STATE_BYTES = 416, CC_INITIAL_SEGMENTS = 10 /* RFC 6928 */, CC_MIN_SEGMENTS = 2 };
#define CC_UNLIMITED UINT64_MAX

/* What one acknowledgement told, with the delivery-rate sample that it completes (draft-ietf-ccwg-bbr, 4.1).
 */
struct cc_ack {
    uint64_t now_ns;
    uint64_t newly_acked;     /* delivered by this ACK, selectively or not */
    uint64_t newly_lost;      /* found lost while this ACK was processed */
    uint64_t inflight;        /* after it */
    uint64_t prior_inflight;  /* before it */
    uint64_t delivered, lost; /* since the connection began */
    uint64_t rtt_ns;          /* of the newest segment delivered; 0 = no valid sample */
    uint64_t srtt_ns, min_rtt_ns;
    uint64_t delivery_rate;    /* 0 = no reliable sample */
    uint64_t sample_delivered; /* within the sample's interval */
    uint64_t prior_delivered;  /* `delivered` when the sampled segment left */
    uint64_t sample_lost;      /* lost since then */
    uint64_t tx_in_flight;     /* in flight when it left, itself included */
    bool has_sample;           /* the five above hold */
    bool app_limited;          /* the sampled segment left while there was not enough to send */
    bool cwnd_limited;         /* the window was what held the sender back lately */
    bool in_recovery;          /* fast recovery after this ACK (not: after a timeout) */
    bool advanced;             /* the cumulative acknowledgement moved */
};

/* One segment found lost. */
struct cc_loss {
    uint64_t now_ns;
    uint64_t bytes;
    uint64_t delivered;     /* of the connection, now */
    uint64_t tx_in_flight;  /* when the segment left, itself included */
    uint64_t lost_since_tx; /* itself included */
    bool app_limited;
    bool new_hole; /* the segment before it is not lost: another range */
};

enum cc_recovery {
    CC_RECOVERY_ENTER, /* the first loss of an episode */
    CC_RECOVERY_TIMEOUT,
    CC_RECOVERY_EXIT, /* everything sent before the episode began is acknowledged */
    CC_RECOVERY_ECHO, /* a queue on the path has marked packets in place of dropping them; nothing is lost */
    CC_RECOVERY_UNDO, /* it was none: nothing had been lost */
};

struct cc;

struct cc_ops {
    const char *name;
    /* True: the algorithm sets its window during loss recovery itself. False: the sender applies proportional
     * rate reduction (prr.h) towards cc->ssthresh, which on_recovery() has set. */
    bool own_recovery;
    void (*init)(struct cc *cc, uint64_t now_ns);
    /* A segment is about to leave; `inflight` is without it. `app_limited`: there had been nothing to send.
     */
    void (*on_send)(struct cc *cc, uint64_t now_ns, uint64_t inflight, bool app_limited);
    /* Once for each lost segment, before the on_ack() of the same acknowledgement. */
    void (*on_loss)(struct cc *cc, const struct cc_loss *loss);
    void (*on_ack)(struct cc *cc, const struct cc_ack *ack);
    void (*on_recovery)(struct cc *cc, enum cc_recovery event, uint64_t now_ns, uint64_t inflight);
    /* Name of the phase it is in, for status and plots. */
    const char *(*phase)(const struct cc *cc);
};

struct cc {
    const struct cc_ops *ops;
    uint32_t mss;
    uint32_t random;      /* state of a small generator: runs from one seed are alike */
    uint64_t cwnd;        /* at most so much in flight */
    uint64_t ssthresh;    /* of algorithms that have one; CC_UNLIMITED = none yet */
    uint64_t pacing_rate; /* 0 = not known yet, unpaced */
    uint64_t quantum;     /* may leave in one burst */
    bool probe_quiet; /* set by the algorithm: what it sends now is no measure of the path (app-limited) */
    _Alignas(8) uint8_t state[CC_STATE_BYTES];
};

extern const struct cc_ops cc_bbr, cc_cubic;

/* "bbr" or "cubic"; NULL for any other name. */
const struct cc_ops *cc_find(const char *name);
void cc_init(struct cc *cc, const struct cc_ops *ops, uint32_t mss, uint32_t seed, uint64_t now_ns);
/* The next number of cc's generator. */
uint32_t cc_random(struct cc *cc);

#endif
