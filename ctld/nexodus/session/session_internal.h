/* What a session holds, and what its files call of each other; for session*.c alone. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_SESSION_INTERNAL_H
#define NEXD_CTLD_NEXODUS_SESSION_SESSION_INTERNAL_H

#include "ctld/nexodus/reg_key.h"
#include "ctld/nexodus/session/device_record.h"
#include "ctld/nexodus/session/follow.h"
#include "ctld/nexodus/session/login.h"
#include "ctld/nexodus/session/publish.h"
#include "ctld/nexodus/session/session.h"

enum {
    SESSION_HOPELESS_BASE_MS = 60000, /* what is refused for good is tried again, slowly: operators repair */
    SESSION_HOPELESS_CAP_MS = 900000,
    SESSION_QUIET_S = 60,  /* a refusal after so long without one is followed up at once */
    SESSION_REFUSALS = 3,  /* so many in a row are tried again soon; then slowly */
    SESSION_RENEW_S = 600, /* a key pair is replaced no more often */
    SESSION_DENIED_MS = 15000,
    SESSION_DENIED_MAX = 4, /* codes that nobody confirms before we give up */
    SESSION_SAVE_DELAY_MS = 1000,
    SESSION_SAVE_INTERVAL_MS = 10000,
};

/* What is tried. */
enum session_plan {
    PLAN_JOIN = 0, /* with the credentials */
    PLAN_RESUME,   /* with the kept device token */
    PLAN_CHECK,    /* with the credentials, and first of all whether our device is still there */
    PLAN_RENEW,    /* get a new key pair, then PLAN_JOIN */
};
enum session_state {
    SESSION_IDLE = 0,
    SESSION_LOGIN,
    SESSION_ENROL,
    SESSION_RENEWING,
    SESSION_FOLLOW,
    SESSION_PAUSE,
    SESSION_GIVEN_UP,
};

struct session_prompt {
    char url[URL_MAX], complete_url[URL_MAX], code[OIDC_USER_CODE_MAX + 1];
};

struct session {
    struct session_env env;
    const struct session_ops *ops;
    void *arg;
    /* Configuration: */
    char hostname[IPC_NAME_MAX + 1], vpc_id[UUID_TEXT_LENGTH + 1], security_group_id[UUID_TEXT_LENGTH + 1];
    char request_ip[NETADDR_TEXT_MAX];
    char reg_key[REG_KEY_MAX + 1];
    char credential[CREDENTIAL_MARK_TEXT]; /* mark of what we log in with */
    bool explicit_credential;              /* … which the operator gave */
    uint8_t public_key[KEY_BYTES];
    /* Parts: */
    struct login *login;
    struct enrol enrol;
    struct follow follow;
    struct publish publish;
    struct json_reader *reader; /* for texts of the catalog */
    /* State: */
    enum session_state state;
    enum session_plan plan;
    struct device_record record; /* device_id "" = there is none */
    struct session_vpc vpc;
    char *bearer; /* what follows and publishes; a secret */
    enum outcome_credential bearer_kind;
    bool renewing_login; /* while following: the user's token is renewed */
    bool ever_worked, cached, listed;
    struct retry retry, slow;
    unsigned denied;
    bool refused_before, renewed_before;
    uint64_t refused_ns, renewed_ns;
    uint64_t next_ns; /* of PAUSE */
    uint64_t login_again_ns;
    char own_group[UUID_TEXT_LENGTH + 1];
    bool group_told;
    /* For operators: */
    char trouble[CALL_TEXT_MAX]; /* what keeps us from the control plane; "" = nothing */
    enum ipc_join_phase told_phase;
    char told_text[IPC_TEXT_MAX + 1];
    struct session_prompt prompt;
    /* The slot NETWORK: */
    bool unsaved;
    uint64_t save_ns, saved_ns;
};

/* -- session.c -- */

void session_begin(struct session *session, enum session_plan plan);
/* Something failed that may work later, with `plan`. */
void session_again(struct session *session, enum session_plan plan, uint64_t retry_after_ms,
                   const char *text);
/* … that will not, until somebody acts. */
void session_hopeless(struct session *session, enum session_plan plan, const char *text);
/* The token that follows is not good any more. */
void session_refused(struct session *session, const char *text);
void session_phase_tell(struct session *session);

/* -- session_login.c: how login and registration end -- */

extern const struct login_ops session_login_ops;
void session_enrolled(void *arg, const struct enrol_outcome *outcome);
void session_enrol_begin(struct session *session, const char *bearer, enum outcome_credential credential);

/* -- session_network.c: the network, handed on and kept -- */

extern const struct follow_ops session_follow_ops;
extern const struct publish_ops session_publish_ops;
/* The network as it was known last. */
void session_cache_load(struct session *session, const char *text, size_t length);
void session_cache_hand_out(struct session *session);
/* Nothing is known any more. */
void session_network_forget(struct session *session);
void session_save_run(struct session *session, uint64_t now_ns);
uint64_t session_save_next_ns(const struct session *session);

#endif
