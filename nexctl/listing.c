/* A listing is an array of objects (or an object of objects, whose names do not matter), and a column for
 * each thing shown of one. What is missing is shown as "-". */
#include "nexctl/listing.h"

#include "common/err.h"
#include "nexctl/document.h"
#include "nexctl/human.h"
#include "nexctl/json.h"
#include "nexctl/printable.h"
#include "nexctl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 11, CELL_MAX = 320, KEY_SHOWN = 8 /* as in the log */ };

struct column {
    struct table_column head;
    const char *member;
    /* Writes the cell of one object. */
    void (*write)(char *out, yajl_val object, const char *member, const struct listing_style *style);
};

struct listing {
    const char *member; /* of the answer, that holds the items */
    const char *sorted_by;
    const char *only; /* "protocol" of the items that are shown; NULL = all */
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

static void write_text(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
    snprintf(out, CELL_MAX, "%s", text_of(object, name));
    printable_make(out, false);
}

static void write_bytes(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
    human_bytes(number_of(object, name), "", out);
}

static void write_age(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
    human_age(number_of(object, name) / 1000, out);
}

static void write_reachable(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    yajl_val value = member(object, name);
    bool reachable = YAJL_IS_TRUE(value), colour = style->colour;
    snprintf(out, CELL_MAX, "%s%s%s %s", colour ? (reachable ? "\x1b[32m" : "\x1b[31m") : "",
             reachable ? "✓" : "x", colour ? "\x1b[0m" : "", reachable ? "Reachable" : "Unreachable");
}

/* "--ingress tcp:…", or the direction alone where the rule is gone; and what is special about it. */
static void write_rule(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    char rule[CELL_MAX], direction[CELL_MAX];
    write_text(rule, object, name, style);
    write_text(direction, object, "direction", style);
    snprintf(out, CELL_MAX, "--%.10s %.280s%s%s", direction, rule,
             YAJL_IS_TRUE(member(object, "proxy_protocol")) ? " (PROXY)" : "",
             YAJL_IS_TRUE(member(object, "removed"))     ? " (removed)"
             : YAJL_IS_STRING(member(object, "problem")) ? " (not in force)"
                                                         : "");
}

/* The peer's name, or where it has none the beginning of its key. */
static void write_peer(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    if (YAJL_IS_STRING(member(object, "peer_name"))) {
        write_text(out, object, "peer_name", style);
        return;
    }
    write_text(out, object, name, style);
    if (strlen(out) > KEY_SHOWN)
        snprintf(out + KEY_SHOWN, CELL_MAX - KEY_SHOWN, "\xe2\x80\xa6");
}

/* Members of TCP towards the peer are there once it is connected. */
static void write_duration(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
    if (YAJL_IS_NUMBER(member(object, name)))
        human_duration(number_of(object, name), out);
    else
        snprintf(out, CELL_MAX, "-");
}

static void write_sent_bytes(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
    if (YAJL_IS_NUMBER(member(object, name)))
        human_bytes(number_of(object, name), "", out);
    else
        snprintf(out, CELL_MAX, "-");
}

static void write_rate(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
    if (YAJL_IS_NUMBER(member(object, name)))
        human_bytes(number_of(object, name), "/s", out);
    else
        snprintf(out, CELL_MAX, "-");
}

/* "127.0.0.1:81: connection refused (3m05s ago)", or why the rule is not in force. */
static void write_last_error(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    char text[CELL_MAX], age[HUMAN_MAX];
    const bool problem = YAJL_IS_STRING(member(object, "problem"));
    const uint64_t at_s = problem ? 0 : number_of(object, "last_error_unix_s");
    write_text(text, object, problem ? "problem" : name, style);
    if (at_s && style->unix_s)
        snprintf(out, CELL_MAX, "%.280s (%s ago)", text,
                 human_age(style->unix_s > at_s ? style->unix_s - at_s : 0, age));
    else
        snprintf(out, CELL_MAX, "%s", text);
}

/* Kinds that have happened, with their number. */
static void write_errors(char *out, yajl_val object, const char *name, const struct listing_style *style)
{
    (void)style;
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
                                   {{"PEER", false}, "peer", write_peer},
                                   {{"STATE", false}, "state", write_text},
                                   {{"TO MESH", true}, "to_mesh_bytes", write_bytes},
                                   {{"TO HOST", true}, "to_host_bytes", write_bytes},
                                   {{"AGE", true}, "age_ms", write_age}}},
    [LISTING_FLOWS_TCP] = {.member = "flows",
                           .only = "tcp",
                           .columns = {{{"RULE", false}, "rule", write_rule},
                                       {{"CLIENT", false}, "client", write_text},
                                       {{"PEER", false}, "peer", write_peer},
                                       {{"STATE", false}, "state", write_text},
                                       {{"ALGORITHM", false}, "congestion_control", write_text},
                                       {{"RTT", true}, "rtt_us", write_duration},
                                       {{"MIN RTT", true}, "min_rtt_us", write_duration},
                                       {{"CWND", true}, "cwnd_bytes", write_sent_bytes},
                                       {{"PACING", true}, "pacing_bytes_per_s", write_rate},
                                       {{"DELIVERY", true}, "delivery_bytes_per_s", write_rate},
                                       {{"RESENT", true}, "retransmitted_bytes", write_sent_bytes}}},
    [LISTING_RULE_STATS] = {.member = "rules",
                            .columns = {{{"RULE", false}, "rule", write_rule},
                                        {{"FLOWS", true}, "flows", write_text},
                                        {{"LIVE", true}, "live", write_text},
                                        {{"TO MESH", true}, "to_mesh_bytes", write_bytes},
                                        {{"TO HOST", true}, "to_host_bytes", write_bytes},
                                        {{"ERRORS", false}, "errors", write_errors},
                                        {{"LAST ERROR", false}, "last_error", write_last_error}}},
};

static int by_hostname(const void *a, const void *b)
{
    const yajl_val *left = a, *right = b;
    return strcmp(text_of(*left, "hostname"), text_of(*right, "hostname"));
}

/* Items of that protocol to the front; the array ends behind them. All stay the tree's. */
static void items_filter(yajl_val array, const char *protocol)
{
    yajl_val *const values = array->u.array.values;
    size_t kept = 0;
    for (size_t i = 0; i < array->u.array.len; i++) {
        yajl_val item = values[i];
        if (strcmp(text_of(item, "protocol"), protocol) != 0)
            continue;
        values[i] = values[kept];
        values[kept++] = item;
    }
    array->u.array.len = kept;
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
    if (listing->only)
        items_filter(array, listing->only);
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
            column->write(texts[i], array->u.array.values[i / columns], column->member, style);
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
    struct yajl_val_s array;
    const struct listing *listing = &listings[kind];
    yajl_val tree = json_tree_parse(json);
    int err = tree ? items_take(listing, tree, &array) : NX_EPROTO;
    *truncated = !err && YAJL_IS_TRUE(member(tree, "truncated"));
    if (!err && (style->form == OUTPUT_COLUMN || style->form == OUTPUT_NO_HEADER))
        err = table_build(out, listing, &array, style);
    else if (!err)
        document_print(out, &array, style->form);
    yajl_tree_free(tree);
    return err;
}
