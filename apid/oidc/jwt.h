/* Tokens of the issuer: JSON Web Signatures with RS256 (RFC 7515, 7518), the algorithm that every OIDC client
 * has, and the public key as a JWK set (RFC 7517). apid only. */
#ifndef NEXD_APID_JWT_H
#define NEXD_APID_JWT_H

#include "apid/json/json.h"

#include <stddef.h>
#include <stdint.h>

enum {
    JWT_TEXT_MAX = 8192, /* bytes of a token */
    JWT_KEY_ID_MAX = 44, /* SHA-256 thumbprint (RFC 7638), with the terminator */
    JWT_KEY_PEM_MAX = 4096,
    JWT_KEY_BITS = 2048,
};

struct jwt_key;

/* A new key, as PEM text for the store; `out` has JWT_KEY_PEM_MAX bytes. NX_ECRYPTO. */
int jwt_key_generate(char out[JWT_KEY_PEM_MAX]);
/* From the PEM text. NX_EINVAL: no RSA key of at least JWT_KEY_BITS; NX_ENOMEM. */
int jwt_key_load(const char *pem, struct jwt_key **out);
void jwt_key_free(struct jwt_key *key);
const char *jwt_key_id(const struct jwt_key *key);
/* {"keys":[{…}]} */
void jwt_key_set_write(const struct jwt_key *key, struct json_out *out);

/* Signs `payload`, a JSON object. The caller frees the text. NX_ECRYPTO, NX_ENOMEM, NX_ERANGE. */
int jwt_sign(const struct jwt_key *key, const char *payload, size_t length, char **out);

/* Checks form and signature (not the claims) and parses the payload. NX_EINVAL: not of three parts, or parts
 * that are no base64url; NX_ECRYPTO: header, key or signature are not ours; NX_ENOMEM. The caller frees
 * *payload. */
int jwt_verify(const struct jwt_key *key, const char *token, struct json_document **payload);

#endif
