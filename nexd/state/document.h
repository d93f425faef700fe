/* state.json as an ordered list of members whose values are kept as the text that they had in the file: what
 * this program does not know goes back to the file as it came. Pure functions; only the parent process.
 *
 * Values can be secrets (a Nexodus state file holds a private key and tokens), so all memory is wiped before
 * it is freed, and no error quotes a value. */
#ifndef NEXD_NEXD_STATE_DOCUMENT_H
#define NEXD_NEXD_STATE_DOCUMENT_H

#include "nexd/state/json_check.h"

#include <stddef.h>

enum {
    STATE_BYTES_MAX = 8 << 20, /* of a whole file */
    STATE_ERROR_MAX = 512,
};

struct state_member {
    char *name;  /* as JSON text, with its quotes */
    char *value; /* as JSON text */
};

struct state_document {
    struct state_member *members;
    size_t count, capacity;
};

/* `text` need not be terminated. NX_OK; or NX_EINVAL (not a JSON object, too deep, a name twice), NX_ERANGE
 * (too long) or NX_ENOMEM with a line in `error` (STATE_ERROR_MAX bytes) and nothing allocated. */
int state_document_parse(const char *text, size_t length, struct state_document *out, char *error);
/* The value of the member `name` (plain text without characters that JSON escapes), or NULL. Borrowed until
 * the next change. */
const char *state_document_get(const struct state_document *document, const char *name);
/* Sets it to `value`, which must be well-formed JSON, at its old place or at the end. NX_ENOMEM changes
 * nothing. */
int state_document_set(struct state_document *document, const char *name, const char *value);
/* Removes it; harmless if it is not there. */
void state_document_remove(struct state_document *document, const char *name);
/* As the file has it: two blanks of indentation before each member, and a newline at the end. *text is
 * terminated; the caller frees it with state_text_free(). NX_ENOMEM, NX_ERANGE (longer than
 * STATE_BYTES_MAX). */
int state_document_print(const struct state_document *document, char **text, size_t *length);
void state_document_free(struct state_document *document);

/* Wipes and frees; NULL is harmless. */
void state_text_free(char *text);

#endif
