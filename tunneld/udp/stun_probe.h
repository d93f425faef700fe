/* STUN from the tunnel's own UDP socket: which address a NAT gives it. ctld says whom to ask and when;
 * requests are made and answers read here, so that nothing but 20 fixed bytes and a random id can be sent on
 * ctld's behalf. No I/O, no clock: both come in. tunneld only. */
#ifndef NEXD_TUNNELD_STUN_PROBE_H
#define NEXD_TUNNELD_STUN_PROBE_H

#include "common/stun.h"
#include <stddef.h>

enum {
    STUN_PROBE_PENDING_MAX = 16,
    STUN_PROBE_PENDING_MS = 10000, /* an answer that takes longer is not taken any more */
    STUN_PROBE_PER_SECOND = 4,
    STUN_PROBE_BURST = 16,
};

struct stun_probe_ops {
    /* Sends one datagram now, or drops it. */
    void (*transmit)(void *arg, const struct netsock *to, const uint8_t *data, size_t length);
    /* 12 bytes that nobody can guess. */
    void (*random)(void *arg, uint8_t *out, size_t length);
    /* The answer to the request that came with this id. err: NX_OK with `mapped`, or NX_EPERM: the server
     * refused. */
    void (*answered)(void *arg, uint32_t request, const struct netsock *server, int err,
                     const struct netsock *mapped);
};

struct stun_probe_pending {
    bool used;
    uint32_t request;
    uint64_t sent_ns;
    struct netsock server;
    uint8_t txid[STUN_TXID_BYTES];
};

struct stun_probe {
    const struct stun_probe_ops *ops;
    void *arg;
    struct stun_probe_pending pending[STUN_PROBE_PENDING_MAX];
    uint64_t full_ns;            /* the time at which the bucket of tokens is, or was, full */
    uint64_t answers, strangers; /* taken; and datagrams in STUN's form that nobody had asked for */
};

void stun_probe_init(struct stun_probe *probe, const struct stun_probe_ops *ops, void *arg);
/* Asks `server`. NX_ENOMEM: too many requests in this second, or too many unanswered. NX_EINVAL: no host has
 * that address (multicast, broadcast, unspecified). */
int stun_probe_send(struct stun_probe *probe, uint32_t request, const struct netsock *server,
                    uint64_t now_ns);
/* A datagram for which stun_is_answer() holds. It counts only if it comes from the very address that was
 * asked, with that request's id; anything else is dropped. */
void stun_probe_receive(struct stun_probe *probe, const uint8_t *data, size_t length,
                        const struct netsock *from, uint64_t now_ns);
/* Whoever asked is gone: no answer is given any more. */
void stun_probe_forget(struct stun_probe *probe);

#endif
