/* Steps of a login; each arrow is an answer:
 *
 *   START ──► ADMIT ──► DISCOVERY ─┬─ token is fresh ─────────────────────────► done
 *     ▲                            ├─ can be refreshed ─► REFRESH ────────────► done
 *     │                            ├─ password ─► PASSWORD ─────────┐
 *     │                            └─ else ─► CODE ─► GRANT (polls) ┴► KEYS ──► done
 *     └──── the refresh token is dead: it is dropped ◄── REFRESH
 *
 * ADMIT has the login server's address opened: ctld's connections lead only where that was done. A token from
 * a new login counts only with an ID token of the login server that is verified (KEYS); by whose clock, the
 * server's times in earlier answers tell. */
#include "ctld/nexodus/session/login.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/nexodus/session/login_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STORE_BYTES_MAX = 64 << 10, KEPT_STRING_MAX = 32 << 10 };

void login_secret_free(char **text)
{
    if (*text)
        sodium_memzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static char *copy(const char *text)
{
    return text && text[0] ? strdup(text) : NULL;
}

struct login *login_new(struct session_env *env, const char *username, const char *password,
                        const struct login_ops *ops, void *arg)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    *login = (struct login){.env = env, .ops = ops, .arg = arg, .next_ns = UINT64_MAX};
    login->username = copy(username);
    login->password = login->username ? strdup(password ? password : "") : NULL;
    if (call_init(&login->call, env) == NX_OK &&
        (!username || !username[0] || (login->username && login->password)))
        return login;
    login_free(login);
    return NULL;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    call_destroy(&login->call);
    auth_token_clear(&login->token);
    auth_token_clear(&login->fresh);
    login_secret_free(&login->username);
    login_secret_free(&login->password);
    login_secret_free(&login->id_token);
    sodium_memzero(login->device_code, sizeof login->device_code);
    free(login);
}

int login_load(struct login *login, const char *text, size_t length, char *error)
{
    const struct json_limits limits = {
        .bytes_max = STORE_BYTES_MAX, .string_max = KEPT_STRING_MAX, .values_max = 64, .depth_max = 4};
    struct json_reader *reader = json_reader_new(&limits);
    const struct json_value *root;
    snprintf(error, JSON_ERROR_MAX, "out of memory");
    int err = reader ? json_read(reader, text, length, &root, error) : NX_ENOMEM;
    if (!err)
        err = auth_token_decode(root, &login->token, error);
    json_reader_free(reader);
    return err;
}

const char *login_token(const struct login *login)
{
    return auth_token_fresh(&login->token, env_wall_ms(login->env)) ? login->token.access : NULL;
}

void login_token_refused(struct login *login)
{
    login->token.expires_at_ms = 1;
}

uint64_t login_renew_at_ms(const struct login *login)
{
    const uint64_t end_ms = login->token.access ? login->token.expires_at_ms : 0;
    return end_ms > AUTH_TOKEN_EARLY_MS ? end_ms - AUTH_TOKEN_EARLY_MS : end_ms;
}

/* -- Ends -- */

void login_finish(struct login *login, enum login_end how, uint64_t retry_after_ms, const char *text)
{
    struct login_outcome outcome = {.end = how, .retry_after_ms = retry_after_ms};
    snprintf(outcome.text, sizeof outcome.text, "%s", text);
    if (login->step == LOGIN_GRANT)
        login->ops->prompt(login->arg, NULL);
    login->step = LOGIN_IDLE;
    login->next_ns = UINT64_MAX;
    login_secret_free(&login->id_token);
    auth_token_clear(&login->fresh);
    login->ops->ended(login->arg, &outcome);
}

void login_cancel(struct login *login)
{
    call_cancel(&login->call);
    if (login->step == LOGIN_GRANT)
        login->ops->prompt(login->arg, NULL);
    login->step = LOGIN_IDLE;
    login->next_ns = UINT64_MAX;
}

/* The end comes with the next turn, as callers may not be called from within. */
void login_finish_soon(struct login *login, enum login_end how, const char *text)
{
    login->soon = (struct login_outcome){.end = how};
    snprintf(login->soon.text, sizeof login->soon.text, "%s", text);
    login->step = LOGIN_ENDING;
    login->next_ns = env_now_ns(login->env);
}

/* An answer that is not what was hoped for. */
void login_finish_by_answer(struct login *login, const struct call_answer *answer,
                            enum outcome_request request)
{
    char text[CALL_TEXT_MAX];
    const enum outcome outcome = call_outcome(answer, request, OUTCOME_NO_TOKEN, text);
    login_finish(login, outcome == OUTCOME_TRANSIENT ? LOGIN_TRANSIENT : LOGIN_HOPELESS,
                 answer->retry_after_ms, text);
}

void login_unusable(struct login *login, const char *what, const char *error)
{
    char text[CALL_TEXT_MAX];
    call_unusable(what, error, text);
    login_finish(login, LOGIN_TRANSIENT, 0, text);
}

bool login_answered(const struct call_answer *answer)
{
    return answer->status >= 200 && answer->status <= 299 && answer->root;
}

void login_send(struct login *login, const struct http_request *request,
                void (*done)(void *arg, const struct call_answer *answer))
{
    if (call_send(&login->call, request, done, login) != NX_OK)
        login_finish_soon(login, LOGIN_TRANSIENT, "the login cannot go on: out of memory");
}

/* -- The login server -- */

static void on_discovery(void *arg, const struct call_answer *answer)
{
    struct login *login = arg;
    struct oidc_provider provider;
    char error[JSON_ERROR_MAX];
    if (!login_answered(answer)) {
        login_finish_by_answer(login, answer, OUTCOME_DISCOVERY);
        return;
    }
    if (oidc_discovery_decode(answer->root, login->issuer, &provider, error) != NX_OK) {
        login_unusable(login, "what the login server says of itself", error);
        return;
    }
    snprintf(login->token_endpoint, URL_MAX, "%s", provider.token_endpoint);
    snprintf(login->jwks_uri, URL_MAX, "%s", provider.jwks_uri);
    login->auth_tried = false;
    if (login_token(login)) {
        login_finish(login, LOGIN_DONE, 0, "");
    } else if (login->token.refresh) {
        login->step = LOGIN_REFRESH;
        login_token_send(login);
    } else if (login->username) {
        login->step = LOGIN_PASSWORD;
        login_token_send(login);
    } else {
        login_code_send(login);
    }
}

void login_admitted(struct login *login, int err)
{
    char url[URL_MAX];
    if (login->step != LOGIN_ADMIT)
        return;
    if (err == NX_EPERM) {
        login_finish(login, LOGIN_HOPELESS, 0,
                     "the control plane names another login server than before: if that is meant so, start "
                     "nexd anew");
    } else if (err || oidc_discovery_url(login->issuer, url) != NX_OK) {
        login_finish(login, LOGIN_TRANSIENT, 0, "the login server cannot be reached now");
    } else {
        login->step = LOGIN_DISCOVERY;
        login_send(login, &(struct http_request){.method = HTTP_GET, .url = url}, on_discovery);
    }
}

static void on_start(void *arg, const struct call_answer *answer)
{
    struct login *login = arg;
    struct oidc_login_start start;
    struct url url;
    char error[JSON_ERROR_MAX], url_error[URL_ERROR_MAX];
    if (!login_answered(answer)) {
        login_finish_by_answer(login, answer, OUTCOME_LOGIN_START);
        return;
    }
    if (oidc_login_start_decode(answer->root, &start, error) != NX_OK) {
        login_unusable(login, "what the control plane says of its login server", error);
        return;
    }
    if (start.server_time_ms)
        server_clock_observe(&login->env->clock, start.server_time_ms, login->call.sent_ms,
                             env_wall_ms(login->env), 0);
    snprintf(login->issuer, URL_MAX, "%s", start.issuer);
    snprintf(login->code_endpoint, URL_MAX, "%s", start.device_authorization_endpoint);
    snprintf(login->client_id, sizeof login->client_id, "%s", start.client_id);
    login->step = LOGIN_ADMIT;
    if (url_parse(start.issuer, strlen(start.issuer), &url, url_error) != NX_OK ||
        login->ops->admit(login->arg, url.host, url.port) != NX_OK)
        login_finish(login, LOGIN_TRANSIENT, 0, "the login server cannot be reached now");
}

void login_begin(struct login *login)
{
    login->step = LOGIN_START;
    login_send(login, &(struct http_request){.method = HTTP_POST, .url = "/device/login/start"}, on_start);
}

void login_start(struct login *login)
{
    login_cancel(login);
    login_begin(login);
}

/* -- Time -- */

void login_run(struct login *login, uint64_t now_ns)
{
    if (login->step == LOGIN_ENDING) {
        const struct login_outcome outcome = login->soon;
        login_finish(login, outcome.end, outcome.retry_after_ms, outcome.text);
    } else if (login->step == LOGIN_GRANT && now_ns >= login->next_ns) {
        login_poll(login, now_ns);
    }
}

uint64_t login_next_ns(const struct login *login)
{
    return login->next_ns;
}
