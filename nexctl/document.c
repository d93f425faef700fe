/* Numbers are printed as they came. */
#include "nexctl/document.h"

#include "nexctl/printable.h"
#include "nexctl/yaml.h"

#include <string.h>

struct printer {
    FILE *out;
    bool pretty;
};

static void scalar_print(FILE *out, yajl_val value)
{
    if (YAJL_IS_STRING(value))
        printable_quote(out, YAJL_GET_STRING(value));
    else if (YAJL_IS_NUMBER(value))
        fputs(YAJL_GET_NUMBER(value), out);
    else if (YAJL_IS_NULL(value))
        fputs("null", out);
    else
        fputs(YAJL_IS_TRUE(value) ? "true" : "false", out);
}

static size_t count_of(yajl_val value)
{
    return YAJL_IS_OBJECT(value) ? value->u.object.len : YAJL_IS_ARRAY(value) ? value->u.array.len : 0;
}

static void json_print(const struct printer *p, yajl_val value, int indent)
{
    bool object = YAJL_IS_OBJECT(value);
    size_t count = count_of(value);
    if (!object && !YAJL_IS_ARRAY(value)) {
        scalar_print(p->out, value);
        return;
    }
    fputc(object ? '{' : '[', p->out);
    for (size_t i = 0; i < count; i++) {
        if (i)
            fputc(',', p->out);
        if (p->pretty)
            fprintf(p->out, "\n%*s", indent + 2, "");
        if (object) {
            printable_quote(p->out, value->u.object.keys[i]);
            fputs(p->pretty ? ": " : ":", p->out);
        }
        json_print(p, object ? value->u.object.values[i] : value->u.array.values[i], indent + 2);
    }
    if (p->pretty && count)
        fprintf(p->out, "\n%*s", indent, "");
    fputc(object ? '}' : ']', p->out);
}

/* The member that comes after `last` in sorted order; NULL last = the first one. */
static size_t member_after(yajl_val object, const char *last)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < object->u.object.len; i++) {
        const char *key = object->u.object.keys[i];
        if (last && strcmp(key, last) <= 0)
            continue;
        if (best == SIZE_MAX || strcmp(key, object->u.object.keys[best]) < 0)
            best = i;
    }
    return best;
}

static void yaml_print(FILE *out, yajl_val value, int indent);

static void yaml_object_print(FILE *out, yajl_val object, int indent)
{
    bool first = true;
    size_t at = member_after(object, NULL);
    for (; at != SIZE_MAX; at = member_after(object, object->u.object.keys[at])) {
        yajl_val value = object->u.object.values[at];
        if (!first)
            fprintf(out, "%*s", indent, "");
        first = false;
        yaml_string_print(out, object->u.object.keys[at]);
        fputc(':', out);
        if (count_of(value) && YAJL_IS_OBJECT(value))
            fprintf(out, "\n%*s", indent + 2, "");
        else if (count_of(value))
            fprintf(out, "\n%*s", indent, "");
        else
            fputc(' ', out);
        yaml_print(out, value, indent + (YAJL_IS_OBJECT(value) ? 2 : 0));
    }
}

static void yaml_scalar_print(FILE *out, yajl_val value)
{
    if (YAJL_IS_STRING(value))
        yaml_string_print(out, YAJL_GET_STRING(value));
    else
        scalar_print(out, value);
}

/* The cursor stands where the value's first line begins; it ends behind a newline. */
static void yaml_print(FILE *out, yajl_val value, int indent)
{
    if (count_of(value) == 0) {
        if (YAJL_IS_OBJECT(value) || YAJL_IS_ARRAY(value))
            fputs(YAJL_IS_OBJECT(value) ? "{}" : "[]", out);
        else
            yaml_scalar_print(out, value);
        fputc('\n', out);
    } else if (YAJL_IS_OBJECT(value)) {
        yaml_object_print(out, value, indent);
    } else {
        for (size_t i = 0; i < value->u.array.len; i++) {
            fprintf(out, "%*s- ", i ? indent : 0, "");
            yaml_print(out, value->u.array.values[i], indent + 2);
        }
    }
}

void document_print(FILE *out, yajl_val value, enum output_form form)
{
    const struct printer printer = {.out = out, .pretty = form == OUTPUT_JSON};
    if (form == OUTPUT_YAML)
        yaml_print(out, value, 0);
    else
        json_print(&printer, value, 0);
    fputc('\n', out);
}
