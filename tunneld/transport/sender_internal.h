/* What the files of the sender share; nobody else includes it. */
#ifndef NEXD_TUNNELD_SENDER_INTERNAL_H
#define NEXD_TUNNELD_SENDER_INTERNAL_H

#include "tunneld/transport/sender.h"

/* What an acknowledgement has done so far. */
struct sender_progress {
    struct rate_sample sample;
    uint64_t rtt_ns;          /* 0 = no valid one */
    uint64_t rtt_sent_ns;     /* departure of the segment it is of */
    uint64_t delivered, lost; /* bytes */
    bool advanced;            /* the cumulative acknowledgement moved */
    bool duplicate_reported;  /* a DSACK came */
    bool retransmitted;       /* the cumulative part holds segments sent twice: no round trip from it */
    bool original_delivered;  /* a segment given up for lost, and not sent again, came after all */
};

/* sender_sack.c: takes in what the acknowledgement reports. */
void sender_take_cumulative(struct sender *sender, uint32_t ack, struct sender_progress *progress,
                            uint64_t now_ns);
void sender_take_sacks(struct sender *sender, const struct sender_ack *ack, struct sender_progress *progress,
                       uint64_t now_ns);

/* sender_loss.c: finds losses and moves between the phases. */
void sender_detect_losses(struct sender *sender, uint64_t now_ns);
/* Without SACK: three duplicates, or an acknowledgement of a part during recovery. */
void sender_detect_losses_plain(struct sender *sender, const struct sender_ack *ack, bool advanced,
                                uint64_t now_ns);
void sender_recovery_begin(struct sender *sender, uint64_t inflight_before, uint64_t now_ns);
void sender_recovery_end_check(struct sender *sender, uint64_t now_ns);
void sender_undo_check(struct sender *sender, const struct sender_progress *progress, uint64_t now_ns);
void sender_timeout(struct sender *sender, uint64_t now_ns);

#endif
