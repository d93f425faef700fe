/* What comes in. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_RECEIVE_H
#define NEXD_TUNNELD_WIREGUARD_RECEIVE_H

#include "tunneld/wireguard/wireguard.h"

struct keypair;

enum { RX_JOBS_MAX = AEAD_BATCH_MAX };

/* Data messages on their way: first as jobs to open, then as inner packets to deliver. */
struct rx_batch {
    bool busy; /* wg_receive() is on the stack */
    size_t job_count, inner_count;
    struct aead_job jobs[RX_JOBS_MAX];
    struct keypair *keypairs[RX_JOBS_MAX]; /* of each job */
    const struct wg_datagram *datagrams[RX_JOBS_MAX];
    struct wg_inner inners[WG_DELIVER_MAX];
};

/* NULL: out of memory. */
struct rx_batch *rx_batch_new(void);
void rx_batch_free(struct rx_batch *batch);

/* Opens what waits as jobs: before anything that changes sessions, or calls back. */
void receive_jobs_open(struct wg_device *device, uint64_t now_ns);

/* A message of one of the three handshake types. */
void receive_handshake(struct wg_device *device, uint32_t type, const struct wg_datagram *datagram,
                       uint64_t now_ns);

#endif
