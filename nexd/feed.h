/* Everything that ctld needs to join a network, fed to it as its link takes it: NETWORK, credentials, STUN
 * servers and stored documents, which can be many megabytes, up to NETWORK_DONE. Only the parent process. */
#ifndef NEXD_NEXD_FEED_H
#define NEXD_NEXD_FEED_H

#include "nexd/state/slot.h"

struct parent_child;

enum {
    /* Messages of the feed that wait in the link's queue, at most; the rest of the queue is for messages that
     * cannot wait. */
    FEED_QUEUE_MAX = 8,
};

enum feed_stage {
    FEED_IDLE = 0, /* nothing to send, or all sent */
    FEED_NETWORK,
    FEED_CREDENTIALS,
    FEED_STUN_SERVERS,
    FEED_DOCUMENTS,
    FEED_DONE,
};

struct feed {
    enum feed_stage stage;
    size_t index; /* in the stage: of the next credential, server or slot */
    struct slot_reader reader;
    bool reading, first; /* a document is open; none of it was sent yet */
};

void feed_init(struct feed *feed);
/* A new process of ctld: from the beginning. `err` as in provision.c. */
void feed_start(struct parent_child *ctld, int *err);
/* Its link has room. A failure is told as misbehaviour of ctld. */
void feed_run(struct parent_child *ctld);
/* It is gone, or nexd ends. */
void feed_stop(struct feed *feed);

#endif
