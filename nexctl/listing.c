/* A listing is an array of objects (or an object of objects, whose names do not matter), and a column for
 * each thing shown of one. What is missing is shown as "-". */
#include "nexctl/listing.h"

#include "common/err.h"
#include "nexctl/document.h"
#include "nexctl/human.h"
#include "nexctl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 9, CELL_MAX = 320 };

struct column {
    struct table_column head;
    const char *member;
    /* Writes the cell of one object; NULL: the member's text. */
    void (*write)(char *out, yajl_val object, const char *member, bool colour);
};

struct listing {
    const char *member; /* of the answer, that holds the items */
    const char *sorted_by;
    struct column columns[COLUMNS_MAX];
};

static yajl_val member(yajl_val object, const char *name)
{
    const char *path[] = {name, NULL};
    return yajl_tree_get(object, path, yajl_t_any);
}

static const char *text_of(yajl_val object, const char *name)
{
    yajl_val value = member(object, name);
    return YAJL_IS_STRING(value)   ? YAJL_GET_STRING(value)
           : YAJL_IS_NUMBER(value) ? YAJL_GET_NUMBER(value)
                                   : "-";
}

static uint64_t number_of(yajl_val object, const char *name)
{
    yajl_val value = member(object, name);
    return YAJL_IS_NUMBER(value) ? strtoull(YAJL_GET_NUMBER(value), NULL, 10) : 0;
}

static void write_text(char *out, yajl_val object, const char *name, bool colour)
{
    (void)colour;
    snprintf(out, CELL_MAX, "%s", text_of(object, name));
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static void write_bytes(char *out, yajl_val object, const char *name, bool colour)
{
    (void)colour;
    human_bytes(number_of(object, name), "", out);
}

static void write_age(char *out, yajl_val object, const char *name, bool colour)
{
    (void)colour;
    human_age(number_of(object, name) / 1000, out);
}

static void write_reachable(char *out, yajl_val object, const char *name, bool colour)
{
    yajl_val value = member(object, name);
    bool reachable = YAJL_IS_TRUE(value);
    snprintf(out, CELL_MAX, "%s%s%s %s", colour ? (reachable ? "\x1b[32m" : "\x1b[31m") : "",
             reachable ? "✓" : "x", colour ? "\x1b[0m" : "", reachable ? "Reachable" : "Unreachable");
}

/* "--ingress tcp:…", or the direction alone where the rule is gone. */
static void write_rule(char *out, yajl_val object, const char *name, bool colour)
{
    (void)colour;
    char rule[CELL_MAX], direction[CELL_MAX];
    write_text(rule, object, name, false);
    write_text(direction, object, "direction", false);
    snprintf(out, CELL_MAX, "--%.10s %.280s%s", direction, rule,
             YAJL_IS_TRUE(member(object, "removed")) ? " (removed)" : "");
}

/* Kinds that have happened, with their number. */
static void write_errors(char *out, yajl_val object, const char *name, bool colour)
{
    (void)colour;
    yajl_val errors = member(object, name);
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; YAJL_IS_OBJECT(errors) && i < errors->u.object.len && used < CELL_MAX; i++) {
        const char *kind = errors->u.object.keys[i];
        if (number_of(errors, kind))
            used += (size_t)snprintf(out + used, CELL_MAX - used, "%s%.32s %" PRIu64, used ? ", " : "", kind,
                                     number_of(errors, kind));
    }
    if (used == 0)
        snprintf(out, CELL_MAX, "-");
}

static const struct listing listings[] = {
    [LISTING_CONNECTIVITY] = {.member = "peers",
                              .sorted_by = "hostname",
                              .columns = {{{"HOSTNAME", false}, "hostname", write_text},
                                          {{"WIREGUARD ADDRESS", false}, "wg_ip", write_text},
                                          {{"LATENCY", false}, "Latency", write_text},
                                          {{"PEERING METHOD", false}, "method", write_text},
                                          {{"CONNECTION STATUS", false}, "is_reachable", write_reachable}}},
    [LISTING_FLOWS] = {.member = "flows",
                       .columns = {{{"RULE", false}, "rule", write_rule},
                                   {{"CLIENT", false}, "client", write_text},
                                   {{"DESTINATION", false}, "destination", write_text},
                                   {{"PEER", false}, "peer", write_text},
                                   {{"STATE", false}, "state", write_text},
                                   {{"TO MESH", true}, "to_mesh_bytes", write_bytes},
                                   {{"TO HOST", true}, "to_host_bytes", write_bytes},
                                   {{"AGE", true}, "age_ms", write_age}}},
    [LISTING_RULE_STATS] = {.member = "rules",
                            .columns = {{{"RULE", false}, "rule", write_rule},
                                        {{"FLOWS", true}, "flows", write_text},
                                        {{"LIVE", true}, "live", write_text},
                                        {{"TO MESH", true}, "to_mesh_bytes", write_bytes},
                                        {{"TO HOST", true}, "to_host_bytes", write_bytes},
                                        {{"ERRORS", false}, "errors", write_errors},
                                        {{"LAST ERROR", false}, "last_error", write_text}}},
};

static int by_hostname(const void *a, const void *b)
{
    const yajl_val *left = a, *right = b;
    return strcmp(text_of(*left, "hostname"), text_of(*right, "hostname"));
}

/* An array with the items, sorted where that is wanted. */
static int items_take(const struct listing *listing, yajl_val tree, struct yajl_val_s *array)
{
    yajl_val items = YAJL_IS_OBJECT(tree) ? member(tree, listing->member) : NULL;
    *array = (struct yajl_val_s){.type = yajl_t_array};
    if (YAJL_IS_OBJECT(items)) {
        array->u.array.values = items->u.object.values;
        array->u.array.len = items->u.object.len;
    } else if (YAJL_IS_ARRAY(items)) {
        array->u.array.values = items->u.array.values;
        array->u.array.len = items->u.array.len;
    } else {
        return NX_EPROTO;
    }
    for (size_t i = 0; i < array->u.array.len; i++)
        if (!YAJL_IS_OBJECT(array->u.array.values[i]))
            return NX_EPROTO;
    if (listing->sorted_by && array->u.array.len)
        qsort(array->u.array.values, array->u.array.len, sizeof(yajl_val), by_hostname);
    return NX_OK;
}

static int table_build(FILE *out, const struct listing *listing, yajl_val array,
                       const struct listing_style *style)
{
    struct table_column heads[COLUMNS_MAX];
    size_t columns = 0, rows = array->u.array.len;
    while (columns < COLUMNS_MAX && listing->columns[columns].member) {
        heads[columns] = listing->columns[columns].head;
        columns++;
    }
    char(*texts)[CELL_MAX] = calloc(rows ? rows * columns : 1, sizeof *texts);
    const char **cells = calloc(rows ? rows * columns : 1, sizeof *cells);
    if (texts && cells) {
        for (size_t i = 0; i < rows * columns; i++) {
            const struct column *column = &listing->columns[i % columns];
            column->write(texts[i], array->u.array.values[i / columns], column->member, style->colour);
            cells[i] = texts[i];
        }
        table_print(out, heads, columns, cells, rows, style->form == OUTPUT_COLUMN);
    }
    int err = texts && cells ? NX_OK : NX_ENOMEM;
    free(cells);
    free(texts);
    return err;
}

int listing_print(FILE *out, enum listing_kind kind, const char *json, const struct listing_style *style,
                  bool *truncated)
{
    char why[128];
    struct yajl_val_s array;
    const struct listing *listing = &listings[kind];
    yajl_val tree = yajl_tree_parse(json, why, sizeof why);
    int err = tree ? items_take(listing, tree, &array) : NX_EPROTO;
    *truncated = !err && YAJL_IS_TRUE(member(tree, "truncated"));
    if (!err && (style->form == OUTPUT_COLUMN || style->form == OUTPUT_NO_HEADER))
        err = table_build(out, listing, &array, style);
    else if (!err)
        document_print(out, &array, style->form);
    yajl_tree_free(tree);
    return err;
}
