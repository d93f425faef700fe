/* application/x-www-form-urlencoded: bodies of the OAuth endpoints, query strings. apid only. */
#ifndef NEXD_APID_FORM_H
#define NEXD_APID_FORM_H

#include <stddef.h>

enum { FORM_FIELDS_MAX = 32, FORM_BYTES_MAX = 16384 };

struct form {
    size_t count;
    struct {
        const char *name, *value; /* decoded, terminated; in `text` */
    } fields[FORM_FIELDS_MAX];
    char *text;
};

/* NX_EINVAL: a bad escape, or NUL in a name or value; NX_ERANGE: too many fields or bytes; NX_ENOMEM. Then
 * `out` is empty. form_free() wipes. */
int form_parse(const char *data, size_t length, struct form *out);
void form_free(struct form *form);
/* NULL if absent or given more than once (RFC 6749, 3.2: parameters must not be repeated). */
const char *form_get(const struct form *form, const char *name);

#endif
