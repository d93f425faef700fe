/* What watches read: for each query (kind, VPC, filters) the objects by ascending revision, in pages.
 *
 * An object has one row, with the revision of its last change; deleted objects stay as tombstones for a
 * while. So "all rows with a revision above N", in order, is at once the list that a new stream begins with,
 * what a resumed one has missed, and what is new; and a stream's whole state is N. A page that one stream has
 * asked for is kept for the others until something changes: a thousand streams at the same place cost one
 * query and one serialization. No I/O. apid only. */
#ifndef NEXD_APID_FEED_H
#define NEXD_APID_FEED_H

#include "apid/json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    FEED_PAGE_ROWS = 100, /* rows that one query reads */
    FEED_PAGES_MAX = 16,  /* kept pages of one feed */
    FEED_PREFIXES_MAX = 8,
    FEED_TEXT_MAX = 256, /* of a key or prefix, with the terminator */
    FEED_ID_MAX = 37,
};

enum feed_kind { FEED_DEVICE = 0, FEED_SECURITY_GROUP, FEED_METADATA, FEED_VPC };

/* Texts that do not apply are "". */
struct feed_query {
    enum feed_kind kind;
    char vpc[FEED_ID_MAX];
    char organization[FEED_ID_MAX]; /* security groups and VPCs are those of the whole organization */
    char device[FEED_ID_MAX];       /* metadata: of one device; "" = of all in the VPC */
    char key[FEED_TEXT_MAX];        /* metadata: "" = all */
    char prefixes[FEED_PREFIXES_MAX][FEED_TEXT_MAX];
};

struct feed_row {
    size_t offset, length; /* of the whole event in the page's text */
    uint64_t revision;
    bool deleted;
};

struct feed_page {
    TAILQ_ENTRY(feed_page) entry;
    uint64_t after; /* rows have a greater revision */
    uint64_t last;  /* go on after this one; equal to `after` when there is nothing more */
    size_t count;
    struct feed_row rows[FEED_PAGE_ROWS];
    struct json_out text;
};

/* Where rows come from. Calls feed_emit() for at most FEED_PAGE_ROWS rows above `after`, ascending, and sets
 * page->last to the last revision looked at, whether it was emitted or filtered out. An NX_ code. */
typedef int feed_fetch(void *arg, const struct feed_query *query, uint64_t after, struct feed_page *page);
/* `value` is the object's JSON. NX_ENOMEM, NX_ERANGE (page full). */
int feed_emit(struct feed_page *page, enum feed_kind kind, uint64_t revision, bool deleted, const char *value,
              size_t length);

/* "device", "security-group", "device-metadata", "vpc". */
const char *feed_kind_name(enum feed_kind kind);
bool feed_kind_parse(const char *name, enum feed_kind *out);

struct feed {
    LIST_ENTRY(feed) entry;
    struct feed_query query;
    size_t users;
    size_t page_count;
    TAILQ_HEAD(, feed_page) pages; /* least recently used first */
};

struct feeds {
    LIST_HEAD(, feed) all;
    feed_fetch *fetch;
    void *fetch_arg;
    uint64_t fetches; /* how often the source was asked, for tests */
};

void feeds_init(struct feeds *feeds, feed_fetch *fetch, void *fetch_arg);
/* The feed of that query, shared by all who ask for it; NULL when out of memory. Given back with
 * feed_close(). */
struct feed *feed_open(struct feeds *feeds, const struct feed_query *query);
void feed_close(struct feeds *feeds, struct feed *feed);
/* Something has changed: kept pages are forgotten. */
void feeds_changed(struct feeds *feeds);
/* The rows above `after`; valid until the next call of this or feeds_changed(). */
int feed_read(struct feeds *feeds, struct feed *feed, uint64_t after, const struct feed_page **out);

#endif
