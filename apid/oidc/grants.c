/* The token endpoint (RFC 6749, RFC 8628) and the start of device authorization.
 *
 * There is one client and it is public: it names itself in the form, or by HTTP Basic with an empty secret.
 */
#include "apid/oidc/endpoints.h"
#include "apid/oidc/form.h"
#include "apid/oidc/reply.h"
#include "apid/store/store.h"
#include "common/clock.h"
#include "common/err.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const issuer_scopes[] = {"openid",
                                     "profile",
                                     "email",
                                     "offline_access",
                                     "read:organizations",
                                     "write:organizations",
                                     "read:users",
                                     "write:users",
                                     "read:devices",
                                     "write:devices",
                                     NULL};

/* What of the request is known, in our order; everything where nothing is asked for. */
static void scope_grant(const char *asked, char out[DEVICE_SCOPE_MAX])
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *const *scope = issuer_scopes; *scope; scope++) {
        const size_t length = strlen(*scope);
        bool wanted = asked == NULL || *asked == '\0';
        for (const char *at = asked; at && *at && !wanted; at += strcspn(at, " ")) {
            at += strspn(at, " ");
            wanted = strcspn(at, " ") == length && strncmp(at, *scope, length) == 0;
        }
        if (wanted)
            used += (size_t)snprintf(out + used, DEVICE_SCOPE_MAX - used, "%s%s", used ? " " : "", *scope);
    }
}

static bool basic_client_check(const char *encoded)
{
    char text[256];
    size_t length;
    if (sodium_base642bin((unsigned char *)text, sizeof(text) - 1, encoded, strlen(encoded), NULL, &length,
                          NULL, sodium_base64_VARIANT_ORIGINAL))
        return false;
    text[length] = '\0';
    return strcmp(text, ISSUER_CLIENT_ID ":") == 0;
}

/* False: the request has been answered. */
static bool client_check(struct http_request *request, const struct form *form)
{
    const char *const header = http_header(request, "Authorization");
    const char *const id = form_get(form, "client_id");
    if (header && strncmp(header, "Basic ", 6) == 0 ? basic_client_check(header + 6)
                                                    : id && strcmp(id, ISSUER_CLIENT_ID) == 0)
        return true;
    oidc_error(request, 401, "invalid_client", "Invalid client or Invalid client credentials");
    return false;
}

/* False: the request has been answered. */
static bool form_read(struct http_request *request, struct form *form)
{
    const char *const type = http_header(request, "Content-Type");
    if (type && strncmp(type, "application/x-www-form-urlencoded", 33) == 0 &&
        form_parse(request->body, request->body_length, form) == NX_OK)
        return true;
    oidc_error(request, 400, "invalid_request", "The request's body is no form");
    return false;
}

/* One JWT. `audience`, `type`: "account" and "Bearer" for access, the client and "ID" for identity. */
static char *token_sign(struct issuer *issuer, const struct store_user *user, const char *scope,
                        const char *audience, const char *type, uint64_t now_s)
{
    struct json_out payload = {0};
    unsigned char random[16];
    char id[2 * sizeof(random) + 1], *token = NULL;
    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(id, sizeof(id), random, sizeof(random));
    json_object_begin(&payload);
    json_put_u64(&payload, "exp", now_s + ISSUER_ACCESS_S);
    json_put_u64(&payload, "iat", now_s);
    json_put_u64(&payload, "auth_time", now_s);
    json_put_string(&payload, "jti", id);
    json_put_string(&payload, "iss", issuer->url);
    json_put_string(&payload, "aud", audience);
    json_put_string(&payload, "sub", user->id);
    json_put_string(&payload, "typ", type);
    json_put_string(&payload, "azp", ISSUER_CLIENT_ID);
    json_put_string(&payload, "scope", scope);
    json_put_bool(&payload, "email_verified", false);
    json_put_string(&payload, "name", user->full_name);
    json_put_string(&payload, "preferred_username", user->username);
    json_object_end(&payload);
    if (!payload.failed && jwt_sign(issuer->key, payload.data, payload.length, &token))
        token = NULL;
    json_out_free(&payload);
    return token;
}

/* NULL is harmless. */
static void token_free(char *token)
{
    if (token != NULL)
        sodium_memzero(token, strlen(token));
    free(token);
}

static void tokens_reply(struct issuer *issuer, struct http_request *request, const char *user_id,
                         const char *scope, const char *refresh)
{
    struct store_user user;
    const uint64_t now_s = clock_wall_ns() / NS_PER_S;
    if (store_user_get(issuer->store, user_id, &user)) {
        oidc_error(request, 400, "invalid_grant", "User not found");
        return;
    }
    char *const access = token_sign(issuer, &user, scope, "account", "Bearer", now_s);
    char *const identity = token_sign(issuer, &user, scope, ISSUER_CLIENT_ID, "ID", now_s);
    if (access == NULL || identity == NULL) {
        oidc_error(request, 500, "server_error", "A token could not be signed");
    } else {
        struct json_out out = {0};
        json_object_begin(&out);
        json_put_string(&out, "access_token", access);
        json_put_u64(&out, "expires_in", ISSUER_ACCESS_S);
        json_put_u64(&out, "refresh_expires_in", ISSUER_REFRESH_S);
        json_put_string(&out, "refresh_token", refresh);
        json_put_string(&out, "token_type", "Bearer");
        json_put_string(&out, "id_token", identity);
        json_put_string(&out, "scope", scope);
        json_object_end(&out);
        oidc_reply(request, 200, &out);
    }
    token_free(access);
    token_free(identity);
}

/* A first refresh token, then all tokens. */
static void grant(struct issuer *issuer, struct http_request *request, const char *user_id, const char *scope)
{
    char refresh[STORE_TOKEN_MAX];
    if (store_refresh_create(issuer->store, user_id, scope, clock_wall_ns() / NS_PER_S + ISSUER_REFRESH_S,
                             refresh))
        oidc_error(request, 500, "server_error", "A session could not be stored");
    else
        tokens_reply(issuer, request, user_id, scope, refresh);
    sodium_memzero(refresh, sizeof(refresh));
}

static void grant_password(struct issuer *issuer, struct http_request *request, const struct form *form)
{
    const char *const name = form_get(form, "username"), *const password = form_get(form, "password");
    char user_id[STORE_ID_MAX], scope[DEVICE_SCOPE_MAX];
    if (name == NULL || password == NULL) {
        oidc_error(request, 400, "invalid_request", "Missing form parameter: username or password");
        return;
    }
    switch (credentials_check(issuer, request->client, name, password, user_id)) {
    case NX_OK:
        scope_grant(form_get(form, "scope"), scope);
        grant(issuer, request, user_id, scope);
        break;
    case NX_EAGAIN:
        http_reply_header(request, "Retry-After", "30");
        oidc_error(request, 429, "temporarily_unavailable", "Too many attempts");
        break;
    case NX_EPERM:
        oidc_error(request, 401, "invalid_grant", "Invalid user credentials");
        break;
    default:
        oidc_error(request, 500, "server_error", "The user could not be looked up");
        break;
    }
}

static void grant_refresh(struct issuer *issuer, struct http_request *request, const struct form *form)
{
    const char *const token = form_get(form, "refresh_token");
    const uint64_t now_s = clock_wall_ns() / NS_PER_S;
    char user_id[STORE_ID_MAX], scope[DEVICE_SCOPE_MAX], next[STORE_TOKEN_MAX];
    if (token == NULL) {
        oidc_error(request, 400, "invalid_request", "No refresh token");
        return;
    }
    switch (store_refresh_rotate(issuer->store, token, now_s, now_s + ISSUER_REFRESH_S, user_id, scope,
                                 sizeof(scope), next)) {
    case NX_OK:
        tokens_reply(issuer, request, user_id, scope, next);
        break;
    case NX_ENOENT:
    case NX_EPERM:
        oidc_error(request, 400, "invalid_grant", "Invalid refresh token");
        break;
    default:
        oidc_error(request, 500, "server_error", "The session could not be looked up");
        break;
    }
    sodium_memzero(next, sizeof(next));
}

static void grant_device(struct issuer *issuer, struct http_request *request, const struct form *form)
{
    const char *const code = form_get(form, "device_code");
    char user_id[DEVICE_USER_MAX], scope[DEVICE_SCOPE_MAX];
    if (code == NULL) {
        oidc_error(request, 400, "invalid_request", "Missing parameter: device_code");
        return;
    }
    switch (device_grant_poll(&issuer->grants, code, clock_now_ns(), user_id, scope)) {
    case DEVICE_POLL_GRANTED:
        grant(issuer, request, user_id, scope);
        break;
    case DEVICE_POLL_PENDING:
        oidc_error(request, 400, "authorization_pending", "The authorization request is still pending");
        break;
    case DEVICE_POLL_SLOW_DOWN:
        oidc_error(request, 400, "slow_down", "Slow down");
        break;
    case DEVICE_POLL_DENIED:
        oidc_error(request, 400, "access_denied", "The end user denied the authorization request");
        break;
    case DEVICE_POLL_EXPIRED:
        oidc_error(request, 400, "expired_token", "Device code is expired");
        break;
    case DEVICE_POLL_UNKNOWN:
        oidc_error(request, 400, "invalid_grant", "Device code not valid");
        break;
    }
}

void grants_token(struct issuer *issuer, struct http_request *request)
{
    struct form form;
    if (!form_read(request, &form))
        return;
    const char *const type = form_get(&form, "grant_type");
    if (!client_check(request, &form))
        ; /* answered */
    else if (type == NULL)
        oidc_error(request, 400, "invalid_request", "Missing form parameter: grant_type");
    else if (strcmp(type, "password") == 0)
        grant_password(issuer, request, &form);
    else if (strcmp(type, "refresh_token") == 0)
        grant_refresh(issuer, request, &form);
    else if (strcmp(type, GRANT_DEVICE) == 0)
        grant_device(issuer, request, &form);
    else
        oidc_error(request, 400, "unsupported_grant_type", "Unsupported grant_type");
    form_free(&form);
}

static void device_start_reply(struct issuer *issuer, struct http_request *request,
                               const struct device_grant *grant)
{
    char page[ISSUER_URL_MAX + 64], complete[ISSUER_URL_MAX + 96];
    struct json_out out = {0};
    snprintf(page, sizeof(page), "%s" PATH_APPROVAL, issuer->url);
    snprintf(complete, sizeof(complete), "%s?user_code=%s", page, grant->user_code);
    json_object_begin(&out);
    json_put_string(&out, "device_code", grant->device_code);
    json_put_string(&out, "user_code", grant->user_code);
    json_put_string(&out, "verification_uri", page);
    json_put_string(&out, "verification_uri_complete", complete);
    json_put_u64(&out, "expires_in", DEVICE_EXPIRES_S);
    json_put_u64(&out, "interval", DEVICE_INTERVAL_S);
    json_object_end(&out);
    oidc_reply(request, 200, &out);
}

void grants_device_start(struct issuer *issuer, struct http_request *request)
{
    struct form form;
    char scope[DEVICE_SCOPE_MAX];
    const uint64_t now_ns = clock_now_ns();
    if (!form_read(request, &form))
        return;
    if (!client_check(request, &form)) {
        ; /* answered */
    } else if (!limiter_take(&issuer->starts, request->client, now_ns)) {
        http_reply_header(request, "Retry-After", "5");
        oidc_error(request, 429, "temporarily_unavailable", "Too many attempts");
    } else {
        scope_grant(form_get(&form, "scope"), scope);
        const struct device_grant *const started = device_grant_start(&issuer->grants, scope, now_ns);
        if (started)
            device_start_reply(issuer, request, started);
        else
            oidc_error(request, 500, "server_error", "Out of memory");
    }
    form_free(&form);
}
