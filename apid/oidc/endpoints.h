/* Paths below the realm, and who answers them. apid/oidc only. */
#ifndef NEXD_APID_OIDC_ENDPOINTS_H
#define NEXD_APID_OIDC_ENDPOINTS_H

#include "apid/oidc/issuer.h"

#define PATH_TOKEN        "/protocol/openid-connect/token"
#define PATH_DEVICE_START "/protocol/openid-connect/auth/device"
#define PATH_KEYS         "/protocol/openid-connect/certs"
#define PATH_USERINFO     "/protocol/openid-connect/userinfo"
#define PATH_APPROVAL     "/device"
#define GRANT_DEVICE      "urn:ietf:params:oauth:grant-type:device_code"

/* Ends with NULL. */
extern const char *const issuer_scopes[];

/* grants.c */
void grants_token(struct issuer *issuer, struct http_request *request);
void grants_device_start(struct issuer *issuer, struct http_request *request);

/* approval.c */
void approval_show(struct issuer *issuer, struct http_request *request);
void approval_take(struct issuer *issuer, struct http_request *request);

/* credentials.c: checks name and password within the limits on attempts, which count failures. NX_EAGAIN: too
 * many attempts; NX_EPERM: wrong; other codes: cannot be told. `user_id` has 37 bytes. */
int credentials_check(struct issuer *issuer, const char *client, const char *name, const char *password,
                      char *user_id);

#endif
