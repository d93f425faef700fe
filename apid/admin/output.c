/* A table's columns are as wide as their widest cell, in characters; texts are printable, which the store has
 * seen to. */
#include "apid/admin/output.h"

#include "common/array.h"
#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void output_begin(struct output *out, bool is_json, const char *const *titles)
{
    *out = (struct output){.is_json = is_json, .titles = titles};
    while (titles[out->columns])
        out->columns++;
    if (is_json)
        json_array_begin(&out->json);
    else
        (void)output_row(out, titles);
}

int output_row(struct output *out, const char *const *texts)
{
    char **grown = array_reserve(out->cells, &out->capacity, out->count + out->columns, sizeof *grown);
    if (!grown)
        return NX_ENOMEM;
    out->cells = grown;
    for (size_t i = 0; i < out->columns; i++) {
        char *copy = strdup(texts[i]);
        if (!copy)
            return NX_ENOMEM;
        out->cells[out->count++] = copy;
    }
    return NX_OK;
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80; /* not the rest of a character */
    return width;
}

static void table_print(const struct output *out)
{
    size_t widths[OUTPUT_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < out->count; i++) {
        const size_t width = width_of(out->cells[i]);
        if (width > widths[i % out->columns])
            widths[i % out->columns] = width;
    }
    for (size_t i = 0; i < out->count; i++) {
        const bool last = i % out->columns == out->columns - 1;
        const size_t gap = last ? 0 : widths[i % out->columns] - width_of(out->cells[i]) + 2;
        printf("%s%*s%s", out->cells[i], (int)gap, "", last ? "\n" : "");
    }
}

static int flush(void)
{
    return fflush(stdout) || ferror(stdout) ? NX_ESYS : NX_OK;
}

int output_object(struct json_out *json)
{
    int err = json->failed ? NX_ENOMEM : NX_OK;
    if (!err)
        printf("%.*s\n", (int)json->length, json->data);
    json_out_free(json);
    return err ? err : flush();
}

int output_end(struct output *out, int err)
{
    if (!err && out->is_json) {
        json_array_end(&out->json);
        err = output_object(&out->json);
    } else if (!err) {
        table_print(out);
        err = flush();
    }
    json_out_free(&out->json);
    for (size_t i = 0; i < out->count; i++)
        free(out->cells[i]);
    free(out->cells);
    *out = (struct output){0};
    return err;
}
