/* Bodies and headers of the requests to an OpenID provider: application/x-www-form-urlencoded. Everything
 * written here may hold secrets: the caller wipes it. Pure functions. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_OIDC_FORM_H
#define NEXD_CTLD_NEXODUS_OIDC_FORM_H

#include <stddef.h>

enum { OIDC_FORM_MAX = 64 << 10, OIDC_BASIC_MAX = 1100 };

/* How the client says who it is, at the token endpoint (RFC 6749 section 2.3.1). In the header is tried
 * first; after an error answer once more in the form; what worked is kept. */
enum oidc_client_auth { OIDC_CLIENT_IN_HEADER = 0, OIDC_CLIENT_IN_FORM };

/* All write into `out` of `out_size` bytes (OIDC_FORM_MAX always suffices for what the parsers admit),
 * terminated. NX_ERANGE: it does not fit; then `out` is wiped. `client_id` stands in the form only with
 * OIDC_CLIENT_IN_FORM. */
int oidc_form_password(enum oidc_client_auth auth, const char *client_id, const char *username,
                       const char *password, char *out, size_t out_size);
int oidc_form_refresh(enum oidc_client_auth auth, const char *client_id, const char *refresh_token, char *out,
                      size_t out_size);
/* These two always name the client in the form. */
int oidc_form_device_authorization(const char *client_id, char *out, size_t out_size);
int oidc_form_device_token(const char *client_id, const char *device_code, char *out, size_t out_size);

/* "Basic …" for the client without a password; `out` has OIDC_BASIC_MAX bytes. NX_ERANGE: client_id too long.
 */
int oidc_basic(const char *client_id, char *out);

#endif
