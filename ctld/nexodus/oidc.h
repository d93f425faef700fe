/* What a login reads: the API's login start, and the answers of an OpenID provider (OpenID Connect Discovery;
 * OAuth 2.0, RFC 6749; device authorization, RFC 8628). Pure parsers. All texts are borrowed from the JSON
 * document; tokens are wiped with it. Each returns NX_OK or NX_EINVAL with a line in `error` (JSON_ERROR_MAX
 * bytes). ctld only. */
#ifndef NEXD_CTLD_NEXODUS_OIDC_H
#define NEXD_CTLD_NEXODUS_OIDC_H

#include "ctld/nexodus/json.h"
#include "ctld/nexodus/url.h"

enum {
    OIDC_TOKEN_MAX = 16 << 10,
    OIDC_CLIENT_ID_MAX = 255,
    OIDC_CODE_MAX = 1024,
    OIDC_USER_CODE_MAX = 64,
    OIDC_LIFE_MAX_S = 366 * 24 * 3600, /* longer lives are cut to this */
    OIDC_INTERVAL_DEFAULT_S = 5,
    OIDC_INTERVAL_MAX_S = 600,
};
/* In this order, one blank between. */
#define OIDC_SCOPES                                                                                          \
    "openid profile email offline_access read:organizations write:organizations read:users write:users "     \
    "read:devices "                                                                                          \
    "write:devices"

/* POST {api}/device/login/start */
struct oidc_login_start {
    const char *issuer, *device_authorization_endpoint; /* https URLs that url_parse() takes */
    const char *client_id;
    uint64_t server_time_ms; /* 0 = not said */
};
int oidc_login_start_decode(const struct json_value *value, struct oidc_login_start *out, char *error);

/* Where the discovery document of this issuer is: issuer without a slash at its end, and the well-known path.
 * `out` has URL_MAX bytes. NX_EINVAL: no https URL, one with a query, or too long. */
int oidc_discovery_url(const char *issuer, char *out);

/* The discovery document; its issuer must equal `issuer`, byte by byte. */
struct oidc_provider {
    const char *token_endpoint, *jwks_uri;     /* https URLs */
    const char *device_authorization_endpoint; /* "" = not said */
};
int oidc_discovery_decode(const struct json_value *value, const char *issuer, struct oidc_provider *out,
                          char *error);

/* Token endpoint, 200. */
struct oidc_tokens {
    const char *access_token;             /* always; can stand in a header */
    const char *refresh_token, *id_token; /* "" = none was sent */
    uint64_t expires_in_s;                /* 0 = not said */
};
int oidc_tokens_decode(const struct json_value *value, struct oidc_tokens *out, char *error);

/* Token or device authorization endpoint, another status. */
enum oidc_error {
    OIDC_ERROR_OTHER = 0, /* one that is not known here, or no error object at all */
    OIDC_ERROR_AUTHORIZATION_PENDING,
    OIDC_ERROR_SLOW_DOWN,
    OIDC_ERROR_ACCESS_DENIED,
    OIDC_ERROR_EXPIRED_TOKEN,
    OIDC_ERROR_INVALID_GRANT,  /* wrong password, dead refresh token, unknown device code */
    OIDC_ERROR_INVALID_CLIENT, /* try the other way of client authentication */
    OIDC_ERROR_INVALID_REQUEST,
    OIDC_ERROR_INVALID_SCOPE,
    OIDC_ERROR_UNAUTHORIZED_CLIENT,
    OIDC_ERROR_UNSUPPORTED_GRANT,
};
struct oidc_failure {
    enum oidc_error code;
    char text[192]; /* "invalid_grant: Invalid user credentials", printable; "" = nothing was said */
};
/* Never fails; `value` may be NULL (no JSON). */
void oidc_failure_decode(const struct json_value *value, struct oidc_failure *out);

/* Device authorization endpoint, 200. */
struct oidc_device_authorization {
    const char *device_code; /* a secret */
    const char *user_code;   /* printable */
    const char *verification_uri,
        *verification_uri_complete; /* https; the latter is the former if not sent */
    uint64_t expires_in_s;
    uint64_t interval_s; /* default in place */
};
int oidc_device_authorization_decode(const struct json_value *value, struct oidc_device_authorization *out,
                                     char *error);

#endif
