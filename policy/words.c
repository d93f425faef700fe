/* A line is words with blanks between them; a word may be a list with commas. Everything is printable ASCII.
 * Readers are strict: what could be meant in two ways is an error. */
#include "policy/internal.h"

#include "common/array.h"
#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text_span word_next(struct words *words)
{
    words->rest = text_trim(words->rest.start, words->rest.length);
    struct text_span word = {words->rest.start, 0};
    while (word.length < words->rest.length && !text_is_blank(word.start[word.length]))
        word.length++;
    words->rest.start += word.length;
    words->rest.length -= word.length;
    return word;
}

bool word_is(struct text_span word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.start, text, word.length) == 0;
}

int word_fail(const struct words *words, struct text_span word, const char *problem, const char *example)
{
    char quoted[TEXT_QUOTE_MAX] = "";
    if (word.length > 0)
        text_quote_bytes(word.start, word.length, quoted, sizeof quoted);
    snprintf(words->error, POLICY_ERROR_MAX, "%s:%u: %s%s%s%s%s", words->policy->file, words->line, problem,
             quoted[0] ? " " : "", quoted, example ? "; example: " : "", example ? example : "");
    return NX_EINVAL;
}

int words_no_memory(const struct words *words)
{
    word_fail(words, (struct text_span){0}, "out of memory", NULL);
    return NX_ENOMEM;
}

/* The next item of a list; false at its end. An empty item is one of length 0. */
static bool item_next(struct text_span *list, struct text_span *item)
{
    if (list->start == NULL)
        return false;
    const char *const comma = memchr(list->start, ',', list->length);
    *item = (struct text_span){list->start, comma ? (size_t)(comma - list->start) : list->length};
    if (comma == NULL)
        list->start = NULL;
    else
        *list = (struct text_span){comma + 1, list->length - item->length - 1};
    return true;
}

/* An item as a string; NX_EINVAL: it does not fit. */
static int item_copy(struct text_span item, char *out, size_t size)
{
    if (item.length == 0 || item.length >= size)
        return NX_EINVAL;
    memcpy(out, item.start, item.length);
    out[item.length] = '\0';
    return NX_OK;
}

static int list_full(const struct words *words, struct text_span word)
{
    return word_fail(words, word, "too long a list (64 items at most):", NULL);
}

/* -- Ports -- */

static bool port_read(const char *start, size_t length, uint16_t *out)
{
    uint64_t port;
    if (text_to_u64(start, length, 1, UINT16_MAX, &port) != NX_OK)
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool range_read(struct text_span item, struct port_range *out)
{
    const char *const dash = item.length ? memchr(item.start, '-', item.length) : NULL;
    if (dash == NULL) {
        const bool read = port_read(item.start, item.length, &out->first);
        out->last = out->first;
        return read;
    }
    const size_t before = (size_t)(dash - item.start);
    return port_read(item.start, before, &out->first) &&
           port_read(dash + 1, item.length - before - 1, &out->last) && out->first <= out->last;
}

int word_ports(const struct words *words, struct text_span word, struct port_list *out)
{
    static const char example[] = "80,8000-8999";
    struct text_span list = word, item;
    if (word.length == 0)
        return word_fail(words, word, "ports are missing: numbers, ranges, or any", example);
    if (word_is(word, "any"))
        return NX_OK;
    while (item_next(&list, &item)) {
        struct port_range range = {0};
        if (!range_read(item, &range))
            return word_fail(words, item.length ? item : word,
                             "ports are numbers from 1 to 65535, ranges, or any, not", example);
        if (out->count == POLICY_LIST_MAX)
            return list_full(words, word);
        void *const grown = array_reserve(out->items, &out->capacity, out->count + 1, sizeof range);
        if (grown == NULL)
            return words_no_memory(words);
        out->items = grown;
        out->items[out->count++] = range;
    }
    return NX_OK;
}

/* -- Addresses -- */

/* Addresses are judged without their mapping; so a mapped prefix would match nothing. */
static void prefix_unmap(struct netprefix *prefix)
{
    struct netaddr plain = prefix->addr;
    netaddr_unmap(&plain);
    if (plain.family == prefix->addr.family || prefix->length < 96)
        return;
    *prefix = (struct netprefix){.addr = plain, .length = (uint8_t)(prefix->length - 96)};
}

int word_prefixes(const struct words *words, struct text_span word, struct prefix_list *out)
{
    static const char example[] = "10.0.0.0/8,fd00::/8";
    struct text_span list = word, item;
    if (word.length == 0)
        return word_fail(words, word, "addresses are missing", example);
    while (item_next(&list, &item)) {
        char text[NETPREFIX_TEXT_MAX + 1];
        struct netprefix prefix;
        if (item_copy(item, text, sizeof text) != NX_OK || netprefix_parse(text, false, &prefix) != NX_OK)
            return word_fail(
                words, item.length ? item : word,
                "a destination is any, name, or addresses with a prefix length (and no bits behind it), not",
                example);
        prefix_unmap(&prefix);
        if (out->count == POLICY_LIST_MAX)
            return list_full(words, word);
        void *const grown = array_reserve(out->items, &out->capacity, out->count + 1, sizeof prefix);
        if (grown == NULL)
            return words_no_memory(words);
        out->items = grown;
        out->items[out->count++] = prefix;
    }
    return NX_OK;
}

int word_address(const struct words *words, struct text_span word, struct netaddr *out)
{
    char text[NETADDR_TEXT_MAX];
    if (item_copy(word, text, sizeof text) != NX_OK || netaddr_parse(text, out) != NX_OK)
        return word_fail(words, word, "an address of this host, or any, must follow the ports", "127.0.0.1");
    netaddr_unmap(out);
    return NX_OK;
}

/* -- Names -- */

static int name_add(const struct words *words, struct text_span word, const char *text, struct name_list *out)
{
    if (out->count == POLICY_LIST_MAX)
        return list_full(words, word);
    void *const grown = array_reserve(out->items, &out->capacity, out->count + 1, sizeof *out->items);
    if (grown == NULL)
        return words_no_memory(words);
    out->items = grown;
    out->items[out->count] = strdup(text);
    if (out->items[out->count] == NULL)
        return words_no_memory(words);
    out->count++;
    return NX_OK;
}

/* A host name, "*.NAME" or "*", in lower case and without a dot at its end. */
static bool pattern_read(struct text_span item, char *text, size_t size)
{
    if (item_copy(item, text, size) != NX_OK)
        return false;
    const bool wild = strncmp(text, "*.", 2) == 0;
    if (strcmp(text, "*") != 0 && !hostname_valid(wild ? text + 2 : text))
        return false;
    if (text[item.length - 1] == '.')
        text[item.length - 1] = '\0';
    for (char *c = text; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    return true;
}

int word_names(const struct words *words, struct text_span word, struct name_list *out)
{
    static const char example[] = "db.internal,*.svc.internal";
    struct text_span list = word, item;
    if (word.length == 0)
        return word_fail(words, word, "names must follow", example);
    while (item_next(&list, &item)) {
        char text[RULE_HOST_MAX + 4];
        if (!pattern_read(item, text, sizeof text))
            return word_fail(words, item.length ? item : word,
                             "a name is a host name, * and a dot and a host name, or *, not", example);
        int err = name_add(words, word, text, out);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

int word_methods(const struct words *words, struct text_span word, struct name_list *out)
{
    static const char example[] = "Status,List*";
    struct text_span list = word, item;
    if (word.length == 0)
        return word_fail(words, word, "methods must follow: names, or all", example);
    if (word_is(word, "all"))
        return name_add(words, word, "*", out);
    while (item_next(&list, &item)) {
        char text[64];
        bool known = false;
        const bool fits = item_copy(item, text, sizeof text) == NX_OK;
        for (size_t i = 0; fits && policy_methods[i]; i++)
            known = known || method_matches(text, policy_methods[i]);
        if (!known)
            return word_fail(words, item.length ? item : word, "no method of the control socket is called",
                             example);
        int err = name_add(words, word, text, out);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

/* -- Numbers -- */

int word_number(const struct words *words, struct text_span word, uint64_t max, uint64_t *out)
{
    if (text_to_u64(word.start, word.length, 1, max, out) != NX_OK)
        return word_fail(words, word,
                         word.length ? "not a number that can be a limit:" : "a number is missing", "100");
    return NX_OK;
}

int word_bandwidth(const struct words *words, struct text_span word, uint64_t *out)
{
    static const struct {
        const char *unit;
        uint64_t bits;
    } units[] = {{"kbit", 1000}, {"Mbit", 1000000}, {"Gbit", 1000000000}};
    size_t digits = 0;
    uint64_t number;
    while (digits < word.length && text_is_digit(word.start[digits]))
        digits++;
    const struct text_span unit = {word.start + digits, word.length - digits};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!word_is(unit, units[i].unit) || text_to_u64(word.start, digits, 1, 1000000, &number) != NX_OK)
            continue;
        *out = number * units[i].bits / 8;
        return NX_OK;
    }
    return word_fail(words, word,
                     word.length ? "a bandwidth is a number and kbit, Mbit or Gbit (a second), not"
                                 : "a bandwidth is missing",
                     "10Mbit");
}
