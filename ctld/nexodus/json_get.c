/* The tree read by name, and messages that say where in it something is wrong. */
#include "common/err.h"
#include "common/text.h"
#include "ctld/nexodus/json_tree.h"

#include <stdio.h>
#include <string.h>

enum json_type json_type(const struct json_value *value)
{
    return value ? value->type : JSON_NULL;
}

const struct json_value *json_member(const struct json_value *object, const char *name)
{
    const struct json_value *found = NULL;
    if (json_type(object) != JSON_OBJECT)
        return NULL;
    for (const struct json_value *member = object->first; member; member = member->next)
        if (strcmp(member->name, name) == 0)
            found = member;
    return json_type(found) == JSON_NULL ? NULL : found;
}

size_t json_count(const struct json_value *value)
{
    return value ? value->count : 0;
}

const struct json_value *json_first(const struct json_value *value)
{
    return value ? value->first : NULL;
}

const struct json_value *json_next(const struct json_value *value)
{
    return value ? value->next : NULL;
}

const char *json_name(const struct json_value *value)
{
    return value && value->name ? value->name : "";
}

const char *json_text(const struct json_value *value, size_t *length)
{
    if (json_type(value) != JSON_STRING)
        return NULL;
    if (length)
        *length = value->length;
    return value->text;
}

/* -- Where -- */

struct path {
    char *text;
    size_t length;
};

static void path_append(struct path *path, const char *text)
{
    for (; *text && path->length < JSON_ERROR_MAX - 1; text++)
        path->text[path->length++] = *text < 0x20 || *text > 0x7e ? '?' : *text;
    path->text[path->length] = '\0';
}

static void path_append_member(struct path *path, const char *name)
{
    if (path->length > 0)
        path_append(path, ".");
    path_append(path, name);
}

static void path_append_place(struct path *path, const struct json_value *value)
{
    char index[24];
    if (value->name) {
        path_append_member(path, value->name);
        return;
    }
    snprintf(index, sizeof index, "[%u]", value->index);
    path_append(path, index);
}

int json_fail(const struct json_value *value, const char *name, const char *what, char *error)
{
    const struct json_value *way[JSON_DEPTH_MAX + 1];
    size_t depth = 0;
    struct path path = {.text = error};
    error[0] = '\0';
    for (; value && value->parent && depth < JSON_DEPTH_MAX + 1; value = value->parent)
        way[depth++] = value;
    while (depth > 0)
        path_append_place(&path, way[--depth]);
    if (name)
        path_append_member(&path, name);
    if (path.length > 0)
        path_append(&path, ": ");
    path_append(&path, what);
    return NX_EINVAL;
}

int json_require_object(const struct json_value *value, char *error)
{
    return json_type(value) == JSON_OBJECT ? NX_OK : json_fail(value, NULL, "not an object", error);
}

/* -- What -- */

int json_as_string(const struct json_value *value, size_t max, const char **out, char *error)
{
    char what[64];
    if (json_type(value) != JSON_STRING)
        return json_fail(value, NULL, "not a string", error);
    if (memchr(value->text, '\0', value->length))
        return json_fail(value, NULL, "has a NUL byte inside", error);
    if (value->length > max) {
        snprintf(what, sizeof what, "longer than %zu bytes", max);
        return json_fail(value, NULL, what, error);
    }
    *out = value->text;
    return NX_OK;
}

int json_get_string_optional(const struct json_value *object, const char *name, size_t max, const char **out,
                             char *error)
{
    const struct json_value *const member = json_member(object, name);
    return member ? json_as_string(member, max, out, error) : NX_OK;
}

int json_get_string(const struct json_value *object, const char *name, size_t max, const char **out,
                    char *error)
{
    const struct json_value *const member = json_member(object, name);
    return member ? json_as_string(member, max, out, error) : json_fail(object, name, "missing", error);
}

int json_get_bool_optional(const struct json_value *object, const char *name, bool *out, char *error)
{
    const struct json_value *const member = json_member(object, name);
    if (!member)
        return NX_OK;
    if (member->type != JSON_BOOL)
        return json_fail(member, NULL, "neither true nor false", error);
    *out = member->truth;
    return NX_OK;
}

static int number_read(const struct json_value *member, size_t digits, uint64_t min, uint64_t max,
                       uint64_t *out, char *error)
{
    char what[80];
    switch (text_to_u64(member->text, digits, min, max, out)) {
    case NX_OK:
        return NX_OK;
    case NX_ERANGE:
        snprintf(what, sizeof what, "not within %llu..%llu", (unsigned long long)min,
                 (unsigned long long)max);
        return json_fail(member, NULL, what, error);
    default:
        return json_fail(member, NULL, "not a whole number", error);
    }
}

int json_get_u64_optional(const struct json_value *object, const char *name, uint64_t min, uint64_t max,
                          uint64_t *out, char *error)
{
    const struct json_value *const member = json_member(object, name);
    if (!member)
        return NX_OK;
    if (member->type != JSON_NUMBER)
        return json_fail(member, NULL, "not a number", error);
    return number_read(member, member->length, min, max, out, error);
}

int json_get_u64(const struct json_value *object, const char *name, uint64_t min, uint64_t max, uint64_t *out,
                 char *error)
{
    return json_member(object, name) ? json_get_u64_optional(object, name, min, max, out, error)
                                     : json_fail(object, name, "missing", error);
}

int json_get_time_optional(const struct json_value *object, const char *name, uint64_t *out, char *error)
{
    const struct json_value *const member = json_member(object, name);
    if (!member)
        return NX_OK;
    if (member->type != JSON_NUMBER)
        return json_fail(member, NULL, "not a number", error);
    const size_t whole = strcspn(member->text, ".");
    if (strpbrk(member->text, "eE"))
        return json_fail(member, NULL, "a time with an exponent", error);
    return number_read(member, whole, 0, UINT64_C(1) << 40, out, error);
}

int json_get_array_optional(const struct json_value *object, const char *name, const struct json_value **out,
                            char *error)
{
    const struct json_value *const member = json_member(object, name);
    if (member && member->type != JSON_ARRAY)
        return json_fail(member, NULL, "not an array", error);
    *out = member;
    return NX_OK;
}

char *json_text_printable(const char *text, size_t length, char *out, size_t size)
{
    size_t written = 0;
    for (size_t i = 0; i < length;) {
        const size_t harmless = text_printable(text + i, length - i), step = harmless ? harmless : 1;
        if (written + step >= size)
            break;
        memcpy(out + written, harmless ? text + i : "?", step);
        written += step;
        i += step;
    }
    out[written] = '\0';
    return out;
}

char *json_copy_printable(const struct json_value *value, char *out, size_t size)
{
    size_t length = 0;
    const char *const text = json_text(value, &length);
    return json_text_printable(text, length, out, size);
}
