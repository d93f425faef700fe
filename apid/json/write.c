/* The writer keeps no state of where it is: whether a comma is due is read off the last byte, which is '{',
 * '[' or ':' exactly where none may stand. */
#include "apid/json/json.h"

#include "common/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_out_free(struct json_out *out)
{
    if (out->data)
        explicit_bzero(out->data, out->length);
    free(out->data);
    *out = (struct json_out){.max = out->max};
}

void json_raw(struct json_out *out, const char *data, size_t length)
{
    const size_t max = out->max ? out->max : JSON_OUT_MAX;
    if (out->failed || length == 0)
        return;
    if (length > max - out->length) {
        out->failed = true;
        return;
    }
    char *const grown = array_reserve_secret(out->data, &out->capacity, out->length + length, 1);
    if (grown == NULL) {
        out->failed = true;
        return;
    }
    out->data = grown;
    memcpy(out->data + out->length, data, length);
    out->length += length;
}

static void separate(struct json_out *out)
{
    if (out->length > 0 && strchr("{[:", out->data[out->length - 1]) == NULL)
        json_raw(out, ",", 1);
}

void json_object_begin(struct json_out *out)
{
    separate(out);
    json_raw(out, "{", 1);
}

void json_object_end(struct json_out *out)
{
    json_raw(out, "}", 1);
}

void json_array_begin(struct json_out *out)
{
    separate(out);
    json_raw(out, "[", 1);
}

void json_array_end(struct json_out *out)
{
    json_raw(out, "]", 1);
}

/* Length of the well-formed UTF-8 sequence (RFC 3629) at `text`, which ends with NUL; 0 if there is none. */
static size_t utf8_sequence(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    const size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

static void quoted(struct json_out *out, const char *text)
{
    json_raw(out, "\"", 1);
    while (*text) {
        size_t plain = 0;
        while ((unsigned char)text[plain] >= 0x20 && (unsigned char)text[plain] < 0x7f &&
               text[plain] != '"' && text[plain] != '\\')
            plain++;
        json_raw(out, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        const size_t sequence = utf8_sequence((const unsigned char *)text);
        char escape[8];
        if (*text == '"' || *text == '\\') {
            snprintf(escape, sizeof(escape), "\\%c", *text);
            json_raw(out, escape, 2);
        } else if (sequence == 1) {
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)*text);
            json_raw(out, escape, 6);
        } else if (sequence > 1) {
            json_raw(out, text, sequence);
        } else {
            json_raw(out, "\xef\xbf\xbd", 3);
        }
        text += sequence ? sequence : 1;
    }
    json_raw(out, "\"", 1);
}

void json_key(struct json_out *out, const char *key)
{
    separate(out);
    quoted(out, key);
    json_raw(out, ":", 1);
}

void json_string(struct json_out *out, const char *text)
{
    if (text == NULL) {
        json_null(out);
        return;
    }
    separate(out);
    quoted(out, text);
}

void json_verbatim(struct json_out *out, const char *text, size_t length)
{
    separate(out);
    json_raw(out, text, length);
}

void json_u64(struct json_out *out, uint64_t number)
{
    char digits[24];
    const int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    json_verbatim(out, digits, (size_t)length);
}

void json_bool(struct json_out *out, bool value)
{
    json_verbatim(out, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json_out *out)
{
    json_verbatim(out, "null", 4);
}

void json_put_string(struct json_out *out, const char *key, const char *text)
{
    json_key(out, key);
    json_string(out, text);
}

void json_put_u64(struct json_out *out, const char *key, uint64_t number)
{
    json_key(out, key);
    json_u64(out, number);
}

void json_put_bool(struct json_out *out, const char *key, bool value)
{
    json_key(out, key);
    json_bool(out, value);
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
void json_value_write(struct json_out *out, const struct json_value *value)
{
    const bool object = value->type == JSON_OBJECT;
    switch (value->type) {
    case JSON_NULL:
        json_null(out);
        return;
    case JSON_BOOL:
        json_bool(out, value->boolean);
        return;
    case JSON_NUMBER:
        json_verbatim(out, value->text, value->length);
        return;
    case JSON_STRING:
        json_string(out, value->text);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    separate(out);
    json_raw(out, object ? "{" : "[", 1);
    for (const struct json_value *child = value->child; child; child = child->next) {
        if (object)
            json_key(out, child->key);
        json_value_write(out, child);
    }
    json_raw(out, object ? "}" : "]", 1);
}
