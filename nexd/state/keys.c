/* Base64 has one character that JSON writers may escape, '/'. Any other escape stands for nothing that a key
 * could hold. */
#include "nexd/state/keys.h"

#include "common/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char private_member[] = "private-key", public_member[] = "public-key";

/* A JSON string's characters, cut at `size` - 1; NX_EINVAL: not a string, an escape, or too long. */
static int string_take(const char *json, char *out, size_t size)
{
    size_t used = 0;
    if (*json++ != '"')
        return NX_EINVAL;
    for (; *json && *json != '"'; json++) {
        if (*json == '\\' && *++json != '/')
            return NX_EINVAL;
        if (used == size - 1)
            return NX_EINVAL;
        out[used++] = *json;
    }
    out[used] = '\0';
    return NX_OK;
}

int state_keys_read(const struct state_document *document, uint8_t out[KEY_BYTES], char *error)
{
    const char *json = state_document_get(document, private_member);
    char text[KEY_TEXT_MAX + 1] = "";
    if (!json || strcmp(json, "null") == 0 || strcmp(json, "\"\"") == 0)
        return NX_ENOENT;
    int err = string_take(json, text, sizeof text);
    if (!err)
        err = key_parse(text, out);
    sodium_memzero(text, sizeof text);
    if (!err && !sodium_is_zero(out, KEY_BYTES))
        return NX_OK;
    sodium_memzero(out, KEY_BYTES);
    snprintf(error, STATE_ERROR_MAX,
             "\"%s\": not a WireGuard key (32 bytes in base64); without this member a new device is made",
             private_member);
    return NX_EINVAL;
}

static int key_write(struct state_document *document, const char *member, const uint8_t key[KEY_BYTES])
{
    char text[KEY_TEXT_MAX], json[KEY_TEXT_MAX + 2];
    snprintf(json, sizeof json, "\"%s\"", key_format(key, text));
    int err = state_document_set(document, member, json);
    sodium_memzero(text, sizeof text);
    sodium_memzero(json, sizeof json);
    return err;
}

int state_keys_write(struct state_document *document, const uint8_t private_key[KEY_BYTES],
                     const uint8_t public_key[KEY_BYTES])
{
    int err = key_write(document, public_member, public_key);
    return err ? err : key_write(document, private_member, private_key);
}
