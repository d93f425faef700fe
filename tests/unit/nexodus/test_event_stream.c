/* The stream of events: recorded ones however they are cut, events that are none, and hostile streams, which
 * end without having cost more than a bound. */
#include "common/err.h"
#include "ctld/nexodus/event_stream.h"
#include "ctld/nexodus/models.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

static char error[JSON_ERROR_MAX];

struct tally {
    unsigned events, change[5], delete[5], tail[5];
    uint64_t revision_sum;
    int err;
    size_t pending;
};

static void count(struct tally *tally, const struct event *event)
{
    tally->events++;
    tally->revision_sum += event->revision;
    tally->change[event->kind] += event->type == EVENT_CHANGE;
    tally->delete[event->kind] += event->type == EVENT_DELETE;
    tally->tail[event->kind] += event->type == EVENT_TAIL;
}

/* Feeds everything in pieces, and goes on over events that are none. */
static struct tally feed(const char *text, size_t length, size_t piece)
{
    struct event_stream *const stream = event_stream_new();
    struct tally tally = {.err = NX_EAGAIN};
    size_t at = 0;
    while (at < length && (tally.err == NX_EAGAIN || tally.err == NX_OK || tally.err == NX_EINVAL)) {
        const size_t chunk = length - at < piece ? length - at : piece;
        size_t consumed;
        struct event event;
        tally.err = event_stream_feed(stream, text + at, chunk, &consumed, &event, error);
        if (tally.err == NX_EAGAIN)
            ck_assert_uint_eq(consumed, chunk);
        ck_assert(tally.err != NX_EAGAIN || consumed > 0);
        if (tally.err == NX_OK)
            count(&tally, &event);
        at += consumed;
    }
    tally.pending = event_stream_pending(stream);
    event_stream_free(stream);
    return tally;
}

START_TEST(a_recorded_stream_in_pieces)
{
    size_t length;
    char *const text = fixture("events-all-kinds.stream", &length);
    const struct tally whole = feed(text, length, length);
    ck_assert_uint_eq(whole.pending, 0);
    ck_assert_uint_ge(whole.change[EVENT_DEVICE], 3);
    ck_assert_uint_ge(whole.delete[EVENT_DEVICE], 1);
    ck_assert_uint_ge(whole.change[EVENT_SECURITY_GROUP], 3);
    ck_assert_uint_ge(whole.change[EVENT_DEVICE_METADATA], 1);
    ck_assert_uint_ge(whole.change[EVENT_VPC], 2);
    for (enum event_kind kind = EVENT_DEVICE; kind <= EVENT_VPC; kind++)
        ck_assert_msg(whole.tail[kind] == 1, "%s", event_kind_name(kind));
    ck_assert_uint_eq(whole.change[EVENT_KIND_OTHER] + whole.tail[EVENT_KIND_OTHER], 0);
    ck_assert_uint_gt(whole.revision_sum, 0);
    static const size_t pieces[] = {1, 2, 3, 7, 64, 1000, 1448, 4096};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const struct tally cut = feed(text, length, pieces[i]);
        ck_assert_uint_eq(cut.events, whole.events);
        ck_assert_uint_eq(cut.revision_sum, whole.revision_sum);
        ck_assert(memcmp(cut.change, whole.change, sizeof cut.change) == 0);
    }
    free(text);
}
END_TEST

START_TEST(every_value_can_be_decoded)
{
    size_t length, at = 0;
    char *const text = fixture("events-all-kinds.stream", &length);
    struct event_stream *const stream = event_stream_new();
    while (at < length) {
        struct event event;
        size_t consumed;
        const int err = event_stream_feed(stream, text + at, length - at, &consumed, &event, error);
        at += consumed;
        if (err == NX_EAGAIN)
            break;
        ck_assert_msg(err == NX_OK, "%s", error);
        struct api_device device;
        struct api_security_group group;
        struct api_device_metadata metadata;
        struct api_vpc vpc;
        if (!event.value)
            continue;
        switch (event.kind) {
        case EVENT_DEVICE:
            ck_assert_msg(api_device_decode(event.value, API_DEVICE_ANY, &device, error) == NX_OK, "%s",
                          error);
            ck_assert_uint_eq(device.revision, event.revision);
            ck_assert((device.public_key[0] == '\0') == (event.type == EVENT_DELETE));
            ck_assert_str_eq(device.sealed_token, "");
            break;
        case EVENT_SECURITY_GROUP:
            ck_assert_msg(api_security_group_decode(event.value, &group, error) == NX_OK, "%s", error);
            api_security_group_free(&group);
            break;
        case EVENT_DEVICE_METADATA:
            ck_assert_msg(api_device_metadata_decode(event.value, &metadata, error) == NX_OK, "%s", error);
            break;
        case EVENT_VPC:
            ck_assert_msg(api_vpc_decode(event.value, &vpc, error) == NX_OK, "%s", error);
            break;
        case EVENT_KIND_OTHER:
            ck_abort_msg("a kind that is not known");
        }
    }
    event_stream_free(stream);
    free(text);
}
END_TEST

START_TEST(single_events)
{
    static const struct {
        const char *text;
        int err;
        enum event_kind kind;
        enum event_type type;
        uint64_t revision;
        const char *said;
    } cases[] = {
        {"{\"kind\":\"device\",\"type\":\"tail\"}", NX_OK, EVENT_DEVICE, EVENT_TAIL, 0, ""},
        {"{\"type\":\"tail\",\"kind\":\"device\",\"value\":null}", NX_OK, EVENT_DEVICE, EVENT_TAIL, 0, ""},
        {"{\"kind\":\"site\",\"type\":\"change\",\"value\":{\"revision\":7}}", NX_OK, EVENT_KIND_OTHER,
         EVENT_CHANGE, 7, ""},
        {"{\"kind\":\"other\",\"type\":\"tail\"}", NX_OK, EVENT_KIND_OTHER, EVENT_TAIL, 0, ""},
        {"{\"kind\":\"device\",\"type\":\"later\",\"value\":[]}", NX_OK, EVENT_DEVICE, EVENT_OTHER, 0, ""},
        {"{\"kind\":\"device\",\"type\":\"bookmark\",\"value\":{\"revision\":9}}", NX_OK, EVENT_DEVICE,
         EVENT_BOOKMARK, 9, ""},
        {"{\"kind\":\"device\",\"type\":\"\",\"value\":{}}", NX_OK, EVENT_DEVICE, EVENT_OTHER, 0, ""},
        {"{\"type\":\"close\"}", NX_OK, EVENT_KIND_OTHER, EVENT_CLOSE, 0, ""},
        {"{\"type\":\"error\",\"value\":{\"error\":\"no\\u0007 more\"}}", NX_OK, EVENT_KIND_OTHER,
         EVENT_ERROR, 0, "no? more"},
        {"{\"type\":\"error\",\"value\":\"plain\"}", NX_OK, EVENT_KIND_OTHER, EVENT_ERROR, 0, "plain"},
        {"{\"type\":\"error\"}", NX_OK, EVENT_KIND_OTHER, EVENT_ERROR, 0, ""},
        {"{\"type\":\"error\",\"value\":{\"error\":7}}", NX_OK, EVENT_KIND_OTHER, EVENT_ERROR, 0, ""},
        {"{\"error\":\"invalid data in field\",\"field\":\"request[0].kind\"}", NX_OK, EVENT_KIND_OTHER,
         EVENT_ERROR, 0, "invalid data in field"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"revision\":9223372036854775807}}", NX_OK,
         EVENT_DEVICE, EVENT_CHANGE, INT64_MAX, ""},
        {"{}", NX_EINVAL, 0, 0, 0, "type: missing"},
        {"[]", NX_EINVAL, 0, 0, 0, "not an object"},
        {"{\"kind\":\"device\"}", NX_EINVAL, 0, 0, 0, "type: missing"},
        {"{\"kind\":7,\"type\":\"tail\"}", NX_EINVAL, 0, 0, 0, "kind: not a string"},
        {"{\"kind\":\"device\",\"type\":{}}", NX_EINVAL, 0, 0, 0, "type: not a string"},
        {"{\"kind\":\"device\",\"type\":\"change\"}", NX_EINVAL, 0, 0, 0, "value: missing"},
        {"{\"kind\":\"device\",\"type\":\"delete\",\"value\":null}", NX_EINVAL, 0, 0, 0, "value: missing"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":\"x\"}", NX_EINVAL, 0, 0, 0,
         "value: not an object"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"revision\":-1}}", NX_EINVAL, 0, 0, 0,
         "value.revision: not a whole number"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"revision\":9223372036854775808}}", NX_EINVAL,
         0, 0, 0, "value.revision: not within 0..9223372036854775807"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"revision\":\"7\"}}", NX_EINVAL, 0, 0, 0,
         "value.revision: not a number"},
    };
    struct event_stream *const stream = event_stream_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct event event;
        size_t consumed;
        ck_assert_msg(event_stream_feed(stream, cases[i].text, strlen(cases[i].text), &consumed, &event,
                                        error) == cases[i].err,
                      "%s: %s", cases[i].text, error);
        ck_assert_uint_eq(consumed, strlen(cases[i].text));
        ck_assert_int_eq(event.kind, cases[i].kind);
        ck_assert_int_eq(event.type, cases[i].type);
        ck_assert_uint_eq(event.revision, cases[i].revision);
        ck_assert_str_eq(cases[i].err ? error : event.error, cases[i].said);
    }
    event_stream_free(stream);
    event_stream_free(NULL);
}
END_TEST

START_TEST(an_event_that_is_none_is_passed_over)
{
    static const char text[] = "{\"kind\":\"device\",\"type\":\"tail\"}\n\n{\"kind\":1}\n\n[1,2]"
                               "{\"kind\":\"vpc\",\"type\":\"tail\"}\n\n{\"kind\":\"dev";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        const struct tally tally = feed(text, sizeof text - 1, piece);
        ck_assert_uint_eq(tally.events, 2);
        ck_assert_uint_eq(tally.tail[EVENT_VPC], 1);
        ck_assert_int_eq(tally.err, NX_EAGAIN);
        ck_assert_uint_eq(tally.pending, strlen("{\"kind\":\"dev"));
    }
}
END_TEST

START_TEST(what_is_not_json_ends_it)
{
    static const char *const cases[] = {
        "{\"kind\":\"device\",\"type\":\"tail\"}\n\nJwt is missing",
        "{\"kind\":\"device\",\"type\":\"tail\"}\n\n{\"kind\":\"d\xff\"}",
        "{\"kind\":\"device\",\"type\":\"tail\"},{\"kind\":\"device\",\"type\":\"tail\"}",
        "{\"kind\":\"device\",\"type\":\"tail\"}}"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tally tally = feed(cases[i], strlen(cases[i]), 5);
        ck_assert_uint_eq(tally.events, 1);
        ck_assert_int_eq(tally.err, NX_EPROTO);
    }
    /* It stays ended, until the next connection. */
    struct event_stream *const stream = event_stream_new();
    static const char tail[] = "{\"kind\":\"device\",\"type\":\"tail\"}";
    struct event event;
    size_t consumed;
    ck_assert_int_eq(event_stream_feed(stream, "x", 1, &consumed, &event, error), NX_EPROTO);
    ck_assert_int_eq(event_stream_feed(stream, tail, sizeof tail - 1, &consumed, &event, error), NX_EPROTO);
    event_stream_reset(stream);
    ck_assert_int_eq(event_stream_feed(stream, tail, 9, &consumed, &event, error), NX_EAGAIN);
    event_stream_reset(stream);
    ck_assert_int_eq(event_stream_feed(stream, tail, sizeof tail - 1, &consumed, &event, error), NX_OK);
    event_stream_free(stream);
}
END_TEST

static size_t heap_used(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

START_TEST(hostile_streams_cost_a_bound)
{
    static const struct {
        const char *head, *unit;
    } cases[] = {
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"hostname\":\"", "0123456789abcdef"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"id\":", "[[[[[[[[[["},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"allowed_ips\":[0", ",0,0,0,0,0,0,0,0"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"id\":0", ",\"id\":0,\"id\":0"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"endpoints\":[{}", ",{\"address\":\"\"}"},
        {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"revision\":1", "1111111111111111"},
        {"{", "                "},
    };
    const size_t bound = 6 * event_stream_limits.bytes_max + 96 * event_stream_limits.values_max;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t before = heap_used();
        struct event_stream *const stream = event_stream_new();
        struct event event;
        size_t consumed, total = 0, peak = 0;
        int err = event_stream_feed(stream, cases[i].head, strlen(cases[i].head), &consumed, &event, error);
        while (err == NX_EAGAIN && total < 16 << 20) {
            err = event_stream_feed(stream, cases[i].unit, strlen(cases[i].unit), &consumed, &event, error);
            total += consumed;
            const size_t now = heap_used();
            peak = now > before && now - before > peak ? now - before : peak;
        }
        ck_assert_msg(err == NX_ERANGE, "%zu: %s", i, error);
        ck_assert_uint_le(total, event_stream_limits.bytes_max);
        ck_assert_msg(peak <= bound, "%zu: %zu bytes", i, peak);
        event_stream_free(stream);
    }
}
END_TEST

/* Endless blanks and endless events cost nothing that adds up. */
START_TEST(streams_may_be_long)
{
    struct event_stream *const stream = event_stream_new();
    static const char event_text[] =
        "{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"revision\":1}}\n\n";
    char blanks[4096];
    memset(blanks, '\n', sizeof blanks);
    size_t after_first = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct event event;
        size_t consumed;
        ck_assert_int_eq(event_stream_feed(stream, blanks, sizeof blanks, &consumed, &event, error),
                         NX_EAGAIN);
        ck_assert_int_eq(
            event_stream_feed(stream, event_text, sizeof event_text - 1, &consumed, &event, error), NX_OK);
        if (i == 10)
            after_first = heap_used();
    }
    ck_assert_uint_le(heap_used(), after_first + 16384);
    event_stream_free(stream);
}
END_TEST

START_TEST(kinds_have_names)
{
    ck_assert_str_eq(event_kind_name(EVENT_DEVICE_METADATA), "device-metadata");
    ck_assert_str_eq(event_kind_name(EVENT_KIND_OTHER), "other");
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, a_recorded_stream_in_pieces);
    tcase_add_test(tcase, every_value_can_be_decoded);
    tcase_add_test(tcase, single_events);
    tcase_add_test(tcase, an_event_that_is_none_is_passed_over);
    tcase_add_test(tcase, what_is_not_json_ends_it);
    tcase_add_test(tcase, hostile_streams_cost_a_bound);
    tcase_add_test(tcase, streams_may_be_long);
    tcase_add_test(tcase, kinds_have_names);
}

int main(void)
{
    return unit_run("nexodus/event_stream", fill);
}
