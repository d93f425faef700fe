/* A user's login: what the control plane says of its login server, and a token from there: the kept one, a
 * refreshed one, one for a password, or one that the user grants in a browser (device authorization). See
 * login.c for the steps. Whether and when to try again is the owner's decision. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_LOGIN_H
#define NEXD_CTLD_NEXODUS_SESSION_LOGIN_H

#include "ctld/nexodus/oidc.h"
#include "ctld/nexodus/session/call.h"

enum login_end {
    LOGIN_DONE = 0,  /* login_token() is good */
    LOGIN_TRANSIENT, /* may work later */
    LOGIN_DENIED,    /* the user, or nobody, answered: a new code may be granted */
    LOGIN_HOPELESS,  /* will be refused as often as it is tried */
};
struct login_outcome {
    enum login_end end;
    uint64_t retry_after_ms;  /* 0 = not said */
    char text[CALL_TEXT_MAX]; /* what happened, and what to do where somebody must do something */
};

struct login_ops {
    /* The kept token is to be replaced; NULL: there is none any more. */
    void (*store)(void *arg, const char *text, size_t length);
    /* The login server's address is to be opened for requests; login_admitted() follows, later. Not NX_OK: it
     * cannot be asked for now. */
    int (*admit)(void *arg, const char *host, uint16_t port);
    /* A user has to act. NULL: not any more. */
    void (*prompt)(void *arg, const struct oidc_device_authorization *authorization);
    /* Once for each login_start(); never from within it. */
    void (*ended)(void *arg, const struct login_outcome *outcome);
};

struct login;
/* Without a user name (NULL or ""), the user grants in a browser. Texts are copied, and wiped in the end.
 * NULL when out of memory. */
struct login *login_new(struct session_env *env, const char *username, const char *password,
                        const struct login_ops *ops, void *arg);
void login_free(struct login *login);
/* The kept token. NX_EINVAL (it is ignored; `error` of JSON_ERROR_MAX bytes says why), NX_ENOMEM. */
int login_load(struct login *login, const char *text, size_t length, char *error);

/* Gets a token that is good for a while, by whatever is the least trouble. */
void login_start(struct login *login);
void login_cancel(struct login *login);
/* NX_OK; NX_EPERM: another login server is in use; else it cannot be told now. */
void login_admitted(struct login *login, int err);
/* The token; NULL = there is none, or it ends soon: login_start(). Borrowed till then. */
const char *login_token(const struct login *login);
/* The API does not take it, whatever it says of its own life. */
void login_token_refused(struct login *login);
/* When login_token() will become NULL, Unix time by our clock; 0 = not by itself. */
uint64_t login_renew_at_ms(const struct login *login);

/* Time has passed; when it is next needed, UINT64_MAX = never. */
void login_run(struct login *login, uint64_t now_ns);
uint64_t login_next_ns(const struct login *login);

/* Wipes and frees a heap text that may be NULL; *text becomes NULL. */
void login_secret_free(char **text);

#endif
