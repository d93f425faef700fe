/* What a provider says is used as it is, after a check that it can be used where it goes: URLs in requests,
 * tokens in headers, codes on a terminal. */
#include "ctld/nexodus/oidc.h"

#include "common/err.h"
#include "common/text.h"
#include "ctld/nexodus/timestamp.h"

#include <stdio.h>
#include <string.h>

static const char discovery_path[] = "/.well-known/openid-configuration";

/* Printable ASCII without blanks, not empty: can stand in a header. */
static bool word_valid(const char *text)
{
    const char *at = text;
    while (*at > 0x20 && *at < 0x7f)
        at++;
    return at > text && *at == '\0';
}

/* For a terminal: nothing that moves the cursor or turns the text around. */
static bool shown_valid(const char *text)
{
    const size_t length = strlen(text);
    for (size_t i = 0, step; i < length; i += step) {
        step = text_printable(text + i, length - i);
        if (step == 0)
            return false;
    }
    return length > 0;
}

static int word_get(const struct json_value *value, const char *name, size_t max, const char **out,
                    char *error)
{
    const int err = json_get_string(value, name, max, out, error);
    if (err || word_valid(*out))
        return err;
    return json_fail(value, name, "empty, or with characters that it cannot have", error);
}

static int word_get_optional(const struct json_value *value, const char *name, size_t max, const char **out,
                             char *error)
{
    const char *text = "";
    const int err = json_get_string_optional(value, name, max, &text, error);
    if (err)
        return err;
    if (text[0] != '\0' && !word_valid(text))
        return json_fail(value, name, "with characters that it cannot have", error);
    *out = text;
    return NX_OK;
}

/* An https URL; with `needed` false it may be missing, and then it is "". */
static int url_get(const struct json_value *value, const char *name, bool needed, const char **out,
                   char *error)
{
    struct url url;
    char why[URL_ERROR_MAX];
    const char *text = "";
    const int err = needed ? json_get_string(value, name, URL_MAX - 1, &text, error)
                           : json_get_string_optional(value, name, URL_MAX - 1, &text, error);
    if (err)
        return err;
    if ((needed || text[0] != '\0') && url_parse(text, strlen(text), &url, why) != NX_OK)
        return json_fail(value, name, why, error);
    *out = text;
    return NX_OK;
}

static int life_get(const struct json_value *value, const char *name, uint64_t *out, char *error)
{
    uint64_t seconds = 0;
    const int err = json_get_u64_optional(value, name, 0, UINT64_MAX, &seconds, error);
    if (!err)
        *out = seconds < OIDC_LIFE_MAX_S ? seconds : OIDC_LIFE_MAX_S;
    return err;
}

int oidc_login_start_decode(const struct json_value *value, struct oidc_login_start *out, char *error)
{
    const char *time = "";
    memset(out, 0, sizeof *out);
    int err = json_require_object(value, error);
    if (!err)
        err = url_get(value, "issuer", true, &out->issuer, error);
    if (!err)
        err = url_get(value, "device_authorization_endpoint", false, &out->device_authorization_endpoint,
                      error);
    if (!err)
        err = word_get(value, "client_id", OIDC_CLIENT_ID_MAX, &out->client_id, error);
    if (!err)
        err = json_get_string_optional(value, "server_time", TIMESTAMP_TEXT_MAX * 2, &time, error);
    if (!err && time[0] != '\0' && timestamp_parse_rfc3339(time, strlen(time), &out->server_time_ms) != NX_OK)
        err = json_fail(value, "server_time", "not a time", error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

int oidc_discovery_url(const char *issuer, char *out)
{
    struct url url;
    char why[URL_ERROR_MAX];
    size_t length = strlen(issuer);
    out[0] = '\0';
    if (url_parse(issuer, length, &url, why) != NX_OK || strchr(issuer, '?'))
        return NX_EINVAL;
    while (issuer[length - 1] == '/')
        length--;
    if (length + sizeof discovery_path > URL_MAX)
        return NX_EINVAL;
    snprintf(out, URL_MAX, "%.*s%s", (int)length, issuer, discovery_path);
    return NX_OK;
}

int oidc_discovery_decode(const struct json_value *value, const char *issuer, struct oidc_provider *out,
                          char *error)
{
    const char *said = "";
    memset(out, 0, sizeof *out);
    int err = json_require_object(value, error);
    if (!err)
        err = url_get(value, "issuer", true, &said, error);
    if (!err && strcmp(said, issuer) != 0)
        err = json_fail(value, "issuer", "not the issuer that was asked", error);
    if (!err)
        err = url_get(value, "token_endpoint", true, &out->token_endpoint, error);
    if (!err)
        err = url_get(value, "jwks_uri", true, &out->jwks_uri, error);
    if (!err)
        err = url_get(value, "device_authorization_endpoint", false, &out->device_authorization_endpoint,
                      error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

int oidc_tokens_decode(const struct json_value *value, struct oidc_tokens *out, char *error)
{
    const char *type = "Bearer";
    memset(out, 0, sizeof *out);
    int err = json_require_object(value, error);
    if (!err)
        err = word_get(value, "access_token", OIDC_TOKEN_MAX, &out->access_token, error);
    if (!err)
        err = word_get_optional(value, "refresh_token", OIDC_TOKEN_MAX, &out->refresh_token, error);
    if (!err)
        err = word_get_optional(value, "id_token", OIDC_TOKEN_MAX, &out->id_token, error);
    if (!err)
        err = json_get_string_optional(value, "token_type", OIDC_CODE_MAX, &type, error);
    if (!err && !text_equal_nocase(type, strlen(type), "bearer"))
        err = json_fail(value, "token_type", "not a bearer token", error);
    if (!err)
        err = life_get(value, "expires_in", &out->expires_in_s, error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

void oidc_failure_decode(const struct json_value *value, struct oidc_failure *out)
{
    static const struct {
        const char *name;
        enum oidc_error code;
    } known[] = {
        {"authorization_pending", OIDC_ERROR_AUTHORIZATION_PENDING},
        {"slow_down", OIDC_ERROR_SLOW_DOWN},
        {"access_denied", OIDC_ERROR_ACCESS_DENIED},
        {"expired_token", OIDC_ERROR_EXPIRED_TOKEN},
        {"invalid_grant", OIDC_ERROR_INVALID_GRANT},
        {"invalid_client", OIDC_ERROR_INVALID_CLIENT},
        {"invalid_request", OIDC_ERROR_INVALID_REQUEST},
        {"invalid_scope", OIDC_ERROR_INVALID_SCOPE},
        {"unauthorized_client", OIDC_ERROR_UNAUTHORIZED_CLIENT},
        {"unsupported_grant_type", OIDC_ERROR_UNSUPPORTED_GRANT},
    };
    char name[48], description[128];
    json_copy_printable(json_member(value, "error"), name, sizeof name);
    json_copy_printable(json_member(value, "error_description"), description, sizeof description);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            out->code = known[i].code;
    snprintf(out->text, sizeof out->text, "%s%s%s", name, name[0] && description[0] ? ": " : "", description);
}

int oidc_device_authorization_decode(const struct json_value *value, struct oidc_device_authorization *out,
                                     char *error)
{
    memset(out, 0, sizeof *out);
    int err = json_require_object(value, error);
    if (!err)
        err = word_get(value, "device_code", OIDC_CODE_MAX, &out->device_code, error);
    if (!err)
        err = json_get_string(value, "user_code", OIDC_USER_CODE_MAX, &out->user_code, error);
    if (!err && !shown_valid(out->user_code))
        err = json_fail(value, "user_code", "empty, or with characters that cannot be shown", error);
    if (!err)
        err = url_get(value, "verification_uri", true, &out->verification_uri, error);
    if (!err)
        err = url_get(value, "verification_uri_complete", false, &out->verification_uri_complete, error);
    if (!err)
        err = life_get(value, "expires_in", &out->expires_in_s, error);
    if (!err && out->expires_in_s == 0)
        err = json_fail(value, "expires_in", "missing or 0", error);
    if (!err)
        err = life_get(value, "interval", &out->interval_s, error);
    if (err) {
        memset(out, 0, sizeof *out);
        return err;
    }
    if (out->verification_uri_complete[0] == '\0')
        out->verification_uri_complete = out->verification_uri;
    if (out->interval_s == 0)
        out->interval_s = OIDC_INTERVAL_DEFAULT_S;
    if (out->interval_s > OIDC_INTERVAL_MAX_S)
        out->interval_s = OIDC_INTERVAL_MAX_S;
    return NX_OK;
}
