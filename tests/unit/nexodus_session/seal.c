#include "tests/unit/nexodus_session/seal.h"

#include "apid/rest/sealed_token.h"

#include <check.h>

void seal(const uint8_t public_key[32], const char *token, char out[SEAL_TEXT_MAX])
{
    ck_assert_int_eq(sealed_token_make(public_key, token, out), 0);
}
