/* Tokens that clients send. Nobody but us can sign, so whatever is accepted is a failure; the signature's
 * check is reached with the right header by taking the input for the rest of the token. */
#include "apid/oidc/jwt.h"
#include "common/err.h"
#include "fuzz_input.h"

#include <sodium.h>
#include <stdio.h>

static struct jwt_key *key;
static char *genuine;

static void setup(void)
{
    char pem[JWT_KEY_PEM_MAX];
    fuzz_require(sodium_init() >= 0);
    fuzz_require(jwt_key_generate(pem) == NX_OK && jwt_key_load(pem, &key) == NX_OK);
    fuzz_require(jwt_sign(key, "{}", 2, &genuine) == NX_OK);
    *strchr(genuine, '.') = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct json_document *document;
    if (key == NULL)
        setup();
    char *const text = fuzz_string(bytes, length);
    fuzz_require(jwt_verify(key, text, &document) != NX_OK && document == NULL);
    const size_t size = strlen(genuine) + length + 2;
    char *const token = malloc(size);
    fuzz_require(token != NULL);
    snprintf(token, size, "%s.%s", genuine, text);
    fuzz_require(jwt_verify(key, token, &document) != NX_OK && document == NULL);
    free(token);
    free(text);
    return 0;
}
