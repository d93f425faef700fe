/* Event streams over a made-up store: first lists, tails, resuming, deletions, sharing of pages, bounds for
 * readers that do not read, failures. */
#include "apid/events/hub.h"
#include "common/err.h"

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MAX = 1000 };

/* The store: objects 0..count-1 of one VPC. */
static struct {
    struct {
        uint64_t revision;
        bool deleted;
    } objects[OBJECTS_MAX];
    size_t count;
    int err;
} store;

static int fetch(void *arg, const struct feed_query *query, uint64_t after, struct feed_page *page)
{
    (void)arg;
    if (store.err)
        return store.err;
    for (;;) {
        size_t best = OBJECTS_MAX;
        for (size_t i = 0; i < store.count; i++)
            if (store.objects[i].revision > page->last &&
                (best == OBJECTS_MAX || store.objects[i].revision < store.objects[best].revision))
                best = i;
        if (best == OBJECTS_MAX || page->count == FEED_PAGE_ROWS)
            return NX_OK;
        char value[64];
        const int length = snprintf(value, sizeof(value), "{\"id\":%zu,\"revision\":%llu}", best,
                                    (unsigned long long)store.objects[best].revision);
        ck_assert_uint_ge(page->last, after);
        ck_assert_int_eq(feed_emit(page, query->kind, store.objects[best].revision,
                                   store.objects[best].deleted, value, (size_t)length),
                         NX_OK);
        page->last = store.objects[best].revision;
    }
}

/* A reader. */
struct reader {
    struct json_out text;
    size_t unread; /* what it says is pending */
    bool takes;    /* reads at once */
    bool ended, closed;
    int err;
};

static int reader_write(void *output, const char *data, size_t length)
{
    struct reader *const reader = output;
    if (reader->err)
        return reader->err;
    json_raw(&reader->text, data, length);
    if (!reader->takes)
        reader->unread += length;
    return NX_OK;
}

static size_t reader_pending(void *output)
{
    return ((struct reader *)output)->unread;
}

static void reader_end(void *output)
{
    ((struct reader *)output)->ended = true;
}

static void reader_closed(void *arg)
{
    ((struct reader *)arg)->closed = true;
}

static const struct hub_output output = {reader_write, reader_pending, reader_end};

static struct event_base *base;
static struct hub *hub;
static struct reader reader;

static void setup(void)
{
    memset(&store, 0, sizeof(store));
    reader = (struct reader){.takes = true};
    base = event_base_new();
    hub = hub_new(base, fetch, NULL);
    ck_assert_ptr_nonnull(hub);
}

static void teardown(void)
{
    json_out_free(&reader.text);
    ck_assert_uint_eq(hub_streams(hub), 0);
    hub_free(hub);
    event_base_free(base);
}

static struct hub_watch watch(uint64_t after, bool at_tail)
{
    struct hub_watch one;
    memset(&one, 0, sizeof(one));
    one.query.kind = FEED_DEVICE;
    strcpy(one.query.vpc, "v");
    one.after = after;
    one.at_tail = at_tail;
    return one;
}

static struct hub_stream *open_one(uint64_t after, bool at_tail)
{
    const struct hub_watch one = watch(after, at_tail);
    struct hub_stream *const stream = hub_stream_open(hub, &one, 1, &output, &reader, reader_closed, &reader);
    ck_assert_ptr_nonnull(stream);
    hub_stream_serve(stream);
    return stream;
}

/* Everything that was written since the last call must be `expected`. */
static void expect(const char *expected)
{
    ck_assert_msg(reader.text.length == strlen(expected) &&
                      !memcmp(reader.text.data ? reader.text.data : "", expected, reader.text.length),
                  "got %.*s", (int)reader.text.length, reader.text.data ? reader.text.data : "");
    reader.text.length = 0;
}

static void change(size_t object, uint64_t revision, bool deleted)
{
    store.objects[object].revision = revision;
    store.objects[object].deleted = deleted;
    if (store.count <= object)
        store.count = object + 1;
    hub_changed(hub);
    event_base_loop(base, EVLOOP_ONCE);
}

#define CHANGE(id, revision)                                                                                 \
    "{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"id\":" #id ",\"revision\":" #revision "}}\n\n"
#define DELETE(id, revision)                                                                                 \
    "{\"kind\":\"device\",\"type\":\"delete\",\"value\":{\"id\":" #id ",\"revision\":" #revision "}}\n\n"
#define TAIL "{\"kind\":\"device\",\"type\":\"tail\"}\n\n"

START_TEST(test_list_then_changes)
{
    store.count = 3;
    store.objects[0].revision = 5;
    store.objects[1].revision = 2;
    store.objects[2].revision = 4;
    store.objects[2].deleted = true;
    struct hub_stream *const stream = open_one(0, false);
    expect(CHANGE(1, 2) CHANGE(0, 5) TAIL);
    change(1, 6, false);
    expect(CHANGE(1, 6));
    change(0, 7, true);
    expect(DELETE(0, 7));
    change(2, 8, false);
    expect(CHANGE(2, 8));
    hub_stream_close(stream);
}
END_TEST

START_TEST(test_resume)
{
    store.count = 3;
    store.objects[0].revision = 5;
    store.objects[1].revision = 6;
    store.objects[1].deleted = true;
    store.objects[2].revision = 7;
    struct hub_stream *stream = open_one(5, true);
    expect(DELETE(1, 6) CHANGE(2, 7));
    hub_stream_close(stream);
    stream = open_one(5, false);
    expect(CHANGE(2, 7) TAIL);
    hub_stream_close(stream);
    stream = open_one(UINT64_MAX, false);
    expect(TAIL);
    hub_stream_close(stream);
    stream = open_one(0, true);
    expect(CHANGE(0, 5) DELETE(1, 6) CHANGE(2, 7));
    hub_stream_close(stream);
}
END_TEST

/* Of several changes in one round only the last is sent: there is one row. */
START_TEST(test_burst)
{
    struct hub_stream *const stream = open_one(0, true);
    expect("");
    store.count = 1;
    store.objects[0].revision = 1;
    hub_changed(hub);
    store.objects[0].revision = 2;
    hub_changed(hub);
    store.objects[0].revision = 3;
    change(0, 4, false);
    expect(CHANGE(0, 4));
    ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 1); /* no timer is left */
    hub_stream_close(stream);
}
END_TEST

/* A thousand streams at one place cost a query each round, not a thousand. */
START_TEST(test_sharing)
{
    enum { STREAMS = 1000, STREAM_LIST_BYTES = 10165 /* 150 objects and the tail */ };
    static struct reader readers[STREAMS];
    static struct hub_stream *streams[STREAMS];
    const struct hub_watch one = watch(0, false);
    struct feeds feeds;
    feeds_init(&feeds, fetch, NULL);
    store.count = 150;
    for (size_t i = 0; i < store.count; i++)
        store.objects[i].revision = i + 1;
    for (size_t i = 0; i < STREAMS; i++) {
        readers[i] = (struct reader){.takes = true};
        streams[i] = hub_stream_open(hub, &one, 1, &output, &readers[i], reader_closed, &readers[i]);
        hub_stream_serve(streams[i]);
        ck_assert_uint_eq(readers[i].text.length, STREAM_LIST_BYTES);
        readers[i].text.length = 0;
    }
    struct feed *const feed = feed_open(&feeds, &one.query);
    ck_assert_ptr_eq(feed, feed_open(&feeds, &one.query));
    for (size_t i = 0; i < STREAMS; i++) {
        const struct feed_page *page;
        ck_assert_int_eq(feed_read(&feeds, feed, 0, &page), NX_OK);
        ck_assert_int_eq(feed_read(&feeds, feed, 100, &page), NX_OK);
        ck_assert_uint_eq(page->count, 50);
    }
    ck_assert_uint_eq(feeds.fetches, 2);
    feed_close(&feeds, feed);
    feed_close(&feeds, feed);
    change(7, 1000, false);
    for (size_t i = 0; i < STREAMS; i++) {
        ck_assert_uint_eq(readers[i].text.length, strlen(CHANGE(7, 1000)));
        json_out_free(&readers[i].text);
        hub_stream_close(streams[i]);
    }
}
END_TEST

/* A reader that takes nothing is given one bound's worth, and the rest as it reads. */
START_TEST(test_slow_reader)
{
    store.count = OBJECTS_MAX;
    for (size_t i = 0; i < store.count; i++)
        store.objects[i].revision = i + 1;
    reader.takes = false;
    struct hub_stream *const stream = open_one(0, false);
    const size_t first = reader.text.length;
    ck_assert_uint_ge(first, HUB_STREAM_BYTES);
    ck_assert_uint_le(first, HUB_STREAM_BYTES + FEED_PAGE_ROWS * 128);
    change(0, OBJECTS_MAX + 1, false);
    hub_stream_serve(stream);
    ck_assert_uint_eq(reader.text.length, first);
    while (reader.unread > 0) {
        reader.unread = 0;
        hub_stream_serve(stream);
    }
    reader.text.length -= strlen(TAIL);
    ck_assert_mem_eq(reader.text.data + reader.text.length, TAIL, strlen(TAIL));
    ck_assert(memmem(reader.text.data, reader.text.length, CHANGE(0, 1001), strlen(CHANGE(0, 1001))) != NULL);
    hub_stream_close(stream);
}
END_TEST

START_TEST(test_several_watches)
{
    struct hub_watch several[2] = {watch(0, false), watch(0, false)};
    several[1].query.kind = FEED_METADATA;
    store.count = 1;
    store.objects[0].revision = 1;
    struct hub_stream *const stream =
        hub_stream_open(hub, several, 2, &output, &reader, reader_closed, &reader);
    hub_stream_serve(stream);
    expect(CHANGE(
        0,
        1) "{\"kind\":\"device-metadata\",\"type\":\"change\",\"value\":{\"id\":0,\"revision\":1}}\n\n" TAIL
           "{\"kind\":\"device-metadata\",\"type\":\"tail\"}\n\n");
    hub_stream_close(stream);
    struct hub_stream *const empty = hub_stream_open(hub, NULL, 0, &output, &reader, reader_closed, &reader);
    hub_stream_serve(empty);
    change(0, 2, false);
    expect("");
    hub_stream_close(empty);
}
END_TEST

START_TEST(test_store_fails)
{
    struct hub_stream *stream = open_one(0, false);
    expect(TAIL);
    store.err = NX_ESYS;
    change(0, 1, false);
    expect("{\"type\":\"error\",\"value\":{\"error\":\"internal server error\"}}\n\n");
    ck_assert(reader.ended && reader.closed);
    ck_assert_uint_eq(hub_streams(hub), 0);
    store.err = NX_OK;
    reader = (struct reader){.takes = true, .err = NX_ENOMEM, .text = reader.text};
    stream = open_one(0, false);
    ck_assert(reader.ended && reader.closed);
    (void)stream; /* gone */
    ck_assert_uint_eq(hub_streams(hub), 0);
}
END_TEST

START_TEST(test_kinds)
{
    enum feed_kind kind;
    ck_assert(feed_kind_parse("vpc", &kind));
    ck_assert_int_eq(kind, FEED_VPC);
    ck_assert(feed_kind_parse("security-group", &kind));
    ck_assert_int_eq(kind, FEED_SECURITY_GROUP);
    ck_assert(!feed_kind_parse("bogus", &kind));
    ck_assert(!feed_kind_parse("", &kind));
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_events");
    TCase *const cases = tcase_create("events");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_list_then_changes);
    tcase_add_test(cases, test_resume);
    tcase_add_test(cases, test_burst);
    tcase_add_test(cases, test_sharing);
    tcase_add_test(cases, test_slow_reader);
    tcase_add_test(cases, test_several_watches);
    tcase_add_test(cases, test_store_fails);
    tcase_add_test(cases, test_kinds);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
