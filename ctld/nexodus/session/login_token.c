/* The token endpoint: a password, or a refresh token, for tokens; and what makes a new login's tokens count.
 */
#include "common/err.h"
#include "common/log.h"
#include "ctld/nexodus/jwt.h"
#include "ctld/nexodus/session/login_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STORE_BYTES_MAX = 64 << 10 };

static void token_store(struct login *login)
{
    struct json_writer *writer = json_writer_new(STORE_BYTES_MAX);
    const char *text;
    size_t length;
    if (writer && auth_token_encode(&login->token, writer, &text, &length) == NX_OK)
        login->ops->store(login->arg, text, length);
    else
        log_warn("the login's token is not kept: out of memory");
    json_writer_free(writer);
}

static void token_drop(struct login *login)
{
    auth_token_clear(&login->token);
    login->ops->store(login->arg, NULL, 0);
}

static void on_keys(void *arg, const struct call_answer *answer)
{
    struct login *login = arg;
    struct jwk_set *keys = NULL;
    struct jwt_claims claims;
    char error[JSON_ERROR_MAX], why[JWT_ERROR_MAX];
    const uint64_t now_ms = server_clock_now_ms(&login->env->clock, env_wall_ms(login->env));
    const struct jwt_expected expected = {
        .issuer = login->issuer, .client_id = login->client_id, .now_ms = now_ms};
    if (!login_answered(answer)) {
        login_finish_by_answer(login, answer, OUTCOME_DISCOVERY);
        return;
    }
    if (jwk_set_decode(answer->root, &keys, error) != NX_OK) {
        login_unusable(login, "the login server's key set", error);
        return;
    }
    const int err = jwt_verify(login->id_token, strlen(login->id_token), keys, &expected, &claims, why);
    jwk_set_free(keys);
    if (err) {
        login_unusable(login, "the login server's ID token", why);
        return;
    }
    auth_token_clear(&login->token);
    login->token = login->fresh;
    login->fresh = (struct auth_token){0};
    token_store(login);
    login_finish(login, LOGIN_DONE, 0, "");
}

/* A new login's tokens; the ID token in them is verified next. */
void login_tokens_take(struct login *login, const struct call_answer *answer)
{
    struct oidc_tokens tokens;
    char error[JSON_ERROR_MAX];
    if (oidc_tokens_decode(answer->root, &tokens, error) != NX_OK) {
        login_unusable(login, "the login server's answer", error);
        return;
    }
    if (tokens.id_token[0] == '\0') {
        login_unusable(login, "the login server's answer", "there is no ID token in it");
        return;
    }
    login_secret_free(&login->id_token);
    login->id_token = strdup(tokens.id_token);
    auth_token_clear(&login->fresh);
    if (!login->id_token || auth_token_take(&login->fresh, &tokens, login->call.sent_ms) != NX_OK) {
        login_finish(login, LOGIN_TRANSIENT, 0, "the login cannot go on: out of memory");
        return;
    }
    if (login->step == LOGIN_GRANT)
        login->ops->prompt(login->arg, NULL);
    login->step = LOGIN_KEYS;
    login_send(login, &(struct http_request){.method = HTTP_GET, .url = login->jwks_uri}, on_keys);
}

/* -- The token endpoint -- */

/* In the header first, and in the form if the server does not take that. */
static bool other_client_auth(struct login *login, const struct call_answer *answer,
                              const struct oidc_failure *failure)
{
    if (answer->status < 400 || answer->status > 499 || answer->status == 429 || login->auth_tried ||
        failure->code == OIDC_ERROR_INVALID_GRANT)
        return false;
    login->auth_tried = true;
    login->client_auth =
        login->client_auth == OIDC_CLIENT_IN_HEADER ? OIDC_CLIENT_IN_FORM : OIDC_CLIENT_IN_HEADER;
    return true;
}

static int token_form(struct login *login, char *form)
{
    if (login->step == LOGIN_REFRESH)
        return oidc_form_refresh(login->client_auth, login->client_id, login->token.refresh, form,
                                 OIDC_FORM_MAX);
    return oidc_form_password(login->client_auth, login->client_id, login->username, login->password, form,
                              OIDC_FORM_MAX);
}

static void on_token(void *arg, const struct call_answer *answer)
{
    struct login *login = arg;
    struct oidc_failure failure;
    struct oidc_tokens tokens;
    char error[JSON_ERROR_MAX], text[CALL_TEXT_MAX];
    if (login_answered(answer) && login->step == LOGIN_PASSWORD) {
        login_tokens_take(login, answer);
        return;
    }
    if (login_answered(answer)) {
        if (oidc_tokens_decode(answer->root, &tokens, error) != NX_OK) {
            login_unusable(login, "the login server's answer", error);
        } else if (auth_token_take(&login->token, &tokens, login->call.sent_ms) != NX_OK) {
            login_finish(login, LOGIN_TRANSIENT, 0, "the login cannot go on: out of memory");
        } else {
            token_store(login);
            login_finish(login, LOGIN_DONE, 0, "");
        }
        return;
    }
    oidc_failure_decode(answer->root, &failure);
    if (answer->status < 400 || answer->status >= 500 || answer->status == 429 || answer->status == 408) {
        login_finish_by_answer(login, answer, OUTCOME_DISCOVERY);
    } else if (other_client_auth(login, answer, &failure)) {
        login_token_send(login);
    } else if (login->step == LOGIN_REFRESH) {
        log_info("the kept login is not valid any more (%s)", failure.text[0] ? failure.text : "refused");
        token_drop(login);
        login_begin(login);
    } else {
        snprintf(text, sizeof text,
                 "the login server refuses user name and password%s%s: check --username and --password",
                 failure.text[0] ? ": " : "", failure.text);
        login_finish(login, LOGIN_HOPELESS, 0, text);
    }
}

void login_token_send(struct login *login)
{
    char *const form = calloc(1, OIDC_FORM_MAX);
    char basic[OIDC_BASIC_MAX] = "";
    struct http_request request = {.method = HTTP_POST,
                                   .url = login->token_endpoint,
                                   .content_type = "application/x-www-form-urlencoded",
                                   .body = form};
    if (!form || token_form(login, form) != NX_OK ||
        (login->client_auth == OIDC_CLIENT_IN_HEADER && oidc_basic(login->client_id, basic) != NX_OK)) {
        login_finish_soon(login, LOGIN_TRANSIENT, "the login cannot go on: out of memory");
    } else {
        request.body_bytes = strlen(form);
        request.basic = basic[0] ? basic : NULL;
        login_send(login, &request, on_token);
    }
    if (form)
        sodium_memzero(form, OIDC_FORM_MAX);
    free(form);
}
