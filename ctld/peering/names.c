/* Two tables in the order of names: what holds, and the candidates of the list that is being read. At its
 * end, the candidates are sorted, of each name the first is kept, and the result takes the place of the old
 * table. What has changed is marked for sending; a name that is gone stays, without addresses, until proxyd
 * has been told. */
#include "ctld/peering/names.h"

#include "common/array.h"
#include "common/err.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

struct name {
    char text[MEMBER_NAME_MAX + 1]; /* lower case, without a trailing dot */
    char id[MEMBER_ID_MAX];         /* whose it is */
    struct netaddr addrs[2];
    uint16_t count;
    bool incumbent; /* of a candidate: this device has the name already */
    bool dirty;     /* proxyd does not know yet */
};

struct table {
    struct name *items;
    size_t count, capacity;
};

enum link { LINK_DOWN, LINK_NEW, LINK_SYNCING, LINK_LIVE };

struct names {
    const struct names_ops *ops;
    void *arg;
    struct table held, candidates;
    enum link link;
    bool complete, failed; /* a list has ended; a candidate did not fit into memory */
    uint64_t revision;
    uint64_t shared; /* a hash of which devices go without their name, and of which; 0 = none do */
};

struct names *names_new(const struct names_ops *ops, void *arg)
{
    struct names *names = calloc(1, sizeof *names);
    if (names) {
        names->ops = ops;
        names->arg = arg;
    }
    return names;
}

void names_free(struct names *names)
{
    if (!names)
        return;
    free(names->held.items);
    free(names->candidates.items);
    free(names);
}

/* -- The table -- */

static bool name_normalize(const char *text, char out[MEMBER_NAME_MAX + 1])
{
    static const char local[] = "localhost";
    size_t length = strnlen(text, MEMBER_NAME_MAX + 1);
    if (length > MEMBER_NAME_MAX || !hostname_valid(text))
        return false;
    if (text[length - 1] == '.')
        length--;
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    out[length] = '\0';
    const size_t tail = sizeof local - 1;
    const bool is_local = length >= tail && strcmp(out + length - tail, local) == 0 &&
                          (length == tail || out[length - tail - 1] == '.');
    return !is_local; /* RFC 6761: always this host */
}

static struct name *table_find(const struct table *table, const char *text)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(table->items[middle].text, text);
        if (order == 0)
            return &table->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static struct name *table_append(struct table *table)
{
    void *grown = array_reserve(table->items, &table->capacity, table->count + 1, sizeof *table->items);
    if (!grown)
        return NULL;
    table->items = grown;
    struct name *name = &table->items[table->count++];
    *name = (struct name){.count = 0};
    return name;
}

static bool same_addresses(const struct name *a, const struct name *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!netaddr_equal(&a->addrs[i], &b->addrs[i]))
            return false;
    return true;
}

/* -- Reading a list -- */

void names_begin(struct names *names)
{
    names->candidates.count = 0;
    names->failed = false;
}

void names_put(struct names *names, const char *id, const char *hostname, const struct netaddr *v4,
               const struct netaddr *v6)
{
    const struct netaddr *const addrs[] = {v4, v6};
    char text[MEMBER_NAME_MAX + 1];
    if (!name_normalize(hostname, text) || strlen(id) >= MEMBER_ID_MAX ||
        (v4->family == NETADDR_NONE && v6->family == NETADDR_NONE))
        return;
    struct name *name = table_append(&names->candidates);
    if (!name) {
        names->failed = true;
        return;
    }
    strcpy(name->text, text);
    strcpy(name->id, id);
    for (size_t i = 0; i < 2; i++)
        if (addrs[i]->family != NETADDR_NONE)
            name->addrs[name->count++] = *addrs[i];
    const struct name *held = table_find(&names->held, text);
    name->incumbent = held && held->count > 0 && strcmp(held->id, id) == 0;
}

static int compare(const void *left, const void *right)
{
    const struct name *a = left, *b = right;
    int order = strcmp(a->text, b->text);
    if (order == 0)
        order = (int)b->incumbent - (int)a->incumbent;
    return order != 0 ? order : strcmp(a->id, b->id);
}

/* FNV-1a, over a text and its end. */
static uint64_t hash_add(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    while (*text++);
    return hash;
}

/* Devices that share a name are told of once: again only when it is others, not whenever any device changes.
 */
static void shared_tell(struct names *names)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 5};
    const struct table *table = &names->candidates;
    const uint64_t before = names->shared;
    names->shared = 0;
    for (size_t i = 1; i < table->count; i++)
        if (strcmp(table->items[i - 1].text, table->items[i].text) == 0)
            names->shared = hash_add(hash_add(names->shared, table->items[i].text), table->items[i].id);
    if (names->shared == before)
        return;
    const struct name *first = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct name *name = &table->items[i];
        if (!first || strcmp(first->text, name->text) != 0)
            first = name;
        else if (log_ratelimit_ok(&limit))
            log_warn("devices %s and %s are both named \"%s\": it stays with the first", first->id, name->id,
                     name->text);
    }
}

/* Of each name the first candidate; it is new to proxyd unless it is what was held. */
static void candidates_choose(struct names *names)
{
    struct table *table = &names->candidates;
    size_t kept = 0;
    if (table->count > 0)
        qsort(table->items, table->count, sizeof *table->items, compare);
    shared_tell(names);
    for (size_t i = 0; i < table->count; i++) {
        struct name *name = &table->items[i];
        if (kept > 0 && strcmp(table->items[kept - 1].text, name->text) == 0)
            continue;
        const struct name *held = table_find(&names->held, name->text);
        name->dirty = !held || held->dirty || !same_addresses(held, name);
        table->items[kept++] = *name;
    }
    table->count = kept;
}

/* Names that nobody has any more. They are sorted in behind. */
static int gone_append(struct names *names)
{
    const size_t count = names->candidates.count;
    for (size_t i = 0; i < names->held.count; i++) {
        const struct name *held = &names->held.items[i];
        const struct table chosen = {.items = names->candidates.items, .count = count};
        if (table_find(&chosen, held->text) || (held->count == 0 && !held->dirty))
            continue;
        struct name *gone = table_append(&names->candidates);
        if (!gone)
            return NX_ENOMEM;
        strcpy(gone->text, held->text);
        gone->dirty = true;
    }
    if (names->candidates.count > count)
        qsort(names->candidates.items, names->candidates.count, sizeof(struct name), compare);
    return NX_OK;
}

int names_end(struct names *names)
{
    if (names->failed)
        return NX_ENOMEM;
    candidates_choose(names);
    const int err = gone_append(names);
    if (err != NX_OK)
        return err;
    const struct table old = names->held;
    names->held = names->candidates;
    names->candidates = old;
    names->complete = true;
    return NX_OK;
}

static void follow_each(void *arg, const struct peering_status *status)
{
    names_put(arg, status->id, status->hostname, &status->tunnel_v4, &status->tunnel_v6);
}

void names_follow(struct names *names, const struct peering *peering, uint64_t now_ns)
{
    const uint64_t revision = peering_revision(peering);
    if (revision == names->revision)
        return;
    names_begin(names);
    peering_each(peering, now_ns, follow_each, names);
    if (names_end(names) == NX_OK)
        names->revision = revision;
    else
        log_error("names of devices are out of date: out of memory");
}

size_t names_find(const struct names *names, const char *name, struct netaddr out[2])
{
    char text[MEMBER_NAME_MAX + 1];
    const struct name *held = name_normalize(name, text) ? table_find(&names->held, text) : NULL;
    for (size_t i = 0; held && i < held->count; i++)
        out[i] = held->addrs[i];
    return held ? held->count : 0;
}

/* -- Sending -- */

void names_link_up(struct names *names)
{
    names->link = LINK_NEW;
    for (size_t i = 0; i < names->held.count; i++)
        names->held.items[i].dirty = true;
}

void names_link_down(struct names *names)
{
    names->link = LINK_DOWN;
}

static int name_send(struct names *names, struct name *name)
{
    struct ipc_mesh_name body = {.addresses.count = name->count};
    memcpy(body.name, name->text, sizeof name->text);
    memcpy(body.addresses.item, name->addrs, name->count * sizeof *name->addrs);
    const int err = names->ops->send(names->arg, IPC_MSG_MESH_NAME, 0, &body);
    name->dirty = err != NX_OK;
    return err;
}

static int frame_send(struct names *names, bool begin, enum link after)
{
    const struct ipc_mesh_sync body = {.begin = begin};
    const int err = names->ops->send(names->arg, IPC_MSG_MESH_SYNC, 0, &body);
    if (err == NX_OK)
        names->link = after;
    return err;
}

void names_pump(struct names *names)
{
    if (!names->complete || names->link == LINK_DOWN ||
        (names->link == LINK_NEW && frame_send(names, true, LINK_SYNCING) != NX_OK))
        return;
    size_t kept = 0, at = 0;
    int err = NX_OK;
    for (; at < names->held.count; at++) {
        struct name *name = &names->held.items[at];
        if (err == NX_OK && name->dirty)
            err = name_send(names, name);
        if (name->count == 0 && !name->dirty)
            continue;
        if (kept != at)
            names->held.items[kept] = *name;
        kept++;
    }
    names->held.count = kept;
    if (err == NX_OK && names->link == LINK_SYNCING)
        frame_send(names, false, LINK_LIVE);
}
