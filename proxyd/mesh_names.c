/* An array of pointers sorted by name: looked at for every new flow whose rule names a host, changed when a
 * device comes or goes. While ctld is away the names stay; when it is back, a sync replaces them. */
#include "proxyd/mesh_names.h"

#include "common/array.h"
#include "common/err.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 253 };

struct mesh_name {
    struct netaddr addrs[MESH_ADDRS_MAX];
    uint8_t count;
    bool stale;
    char text[]; /* without a trailing dot */
};

void mesh_names_destroy(struct mesh_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct mesh_names){0};
}

/* Where the name is, or where it belongs. */
static size_t position(const struct mesh_names *names, const char *text, bool *found)
{
    size_t low = 0, high = names->count;
    *found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcasecmp(names->items[middle]->text, text);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_at(struct mesh_names *names, size_t at)
{
    free(names->items[at]);
    names->count--;
    memmove(names->items + at, names->items + at + 1, (names->count - at) * sizeof(*names->items));
}

static int insert_at(struct mesh_names *names, size_t at, const char *text)
{
    if (names->count == MESH_NAMES_MAX)
        return NX_ENOMEM;
    void *const items =
        array_reserve(names->items, &names->capacity, names->count + 1, sizeof(*names->items));
    if (!items)
        return NX_ENOMEM;
    names->items = items;
    struct mesh_name *const name = calloc(1, sizeof(*name) + strlen(text) + 1);
    if (!name)
        return NX_ENOMEM;
    strcpy(name->text, text);
    memmove(names->items + at + 1, names->items + at, (names->count - at) * sizeof(*names->items));
    names->items[at] = name;
    names->count++;
    return NX_OK;
}

int mesh_names_set(struct mesh_names *names, const char *name, const struct netaddr *addrs, size_t count)
{
    char text[NAME_MAX_BYTES + 1];
    bool found;
    const size_t length = strnlen(name, sizeof(text));
    if (length == sizeof(text) || !hostname_valid(name))
        return NX_EINVAL;
    memcpy(text, name, length + 1);
    if (text[length - 1] == '.')
        text[length - 1] = '\0';
    const size_t at = position(names, text, &found);
    if (count == 0) {
        if (found)
            remove_at(names, at);
        return NX_OK;
    }
    const int err = found ? NX_OK : insert_at(names, at, text);
    if (err != NX_OK)
        return err;
    struct mesh_name *const entry = names->items[at];
    entry->count = (uint8_t)(count < MESH_ADDRS_MAX ? count : MESH_ADDRS_MAX);
    memcpy(entry->addrs, addrs, entry->count * sizeof(*addrs));
    entry->stale = false;
    return NX_OK;
}

void mesh_names_sync(struct mesh_names *names, bool begin)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        struct mesh_name *const entry = names->items[i];
        if (begin)
            entry->stale = true;
        if (begin || !entry->stale)
            names->items[kept++] = entry;
        else
            free(entry);
    }
    names->count = kept;
}

size_t mesh_names_find(const struct mesh_names *names, const char *name, struct netaddr out[MESH_ADDRS_MAX])
{
    bool found;
    const size_t at = position(names, name, &found);
    if (!found)
        return 0;
    memcpy(out, names->items[at]->addrs, names->items[at]->count * sizeof(*out));
    return names->items[at]->count;
}
