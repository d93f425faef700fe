/* JSON documents from outside, as a tree with limits, and a writer for answers.
 *
 * A document is parsed whole (requests are small and bounded) into values that live as long as it does. All
 * strings are valid UTF-8 without NUL, so that they can be used as C strings. Of members with one name the
 * last counts, as in Go. No I/O. apid only. */
#ifndef NEXD_APID_JSON_H
#define NEXD_APID_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 32,     /* nested objects and arrays */
    JSON_VALUES_MAX = 16384, /* values in one document */
    JSON_ERROR_MAX = 128,    /* bytes of an error text, with the terminator */
    JSON_BODY_MAX = 1 << 20, /* bytes of one document */
};

enum json_type { JSON_NULL = 0, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_type type;
    bool boolean;
    const char *key;                /* name, where it is a member; else NULL */
    const char *text;               /* JSON_STRING: content; JSON_NUMBER: as written; else NULL. Terminated */
    size_t length;                  /* of text */
    const struct json_value *child; /* first of an array or object */
    const struct json_value *next;  /* after this one, in its array or object */
};

struct json_document;

/* Parses exactly one value. NX_EINVAL: not JSON, or more than one value; NX_ERANGE: past a limit; NX_ENOMEM.
 * `error` then holds what is wrong, for the answer; it never repeats more than one character of the input. */
int json_parse(const char *data, size_t length, struct json_document **out, char error[JSON_ERROR_MAX]);
void json_free(struct json_document *document);
const struct json_value *json_root(const struct json_document *document);

/* The last member of that name; NULL if there is none, `object` is NULL or no object. */
const struct json_value *json_member(const struct json_value *object, const char *key);
/* The member's text if it is a string; NULL otherwise. */
const char *json_member_text(const struct json_value *object, const char *key);
/* A number without fraction in 0..max, NX_EINVAL otherwise. */
int json_to_u64(const struct json_value *value, uint64_t max, uint64_t *out);
/* "null", "bool", "number", "string", "array", "object". */
const char *json_type_name(enum json_type type);

/* A growing text. Commas are put where they belong: a value or key that follows another gets one. `failed`
 * once memory ran out or `max` was passed; nothing is added from then on. */
struct json_out {
    char *data; /* not terminated */
    size_t length, capacity;
    size_t max; /* 0: JSON_OUT_MAX */
    bool failed;
};
#define JSON_OUT_MAX ((size_t)64 << 20)

void json_out_free(struct json_out *out);
/* Bytes as they are. */
void json_raw(struct json_out *out, const char *data, size_t length);

void json_object_begin(struct json_out *out);
void json_object_end(struct json_out *out);
void json_array_begin(struct json_out *out);
void json_array_end(struct json_out *out);
void json_key(struct json_out *out, const char *key);
/* NULL gives null. What is not valid UTF-8 is replaced by U+FFFD. */
void json_string(struct json_out *out, const char *text);
void json_u64(struct json_out *out, uint64_t number);
void json_bool(struct json_out *out, bool value);
void json_null(struct json_out *out);
/* `text` is JSON already and is taken as it is. */
void json_verbatim(struct json_out *out, const char *text, size_t length);
/* A parsed value, written compactly. */
void json_value_write(struct json_out *out, const struct json_value *value);

/* Key and value in one. */
void json_put_string(struct json_out *out, const char *key, const char *text);
void json_put_u64(struct json_out *out, const char *key, uint64_t number);
void json_put_bool(struct json_out *out, const char *key, bool value);

#endif
