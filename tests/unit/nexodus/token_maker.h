/* An identity provider for tests: keys, their JWKS, and tokens signed with them. */
#ifndef NEXD_TESTS_NEXODUS_TOKEN_MAKER_H
#define NEXD_TESTS_NEXODUS_TOKEN_MAKER_H

#include <openssl/evp.h>

/* New keys. */
EVP_PKEY *token_maker_rsa(unsigned bits);
EVP_PKEY *token_maker_p256(void);
/* A member of "keys" with this id (NULL = none); the caller frees. */
char *token_maker_jwk(EVP_PKEY *key, const char *id);
/* header.payload.signature; key NULL = an empty signature. The caller frees. */
char *token_maker_sign(const char *header, const char *payload, EVP_PKEY *key);
/* … with HMAC-SHA256 under these bytes. */
char *token_maker_hmac(const char *header, const char *payload, const char *secret);

#endif
