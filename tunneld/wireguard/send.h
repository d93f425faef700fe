/* What goes out: handshake messages at once, data and keepalives into the transmit batch. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_SEND_H
#define NEXD_TUNNELD_WIREGUARD_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keypair;
struct netsock;
struct noise_responder;
struct wg_device;
struct wg_peer;

/* Memory that staged packets of all peers may take; past it new ones are dropped. */
enum { STAGED_BYTES_MAX = 32 << 20 };

/* Sends an initiation, unless one was sent within REKEY_TIMEOUT or there is no endpoint. `retry`: by the
 * retransmit timer; everything else begins a new series of attempts. */
void send_handshake_initiation(struct wg_peer *peer, bool retry, uint64_t now_ns);
/* Answers an authenticated initiation with a response and a new session, which waits for confirmation. Uses
 * up `responder`. */
void send_handshake_response(struct wg_peer *peer, struct noise_responder *responder, uint32_t receiver_index,
                             uint64_t now_ns);
/* Answers a handshake message under load with a cookie, which leaves with send_cookies_flush(), or when there
 * are many; data messages that wait as jobs are opened before that. */
void send_handshake_cookie(struct wg_device *device, const void *message, size_t length,
                           uint32_t receiver_index, const struct netsock *to, uint64_t now_ns);
void send_cookies_flush(struct wg_device *device);
/* Sends what is staged, or an empty message if nothing is; without a session, asks for one. */
void send_keepalive(struct wg_peer *peer, uint64_t now_ns);
/* Sends what is staged; without a session, asks for one. */
void send_staged(struct wg_peer *peer, uint64_t now_ns);
/* After sending: begins a new handshake when the session is old or used enough. */
void send_keep_key_fresh(struct wg_peer *peer, uint64_t now_ns);

#endif
