/* ID tokens (OpenID Connect Core section 3.1.3.7) in compact JWS form (RFC 7515, 7519), verified with
 * OpenSSL.
 *
 * The algorithms are RS256 and ES256; the header only chooses between these two, and the key found must be
 * one for it: "none", and HMAC with a public key as the secret, lead nowhere. Headers with "crit" are
 * refused. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_JWT_H
#define NEXD_CTLD_NEXODUS_JWT_H

#include "ctld/nexodus/jwk.h"

enum { JWT_TEXT_MAX = 16 << 10, JWT_CLOCK_TOLERANCE_S = 5, JWT_ERROR_MAX = 256, JWT_SUBJECT_MAX = 255 };

struct jwt_expected {
    const char *issuer;    /* compared byte by byte */
    const char *client_id; /* must be among `aud` */
    uint64_t now_ms;       /* Unix time by the issuer's clock: server_clock_now_ms() */
};
struct jwt_claims {
    uint64_t expires_s, issued_s;      /* Unix time; issued_s 0 = not said */
    char subject[JWT_SUBJECT_MAX + 1]; /* "" = not said */
};

/* Verifies signature and claims. NX_OK: `out` is written. Else `error` (JWT_ERROR_MAX bytes) says what is
 * wrong without quoting the token: NX_EPROTO malformed or too long; NX_ENOTSUP an algorithm or extension that
 * is not admitted; NX_ENOENT no such key in the set (fetch it anew: keys are rotated); NX_ECRYPTO the
 * signature is wrong; NX_EPERM not for us, or from elsewhere; NX_ETIMEDOUT expired, or not yet valid;
 * NX_ENOMEM. */
int jwt_verify(const char *token, size_t length, const struct jwk_set *keys,
               const struct jwt_expected *expected, struct jwt_claims *out, char *error);

#endif
