#include "tests/unit/nexodus/document.h"

#include "common/err.h"
#include "ctld/nexodus/json_tree.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_reader *reader;

static const struct json_value *read_whole(struct json_reader *with, const char *text, size_t length)
{
    char error[JSON_ERROR_MAX] = "";
    const struct json_value *root;
    ck_assert_msg(json_read(with, text, length, &root, error) == NX_OK, "%s in %.60s", error, text);
    return root;
}

const struct json_value *document(const char *text)
{
    if (!reader)
        reader = json_reader_new(&json_limits_answer);
    ck_assert_ptr_nonnull(reader);
    return read_whole(reader, text, strlen(text));
}

const struct json_value *document_file(const char *name)
{
    char *const text = fixture(name, NULL);
    const struct json_value *const root = document(text);
    free(text);
    return root;
}

void document_end(void)
{
    json_reader_free(reader);
    reader = NULL;
}

char *fixture(const char *name, size_t *length)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", NEXODUS_FIXTURES, name);
    FILE *const file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    ck_assert_int_ge(size, 0);
    rewind(file);
    char *const text = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    text[size] = '\0';
    if (length)
        *length = (size_t)size;
    return text;
}

static bool same(const struct json_value *a, const struct json_value *b);

static bool same_members(const struct json_value *a, const struct json_value *b)
{
    for (const struct json_value *member = json_first(a); member; member = json_next(member)) {
        const struct json_value *other = json_first(b);
        while (other && strcmp(json_name(other), json_name(member)) != 0)
            other = json_next(other);
        if (!other || !same(member, other))
            return false;
    }
    return true;
}

static bool same(const struct json_value *a, const struct json_value *b)
{
    if (json_type(a) != json_type(b) || json_count(a) != json_count(b))
        return false;
    switch (json_type(a)) {
    case JSON_OBJECT:
        return same_members(a, b);
    case JSON_ARRAY:
        for (a = json_first(a), b = json_first(b); a && b; a = json_next(a), b = json_next(b))
            if (!same(a, b))
                return false;
        return true;
    case JSON_STRING:
    case JSON_NUMBER:
        return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
    case JSON_BOOL:
        return a->truth == b->truth;
    case JSON_NULL:
        break;
    }
    return true;
}

bool json_same(const char *a, const char *b)
{
    struct json_reader *const one = json_reader_new(&json_limits_answer), *const other = json_reader_new(
                                                                              &json_limits_answer);
    const bool result = same(read_whole(one, a, strlen(a)), read_whole(other, b, strlen(b)));
    json_reader_free(one);
    json_reader_free(other);
    return result;
}
