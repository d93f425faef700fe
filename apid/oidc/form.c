/* Decoded in place in a copy: decoding never makes a text longer. */
#include "apid/oidc/form.h"

#include "common/err.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

/* Decodes `length` bytes onto themselves and terminates them; there is room for the terminator. */
static int decode(char *text, size_t length)
{
    size_t to = 0;
    for (size_t from = 0; from < length; from++) {
        char c = text[from];
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            const int value = text_percent_value(text + from, length - from);
            if (value < 0)
                return NX_EINVAL;
            c = (char)value;
            from += 2;
        }
        if (c == '\0')
            return NX_EINVAL;
        text[to++] = c;
    }
    text[to] = '\0';
    return NX_OK;
}

static int field_add(struct form *form, char *text, size_t length)
{
    if (length == 0)
        return NX_OK;
    if (form->count == FORM_FIELDS_MAX)
        return NX_ERANGE;
    char *const equals = memchr(text, '=', length);
    const size_t name_length = equals ? (size_t)(equals - text) : length;
    form->fields[form->count].name = text;
    form->fields[form->count].value = equals ? equals + 1 : text + length;
    form->count++;
    if (equals && decode(equals + 1, length - name_length - 1))
        return NX_EINVAL;
    return decode(text, name_length);
}

int form_parse(const char *data, size_t length, struct form *out)
{
    *out = (struct form){0};
    if (length > FORM_BYTES_MAX)
        return NX_ERANGE;
    char *const text = calloc(1, length + 1);
    if (text == NULL)
        return NX_ENOMEM;
    memcpy(text, data, length);
    out->text = text;
    int err = NX_OK;
    for (size_t at = 0; at <= length && !err;) {
        const char *const end = memchr(text + at, '&', length - at);
        const size_t field = end ? (size_t)(end - text) - at : length - at;
        text[at + field] = '\0';
        err = field_add(out, text + at, field);
        at += field + 1;
    }
    if (err)
        form_free(out);
    return err;
}

void form_free(struct form *form)
{
    if (form->text) {
        for (size_t i = 0; i < form->count; i++)
            explicit_bzero((char *)form->fields[i].value, strlen(form->fields[i].value));
        free(form->text);
    }
    *form = (struct form){0};
}

const char *form_get(const struct form *form, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < form->count; i++) {
        if (strcmp(form->fields[i].name, name) != 0)
            continue;
        if (found)
            return NULL;
        found = form->fields[i].value;
    }
    return found;
}
