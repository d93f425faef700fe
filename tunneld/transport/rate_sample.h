/* Delivery-rate sampling (draft-ietf-ccwg-bbr, 4.1): how fast the path has taken data, from what was
 * delivered between a segment's departure and its acknowledgement. Neither a pause of the sender nor
 * acknowledgements that come in lumps make the rate look higher than it was. */
#ifndef NEXD_TUNNELD_RATE_SAMPLE_H
#define NEXD_TUNNELD_RATE_SAMPLE_H

#include "tunneld/transport/congestion.h"
#include "tunneld/transport/scoreboard.h"

/* Of the connection. */
struct rate {
    uint64_t delivered, lost; /* bytes, since it began */
    uint64_t delivered_ns;    /* when `delivered` last grew */
    uint64_t first_sent_ns;   /* departure of the segment delivered last */
    uint64_t app_limited;     /* 0, or samples are limited by the application until `delivered` passes this */
};

/* Of one acknowledgement; zero-initialised. */
struct rate_sample {
    bool filled, app_limited;
    uint64_t newest_sent_ns;
    uint32_t newest_end;
    uint64_t prior_delivered, prior_ns, prior_lost, send_elapsed_ns;
    uint64_t tx_in_flight;
};

/* `record` is about to leave with `inflight` bytes in flight, its own included; `idle`: nothing was before.
 */
void rate_on_send(struct rate *rate, struct tx_record *record, uint64_t inflight, bool idle, uint64_t now_ns);
/* `bytes` of `record` have been delivered. */
void rate_on_delivered(struct rate *rate, struct rate_sample *sample, const struct tx_record *record,
                       uint64_t bytes, uint64_t now_ns);
/* Completes the sample into `ack`. */
void rate_finish(struct rate *rate, const struct rate_sample *sample, uint64_t min_rtt_ns,
                 struct cc_ack *ack);
/* There is nothing to send though there would be room. */
void rate_app_limited(struct rate *rate, uint64_t inflight);

#endif
