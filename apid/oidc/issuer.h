/* The OpenID Connect issuer: discovery, keys, and the password, device and refresh grants of one public
 * client, in the forms (paths included) that Nexodus clients know from Keycloak. apid only. */
#ifndef NEXD_APID_ISSUER_H
#define NEXD_APID_ISSUER_H

#include "apid/http/server.h"
#include "apid/oidc/device_grant.h"
#include "apid/oidc/jwt.h"
#include "apid/oidc/limiter.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

#define ISSUER_CLIENT_ID "nexodus-cli"
#define ISSUER_REALM     "/realms/nexodus"

enum {
    ISSUER_URL_MAX = 320,
    ISSUER_ACCESS_S = 600,             /* life of access and id tokens */
    ISSUER_REFRESH_S = 30 * 24 * 3600, /* life of a refresh token that is not used */
};

struct issuer {
    struct store *store; /* not owned */
    struct jwt_key *key;
    char url[ISSUER_URL_MAX]; /* https://auth.HOST:PORT/realms/nexodus */
    struct device_grants grants;
    struct limiter by_client, by_user, by_pair; /* attempts at passwords */
    struct limiter codes, starts;               /* wrong user codes; new device codes */
};

/* What an access token says. */
struct issuer_claims {
    char user[37];
    char scope[DEVICE_SCOPE_MAX];
};

/* `authority` is "auth.HOST:PORT". The signing key is taken from the store, and made there at the first
 * start. NX_ codes. */
int issuer_init(struct issuer *issuer, struct store *store, const char *authority);
void issuer_free(struct issuer *issuer);

/* Answers a request to the auth host. */
void issuer_handle(struct issuer *issuer, struct http_request *request);

/* Answers `POST /device/login/start` of the API. */
void issuer_login_start(struct issuer *issuer, struct http_request *request);

/* Checks an access token: NX_EINVAL (no JWT), NX_ECRYPTO (not ours), NX_ETIMEDOUT (expired), NX_EPERM (no
 * access token), NX_ENOMEM. */
int issuer_verify(const struct issuer *issuer, const char *token, uint64_t now_s, struct issuer_claims *out);

#endif
