/* hosts(5): an address and its names a line, '#' starts a comment.
 *
 * The table is an array sorted by name, then by place in the file. The file is the operator's own, but
 * containers write it from data of others, so it is bounded and read like anything else that comes from
 * outside. */
#include "proxyd/hosts.h"

#include "common/array.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOSTS_NAME_MAX = 253 };

struct hosts_entry {
    char *name; /* owned, without a trailing dot */
    struct netaddr addr;
    size_t place;
};

struct hosts {
    struct hosts_entry *entries;
    size_t count, capacity;
};

/* The next word of a line, or length 0 at its end. */
static struct text_span word_next(const char **at, const char *end)
{
    while (*at < end && text_is_blank(**at))
        (*at)++;
    const char *const start = *at;
    while (*at < end && !text_is_blank(**at))
        (*at)++;
    return (struct text_span){start, (size_t)(*at - start)};
}

/* NX_EINVAL: not a name, skipped. */
static int hosts_add(struct hosts *hosts, const struct netaddr *addr, struct text_span word)
{
    char name[HOSTS_NAME_MAX + 2];
    if (word.length >= sizeof(name) || memchr(word.start, '\0', word.length))
        return NX_EINVAL;
    memcpy(name, word.start, word.length);
    name[word.length] = '\0';
    if (!hostname_valid(name))
        return NX_EINVAL;
    if (name[word.length - 1] == '.')
        name[word.length - 1] = '\0';
    void *entries =
        array_reserve(hosts->entries, &hosts->capacity, hosts->count + 1, sizeof(*hosts->entries));
    if (!entries)
        return NX_ENOMEM;
    hosts->entries = entries;
    struct hosts_entry *const entry = &hosts->entries[hosts->count];
    *entry = (struct hosts_entry){.name = strdup(name), .addr = *addr, .place = hosts->count};
    if (!entry->name)
        return NX_ENOMEM;
    hosts->count++;
    return NX_OK;
}

static int hosts_parse_line(struct hosts *hosts, const char *at, const char *end)
{
    const struct text_span first = word_next(&at, end);
    char text[NETADDR_TEXT_MAX];
    struct netaddr addr;
    if (first.length == 0 || first.length >= sizeof(text) || memchr(first.start, '\0', first.length))
        return NX_OK;
    memcpy(text, first.start, first.length);
    text[first.length] = '\0';
    if (netaddr_parse(text, &addr) != NX_OK)
        return NX_OK;
    netaddr_unmap(&addr);
    for (;;) {
        const struct text_span word = word_next(&at, end);
        if (word.length == 0 || hosts->count >= HOSTS_ENTRIES_MAX)
            return NX_OK;
        if (hosts_add(hosts, &addr, word) == NX_ENOMEM)
            return NX_ENOMEM;
    }
}

static int hosts_compare(const void *left, const void *right)
{
    const struct hosts_entry *const a = left, *const b = right;
    const int order = strcasecmp(a->name, b->name);
    if (order != 0)
        return order;
    return a->place < b->place ? -1 : 1;
}

struct hosts *hosts_parse(const char *text, size_t length)
{
    struct hosts *const hosts = calloc(1, sizeof(*hosts));
    if (!hosts)
        return NULL;
    const char *const end = text + length;
    for (const char *line = text; line < end;) {
        const char *const newline = memchr(line, '\n', (size_t)(end - line));
        const char *const line_end = newline ? newline : end;
        const char *const comment = memchr(line, '#', (size_t)(line_end - line));
        if (hosts_parse_line(hosts, line, comment ? comment : line_end) != NX_OK) {
            hosts_free(hosts);
            return NULL;
        }
        line = newline ? newline + 1 : end;
    }
    if (hosts->count > 0)
        qsort(hosts->entries, hosts->count, sizeof(*hosts->entries), hosts_compare);
    return hosts;
}

/* Reads up to `size` bytes; -1 on error. */
static ssize_t file_read(const char *path, char *buffer, size_t size)
{
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t length = 0;
    while (length < size) {
        const ssize_t got = read(fd, buffer + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

struct hosts *hosts_load(const char *path)
{
    char *const buffer = malloc(HOSTS_FILE_MAX);
    if (!buffer)
        return NULL;
    ssize_t length = file_read(path, buffer, HOSTS_FILE_MAX);
    if (length < 0) {
        if (errno != ENOENT)
            log_warn("%s cannot be read (%s): names in it are not known", path, strerror(errno));
        length = 0;
    }
    if (length == HOSTS_FILE_MAX)
        log_warn("%s is larger than %d bytes: the rest is ignored", path, HOSTS_FILE_MAX);
    struct hosts *const hosts = hosts_parse(buffer, (size_t)length);
    free(buffer);
    return hosts;
}

void hosts_free(struct hosts *hosts)
{
    if (!hosts)
        return;
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->entries[i].name);
    free(hosts->entries);
    free(hosts);
}

/* -1, 0, 1 as for strcmp; `name` has `length` bytes. */
static int name_compare(const char *entry, const char *name, size_t length)
{
    const int order = strncasecmp(entry, name, length);
    return order != 0 ? order : entry[length] != '\0';
}

size_t hosts_lookup(const struct hosts *hosts, const char *name, struct netaddr *out, size_t max)
{
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        length--;
    size_t low = 0, high = hosts->count;
    while (low < high) { /* first entry that is not less than the name */
        const size_t middle = low + (high - low) / 2;
        if (name_compare(hosts->entries[middle].name, name, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t count = 0;
    for (; low < hosts->count && count < max; low++) {
        if (name_compare(hosts->entries[low].name, name, length) != 0)
            break;
        out[count++] = hosts->entries[low].addr;
    }
    return count;
}
