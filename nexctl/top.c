/* Rows of two samples belong together by kind and name. What nexd answers is checked, and control characters
 * in it do not reach the terminal. */
#include "nexctl/top.h"

#include "common/array.h"
#include "common/clock.h"
#include "common/err.h"
#include "nexctl/document.h"
#include "nexctl/human.h"
#include "nexctl/json.h"
#include "nexctl/printable.h"
#include "nexctl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

enum { COLUMNS = 6, FRAME_LINES = 6 /* titles, headers, lines under them */ };

/* -- Samples -- */

void top_sample_free(struct top_sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        free(sample->rows[i].name);
    free(sample->rows);
    *sample = (struct top_sample){0};
}

/* Takes over `name`, which may be NULL: no memory. */
static int row_add(struct top_sample *sample, struct top_row row)
{
    struct top_row *grown =
        row.name ? array_reserve(sample->rows, &sample->capacity, sample->count + 1, sizeof *grown) : NULL;
    if (!grown) {
        free(row.name);
        return NX_ENOMEM;
    }
    printable_make(row.name, false);
    sample->rows = grown;
    grown[sample->count++] = row;
    return NX_OK;
}

static yajl_val member(yajl_val object, const char *name, yajl_type type)
{
    const char *path[] = {name, NULL};
    return yajl_tree_get(object, path, type);
}

static uint64_t number_of(yajl_val object, const char *name)
{
    yajl_val value = member(object, name, yajl_t_number);
    return value ? strtoull(YAJL_GET_NUMBER(value), NULL, 10) : 0;
}

static int rule_take(struct top_sample *sample, yajl_val object)
{
    const char *rule = YAJL_GET_STRING(member(object, "rule", yajl_t_string));
    const char *direction = YAJL_GET_STRING(member(object, "direction", yajl_t_string));
    struct top_row row = {.kind = TOP_RULE,
                          .live = number_of(object, "live"),
                          .to_mesh_bytes = number_of(object, "to_mesh_bytes"),
                          .to_host_bytes = number_of(object, "to_host_bytes")};
    if (!direction)
        return NX_EPROTO;
    bool removed = YAJL_IS_TRUE(member(object, "removed", yajl_t_any));
    if (asprintf(&row.name, "--%s %s%s", direction, rule ? rule : "-", removed ? " (removed)" : "") < 0)
        return NX_ENOMEM;
    return row_add(sample, row);
}

static int rules_take(struct top_sample *sample, const char *json)
{
    yajl_val tree = json_tree_parse(json);
    yajl_val rules = YAJL_IS_OBJECT(tree) ? member(tree, "rules", yajl_t_array) : NULL;
    int err = rules ? NX_OK : NX_EPROTO;
    for (size_t i = 0; !err && i < rules->u.array.len; i++)
        err = YAJL_IS_OBJECT(rules->u.array.values[i]) ? rule_take(sample, rules->u.array.values[i])
                                                       : NX_EPROTO;
    yajl_tree_free(tree);
    return err;
}

static int peers_take(struct top_sample *sample, const char *json)
{
    struct peer_list list;
    int err = peers_parse(json, &list);
    if (err)
        return err;
    for (size_t i = 0; !err && i < list.count; i++)
        err = row_add(sample, (struct top_row){.kind = TOP_PEER,
                                               .name = strdup(list.rows[i].public_key),
                                               .live = list.rows[i].healthy,
                                               .to_mesh_bytes = list.rows[i].tx,
                                               .to_host_bytes = list.rows[i].rx});
    peers_free(&list);
    return err;
}

int top_sample_parse(const char *rules, const char *peers, uint64_t time_ns, struct top_sample *out)
{
    *out = (struct top_sample){.time_ns = time_ns};
    int err = rules_take(out, rules);
    if (!err)
        err = peers_take(out, peers);
    if (err)
        top_sample_free(out);
    return err;
}

/* -- Rates -- */

static int by_name(const void *left, const void *right)
{
    const struct top_row *a = left, *b = right;
    return a->kind != b->kind ? (int)a->kind - (int)b->kind : strcmp(a->name, b->name);
}

static int by_rate(const void *left, const void *right)
{
    const struct top_row *a = left, *b = right;
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    uint64_t of_a = a->to_mesh_per_s + a->to_host_per_s, of_b = b->to_mesh_per_s + b->to_host_per_s;
    return of_a != of_b ? (of_a < of_b ? 1 : -1) : strcmp(a->name, b->name);
}

static uint64_t rate(uint64_t before, uint64_t now, uint64_t span_ns)
{
    uint64_t added = now >= before ? now - before : now;
    return span_ns ? (uint64_t)((double)added * (double)NS_PER_S / (double)span_ns) : 0;
}

void top_rate(const struct top_sample *before, struct top_sample *now)
{
    uint64_t span_ns = now->time_ns > before->time_ns ? now->time_ns - before->time_ns : 0;
    if (before->count)
        qsort(before->rows, before->count, sizeof *before->rows, by_name);
    for (size_t i = 0; i < now->count; i++) {
        struct top_row *row = &now->rows[i];
        const struct top_row *old =
            before->count ? bsearch(row, before->rows, before->count, sizeof *row, by_name) : NULL;
        row->to_mesh_per_s = rate(old ? old->to_mesh_bytes : 0, row->to_mesh_bytes, span_ns);
        row->to_host_per_s = rate(old ? old->to_host_bytes : 0, row->to_host_bytes, span_ns);
    }
    if (now->count)
        qsort(now->rows, now->count, sizeof *now->rows, by_rate);
}

/* -- Printing -- */

static size_t rows_of(const struct top_sample *sample, enum top_kind kind, size_t *first)
{
    size_t count = 0;
    *first = 0;
    for (size_t i = 0; i < sample->count; i++) {
        if (sample->rows[i].kind != kind)
            continue;
        if (count++ == 0)
            *first = i;
    }
    return count;
}

static int table_part(FILE *out, const struct top_row *rows, size_t count, bool header)
{
    const bool peers = count && rows[0].kind == TOP_PEER;
    const struct table_column columns[COLUMNS] = {{peers ? "PEER" : "RULE", false},
                                                  {peers ? "UP" : "LIVE", true},
                                                  {"TO MESH", true},
                                                  {"TO HOST", true},
                                                  {"SUM TO MESH", true},
                                                  {"SUM TO HOST", true}};
    char(*texts)[COLUMNS][HUMAN_MAX] = calloc(count + 1, sizeof *texts);
    const char **cells = calloc((count + 1) * COLUMNS, sizeof *cells);
    for (size_t i = 0; texts && cells && i < count; i++) {
        const char **row = cells + i * COLUMNS;
        row[0] = rows[i].name;
        snprintf(texts[i][1], HUMAN_MAX, "%" PRIu64, rows[i].live);
        row[1] = peers ? (rows[i].live ? "yes" : "no") : texts[i][1];
        row[2] = human_bytes(rows[i].to_mesh_per_s, "/s", texts[i][2]);
        row[3] = human_bytes(rows[i].to_host_per_s, "/s", texts[i][3]);
        row[4] = human_bytes(rows[i].to_mesh_bytes, "", texts[i][4]);
        row[5] = human_bytes(rows[i].to_host_bytes, "", texts[i][5]);
    }
    if (texts && cells)
        table_print(out, columns, COLUMNS, cells, count, header);
    int err = texts && cells ? NX_OK : NX_ENOMEM;
    free(cells);
    free(texts);
    return err;
}

/* "12 rules, 1 peer, 3 live flows; 1.2 MiB/s to the mesh, 0 B/s to the host" */
static void summary_print(FILE *out, const struct top_sample *sample, size_t rules, bool colour)
{
    uint64_t live = 0, to_mesh = 0, to_host = 0;
    char texts[5][HUMAN_MAX];
    for (size_t i = 0; i < rules; i++) { /* rules come first */
        live += sample->rows[i].live;
        to_mesh += sample->rows[i].to_mesh_per_s;
        to_host += sample->rows[i].to_host_per_s;
    }
    fprintf(out, "%s%s, %s, %s; %s to the mesh, %s to the host%s\n", colour ? "\x1b[1m" : "",
            human_count(rules, "rule", texts[0]), human_count(sample->count - rules, "peer", texts[1]),
            human_count(live, "live flow", texts[2]), human_bytes(to_mesh, "/s", texts[3]),
            human_bytes(to_host, "/s", texts[4]), colour ? "\x1b[0m" : "");
}

static int tables_print(FILE *out, const struct top_sample *sample, const struct top_style *style)
{
    size_t first, rules = rows_of(sample, TOP_RULE, &first), shown = rules;
    size_t first_peer, peers = rows_of(sample, TOP_PEER, &first_peer), shown_peers = peers;
    if (style->lines > FRAME_LINES) { /* what is left is shared; who needs less leaves it to the other */
        size_t room = style->lines - FRAME_LINES, half = room / 2;
        shown_peers = peers < half ? peers : rules < half ? room - rules : half;
        shown = room - shown_peers;
    }
    shown = shown < rules ? shown : rules;
    shown_peers = shown_peers < peers ? shown_peers : peers;
    bool header = style->form == OUTPUT_COLUMN;
    if (header)
        summary_print(out, sample, rules, style->colour);
    int err = shown ? table_part(out, sample->rows + first, shown, header) : NX_OK;
    if (!err && shown_peers)
        err = table_part(out, sample->rows + first_peer, shown_peers, header);
    return err;
}

static void member_number(yajl_gen gen, const char *name, uint64_t value)
{
    yajl_gen_string(gen, (const unsigned char *)name, strlen(name));
    yajl_gen_integer(gen, value > INT64_MAX ? INT64_MAX : (long long)value);
}

static void array_generate(yajl_gen gen, const struct top_sample *sample, enum top_kind kind)
{
    const char *array = kind == TOP_RULE ? "rules" : "peers", *name = kind == TOP_RULE ? "rule" : "peer";
    yajl_gen_string(gen, (const unsigned char *)array, strlen(array));
    yajl_gen_array_open(gen);
    for (size_t i = 0; i < sample->count; i++) {
        const struct top_row *row = &sample->rows[i];
        if (row->kind != kind)
            continue;
        yajl_gen_map_open(gen);
        yajl_gen_string(gen, (const unsigned char *)name, strlen(name));
        yajl_gen_string(gen, (const unsigned char *)row->name, strlen(row->name));
        if (kind == TOP_RULE)
            member_number(gen, "live", row->live);
        member_number(gen, "to_mesh_bytes_per_s", row->to_mesh_per_s);
        member_number(gen, "to_host_bytes_per_s", row->to_host_per_s);
        member_number(gen, "to_mesh_bytes", row->to_mesh_bytes);
        member_number(gen, "to_host_bytes", row->to_host_bytes);
        yajl_gen_map_close(gen);
    }
    yajl_gen_array_close(gen);
}

static int document_part(FILE *out, const struct top_sample *sample, enum output_form form)
{
    const unsigned char *text = NULL;
    size_t length = 0;
    yajl_val tree = NULL;
    yajl_gen gen = yajl_gen_alloc(NULL);
    if (gen) {
        yajl_gen_map_open(gen);
        array_generate(gen, sample, TOP_RULE);
        array_generate(gen, sample, TOP_PEER);
        yajl_gen_map_close(gen);
        if (yajl_gen_get_buf(gen, &text, &length) == yajl_gen_status_ok)
            tree = json_tree_parse((const char *)text);
    }
    if (tree)
        document_print(out, tree, form);
    int err = tree ? NX_OK : NX_ENOMEM;
    yajl_tree_free(tree);
    if (gen)
        yajl_gen_free(gen);
    return err;
}

int top_print(FILE *out, const struct top_sample *sample, const struct top_style *style)
{
    bool table = style->form == OUTPUT_COLUMN || style->form == OUTPUT_NO_HEADER;
    return table ? tables_print(out, sample, style) : document_part(out, sample, style->form);
}
