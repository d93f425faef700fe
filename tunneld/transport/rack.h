/* RACK (RFC 8985): a segment is lost when one that was sent sufficiently later has been delivered. Time, not
 * the count of duplicates, decides, so retransmissions that are lost again and tails are found too, and how
 * long to wait adapts to how much the path reorders. */
#ifndef NEXD_TUNNELD_RACK_H
#define NEXD_TUNNELD_RACK_H

#include "tunneld/transport/rtt.h"
#include "tunneld/transport/scoreboard.h"

struct rack {
    uint64_t sent_ns; /* of the most recently sent segment that was delivered */
    uint64_t rtt_ns;  /* and its round trip */
    uint32_t end;     /* and its last sequence number */
    uint32_t forward; /* highest sequence number delivered */
    uint32_t dsack_round_end;
    uint8_t window_factor, window_persist;
    bool forward_known, reordering_seen, dsack_in_round;
};

void rack_init(struct rack *rack);
/* `record` has been delivered for the first time. */
void rack_delivered(struct rack *rack, const struct tx_record *record, uint64_t min_rtt_ns, uint64_t now_ns);
/* The receiver reported a duplicate: widens the window, once a round trip. `next` is the next new sequence
 * number, `una` what is acknowledged. */
void rack_dsack(struct rack *rack, uint32_t una, uint32_t next);
/* A recovery has ended; a widened window lasts for 16 of them. */
void rack_recovery_ended(struct rack *rack);
/* How much later than another one a segment may arrive without being taken for lost. `hasty`: in recovery, or
 * three segments have been selectively acknowledged. */
uint64_t rack_window_ns(const struct rack *rack, const struct rtt *rtt, bool hasty);
/* The next record that is lost by now, or NULL. Then *wait_until_ns tells when the next decision falls
 * (UINT64_MAX: none). The caller marks the record before it asks again. */
struct tx_record *rack_next_lost(const struct rack *rack, const struct scoreboard *board, uint64_t window_ns,
                                 uint64_t now_ns, uint64_t *wait_until_ns);

#endif
