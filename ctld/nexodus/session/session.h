/* This device's membership in a control plane's network, from credentials to the devices that are in it, and
 * on for as long as nexd lives. It decides what to ask the control plane and when, and what its answers mean;
 * it makes no connection itself, reads no clock, and is told what happens. See session.c for the states.
 * ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_SESSION_H
#define NEXD_CTLD_NEXODUS_SESSION_SESSION_H

#include "ctld/nexodus/session/enrol.h"
#include "ipc/messages.h"

/* Texts may be NULL or "" where there is none; all are copied, secrets wiped in the end. A registration key
 * wins over a user name; with neither, a user logs in in a browser. */
struct session_config {
    struct http *http;
    const char *service_url; /* "https://HOST[:PORT]" */
    const char *hostname, *vpc_id, *security_group_id, *request_ip;
    const char *reg_key, *username, *password;
    uint8_t public_key[KEY_BYTES];
};

struct session_ops {
    uint64_t (*now_ns)(void *arg);  /* monotonic */
    uint64_t (*wall_ms)(void *arg); /* Unix time */
    uint64_t (*random)(void *arg);  /* 64 random bits */
    /* The slot is to hold this document; NULL, 0: nothing. Copied. */
    void (*store)(void *arg, enum ipc_slot slot, const char *text, size_t length);
    /* How far it has come; only when that changes. */
    void (*phase)(void *arg, enum ipc_join_phase phase, const char *text);
    /* A user is to enter `code` at `url`; `complete_url` has it in it. All NULL: not any more. */
    void (*prompt)(void *arg, const char *url, const char *complete_url, const char *code);
    /* Nothing has ever worked, and nothing will until somebody acts: `text` says who and how. The session
     * does nothing any more. */
    void (*give_up)(void *arg, const char *text);
    /* OUTLET_ISSUER; session_issuer_admitted() follows. Not NX_OK: it cannot be asked for now. */
    int (*admit)(void *arg, const char *host, uint16_t port);
    /* KEY_RENEW; session_key_renewed() follows. Not NX_OK: it cannot be asked for now. */
    int (*renew_key)(void *arg);
    /* Our endpoints, as known now. `local` is always known. */
    void (*published)(void *arg, struct session_published *out);

    /* -- The network, as peering wants it -- */

    /* Our device's id. */
    void (*identity)(void *arg, const char *device_id);
    /* NX_EINVAL: no VPC can have these ranges. */
    int (*vpc)(void *arg, const char *ipv4_cidr, const char *ipv6_cidr);
    void (*list_begin)(void *arg);
    void (*device)(void *arg, const struct peering_device *device);
    void (*removed)(void *arg, const char *id);
    void (*list_end)(void *arg);
    /* Our own device's security group, when it is known, changes, or is none (NULL: everything is allowed).
     * Borrowed for the call. Enforcing it is the packet filter's part. */
    void (*security_group)(void *arg, const struct api_security_group *group);
};

struct session;
/* `ops` must outlive it. NULL when out of memory, or when the URL is none. */
struct session *session_new(const struct session_config *config, const struct session_ops *ops, void *arg);
/* Wipes. NULL is harmless. */
void session_free(struct session *session);
/* What a slot holds; before session_start(). What cannot be used is ignored, with a line in the log. */
void session_load(struct session *session, enum ipc_slot slot, const char *text, size_t length);
/* Hands out the network as it was known last, if it was, and begins. */
void session_start(struct session *session);

/* session_ops.published would tell something else now. */
void session_published_changed(struct session *session);
/* NX_OK; NX_EPERM: another login server is in use; else it could not be told. */
void session_issuer_admitted(struct session *session, int err);
/* NULL: there is no new pair. */
void session_key_renewed(struct session *session, const uint8_t *public_key);

/* Time has passed; when it is next needed. Also after each turn in which HTTP has told something. */
void session_run(struct session *session, uint64_t now_ns);
uint64_t session_next_ns(const struct session *session);

/* We are about to end: what is still to be stored is told now (session_ops.store). */
void session_flush(struct session *session);

struct session_status {
    enum ipc_join_phase phase;
    const char *text;                                           /* more to it, or "" */
    const char *prompt_url, *prompt_complete_url, *prompt_code; /* "" unless a user has to act */
    const char *device_id, *vpc_id, *security_group_id;         /* "" while not known */
    size_t devices;                                             /* in the network, our own included */
    bool cached; /* what is in force was stored, and has not been confirmed since */
};
/* Borrowed until the next call of anything else. */
struct session_status session_status(const struct session *session);

#endif
