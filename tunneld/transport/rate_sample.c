/* See rate_sample.h. */
#include "tunneld/transport/rate_sample.h"
#include "common/clock.h"
#include "tunneld/transport/seq.h"

void rate_on_send(struct rate *rate, struct tx_record *record, uint64_t inflight, bool idle, uint64_t now_ns)
{
    if (idle)
        rate->first_sent_ns = rate->delivered_ns = now_ns;
    record->sent_ns = now_ns;
    record->first_sent_ns = rate->first_sent_ns;
    record->delivered_ns = rate->delivered_ns;
    record->delivered = rate->delivered;
    record->lost = rate->lost;
    record->tx_in_flight = (uint32_t)(inflight < UINT32_MAX ? inflight : UINT32_MAX);
    record->app_limited = rate->app_limited != 0;
}

void rate_on_delivered(struct rate *rate, struct rate_sample *sample, const struct tx_record *record,
                       uint64_t bytes, uint64_t now_ns)
{
    rate->delivered += bytes;
    rate->delivered_ns = now_ns;
    bool newest = !sample->filled || record->sent_ns > sample->newest_sent_ns ||
                  (record->sent_ns == sample->newest_sent_ns && seq_before(sample->newest_end, record->end));
    if (!newest)
        return;
    sample->filled = true;
    sample->newest_sent_ns = record->sent_ns;
    sample->newest_end = record->end;
    sample->prior_delivered = record->delivered;
    sample->prior_ns = record->delivered_ns;
    sample->prior_lost = record->lost;
    sample->app_limited = record->app_limited;
    sample->tx_in_flight = record->tx_in_flight;
    sample->send_elapsed_ns = record->sent_ns - record->first_sent_ns;
    if (record->sent_ns > rate->first_sent_ns)
        rate->first_sent_ns = record->sent_ns;
}

void rate_finish(struct rate *rate, const struct rate_sample *sample, uint64_t min_rtt_ns, struct cc_ack *ack)
{
    if (rate->app_limited != 0 && rate->delivered > rate->app_limited)
        rate->app_limited = 0;
    ack->delivered = rate->delivered;
    ack->lost = rate->lost;
    if (!sample->filled)
        return;
    uint64_t ack_elapsed = rate->delivered_ns - sample->prior_ns;
    uint64_t interval = sample->send_elapsed_ns > ack_elapsed ? sample->send_elapsed_ns : ack_elapsed;
    ack->has_sample = true;
    ack->app_limited = sample->app_limited;
    ack->prior_delivered = sample->prior_delivered;
    ack->sample_delivered = rate->delivered - sample->prior_delivered;
    ack->sample_lost = rate->lost - sample->prior_lost;
    ack->tx_in_flight = sample->tx_in_flight;
    if (interval != 0 && interval >= min_rtt_ns)
        ack->delivery_rate = (uint64_t)((double)ack->sample_delivered * (double)NS_PER_S / (double)interval);
}

void rate_app_limited(struct rate *rate, uint64_t inflight)
{
    uint64_t until = rate->delivered + inflight;
    rate->app_limited = until != 0 ? until : 1;
}
