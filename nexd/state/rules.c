/* The member is a document of its own, so that unknown members in it survive as those beside it do. */
#include "nexd/state/rules.h"

#include "common/array.h"
#include "common/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

static const char member[] = "proxy-rules-config";
static const enum rule_direction directions[] = {RULE_EGRESS, RULE_INGRESS};

struct rule_list {
    struct rule *rules;
    size_t count, capacity;
};

static bool is_null(const char *json)
{
    return !json || strcmp(json, "null") == 0;
}

static int list_append(struct rule_list *list, const struct rule *rule)
{
    struct rule *grown = array_reserve(list->rules, &list->capacity, list->count + 1, sizeof *grown);
    if (!grown)
        return NX_ENOMEM;
    list->rules = grown;
    list->rules[list->count++] = *rule;
    return NX_OK;
}

static int rule_take(yajl_val value, enum rule_direction direction, struct rule_list *list, char *error)
{
    char why[RULE_ERROR_MAX];
    struct rule rule;
    const char *text = YAJL_GET_STRING(value);
    if (!text) {
        snprintf(error, STATE_ERROR_MAX, "\"%s\": an %s rule is not a string", member,
                 rule_direction_name(direction));
        return NX_EINVAL;
    }
    if (rule_parse(direction, text, &rule, why)) {
        snprintf(error, STATE_ERROR_MAX, "\"%s\": %s", member, why);
        return NX_EINVAL;
    }
    int err = list_append(list, &rule);
    if (err)
        snprintf(error, STATE_ERROR_MAX, "out of memory");
    return err;
}

static int direction_read(const char *json, enum rule_direction direction, struct rule_list *list,
                          char *error)
{
    if (is_null(json))
        return NX_OK;
    yajl_val tree = yajl_tree_parse(json, NULL, 0);
    int err = NX_OK;
    if (!YAJL_IS_ARRAY(tree)) {
        snprintf(error, STATE_ERROR_MAX, "\"%s\": the member \"%s\" is neither a list nor null", member,
                 rule_direction_name(direction));
        err = NX_EINVAL;
    }
    for (size_t i = 0; !err && i < tree->u.array.len; i++)
        err = rule_take(tree->u.array.values[i], direction, list, error);
    yajl_tree_free(tree);
    return err;
}

/* The member as a document; an empty one if there is none. */
static int config_parse(const struct state_document *document, struct state_document *out, char *error)
{
    const char *json = state_document_get(document, member);
    char why[STATE_ERROR_MAX];
    *out = (struct state_document){0};
    if (is_null(json))
        return NX_OK;
    int err = state_document_parse(json, strlen(json), out, why);
    if (err)
        snprintf(error, STATE_ERROR_MAX, "\"%s\": %.400s", member, why);
    return err;
}

int state_rules_read(const struct state_document *document, struct rule **rules, size_t *count, char *error)
{
    struct state_document config;
    struct rule_list list = {0};
    int err = config_parse(document, &config, error);
    for (size_t i = 0; !err && i < sizeof directions / sizeof *directions; i++)
        err = direction_read(state_document_get(&config, rule_direction_name(directions[i])), directions[i],
                             &list, error);
    state_document_free(&config);
    if (err) {
        free(list.rules);
        list = (struct rule_list){0};
    }
    *rules = list.rules;
    *count = list.count;
    return err;
}

/* `rules` of one direction as a list, indented for its place in the file; "null" if there is none. A rule's
 * canonical text has no character that JSON would escape. */
static char *direction_print(enum rule_direction direction, const struct rule *rules, size_t count)
{
    char *text = NULL;
    size_t size = 0, printed = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        char rule[RULE_TEXT_MAX];
        if (rules[i].direction == direction)
            fprintf(out, "%s\n      \"%s\"", printed++ ? "," : "[", rule_format(&rules[i], rule));
    }
    fputs(printed ? "\n    ]" : "null", out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static char *config_print(const struct state_document *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < config->count; i++)
        fprintf(out, "%s\n    %s: %s", i ? "," : "{", config->members[i].name, config->members[i].value);
    fputs("\n  }", out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

int state_rules_write(struct state_document *document, const struct rule *rules, size_t count)
{
    struct state_document config;
    char why[STATE_ERROR_MAX];
    char *text = NULL;
    int err = config_parse(document, &config, why);
    if (err == NX_EINVAL) /* it was read before, so it cannot be malformed */
        err = NX_OK;
    for (size_t i = 0; !err && i < sizeof directions / sizeof *directions; i++) {
        char *list = direction_print(directions[i], rules, count);
        err = list ? state_document_set(&config, rule_direction_name(directions[i]), list) : NX_ENOMEM;
        free(list);
    }
    if (!err && !(text = config_print(&config)))
        err = NX_ENOMEM;
    if (!err)
        err = state_document_set(document, member, text);
    state_text_free(text);
    state_document_free(&config);
    return err;
}
