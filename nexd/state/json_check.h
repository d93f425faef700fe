/* Is a text, which comes in pieces, one well-formed JSON object and nothing else? Only the parent process.
 *
 * What is in it stays unknown: no value is kept beyond the token that a piece ends in, and none is shown. */
#ifndef NEXD_NEXD_STATE_JSON_CHECK_H
#define NEXD_NEXD_STATE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

enum { STATE_DEPTH_MAX = 64 }; /* nested objects and arrays */

enum json_check_fault {
    JSON_CHECK_FINE,
    JSON_CHECK_MALFORMED,
    JSON_CHECK_TOO_DEEP,
    JSON_CHECK_NO_OBJECT, /* well-formed so far, but an array, a number, … */
    JSON_CHECK_NO_MEMORY,
};

struct json_check {
    void *parser;
    size_t depth;
    size_t taken; /* bytes, up to where the fault is */
    bool whole;   /* the object has ended */
    enum json_check_fault fault;
};

/* NX_ENOMEM or NX_OK. */
int json_check_begin(struct json_check *check);
/* The next piece. NX_OK, or NX_EINVAL or NX_ENOMEM with `fault` and `taken` telling why and where; then only
 * json_check_end() makes sense. */
int json_check_piece(struct json_check *check, const char *text, size_t length);
/* No more pieces: NX_OK if it was a whole object; else as json_check_piece(). Frees, in any case. */
int json_check_end(struct json_check *check);
/* Frees without a judgement; harmless on a zeroed struct, and a second time. */
void json_check_drop(struct json_check *check);

#endif
