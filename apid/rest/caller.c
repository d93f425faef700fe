/* Nexodus has a gateway before its API, whose answers are of another form than the API's own: text for tokens
 * that are no good JWTs, JSON for its own kinds of tokens. */
#include "apid/rest/caller.h"

#include "apid/rest/answer.h"
#include "apid/store/store.h"
#include "common/clock.h"
#include "common/err.h"

#include <stdio.h>
#include <string.h>

enum { REALM_MAX = HTTP_PATH_MAX + 400 };

/* The gateway's 401 for JWTs; `invalid` when there was one. Returns false. */
static bool refuse_jwt(struct api *api, struct http_request *request, bool invalid, const char *text)
{
    char header[REALM_MAX];
    snprintf(header, sizeof(header), "Bearer realm=\"https://%s%s\"%s", api->authority,
             strchr(request->path, '"') ? "/" : request->path, invalid ? ", error=\"invalid_token\"" : "");
    http_reply_header(request, "WWW-Authenticate", header);
    answer_text(request, 401, text);
    return false;
}

static bool refuse_token(struct http_request *request, const char *error)
{
    answer_error(request, 401, error, NULL, NULL);
    return false;
}

static bool failed(struct http_request *request)
{
    answer_internal(request, "the store cannot be asked who calls");
    return false;
}

static bool reg_key_identify(struct api *api, struct http_request *request, const char *token,
                             struct caller *out)
{
    struct store_reg_key key;
    const int err = store_reg_key_by_token(api->store, token, clock_wall_ns() / NS_PER_S, &key);
    if (err == NX_ENOENT)
        return refuse_token(request, "invalid reg key");
    if (err == NX_ETIMEDOUT)
        return refuse_token(request, "reg key has expired");
    if (err)
        return failed(request);
    out->kind = CALLER_REG_KEY;
    memcpy(out->user, key.owner_id, sizeof(out->user));
    memcpy(out->reg_key, key.id, sizeof(out->reg_key));
    memcpy(out->vpc, key.vpc_id, sizeof(out->vpc));
    memcpy(out->security_group, key.security_group_id, sizeof(out->security_group));
    return true;
}

static bool device_identify(struct api *api, struct http_request *request, const char *token,
                            struct caller *out)
{
    struct store_device device;
    const int err = store_device_by_token(api->store, token, &device);
    if (err == NX_ENOENT)
        return refuse_token(request, "invalid device token");
    if (err)
        return failed(request);
    out->kind = CALLER_DEVICE;
    memcpy(out->user, device.owner_id, sizeof(out->user));
    memcpy(out->device, device.id, sizeof(out->device));
    memcpy(out->vpc, device.vpc_id, sizeof(out->vpc));
    return true;
}

static bool user_identify(struct api *api, struct http_request *request, const char *token,
                          struct caller *out)
{
    struct issuer_claims claims;
    struct store_user user;
    switch (issuer_verify(api->issuer, token, clock_wall_ns() / NS_PER_S, &claims)) {
    case NX_OK:
        break;
    case NX_EINVAL:
        return refuse_jwt(api, request, true,
                          "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections");
    case NX_ETIMEDOUT:
        return refuse_jwt(api, request, true, "Jwt is expired");
    case NX_ENOMEM:
        return failed(request);
    default:
        return refuse_jwt(api, request, true, "Jwt verification fails");
    }
    const int err = store_user_get(api->store, claims.user, &user);
    if (err == NX_ENOENT)
        return refuse_jwt(api, request, true, "Jwt verification fails");
    if (err)
        return failed(request);
    out->kind = CALLER_USER;
    memcpy(out->user, user.id, sizeof(out->user));
    memcpy(out->scope, claims.scope, sizeof(out->scope));
    return true;
}

bool caller_identify(struct api *api, struct http_request *request, struct caller *out)
{
    const char *const header = http_header(request, "Authorization");
    *out = (struct caller){0};
    if (header == NULL || strncmp(header, "Bearer ", 7) != 0)
        return refuse_jwt(api, request, false, "Jwt is missing");
    const char *const token = header + 7;
    if (strncmp(token, "RK:", 3) == 0)
        return reg_key_identify(api, request, token, out);
    if (strncmp(token, "DT:", 3) == 0)
        return device_identify(api, request, token, out);
    if (strncmp(token, "ST:", 3) == 0)
        return refuse_token(request, "invalid site token");
    return user_identify(api, request, token, out);
}

bool caller_has_scope(const struct caller *caller, const char *scope)
{
    const size_t length = strlen(scope);
    for (const char *at = caller->scope; *at; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strcspn(at, " ") == length && strncmp(at, scope, length) == 0)
            return true;
    }
    return false;
}
