/* Ids, tokens and revisions.
 *
 * Tokens of devices and registration keys are a keyed hash of the id, so that they can be told again without
 * being kept; what is kept, to find their owner by, is a hash of the token. */
#include "apid/store/internal.h"

#include "common/key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void id_make(char id[STORE_ID_MAX])
{
    uint8_t b[16];
    randombytes_buf(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4, random */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(id, STORE_ID_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

bool id_valid(const char *text)
{
    size_t i = 0;
    for (; text[i] && i < STORE_ID_MAX; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-'
                                                    : !strchr("0123456789abcdefABCDEF", text[i]))
            return false;
    return i == STORE_ID_MAX - 1;
}

static void token_format(const char *prefix, uint8_t bytes[KEY_BYTES], char token[STORE_TOKEN_MAX])
{
    char text[KEY_TEXT_MAX];
    snprintf(token, STORE_TOKEN_MAX, "%s%s", prefix, key_format(bytes, text));
    sodium_memzero(text, sizeof text);
    sodium_memzero(bytes, KEY_BYTES);
}

void token_make(const struct store *store, const char *prefix, const char *id, char token[STORE_TOKEN_MAX])
{
    uint8_t bytes[KEY_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init(&state, store->token_secret, sizeof store->token_secret, sizeof bytes);
    crypto_generichash_update(&state, (const uint8_t *)prefix, strlen(prefix));
    crypto_generichash_update(&state, (const uint8_t *)id, strlen(id));
    crypto_generichash_final(&state, bytes, sizeof bytes);
    token_format(prefix, bytes, token);
}

void token_random(char token[STORE_TOKEN_MAX])
{
    uint8_t bytes[KEY_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    token_format("", bytes, token);
}

void token_hash(const char *token, uint8_t hash[HASH_BYTES])
{
    crypto_generichash(hash, HASH_BYTES, (const uint8_t *)token, strlen(token), NULL, 0);
}

uint64_t revision_next(struct store *store)
{
    if (query_run(store, "UPDATE counter SET revision = revision + 1", ""))
        return 0;
    return store_revision(store);
}
