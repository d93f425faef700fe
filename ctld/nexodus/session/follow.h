/* Follows the events of a VPC: one stream after the other, each taken up where the last one ended, with whole
 * lists at the start, after trouble, and now and then. See follow.c for the rhythm. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_FOLLOW_H
#define NEXD_CTLD_NEXODUS_SESSION_FOLLOW_H

#include "ctld/nexodus/retry.h"
#include "ctld/nexodus/session/call.h"
#include "ctld/nexodus/session/sync.h"

enum {
    FOLLOW_SILENCE_MS = 75000, /* a stream without a byte for so long is opened anew */
    FOLLOW_LIVED_MS = 5000,    /* one that lived so long may be taken up at once; a shorter one is trouble */
    FOLLOW_RESYNC_MS = 600000, /* a whole list so often, … */
    FOLLOW_RESYNC_JITTER_MS = 120000, /* … and up to so much later */
    FOLLOW_BACK_MS = 30000,           /* a contradiction leads to a whole list no more often than this */
    FOLLOW_HOPELESS_MS = 60000,
    FOLLOW_PATIENCE = 3, /* failures in a row after which operators are told, and lists without our own device
                            in a row after which it counts as gone */
};

struct follow_ops {
    /* sync.live is another list; a change of this device, group, or the device's end. */
    void (*list)(void *arg);
    void (*device)(void *arg, const char *id);
    void (*removed)(void *arg, const char *id);
    void (*group)(void *arg, const char *id);
    /* The stream has failed FOLLOW_PATIENCE times in a row, and goes on to be tried; NULL: it works again. */
    void (*trouble)(void *arg, const char *text);
    /* A stream has lived for FOLLOW_LIVED_MS: what was wrong before is over. */
    void (*steady)(void *arg);
    /* OUTCOME_AUTH or OUTCOME_GONE: the token is not good (any more). Nothing is followed now. */
    void (*refused)(void *arg, enum outcome outcome, const char *text);
};

enum follow_state { FOLLOW_IDLE = 0, FOLLOW_OPENING, FOLLOW_OPEN, FOLLOW_PAUSE };

struct follow {
    struct session_env *env;
    const struct follow_ops *ops;
    void *arg;
    struct sync sync;
    struct event_stream *stream;
    struct json_writer *writer;
    struct json_reader *reader; /* for error bodies */
    struct http_exchange *exchange;
    const char *bearer; /* the owner's */
    enum outcome_credential credential;
    enum follow_state state;
    struct retry retry;
    bool full;            /* the next stream begins with a whole list */
    bool troubled;        /* operators were told */
    bool ended;           /* the stream is of no use; closed with the next turn */
    bool own_gone;        /* … because our device was deleted */
    unsigned own_missing; /* lists without it in a row */
    char ended_text[CALL_TEXT_MAX];
    uint64_t sent_ms, opened_ns, next_ns, resync_ns, back_ns;
};

/* NX_ENOMEM. */
int follow_init(struct follow *follow, struct session_env *env, const struct follow_ops *ops, void *arg);
void follow_destroy(struct follow *follow);
/* sync_set_self() comes before. `bearer` is borrowed until follow_stop(). */
void follow_start(struct follow *follow, const char *bearer, enum outcome_credential credential);
void follow_stop(struct follow *follow);
/* What is known contradicts what was told elsewhere: a whole list, soon. */
void follow_resync(struct follow *follow);
void follow_run(struct follow *follow, uint64_t now_ns);
uint64_t follow_next_ns(const struct follow *follow);

#endif
