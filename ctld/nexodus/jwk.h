/* JSON Web Key Sets (RFC 7517, 7518): the public keys with which an identity provider signs. Of what it
 * publishes, keys that can verify RS256 (RSA, 2048..8192 bits) or ES256 (P-256) are kept; the rest is
 * ignored. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_JWK_H
#define NEXD_CTLD_NEXODUS_JWK_H

#include "ctld/nexodus/json.h"

#include <openssl/evp.h>

enum { JWK_KEYS_MAX = 32, JWK_ID_MAX = 128 };

enum jwk_algorithm { JWK_RS256 = 1, JWK_ES256 };

struct jwk_set;
/* From the document at jwks_uri. NX_EINVAL: not a key set, or no usable key in it, `error` (JSON_ERROR_MAX
 * bytes) says which; NX_ENOMEM. Else *out is freed with jwk_set_free(). */
int jwk_set_decode(const struct json_value *value, struct jwk_set **out, char *error);
void jwk_set_free(struct jwk_set *set);
size_t jwk_set_count(const struct jwk_set *set);
/* The first key of this id and algorithm; without an id (NULL) the only one for the algorithm. Borrowed; NULL
 * = none, or several without an id. */
EVP_PKEY *jwk_set_find(const struct jwk_set *set, const char *id, enum jwk_algorithm algorithm);

#endif
