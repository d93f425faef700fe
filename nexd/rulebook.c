/* One array; it is searched only when rules change or a child reports on one. */
#include "nexd/rulebook.h"

#include "common/array.h"
#include "common/err.h"

#include <stdlib.h>
#include <string.h>

void rulebook_free(struct rulebook *book)
{
    for (size_t i = 0; i < book->count; i++)
        free(book->entries[i].problem);
    free(book->entries);
    *book = (struct rulebook){0};
}

struct rulebook_entry *rulebook_find(const struct rulebook *book, uint32_t id)
{
    for (size_t i = 0; i < book->count; i++)
        if (book->entries[i].id == id)
            return &book->entries[i];
    return NULL;
}

static bool wants_proxy_protocol(const struct rulebook *book, const struct rule *rule)
{
    return book->proxy_protocol && rule->direction == RULE_INGRESS && rule->protocol == RULE_TCP &&
           port_set_has(book->proxy_protocol, rule->listen_port);
}

static uint32_t id_next(struct rulebook *book)
{
    do {
        book->wrapped = book->wrapped || book->last_id == RULEBOOK_ID_MAX;
        book->last_id = book->last_id == RULEBOOK_ID_MAX ? 1 : book->last_id + 1;
    } while (book->wrapped && rulebook_find(book, book->last_id));
    return book->last_id;
}

struct rulebook_entry *rulebook_add(struct rulebook *book, const struct rule *rule, bool at_run_time,
                                    enum rulebook_state state)
{
    struct rulebook_entry *grown = NULL;
    if (book->count < RULEBOOK_RULES_MAX)
        grown = array_reserve(book->entries, &book->capacity, book->count + 1, sizeof *grown);
    if (!grown)
        return NULL;
    book->entries = grown;
    struct rulebook_entry *entry = &book->entries[book->count];
    *entry = (struct rulebook_entry){.id = id_next(book),
                                     .rule = *rule,
                                     .at_run_time = at_run_time,
                                     .proxy_protocol = wants_proxy_protocol(book, rule),
                                     .state = state};
    book->count++;
    return entry;
}

void rulebook_remove(struct rulebook *book, uint32_t id)
{
    struct rulebook_entry *entry = rulebook_find(book, id);
    if (!entry)
        return;
    free(entry->problem);
    size_t after = (size_t)(book->entries + book->count - entry) - 1;
    memmove(entry, entry + 1, after * sizeof *entry);
    book->count--;
}

void rulebook_problem(struct rulebook_entry *entry, const char *why)
{
    free(entry->problem);
    entry->problem = why[0] ? strdup(why) : NULL;
}

struct rulebook_entry *rulebook_match(const struct rulebook *book, const struct rule *rule)
{
    for (size_t i = 0; i < book->count; i++) {
        struct rulebook_entry *entry = &book->entries[i];
        if (entry->at_run_time && entry->state == RULEBOOK_STANDING && rule_equal(&entry->rule, rule))
            return entry;
    }
    return NULL;
}

bool rulebook_has_listener(const struct rulebook *book, enum rule_direction direction,
                           enum rule_protocol protocol, uint16_t port, bool going)
{
    const struct rule wanted = {.direction = direction, .protocol = protocol, .listen_port = port};
    for (size_t i = 0; i < book->count; i++) {
        const struct rulebook_entry *entry = &book->entries[i];
        if ((going || (entry->state != RULEBOOK_GOING && !entry->barred)) &&
            rule_same_listener(&entry->rule, &wanted))
            return true;
    }
    return false;
}

int rulebook_stored(const struct rulebook *book, struct rule **rules, size_t *count)
{
    *count = 0;
    *rules = calloc(book->count ? book->count : 1, sizeof **rules);
    if (!*rules)
        return NX_ENOMEM;
    for (size_t i = 0; i < book->count; i++)
        if (book->entries[i].at_run_time && book->entries[i].state == RULEBOOK_STANDING)
            (*rules)[(*count)++] = book->entries[i].rule;
    return NX_OK;
}
