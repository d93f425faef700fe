/* A peer's timers (paper, section 6). The rest of the room reports what happened; only timers.c decides what
 * follows. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_TIMERS_H
#define NEXD_TUNNELD_WIREGUARD_TIMERS_H

#include "common/timerq.h"

struct wg_peer;

/* A timer that packets move without touching the heap: see timers.c. */
struct peer_timer {
    struct timerq_timer timer;
    struct wg_peer *peer;
    void (*expired)(struct wg_peer *peer, uint64_t now_ns);
    uint64_t due_ns; /* 0 = off */
};

struct peer_timers {
    struct peer_timer retransmit_handshake, send_keepalive, new_handshake, zero_key_material,
        persistent_keepalive;
    uint64_t attempts_since_ns; /* when the present series of initiations began */
    uint64_t jitter_ns;
    bool sent_lastminute_handshake; /* for the session about to end, by the receiving side */
};

void timers_init(struct wg_peer *peer);
/* Stops all of them, for good. */
void timers_stop(struct wg_peer *peer);

/* A series of handshake attempts begins anew: REKEY_ATTEMPT_TIME counts from here. */
void timers_handshake_wanted(struct wg_peer *peer, uint64_t now_ns);
/* An initiation was sent. */
void timers_handshake_initiated(struct wg_peer *peer, uint64_t now_ns);
/* An initiation may not be sent before `until_ns`. Where packets wait for it, it is sent then; otherwise a
 * packet that came too soon after the last handshake would wait until something else asks. */
void timers_handshake_postponed(struct wg_peer *peer, uint64_t until_ns);
/* A session was made, by either side. */
void timers_session_derived(struct wg_peer *peer, uint64_t now_ns);
/* Both sides are known to have the session. */
void timers_handshake_complete(struct wg_peer *peer, uint64_t now_ns);
/* A data message with a packet inside was sent, or received. Keepalives do not count. */
void timers_data_sent(struct wg_peer *peer, uint64_t now_ns);
void timers_data_received(struct wg_peer *peer, uint64_t now_ns);
/* Any message, handshake or data or keepalive, was sent; was received and found authentic; or either. */
void timers_any_authenticated_packet_sent(struct wg_peer *peer);
void timers_any_authenticated_packet_received(struct wg_peer *peer);
void timers_any_authenticated_packet_traversal(struct wg_peer *peer, uint64_t now_ns);

#endif
