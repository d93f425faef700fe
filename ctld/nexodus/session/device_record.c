/* A small JSON object. */
#include "ctld/nexodus/session/device_record.h"

#include "common/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void device_record_clear(struct device_record *record)
{
    sodium_memzero(record, sizeof *record);
}

void device_record_mark(const char *kind, const char *credential, char *out)
{
    uint8_t hash[(CREDENTIAL_MARK_TEXT - 1) / 2];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const uint8_t *)kind, strlen(kind) + 1);
    crypto_generichash_update(&state, (const uint8_t *)credential, strlen(credential));
    crypto_generichash_final(&state, hash, sizeof hash);
    sodium_bin2hex(out, CREDENTIAL_MARK_TEXT, hash, sizeof hash);
    sodium_memzero(&state, sizeof state);
}

int device_record_encode(const struct device_record *record, struct json_writer *writer, const char **text,
                         size_t *length)
{
    json_put_object(writer, NULL);
    json_put_u64(writer, "version", 1);
    json_put_string(writer, "service", record->service);
    json_put_string(writer, "public_key", record->public_key);
    json_put_string(writer, "credential", record->credential);
    json_put_string(writer, "device_id", record->device_id);
    json_put_string(writer, "vpc_id", record->vpc_id);
    json_put_string(writer, "token", record->token);
    json_put_end(writer);
    return json_writer_end(writer, text, length);
}

static int text_read(const struct json_value *root, const char *name, char *out, size_t size, char *error)
{
    const char *text;
    const int err = json_get_string(root, name, size - 1, &text, error);
    if (!err)
        snprintf(out, size, "%s", text);
    return err;
}

static int id_read(const struct json_value *root, const char *name, char *out, char *error)
{
    const int err = text_read(root, name, out, UUID_TEXT_LENGTH + 1, error);
    return err || uuid_valid(out) ? err : json_fail(root, name, "not a UUID", error);
}

static int token_read(const struct json_value *root, char *out, char *error)
{
    const int err = text_read(root, "token", out, SEALED_TOKEN_MAX, error);
    if (err)
        return err;
    for (const char *c = out; *c; c++)
        if (*c <= ' ' || *c > '~')
            return json_fail(root, "token", "not a token", error);
    return out[0] ? NX_OK : json_fail(root, "token", "empty", error);
}

static int members_read(const struct json_value *root, struct device_record *out, char *error)
{
    uint64_t version;
    int err = json_require_object(root, error);
    if (!err)
        err = json_get_u64(root, "version", 1, 1, &version, error);
    if (!err)
        err = text_read(root, "service", out->service, sizeof out->service, error);
    if (!err)
        err = text_read(root, "public_key", out->public_key, sizeof out->public_key, error);
    if (!err)
        err = text_read(root, "credential", out->credential, sizeof out->credential, error);
    if (!err)
        err = id_read(root, "device_id", out->device_id, error);
    if (!err)
        err = id_read(root, "vpc_id", out->vpc_id, error);
    return err ? err : token_read(root, out->token, error);
}

int device_record_decode(const char *text, size_t length, struct device_record *out, char *error)
{
    const struct json_limits limits = {
        .bytes_max = DEVICE_RECORD_BYTES_MAX, .string_max = 1024, .values_max = 32, .depth_max = 4};
    struct json_reader *reader = json_reader_new(&limits);
    const struct json_value *root;
    device_record_clear(out);
    snprintf(error, JSON_ERROR_MAX, "out of memory");
    int err = reader ? json_read(reader, text, length, &root, error) : NX_ENOMEM;
    if (err && err != NX_ENOMEM)
        err = NX_EINVAL;
    if (!err)
        err = members_read(root, out, error);
    if (err)
        device_record_clear(out);
    json_reader_free(reader);
    return err;
}
