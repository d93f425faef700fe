/* From a token to a registered device: whose the token is, the VPC, the device, its own token. One attempt at
 * a time; what its end means for the next one is the owner's decision. See enrol.c for the steps. ctld only.
 */
#ifndef NEXD_CTLD_NEXODUS_SESSION_ENROL_H
#define NEXD_CTLD_NEXODUS_SESSION_ENROL_H

#include "ctld/nexodus/requests.h"
#include "ctld/nexodus/sealed_token.h"
#include "ctld/nexodus/session/call.h"
#include "ctld/nexodus/session/catalog_document.h"

enum { SESSION_STUN_SERVER_MAX = 264 };
enum { ENROL_ENDPOINTS_WAIT_MS = 400 /* how long a registration waits for STUN at most */ };

/* What others may reach us at. */
struct session_published {
    struct netsock local, reflexive;           /* family NETADDR_NONE = not known */
    char stun_server[SESSION_STUN_SERVER_MAX]; /* who told of a change; "" = the pair of the start */
    bool symmetric;
    bool settled; /* STUN's start is over */
};

enum enrol_step {
    ENROL_IDLE = 0,
    ENROL_WHO,       /* GET reg-keys/me or users/me */
    ENROL_VPC,       /* GET vpcs/{id} */
    ENROL_CHECK,     /* GET devices/{id}: is ours still there? */
    ENROL_ENDPOINTS, /* STUN may have something to say */
    ENROL_CREATE,    /* POST devices */
    ENROL_UPDATE,    /* PATCH devices/{id} */
    ENROL_ENDING,
};

/* Set up by the owner before enrol_start(); texts are borrowed for the attempt. */
struct enrol_task {
    const char *bearer;
    enum outcome_credential credential;
    const char *vpc_id;            /* "" = the token's own */
    const char *security_group_id; /* "" = the token's own, or none */
    const char *hostname;
    const char *request_ip; /* "" = any */
    const uint8_t *public_key;
    const char *device_id; /* "" = not known: it is created. Else it is updated; … */
    bool check;            /* … if it is still there, which is asked first */
};

struct enrol_outcome {
    enum outcome outcome; /* of the last step */
    enum enrol_step step; /* which was that */
    uint64_t retry_after_ms;
    char text[CALL_TEXT_MAX];
};

struct enrol {
    struct session_env *env;
    void (*published)(void *arg, struct session_published *out);
    void (*ended)(void *arg, const struct enrol_outcome *outcome);
    void *arg;
    struct call call;
    struct json_writer *writer;
    struct enrol_task task;
    enum enrol_step step;
    struct enrol_outcome soon;
    uint64_t next_ns, started_ns;
    /* What has been learned; complete when the outcome is OUTCOME_OK. */
    struct session_vpc vpc;
    char device_id[UUID_TEXT_LENGTH + 1];
    char security_group_id[UUID_TEXT_LENGTH + 1];
    char device_token[SEALED_TOKEN_MAX]; /* "" = none was given: the bearer goes on */
    uint64_t device_revision;
    struct session_published sent; /* what the device was registered with */
};

/* `published`: what is known now. `ended`: once for each enrol_start(), never from within it. NX_ENOMEM. */
int enrol_init(struct enrol *enrol, struct session_env *env,
               void (*published)(void *arg, struct session_published *out),
               void (*ended)(void *arg, const struct enrol_outcome *outcome), void *arg);
/* Wipes. One that is zero is fine. */
void enrol_destroy(struct enrol *enrol);
void enrol_start(struct enrol *enrol, const struct enrol_task *task);
void enrol_cancel(struct enrol *enrol);
/* `published` has changed. */
void enrol_published_changed(struct enrol *enrol);
void enrol_run(struct enrol *enrol, uint64_t now_ns);
uint64_t enrol_next_ns(const struct enrol *enrol);

/* Our endpoints, as requests have them. */
struct request_endpoints session_endpoints(const struct session_published *published);

#endif
