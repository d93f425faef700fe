/* The five timers of a peer, and what sets them:
 *
 *   retransmit_handshake   REKEY_TIMEOUT and a jitter after an initiation, unless the handshake completes:
 * try again, for REKEY_ATTEMPT_TIME since somebody last wanted the session new_handshake KEEPALIVE_TIMEOUT +
 * REKEY_TIMEOUT and a jitter after sending data that nothing authentic came back for: the peer may have lost
 * the session send_keepalive         KEEPALIVE_TIMEOUT after receiving data that we sent nothing back for
 *   persistent_keepalive   the configured interval after any authenticated message, either way
 *   zero_key_material      ZERO_KEY_MATERIAL_AFTER the last session was made
 *
 * Nearly every packet moves one of them. To keep the heap out of that, moving a timer to a later time or
 * turning it off only writes due_ns; the entry in the heap stays where it was, and when it fires too early it
 * is armed again for the true time, or left off. */
#include "tunneld/wireguard/device.h"

#include "common/log.h"
#include <sodium.h>

static void timer_set(struct peer_timer *timer, uint64_t due_ns)
{
    if (timer->peer->dead)
        return;
    timer->due_ns = due_ns;
    if (!timer_armed(&timer->timer) || timer->timer.deadline_ns > due_ns)
        /* Out of memory: it stays off, and the next event tries again. */
        (void)timer_arm(timer->peer->device->queue, &timer->timer, due_ns);
}

static void timer_off(struct peer_timer *timer)
{
    timer->due_ns = 0;
}

static bool timer_on(const struct peer_timer *timer)
{
    return timer->due_ns != 0 && timer_armed(&timer->timer);
}

static void timer_fired(struct timerq_timer *heap_timer, void *arg, uint64_t now_ns)
{
    struct peer_timer *timer = arg;
    struct wg_device *device = timer->peer->device;

    (void)heap_timer;
    if (timer->due_ns == 0)
        return;
    if (timer->due_ns > now_ns) {
        timer_set(timer, timer->due_ns);
        return;
    }
    timer_off(timer);
    device_enter(device);
    timer->expired(timer->peer, now_ns);
    device_leave(device);
}

/* Drawn with each initiation, not with each use: data packets use it too, and randomness costs a system call.
 */
static void jitter_draw(struct wg_peer *peer)
{
    peer->timers.jitter_ns = randombytes_uniform((uint32_t)REKEY_TIMEOUT_JITTER_MAX);
}

static void retransmit_handshake_expired(struct wg_peer *peer, uint64_t now_ns)
{
    struct peer_timers *timers = &peer->timers;

    if (now_ns - timers->attempts_since_ns < REKEY_ATTEMPT_TIME) {
        send_handshake_initiation(peer, true, now_ns);
        return;
    }
    log_debug("wireguard: peer %s does not answer, handshake given up", peer->name);
    timer_off(&timers->send_keepalive);
    peer_staged_purge(peer);
    if (!timer_on(&timers->zero_key_material))
        timer_set(&timers->zero_key_material, now_ns + ZERO_KEY_MATERIAL_AFTER);
}

static void send_keepalive_expired(struct wg_peer *peer, uint64_t now_ns)
{
    send_keepalive(peer, now_ns);
}

static void new_handshake_expired(struct wg_peer *peer, uint64_t now_ns)
{
    log_debug("wireguard: peer %s has gone quiet, new handshake", peer->name);
    send_handshake_initiation(peer, false, now_ns);
}

static void zero_key_material_expired(struct wg_peer *peer, uint64_t now_ns)
{
    (void)now_ns;
    peer_keys_clear(peer);
}

static void persistent_keepalive_expired(struct wg_peer *peer, uint64_t now_ns)
{
    if (peer->keepalive_ns != 0)
        send_keepalive(peer, now_ns);
}

static void timer_init(struct peer_timer *timer, struct wg_peer *peer,
                       void (*expired)(struct wg_peer *, uint64_t))
{
    timer->peer = peer;
    timer->expired = expired;
    timer_setup(&timer->timer, timer_fired, timer);
}

void timers_init(struct wg_peer *peer)
{
    struct peer_timers *timers = &peer->timers;

    jitter_draw(peer);
    timer_init(&timers->retransmit_handshake, peer, retransmit_handshake_expired);
    timer_init(&timers->send_keepalive, peer, send_keepalive_expired);
    timer_init(&timers->new_handshake, peer, new_handshake_expired);
    timer_init(&timers->zero_key_material, peer, zero_key_material_expired);
    timer_init(&timers->persistent_keepalive, peer, persistent_keepalive_expired);
}

void timers_stop(struct wg_peer *peer)
{
    struct peer_timers *timers = &peer->timers;
    struct peer_timer *const all[] = {&timers->retransmit_handshake, &timers->send_keepalive,
                                      &timers->new_handshake, &timers->zero_key_material,
                                      &timers->persistent_keepalive};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        timer_off(all[i]);
        timer_disarm(peer->device->queue, &all[i]->timer);
    }
}

void timers_handshake_wanted(struct wg_peer *peer, uint64_t now_ns)
{
    peer->timers.attempts_since_ns = now_ns;
}

void timers_handshake_initiated(struct wg_peer *peer, uint64_t now_ns)
{
    jitter_draw(peer);
    timer_set(&peer->timers.retransmit_handshake, now_ns + REKEY_TIMEOUT + peer->timers.jitter_ns);
}

void timers_handshake_postponed(struct wg_peer *peer, uint64_t until_ns)
{
    if (!STAILQ_EMPTY(&peer->staged) && !timer_on(&peer->timers.retransmit_handshake))
        timer_set(&peer->timers.retransmit_handshake, until_ns + peer->timers.jitter_ns);
}

void timers_session_derived(struct wg_peer *peer, uint64_t now_ns)
{
    timer_set(&peer->timers.zero_key_material, now_ns + ZERO_KEY_MATERIAL_AFTER);
}

void timers_handshake_complete(struct wg_peer *peer, uint64_t now_ns)
{
    timer_off(&peer->timers.retransmit_handshake);
    peer->timers.attempts_since_ns = now_ns;
    peer->timers.sent_lastminute_handshake = false;
    peer->handshake_unix_ns = peer->device->ops.wall_ns(peer->device->ops_arg);
    peer->device->counters.handshakes_completed++;
    log_debug("wireguard: session with peer %s", peer->name);
}

void timers_data_sent(struct wg_peer *peer, uint64_t now_ns)
{
    if (!timer_on(&peer->timers.new_handshake))
        timer_set(&peer->timers.new_handshake,
                  now_ns + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + peer->timers.jitter_ns);
}

void timers_data_received(struct wg_peer *peer, uint64_t now_ns)
{
    if (!timer_on(&peer->timers.send_keepalive))
        timer_set(&peer->timers.send_keepalive, now_ns + KEEPALIVE_TIMEOUT);
}

void timers_any_authenticated_packet_sent(struct wg_peer *peer)
{
    timer_off(&peer->timers.send_keepalive);
}

void timers_any_authenticated_packet_received(struct wg_peer *peer)
{
    timer_off(&peer->timers.new_handshake);
}

void timers_any_authenticated_packet_traversal(struct wg_peer *peer, uint64_t now_ns)
{
    if (peer->keepalive_ns != 0)
        timer_set(&peer->timers.persistent_keepalive, now_ns + peer->keepalive_ns);
}
