/* What clients find the issuer by, its keys, and the check of its access tokens. The grants are in grants.c,
 * the page for people in approval.c. */
#include "apid/oidc/issuer.h"

#include "apid/oidc/endpoints.h"
#include "apid/oidc/reply.h"
#include "apid/store/store.h"
#include "common/clock.h"
#include "common/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char key_name[] = "issuer-key";

/* Attempts: 20 at once and one each 3 s of a client; 5 at once and one each 30 s for a user's name; and one
 * each 10 s at the code of the form. */
int issuer_init(struct issuer *issuer, struct store *store, const char *authority)
{
    char pem[JWT_KEY_PEM_MAX];
    *issuer = (struct issuer){.store = store};
    const int length = snprintf(issuer->url, sizeof(issuer->url), "https://%s" ISSUER_REALM, authority);
    if (length < 0 || (size_t)length >= sizeof(issuer->url))
        return NX_ERANGE;
    limiter_init(&issuer->by_client, 3 * NS_PER_S, 20);
    limiter_init(&issuer->by_user, 10 * NS_PER_S, 60);
    limiter_init(&issuer->by_pair, 30 * NS_PER_S, 5);
    limiter_init(&issuer->codes, 10 * NS_PER_S, 10);
    limiter_init(&issuer->starts, 2 * NS_PER_S, 30);
    device_grants_init(&issuer->grants);
    int err = store_secret_get(store, key_name, pem, sizeof(pem));
    if (err == NX_ENOENT) {
        err = jwt_key_generate(pem);
        if (!err)
            err = store_secret_put(store, key_name, pem);
    }
    if (!err)
        err = jwt_key_load(pem, &issuer->key);
    sodium_memzero(pem, sizeof(pem));
    return err;
}

void issuer_free(struct issuer *issuer)
{
    device_grants_free(&issuer->grants);
    jwt_key_free(issuer->key);
    issuer->key = NULL;
}

static void put_url(struct json_out *out, const char *name, const char *url, const char *path)
{
    char text[ISSUER_URL_MAX + 64];
    snprintf(text, sizeof(text), "%s%s", url, path);
    json_put_string(out, name, text);
}

static void put_list(struct json_out *out, const char *name, const char *const *items)
{
    json_key(out, name);
    json_array_begin(out);
    for (; *items; items++)
        json_string(out, *items);
    json_array_end(out);
}

static void discovery(struct issuer *issuer, struct http_request *request)
{
    static const char *const grants[] = {"password", "refresh_token", GRANT_DEVICE, NULL};
    static const char *const subjects[] = {"public", NULL};
    static const char *const algorithms[] = {"RS256", NULL};
    static const char *const methods[] = {"client_secret_basic", "client_secret_post", "none", NULL};
    static const char *const claims[] = {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "name", "preferred_username", NULL};
    static const char *const none[] = {NULL};
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "issuer", issuer->url);
    put_url(&out, "token_endpoint", issuer->url, PATH_TOKEN);
    put_url(&out, "userinfo_endpoint", issuer->url, PATH_USERINFO);
    put_url(&out, "device_authorization_endpoint", issuer->url, PATH_DEVICE_START);
    put_url(&out, "jwks_uri", issuer->url, PATH_KEYS);
    put_list(&out, "grant_types_supported", grants);
    put_list(&out, "response_types_supported", none);
    put_list(&out, "subject_types_supported", subjects);
    put_list(&out, "id_token_signing_alg_values_supported", algorithms);
    put_list(&out, "token_endpoint_auth_methods_supported", methods);
    put_list(&out, "claims_supported", claims);
    put_list(&out, "scopes_supported", issuer_scopes);
    json_object_end(&out);
    oidc_reply(request, 200, &out);
}

static void keys(struct issuer *issuer, struct http_request *request)
{
    struct json_out out = {0};
    jwt_key_set_write(issuer->key, &out);
    oidc_reply(request, 200, &out);
}

static void unauthorized(struct http_request *request)
{
    struct json_out out = {0};
    http_reply_header(request, "WWW-Authenticate",
                      "Bearer realm=\"nexodus\", error=\"invalid_token\", "
                      "error_description=\"Token verification failed\"");
    oidc_reply(request, 401, &out);
}

static void userinfo(struct issuer *issuer, struct http_request *request)
{
    const char *const header = http_header(request, "Authorization");
    struct issuer_claims claims;
    struct store_user user;
    if (header == NULL || strncmp(header, "Bearer ", 7) != 0 ||
        issuer_verify(issuer, header + 7, clock_wall_ns() / NS_PER_S, &claims) ||
        store_user_get(issuer->store, claims.user, &user)) {
        unauthorized(request);
        return;
    }
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "sub", user.id);
    json_put_bool(&out, "email_verified", false);
    json_put_string(&out, "name", user.full_name);
    json_put_string(&out, "preferred_username", user.username);
    json_object_end(&out);
    oidc_reply(request, 200, &out);
}

void issuer_handle(struct issuer *issuer, struct http_request *request)
{
    static const struct {
        enum http_method method;
        const char *path;
        void (*handle)(struct issuer *issuer, struct http_request *request);
    } endpoints[] = {
        {HTTP_GET, ISSUER_REALM "/.well-known/openid-configuration", discovery},
        {HTTP_GET, ISSUER_REALM PATH_KEYS, keys},
        {HTTP_POST, ISSUER_REALM PATH_TOKEN, grants_token},
        {HTTP_POST, ISSUER_REALM PATH_DEVICE_START, grants_device_start},
        {HTTP_GET, ISSUER_REALM PATH_USERINFO, userinfo},
        {HTTP_POST, ISSUER_REALM PATH_USERINFO, userinfo},
        {HTTP_GET, ISSUER_REALM PATH_APPROVAL, approval_show},
        {HTTP_POST, ISSUER_REALM PATH_APPROVAL, approval_take},
    };
    bool known = false;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        if (strcmp(request->path, endpoints[i].path) != 0)
            continue;
        known = true;
        if (request->method == endpoints[i].method) {
            endpoints[i].handle(issuer, request);
            return;
        }
    }
    http_reply(request, known ? 405 : 404, NULL, NULL, 0);
}

void issuer_login_start(struct issuer *issuer, struct http_request *request)
{
    const uint64_t now_ns = clock_wall_ns();
    const time_t seconds = (time_t)(now_ns / NS_PER_S);
    char stamp[48];
    struct tm utc;
    struct json_out out = {0};
    gmtime_r(&seconds, &utc);
    const size_t length = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp + length, sizeof(stamp) - length, ".%09luZ", (unsigned long)(now_ns % NS_PER_S));
    json_object_begin(&out);
    put_url(&out, "device_authorization_endpoint", issuer->url, PATH_DEVICE_START);
    json_put_string(&out, "issuer", issuer->url);
    json_put_string(&out, "client_id", ISSUER_CLIENT_ID);
    json_put_string(&out, "server_time", stamp);
    json_object_end(&out);
    http_reply_header(request, "Cache-Control", "no-cache, no-store, max-age=0, must-revalidate");
    http_reply(request, 200, "application/json; charset=utf-8", out.data, out.length);
    json_out_free(&out);
}

static int claims_read(const struct issuer *issuer, const struct json_value *root, uint64_t now_s,
                       struct issuer_claims *out)
{
    const char *const iss = json_member_text(root, "iss"), *const type = json_member_text(root, "typ");
    const char *const subject = json_member_text(root, "sub"), *const scope = json_member_text(root, "scope");
    uint64_t expires;
    if (iss == NULL || strcmp(iss, issuer->url) != 0 || type == NULL || strcmp(type, "Bearer") != 0 ||
        subject == NULL || strlen(subject) >= sizeof(out->user) || scope == NULL ||
        strlen(scope) >= sizeof(out->scope) || json_to_u64(json_member(root, "exp"), UINT64_MAX, &expires))
        return NX_EPERM;
    if (expires <= now_s)
        return NX_ETIMEDOUT;
    memcpy(out->user, subject, strlen(subject) + 1);
    memcpy(out->scope, scope, strlen(scope) + 1);
    return NX_OK;
}

int issuer_verify(const struct issuer *issuer, const char *token, uint64_t now_s, struct issuer_claims *out)
{
    struct json_document *payload;
    int err = jwt_verify(issuer->key, token, &payload);
    if (err)
        return err;
    err = claims_read(issuer, json_root(payload), now_s, out);
    json_free(payload);
    return err;
}
