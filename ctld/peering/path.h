/* How one device is reached at present, whether that works, and when to try another way. A state machine
 * without I/O; times are monotonic nanoseconds. ctld only. */
#ifndef NEXD_CTLD_PEERING_PATH_H
#define NEXD_CTLD_PEERING_PATH_H

#include "ctld/peering/method.h"

enum {
    PATH_FIRST_SUCCESS_MS = 30000, /* a method that has not worked by then is given up */
    PATH_RESTORE_MS = 180000,      /* one that has worked may be down for so long … */
    PATH_HEALTHY_MS = 210000,      /* … and is up while its last handshake is no older than this */
};

struct path {
    enum method method;
    uint64_t chosen_ns;
    struct netsock endpoint; /* that the method gave */
    /* What the tunnel reported last. */
    uint64_t handshake_ns; /* 0 = never */
    uint64_t rx_bytes;
    struct netsock seen; /* the endpoint in use, which may have moved */
    /* Something has come from the peer since the method was chosen: a handshake from before says nothing of
     * it. */
    bool proven;
    bool rx_known; /* more than rx_bytes has come in after the choice */
};

void path_init(struct path *path);
/* What is known of the peer has changed: the choice begins anew. Whether the old path worked is remembered,
 * in case the new one is the same. */
void path_reset(struct path *path);
/* The tunnel's report: time of the last handshake (0 = none), bytes received, endpoint in use. */
void path_report(struct path *path, uint64_t handshake_ns, uint64_t rx_bytes, const struct netsock *seen);
/* Gives up what has failed and chooses. */
void path_choose(struct path *path, const struct method_facts *facts, uint64_t now_ns);
/* Does it work? For METHOD_VIA_RELAY, that is the relay's health. */
bool path_healthy(const struct path *path, bool relay_healthy, uint64_t now_ns);
/* When path_choose() may next have something to do, or path_healthy() another answer, without a new event;
 * UINT64_MAX = never. */
uint64_t path_next_ns(const struct path *path, uint64_t now_ns);

#endif
