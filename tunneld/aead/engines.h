/* The engines that this build may hold, for aead.c and the tests. tunneld only. */
#ifndef NEXD_TUNNELD_AEAD_ENGINES_H
#define NEXD_TUNNELD_AEAD_ENGINES_H

#include "tunneld/aead/aead.h"

/* Tag and nonce layout of one WireGuard data message. */
enum { AEAD_NONCE_BYTES = 12 };

extern const struct aead_engine aead_sodium;
#ifdef HAVE_IPSEC_MB
extern const struct aead_engine aead_ipsec_mb;
#endif

/* The nonce of RFC 8439 for a WireGuard counter: 4 zero bytes, then the counter, little endian. */
void aead_nonce_from_counter(uint8_t nonce[AEAD_NONCE_BYTES], uint64_t counter);

#endif
