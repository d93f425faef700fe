/* The whole text is first checked by yajl; after that a small scanner finds where each member of the
 * outermost object begins and ends. It follows strings and brackets only, and never leaves the text, whatever
 * is in it. */
#include "nexd/state/document.h"

#include "common/array.h"
#include "common/err.h"
#include "common/text.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scanner {
    const char *at, *end;
};

void state_text_free(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

/* -- Is it JSON -- */

/* yajl's own message quotes the text, which may be a secret; a line and column do not. */
static void place_describe(const char *text, size_t offset, char *error)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    snprintf(error, STATE_ERROR_MAX, "line %zu, column %zu: not well-formed JSON", line, column);
}

static int text_check(const char *text, size_t length, char *error)
{
    struct json_check check;
    int err = json_check_begin(&check);
    if (!err)
        json_check_piece(&check, text, length);
    err = json_check_end(&check);
    if (check.fault == JSON_CHECK_NO_MEMORY)
        snprintf(error, STATE_ERROR_MAX, "out of memory");
    else if (check.fault == JSON_CHECK_TOO_DEEP)
        snprintf(error, STATE_ERROR_MAX, "nested deeper than %d levels", STATE_DEPTH_MAX);
    else if (check.fault == JSON_CHECK_NO_OBJECT)
        snprintf(error, STATE_ERROR_MAX, "not a JSON object");
    else if (err)
        place_describe(text, check.taken, error);
    return err;
}

/* -- Where are the members -- */

static void skip_blanks(struct scanner *s)
{
    while (s->at < s->end && text_is_blank(*s->at))
        s->at++;
}

static bool skip_char(struct scanner *s, char c)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* From an opening quote to behind the closing one. */
static void skip_string(struct scanner *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
    if (s->at < s->end)
        s->at++;
}

/* A whole value, without the blanks around it. */
static struct text_span value_take(struct scanner *s)
{
    skip_blanks(s);
    const char *start = s->at;
    size_t depth = 0;
    while (s->at < s->end) {
        char c = *s->at;
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        if (c == '"') {
            skip_string(s);
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        s->at++;
    }
    return text_trim(start, (size_t)(s->at - start));
}

static const struct state_member *member_find(const struct state_document *document, const char *name,
                                              size_t length)
{
    for (size_t i = 0; i < document->count; i++) {
        const char *other = document->members[i].name;
        if (strlen(other) == length && memcmp(other, name, length) == 0)
            return &document->members[i];
    }
    return NULL;
}

static int member_append(struct state_document *document, struct text_span name, struct text_span value)
{
    struct state_member *grown =
        array_reserve(document->members, &document->capacity, document->count + 1, sizeof *grown);
    if (!grown)
        return NX_ENOMEM;
    document->members = grown;
    struct state_member member = {strndup(name.start, name.length), strndup(value.start, value.length)};
    if (!member.name || !member.value) {
        state_text_free(member.name);
        state_text_free(member.value);
        return NX_ENOMEM;
    }
    document->members[document->count++] = member;
    return NX_OK;
}

static int member_take(struct scanner *s, struct state_document *document, char *error)
{
    skip_blanks(s);
    const char *start = s->at;
    skip_string(s);
    struct text_span name = {start, (size_t)(s->at - start)};
    if (!skip_char(s, ':')) {
        snprintf(error, STATE_ERROR_MAX, "not well-formed JSON");
        return NX_EINVAL;
    }
    if (member_find(document, name.start, name.length)) {
        char quoted[TEXT_QUOTE_MAX];
        snprintf(error, STATE_ERROR_MAX, "the member %s stands there twice",
                 text_quote_bytes(name.start + 1, name.length - 2, quoted, sizeof quoted));
        return NX_EINVAL;
    }
    int err = member_append(document, name, value_take(s));
    if (err)
        snprintf(error, STATE_ERROR_MAX, "out of memory");
    return err;
}

static int object_take(struct scanner *s, struct state_document *document, char *error)
{
    if (!skip_char(s, '{')) {
        snprintf(error, STATE_ERROR_MAX, "not a JSON object");
        return NX_EINVAL;
    }
    if (skip_char(s, '}'))
        return NX_OK;
    int err;
    do
        err = member_take(s, document, error);
    while (err == NX_OK && skip_char(s, ','));
    return err;
}

int state_document_parse(const char *text, size_t length, struct state_document *out, char *error)
{
    struct scanner scanner = {text, text + length};
    *out = (struct state_document){0};
    if (length > STATE_BYTES_MAX) {
        snprintf(error, STATE_ERROR_MAX, "longer than %d bytes", STATE_BYTES_MAX);
        return NX_ERANGE;
    }
    int err = text_check(text, length, error);
    if (!err)
        err = object_take(&scanner, out, error);
    if (err)
        state_document_free(out);
    return err;
}

void state_document_free(struct state_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        state_text_free(document->members[i].name);
        state_text_free(document->members[i].value);
    }
    free(document->members);
    *document = (struct state_document){0};
}

/* -- Reading and changing -- */

static const struct state_member *member_named(const struct state_document *document, const char *name)
{
    char quoted[128];
    int length = snprintf(quoted, sizeof quoted, "\"%s\"", name);
    return member_find(document, quoted, (size_t)length);
}

const char *state_document_get(const struct state_document *document, const char *name)
{
    const struct state_member *member = member_named(document, name);
    return member ? member->value : NULL;
}

int state_document_set(struct state_document *document, const char *name, const char *value)
{
    const struct state_member *found = member_named(document, name);
    if (!found) {
        char quoted[128];
        int length = snprintf(quoted, sizeof quoted, "\"%s\"", name);
        return member_append(document, (struct text_span){quoted, (size_t)length},
                             (struct text_span){value, strlen(value)});
    }
    char *copy = strdup(value);
    if (!copy)
        return NX_ENOMEM;
    struct state_member *member = &document->members[found - document->members];
    state_text_free(member->value);
    member->value = copy;
    return NX_OK;
}

static size_t printed_bytes(const struct state_document *document)
{
    size_t bytes = sizeof "{\n}\n";
    for (size_t i = 0; i < document->count; i++)
        bytes += sizeof "  : ,\n" + strlen(document->members[i].name) + strlen(document->members[i].value);
    return bytes;
}

void state_document_remove(struct state_document *document, const char *name)
{
    const struct state_member *found = member_named(document, name);
    if (!found)
        return;
    size_t at = (size_t)(found - document->members);
    state_text_free(document->members[at].name);
    state_text_free(document->members[at].value);
    document->count--;
    memmove(&document->members[at], &document->members[at + 1],
            (document->count - at) * sizeof *document->members);
}

int state_document_print(const struct state_document *document, char **text, size_t *length)
{
    size_t size = printed_bytes(document);
    if (size > STATE_BYTES_MAX)
        return NX_ERANGE;
    char *out = malloc(size);
    if (!out)
        return NX_ENOMEM;
    size_t used = (size_t)sprintf(out, "{");
    for (size_t i = 0; i < document->count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\n  %s: %s", i ? "," : "",
                                 document->members[i].name, document->members[i].value);
    used += (size_t)snprintf(out + used, size - used, document->count ? "\n}\n" : "}\n");
    *text = out;
    *length = used;
    return NX_OK;
}
