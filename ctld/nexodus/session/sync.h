/* What events mean together: a whole list, which is handed on only when it is complete, and changes after it,
 * in the order of their revisions. No I/O, no clock. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_SYNC_H
#define NEXD_CTLD_NEXODUS_SESSION_SYNC_H

#include "ctld/nexodus/event_stream.h"
#include "ctld/nexodus/requests.h"
#include "ctld/nexodus/session/catalog.h"

struct sync {
    struct catalog live;    /* in force */
    struct catalog staging; /* a list that is not complete yet */
    bool staged;
    bool whole; /* `live` came from this control plane in this life: changes can follow it */
    bool tails[CATALOG_KINDS];
    char device_id[UUID_TEXT_LENGTH + 1], vpc_id[UUID_TEXT_LENGTH + 1];
};

enum sync_verdict {
    SYNC_NOTHING = 0,
    SYNC_LIST,    /* `live` is another list */
    SYNC_DEVICE,  /* this device is new or has changed */
    SYNC_REMOVED, /* this device is gone */
    SYNC_GROUP,   /* this security group has changed or is gone */
    SYNC_BACK, /* revisions have gone back: nothing can be built on what is known; a whole list is needed */
    SYNC_OWN_GONE, /* our own device was deleted */
    SYNC_REFUSED,  /* the list cannot be true; `live` stays as it was */
};

/* NX_ENOMEM. */
int sync_init(struct sync *sync);
void sync_destroy(struct sync *sync);
/* Whose network it is. With another device or VPC, everything known is forgotten. NX_ENOMEM. */
int sync_set_self(struct sync *sync, const char *device_id, const char *vpc_id);

/* A stream begins: what is to be asked for. `full`: a whole list is wanted; without one known, it is asked
 * for anyway. NX_ENOMEM. */
int sync_begin(struct sync *sync, bool full, struct request_events *out);
/* It has ended: a list that was not complete is forgotten. */
void sync_cut(struct sync *sync);
/* `id` (UUID_TEXT_LENGTH + 1 bytes): which one, for DEVICE, REMOVED and GROUP. */
enum sync_verdict sync_event(struct sync *sync, const struct event *event, char *id);
/* Another answer has told a revision of our device: does it contradict what is known? */
bool sync_contradicted(const struct sync *sync, uint64_t device_revision);

#endif
