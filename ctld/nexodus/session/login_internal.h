/* What a login holds, and what its files call of each other; for login*.c alone. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_LOGIN_INTERNAL_H
#define NEXD_CTLD_NEXODUS_SESSION_LOGIN_INTERNAL_H

#include "ctld/nexodus/device_flow.h"
#include "ctld/nexodus/oidc_form.h"
#include "ctld/nexodus/session/auth_token.h"
#include "ctld/nexodus/session/login.h"

enum login_step {
    LOGIN_IDLE = 0,
    LOGIN_START,
    LOGIN_ADMIT,
    LOGIN_DISCOVERY,
    LOGIN_REFRESH,
    LOGIN_PASSWORD,
    LOGIN_CODE,
    LOGIN_GRANT,
    LOGIN_KEYS,
    LOGIN_ENDING, /* `soon` is told with the next turn */
};

struct login {
    struct session_env *env;
    const struct login_ops *ops;
    void *arg;
    char *username, *password; /* NULL: the user grants in a browser */
    struct auth_token token;   /* in use */
    struct auth_token fresh;   /* of a new login, not yet verified */
    char *id_token;            /* … by this */
    enum login_step step;
    struct call call;
    uint64_t next_ns;
    struct login_outcome soon;
    /* Of the login server: */
    char issuer[URL_MAX], token_endpoint[URL_MAX], jwks_uri[URL_MAX], code_endpoint[URL_MAX];
    char client_id[OIDC_CLIENT_ID_MAX + 1];
    enum oidc_client_auth client_auth; /* what it took last */
    bool auth_tried;                   /* both ways, in this step */
    /* Of the grant in a browser: */
    struct device_flow flow;
    char device_code[OIDC_CODE_MAX + 1];
};

/* -- login.c -- */

void login_begin(struct login *login);
/* The end: from within an answer; or, where callers may not be called, with the next turn. */
void login_finish(struct login *login, enum login_end how, uint64_t retry_after_ms, const char *text);
void login_finish_soon(struct login *login, enum login_end how, const char *text);
void login_finish_by_answer(struct login *login, const struct call_answer *answer,
                            enum outcome_request request);
/* A body that is not what it should be. */
void login_unusable(struct login *login, const char *what, const char *error);
/* 2xx, with JSON. */
bool login_answered(const struct call_answer *answer);
void login_send(struct login *login, const struct http_request *request,
                void (*done)(void *arg, const struct call_answer *answer));

/* -- login_token.c -- */

/* Asks the token endpoint, as `step` says: LOGIN_REFRESH or LOGIN_PASSWORD. */
void login_token_send(struct login *login);
/* A new login's tokens; the ID token in them is verified next. */
void login_tokens_take(struct login *login, const struct call_answer *answer);

/* -- login_grant.c -- */

void login_code_send(struct login *login);
void login_poll(struct login *login, uint64_t now_ns);

#endif
