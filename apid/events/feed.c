#include "apid/events/feed.h"

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
    [FEED_DEVICE] = "device",
    [FEED_SECURITY_GROUP] = "security-group",
    [FEED_METADATA] = "device-metadata",
    [FEED_VPC] = "vpc",
};
enum { KINDS = sizeof(kind_names) / sizeof(kind_names[0]) };

const char *feed_kind_name(enum feed_kind kind)
{
    return kind_names[kind];
}

bool feed_kind_parse(const char *name, enum feed_kind *out)
{
    for (unsigned i = 0; i < KINDS; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *out = (enum feed_kind)i;
            return true;
        }
    }
    return false;
}

int feed_emit(struct feed_page *page, enum feed_kind kind, uint64_t revision, bool deleted, const char *value,
              size_t length)
{
    if (page->count == FEED_PAGE_ROWS)
        return NX_ERANGE;
    struct feed_row *const row = &page->rows[page->count];
    struct json_out event = page->text;
    *row = (struct feed_row){.offset = event.length, .revision = revision, .deleted = deleted};
    json_raw(&event, "{\"kind\":\"", 9);
    json_raw(&event, kind_names[kind], strlen(kind_names[kind]));
    json_raw(&event, "\",\"type\":\"", 10);
    json_raw(&event, deleted ? "delete" : "change", 6);
    json_raw(&event, "\",\"value\":", 10);
    json_raw(&event, value, length);
    json_raw(&event, "}\n\n", 3);
    page->text = event;
    if (event.failed)
        return NX_ENOMEM;
    row->length = event.length - row->offset;
    page->count++;
    return NX_OK;
}

void feeds_init(struct feeds *feeds, feed_fetch *fetch, void *fetch_arg)
{
    *feeds = (struct feeds){.fetch = fetch, .fetch_arg = fetch_arg};
    LIST_INIT(&feeds->all);
}

static void page_free(struct feed *feed, struct feed_page *page)
{
    TAILQ_REMOVE(&feed->pages, page, entry);
    feed->page_count--;
    json_out_free(&page->text);
    free(page);
}

static void pages_forget(struct feed *feed)
{
    while (!TAILQ_EMPTY(&feed->pages))
        page_free(feed, TAILQ_FIRST(&feed->pages));
}

static bool query_equal(const struct feed_query *a, const struct feed_query *b)
{
    bool equal = a->kind == b->kind && strcmp(a->vpc, b->vpc) == 0 &&
                 strcmp(a->organization, b->organization) == 0 && strcmp(a->device, b->device) == 0 &&
                 strcmp(a->key, b->key) == 0;
    for (size_t i = 0; i < FEED_PREFIXES_MAX && equal; i++)
        equal = strcmp(a->prefixes[i], b->prefixes[i]) == 0;
    return equal;
}

struct feed *feed_open(struct feeds *feeds, const struct feed_query *query)
{
    struct feed *feed;
    LIST_FOREACH (feed, &feeds->all, entry) {
        if (query_equal(&feed->query, query)) {
            feed->users++;
            return feed;
        }
    }
    feed = calloc(1, sizeof(*feed));
    if (feed == NULL)
        return NULL;
    memcpy(&feed->query, query, sizeof(*query));
    feed->users = 1;
    TAILQ_INIT(&feed->pages);
    LIST_INSERT_HEAD(&feeds->all, feed, entry);
    return feed;
}

void feed_close(struct feeds *feeds, struct feed *feed)
{
    (void)feeds;
    if (--feed->users > 0)
        return;
    pages_forget(feed);
    LIST_REMOVE(feed, entry);
    free(feed);
}

void feeds_changed(struct feeds *feeds)
{
    struct feed *feed;
    LIST_FOREACH (feed, &feeds->all, entry)
        pages_forget(feed);
}

static struct feed_page *page_kept(struct feed *feed, uint64_t after)
{
    struct feed_page *page;
    TAILQ_FOREACH (page, &feed->pages, entry) {
        if (page->after != after)
            continue;
        TAILQ_REMOVE(&feed->pages, page, entry);
        TAILQ_INSERT_TAIL(&feed->pages, page, entry);
        return page;
    }
    return NULL;
}

int feed_read(struct feeds *feeds, struct feed *feed, uint64_t after, const struct feed_page **out)
{
    struct feed_page *page = page_kept(feed, after);
    if (page == NULL) {
        if (feed->page_count == FEED_PAGES_MAX)
            page_free(feed, TAILQ_FIRST(&feed->pages));
        page = calloc(1, sizeof(*page));
        if (page == NULL)
            return NX_ENOMEM;
        page->after = page->last = after;
        TAILQ_INSERT_TAIL(&feed->pages, page, entry);
        feed->page_count++;
        feeds->fetches++;
        const int err = feeds->fetch(feeds->fetch_arg, &feed->query, after, page);
        if (err) {
            page_free(feed, page);
            return err;
        }
    }
    *out = page;
    return NX_OK;
}
