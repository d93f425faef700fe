/* Every field is checked for its type; unknown ones are passed over. Whatever nexd answered, nothing but
 * printable text reaches the terminal: control characters are replaced. */
#include "nexctl/peers.h"

#include "common/err.h"
#include "nexctl/json.h"
#include "nexctl/printable.h"
#include "nexctl/table.h"
#include "nexctl/yaml.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- Parsing -- */

static char *text_take(yajl_val value)
{
    const char *text = YAJL_GET_STRING(value);
    char *copy = text ? strdup(text) : NULL;
    printable_make(copy, false);
    return copy;
}

static yajl_val member(yajl_val object, const char *name, yajl_type type)
{
    const char *path[] = {name, NULL};
    return yajl_tree_get(object, path, type);
}

static int number_take(yajl_val object, const char *name, uint64_t *out)
{
    yajl_val value = member(object, name, yajl_t_number);
    if (!value || !YAJL_IS_INTEGER(value) || YAJL_GET_INTEGER(value) < 0)
        return NX_EPROTO;
    *out = (uint64_t)YAJL_GET_INTEGER(value);
    return NX_OK;
}

static int bool_take(yajl_val object, const char *name, bool *out)
{
    yajl_val value = member(object, name, yajl_t_any);
    if (!value || (!YAJL_IS_TRUE(value) && !YAJL_IS_FALSE(value)))
        return NX_EPROTO;
    *out = YAJL_IS_TRUE(value);
    return NX_OK;
}

static int allowed_take(yajl_val object, struct peer_row *row)
{
    yajl_val value = member(object, "AllowedIPs", yajl_t_any);
    row->allowed_null = !value || YAJL_IS_NULL(value);
    if (row->allowed_null)
        return NX_OK;
    if (!YAJL_IS_ARRAY(value))
        return NX_EPROTO;
    size_t count = value->u.array.len;
    row->allowed = calloc(count ? count : 1, sizeof *row->allowed);
    if (!row->allowed)
        return NX_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        row->allowed[i] = text_take(value->u.array.values[i]);
        if (!row->allowed[i])
            return NX_EPROTO;
        row->allowed_count++;
    }
    return NX_OK;
}

static int row_take(yajl_val object, struct peer_row *row)
{
    if (!YAJL_IS_OBJECT(object))
        return NX_EPROTO;
    row->public_key = text_take(member(object, "PublicKey", yajl_t_string));
    row->endpoint = text_take(member(object, "Endpoint", yajl_t_string));
    row->latest_handshake = text_take(member(object, "LatestHandshake", yajl_t_string));
    if (!row->public_key || !row->endpoint || !row->latest_handshake)
        return NX_EPROTO;
    if (number_take(object, "Tx", &row->tx) || number_take(object, "Rx", &row->rx) ||
        bool_take(object, "Healthy", &row->healthy))
        return NX_EPROTO;
    return allowed_take(object, row);
}

static int list_take(yajl_val tree, struct peer_list *out)
{
    yajl_val peers = YAJL_IS_OBJECT(tree) ? member(tree, "peers", yajl_t_object) : NULL;
    if (!peers || bool_take(tree, "relay-present", &out->relay_present) ||
        bool_take(tree, "relay-required", &out->relay_required))
        return NX_EPROTO;
    size_t count = peers->u.object.len;
    out->rows = calloc(count ? count : 1, sizeof *out->rows);
    if (!out->rows)
        return NX_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        out->count = i + 1;
        int err = row_take(peers->u.object.values[i], &out->rows[i]);
        if (err)
            return err;
    }
    return NX_OK;
}

int peers_parse(const char *text, struct peer_list *out)
{
    *out = (struct peer_list){0};
    yajl_val tree = json_tree_parse(text);
    int err = tree ? list_take(tree, out) : NX_EPROTO;
    yajl_tree_free(tree);
    if (err)
        peers_free(out);
    return err;
}

void peers_free(struct peer_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct peer_row *row = &list->rows[i];
        for (size_t j = 0; j < row->allowed_count; j++)
            free(row->allowed[j]);
        free(row->allowed);
        free(row->public_key);
        free(row->endpoint);
        free(row->latest_handshake);
    }
    free(list->rows);
    *list = (struct peer_list){0};
}

/* -- JSON and YAML -- */

static void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* An array of strings. `indent` < 0: all on one line; otherwise each item on a line of its own, so much
 * deeper by `step`. */
static void json_allowed(FILE *out, const struct peer_row *row, int indent, int step)
{
    if (row->allowed_null || row->allowed_count == 0) {
        fputs(row->allowed_null ? "null" : "[]", out);
        return;
    }
    fputc('[', out);
    for (size_t i = 0; i < row->allowed_count; i++) {
        if (indent >= 0)
            fprintf(out, "%s\n%*s", i ? "," : "", indent + step, "");
        else if (i)
            fputc(',', out);
        json_string(out, row->allowed[i]);
    }
    if (indent >= 0)
        fprintf(out, "\n%*s", indent, "");
    fputc(']', out);
}

static void json_row(FILE *out, const struct peer_row *row, bool pretty)
{
    const char *gap = pretty ? "\n    " : "", *colon = pretty ? ": " : ":";
    fprintf(out, "{%s\"PublicKey\"%s", gap, colon);
    json_string(out, row->public_key);
    fprintf(out, ",%s\"Endpoint\"%s", gap, colon);
    json_string(out, row->endpoint);
    fprintf(out, ",%s\"AllowedIPs\"%s", gap, colon);
    json_allowed(out, row, pretty ? 4 : -1, 2);
    fprintf(out, ",%s\"LatestHandshake\"%s", gap, colon);
    json_string(out, row->latest_handshake);
    fprintf(out, ",%s\"Tx\"%s%" PRIu64 ",%s\"Rx\"%s%" PRIu64, gap, colon, row->tx, gap, colon, row->rx);
    fprintf(out, ",%s\"Healthy\"%s%s%s}", gap, colon, row->healthy ? "true" : "false", pretty ? "\n  " : "");
}

static void json_print(FILE *out, const struct peer_list *list, bool pretty)
{
    fputc('[', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i ? "," : "", out);
        fputs(pretty ? "\n  " : "", out);
        json_row(out, &list->rows[i], pretty);
    }
    fputs(pretty && list->count ? "\n]\n" : "]\n", out);
}

static void yaml_print(FILE *out, const struct peer_list *list)
{
    if (list->count == 0)
        fputs("[]\n", out);
    for (size_t i = 0; i < list->count; i++) {
        const struct peer_row *row = &list->rows[i];
        fputs("- AllowedIPs:", out);
        if (row->allowed_count == 0)
            fputs(row->allowed_null ? " null" : " []", out);
        for (size_t j = 0; j < row->allowed_count; j++) {
            fputs("\n  - ", out);
            yaml_string_print(out, row->allowed[j]);
        }
        fputs("\n  Endpoint: ", out);
        yaml_string_print(out, row->endpoint);
        fprintf(out, "\n  Healthy: %s\n  LatestHandshake: ", row->healthy ? "true" : "false");
        yaml_string_print(out, row->latest_handshake);
        fputs("\n  PublicKey: ", out);
        yaml_string_print(out, row->public_key);
        fprintf(out, "\n  Rx: %" PRIu64 "\n  Tx: %" PRIu64 "\n", row->rx, row->tx);
    }
    fputc('\n', out);
}

/* -- Table -- */

enum { COLUMNS = 7, NUMBER_TEXT_MAX = 24 };

struct row_texts {
    char *allowed; /* indented JSON */
    char handshake[NUMBER_TEXT_MAX + 16], tx[NUMBER_TEXT_MAX], rx[NUMBER_TEXT_MAX];
};

static char *allowed_text(const struct peer_row *row)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    json_allowed(out, row, 0, 1);
    return fclose(out) == 0 ? text : NULL;
}

static void row_fill(const struct peer_row *row, uint64_t unix_s, struct row_texts *texts, const char **cells)
{
    uint64_t handshake_s = strtoull(row->latest_handshake, NULL, 10);
    texts->allowed = allowed_text(row);
    if (handshake_s == 0)
        snprintf(texts->handshake, sizeof texts->handshake, "None");
    else
        snprintf(texts->handshake, sizeof texts->handshake, "%" PRIu64 " seconds ago",
                 unix_s > handshake_s ? unix_s - handshake_s : 0);
    snprintf(texts->tx, sizeof texts->tx, "%" PRIu64, row->tx);
    snprintf(texts->rx, sizeof texts->rx, "%" PRIu64, row->rx);
    const char *const all[COLUMNS] = {
        row->public_key, row->endpoint, texts->allowed ? texts->allowed : "", texts->handshake,
        texts->tx,       texts->rx,     row->healthy ? "true" : "false"};
    memcpy(cells, all, sizeof all);
}

static void column_print(FILE *out, const struct peer_list *list, bool header, uint64_t unix_s)
{
    static const struct table_column columns[COLUMNS] = {
        {"PUBLIC KEY", false}, {"ENDPOINT", false}, {"ALLOWED IPS", false}, {"LATEST HANDSHAKE", false},
        {"TRANSMITTED", true}, {"RECEIVED", true},  {"HEALTHY", false},
    };
    struct row_texts *texts = calloc(list->count ? list->count : 1, sizeof *texts);
    const char **cells = calloc(list->count ? list->count * COLUMNS : 1, sizeof *cells);
    if (texts && cells) {
        for (size_t i = 0; i < list->count; i++)
            row_fill(&list->rows[i], unix_s, &texts[i], cells + i * COLUMNS);
        table_print(out, columns, COLUMNS, cells, list->count, header);
        for (size_t i = 0; i < list->count; i++)
            free(texts[i].allowed);
    }
    free(cells);
    free(texts);
}

void peers_print(FILE *out, const struct peer_list *list, enum output_form form, uint64_t unix_s)
{
    switch (form) {
    case OUTPUT_COLUMN:
    case OUTPUT_NO_HEADER:
        column_print(out, list, form == OUTPUT_COLUMN, unix_s);
        break;
    case OUTPUT_JSON:
    case OUTPUT_JSON_RAW:
        json_print(out, list, form == OUTPUT_JSON);
        break;
    case OUTPUT_YAML:
        yaml_print(out, list);
        break;
    }
}
