/* JSON from a control plane that may be hostile, read into a document of bounded size (RFC 8259, through
 * yajl).
 *
 * Bodies arrive in pieces: a json_reader takes them and builds a tree of values in memory of its own. Bytes,
 * nesting, length of a string and number of values are limited, and with them memory: a reader never holds
 * more than six times `bytes_max` (a long string is held as it came, decoded, and kept) plus 96 bytes for
 * each of `values_max`. Strings and names are checked to be UTF-8 as RFC 3629 has it. All memory is wiped
 * before it is freed, yajl's own included, as answers carry tokens.
 *
 * The tree is read by name. A value that is missing or has the wrong type gives a message with its path from
 * the root, as in "endpoints[0].address: not a string". Members that nobody asks for are ignored; of members
 * with the same name in one object the last one counts, as for the other programs of such networks. No I/O,
 * no clock. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_JSON_H
#define NEXD_CTLD_NEXODUS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_ERROR_MAX = 256, /* bytes of a message, its end included: one line, printable */
    JSON_DEPTH_MAX = 32,  /* the most that a limit on depth may be */
};

struct json_limits {
    size_t bytes_max;  /* of a document, blanks before it not counted */
    size_t string_max; /* of one string, name or number, as decoded */
    size_t values_max; /* values of all kinds in the tree */
    unsigned depth_max;
};
/* What suits one answer of the API or of an identity provider: 256 KiB, strings of 32 KiB, 8192 values, 16
 * deep. */
extern const struct json_limits json_limits_answer;

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value of a document; lives as long as the reader does not begin another one. Opaque but for these
 * functions. */
struct json_value;

struct json_reader;
/* NULL when out of memory. The limits are copied. */
struct json_reader *json_reader_new(const struct json_limits *limits);
/* Wipes and frees, the document included. NULL is harmless. */
void json_reader_free(struct json_reader *reader);
/* Forgets the document and any error: ready for the next one. */
void json_reader_reset(struct json_reader *reader);
/* Bytes of the present document that have been taken; 0 = none has begun. */
size_t json_reader_pending(const struct json_reader *reader);

/* Takes bytes until one document is whole. *consumed says how many of `length` were used.
 * NX_OK: the document is whole; bytes after it are left to the caller. NX_EAGAIN: all bytes were taken and
 * more are needed. Else no document will come of it until json_reader_reset(), and `error` (JSON_ERROR_MAX
 * bytes) says why: NX_EPROTO not JSON or not UTF-8, NX_ERANGE a limit, NX_ENOMEM. A number, true, false or
 * null as a whole document is refused (NX_EPROTO): its end could not be seen. */
int json_reader_feed(struct json_reader *reader, const char *data, size_t length, size_t *consumed,
                     char *error);
/* The root of a whole document, else NULL. */
const struct json_value *json_reader_root(const struct json_reader *reader);

/* A whole body at once: as json_reader_reset() and json_reader_feed(), and then nothing but blanks may
 * follow. An incomplete document is NX_EPROTO. The root is *out; on an error it is NULL. */
int json_read(struct json_reader *reader, const char *data, size_t length, const struct json_value **out,
              char *error);

/* -- The tree. `value` may be NULL everywhere: then nothing is found. -- */

enum json_type json_type(const struct json_value *value);
/* The member of this name; NULL = there is none, it is null, or `value` is no object. */
const struct json_value *json_member(const struct json_value *object, const char *name);
/* Of an array or object; 0 for others. */
size_t json_count(const struct json_value *value);
/* First and next element of an array or member of an object; NULL = no more. Several members may have one
 * name. */
const struct json_value *json_first(const struct json_value *value);
const struct json_value *json_next(const struct json_value *value);
/* A member's name; "" for the root and for elements. */
const char *json_name(const struct json_value *value);
/* The decoded text of a string, terminated; `length` (may be NULL) tells of NUL bytes inside. NULL: no
 * string. */
const char *json_text(const struct json_value *value, size_t *length);

/* -- Members with their types checked. All return NX_OK, or NX_EINVAL with a message in `error`, and write
 * `out` on NX_OK only. The _optional ones take null and absence for "not said": NX_OK, and `out` as it was.
 * -- */

/* A string without NUL bytes, of at most `max` bytes. Borrowed from the document. */
int json_get_string(const struct json_value *object, const char *name, size_t max, const char **out,
                    char *error);
int json_get_string_optional(const struct json_value *object, const char *name, size_t max, const char **out,
                             char *error);
int json_get_bool_optional(const struct json_value *object, const char *name, bool *out, char *error);
/* An integer in min..max; fractions and exponents are refused, whatever their value. */
int json_get_u64(const struct json_value *object, const char *name, uint64_t min, uint64_t max, uint64_t *out,
                 char *error);
int json_get_u64_optional(const struct json_value *object, const char *name, uint64_t min, uint64_t max,
                          uint64_t *out, char *error);
/* A number of seconds since 1970 as JWTs have it (RFC 7519 NumericDate): a fraction is cut. 0..2^40. */
int json_get_time_optional(const struct json_value *object, const char *name, uint64_t *out, char *error);
/* An array; `out` becomes NULL where it was not said. */
int json_get_array_optional(const struct json_value *object, const char *name, const struct json_value **out,
                            char *error);
/* `value` itself as a string, for elements of arrays. */
int json_as_string(const struct json_value *value, size_t max, const char **out, char *error);
/* NX_EINVAL with a message unless `value` is an object. */
int json_require_object(const struct json_value *value, char *error);
/* For logs: the first `size` - 1 bytes of a string, or "" for anything else, with every character that is not
 * harmless to show replaced by '?'. Returns `out`. */
char *json_copy_printable(const struct json_value *value, char *out, size_t size);
/* The same for text from elsewhere. */
char *json_text_printable(const char *text, size_t length, char *out, size_t size);

/* Writes "PATH: what" for this value, or "PATH.name: what" for its member `name` (may be NULL), cut to
 * JSON_ERROR_MAX and made printable. Returns NX_EINVAL. */
int json_fail(const struct json_value *value, const char *name, const char *what, char *error);

#endif
