/* A device's token as a control plane seals it; apart, as both sides' headers have a name in common. */
#ifndef NEXD_TESTS_NEXODUS_SESSION_SEAL_H
#define NEXD_TESTS_NEXODUS_SESSION_SEAL_H

#include <stdint.h>

enum { SEAL_TEXT_MAX = 256 };
void seal(const uint8_t public_key[32], const char *token, char out[SEAL_TEXT_MAX]);

#endif
