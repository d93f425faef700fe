/* JSON to the control plane, through yajl_gen. Errors stick: write on, and look at the end. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_JSON_WRITE_H
#define NEXD_CTLD_NEXODUS_JSON_WRITE_H

#include "ctld/nexodus/json.h"

struct json_writer;
/* NULL when out of memory. More than `bytes_max` of text is an error. */
struct json_writer *json_writer_new(size_t bytes_max);
/* Wipes and frees. NULL is harmless. */
void json_writer_free(struct json_writer *writer);
/* Wipes what was written, errors too: ready for the next text. */
void json_writer_reset(struct json_writer *writer);

/* `name` is NULL for the root and for elements of arrays. Text must be UTF-8. */
void json_put_object(struct json_writer *writer, const char *name);
void json_put_array(struct json_writer *writer, const char *name);
/* Closes the innermost object or array. */
void json_put_end(struct json_writer *writer);
void json_put_string(struct json_writer *writer, const char *name, const char *text);
void json_put_bool(struct json_writer *writer, const char *name, bool value);
void json_put_u64(struct json_writer *writer, const char *name, uint64_t value);
void json_put_null(struct json_writer *writer, const char *name);
/* A value of a document, whole. */
void json_put_value(struct json_writer *writer, const char *name, const struct json_value *value);

/* The text with a newline at its end, as the other programs of such networks send it; borrowed from the
 * writer, terminated. NX_ENOMEM: memory or `bytes_max`; NX_EINVAL: text that is not UTF-8, or an object or
 * array still open. */
int json_writer_end(struct json_writer *writer, const char **text, size_t *length);

#endif
