/* Ten thousand requests, each with a fault chosen at random or none, several at once, some cancelled at a
 * random moment: at the end there are no more descriptors than before, hardly more memory, and the next
 * request works. The faults are the same in each run. */
#include "unit.h"

#include "certificates.h"
#include "common/clock.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 10000, WARM_UP = 1000, AT_ONCE = 8, GROWTH_MAX_BYTES = 512 << 10 };

static uint64_t state = 88172645463325252u;

/* xorshift64 */
static unsigned chance(unsigned below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % below);
}

static void answer_oddly(struct rig_connection *connection, void *arg)
{
    static char large[40001];
    (void)arg;
    memset(large, 'l', sizeof large - 1);
    switch (chance(16)) {
    case 0:
        rig_cut(connection);
        break;
    case 1:
        rig_write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
        rig_cut(connection);
        break;
    case 2:
        rig_write(connection, "garbage\r\n\r\n");
        break;
    case 3:
        rig_write(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
        break;
    case 4:
        rig_reply(connection, 200, "text/plain", large); /* more than was asked for */
        break;
    case 5:
        break; /* never */
    case 6:
        rig_reply(connection, 503, "text/plain", "later");
        rig_close(connection);
        break;
    case 7:
        rig_write(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        break; /* never ends */
    case 8:
        rig_write(connection,
                  "HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n");
        break;
    default:
        rig_reply(connection, 200, "application/json", "{\"ok\":true}");
        break;
    }
}

static struct rig_result *begin(void)
{
    static const char *const urls[] = {"https://api.test/a", "https://auth.test/b", "https://api.test:8443/c",
                                       "https://wrong.test/"};
    struct http_request request = rig_request(urls[chance(20) ? chance(3) : 3]);
    request.timeout_ms = 30 + chance(50);
    request.answer_max_bytes = 1000;
    request.bearer = "token";
    request.stream = chance(4) == 0;
    request.silence_ms = 20;
    if (chance(2)) {
        request.method = HTTP_POST;
        request.content_type = "application/json";
        request.body = "{\"some\":\"thing\"}";
        request.body_bytes = 16;
    }
    rig.manner = chance(30) == 0 ? RIG_REFUSES : chance(60) == 0 ? RIG_HANGS : RIG_OPENS;
    return rig_submit(&request);
}

static unsigned tallies[HTTP_OUT_OF_MEMORY + 1], cancelled;

static void end(struct rig_result **slot)
{
    struct rig_result *const result = *slot;
    if (result->ended)
        tallies[result->failure]++;
    else
        cancelled++;
    rig_result_free(result);
    *slot = NULL;
}

static void make_requests(unsigned count)
{
    struct rig_result *slots[AT_ONCE] = {NULL};
    unsigned begun = 0, ended = 0;
    while (ended < count) {
        bool waits = true; /* for events: nothing can be begun */
        for (int i = 0; i < AT_ONCE; i++) {
            if (slots[i] && !slots[i]->ended && chance(400) == 0)
                rig.http->cancel(rig.http, slots[i]->exchange);
            else if (slots[i] && !slots[i]->ended)
                continue;
            if (slots[i]) {
                end(&slots[i]);
                ended++;
            }
            if (begun < count) {
                slots[i] = begin();
                begun++;
                waits = false;
            }
        }
        if (ended < count)
            event_base_loop(rig.base, EVLOOP_ONCE | (waits ? 0 : EVLOOP_NONBLOCK));
    }
}

START_TEST(ten_thousand_requests_leave_nothing_behind)
{
    rig.server.handler = answer_oddly;
    make_requests(WARM_UP);
    rig_run_ms(50);
    const size_t descriptors = rig_descriptors();
    const size_t memory = mallinfo2().uordblks;
    make_requests(REQUESTS - WARM_UP);
    rig_run_ms(50);
    const size_t memory_after = mallinfo2().uordblks;
    const size_t descriptors_after = rig_descriptors();
    printf("memory %zu -> %zu bytes, descriptors %zu -> %zu, connections %u, cancelled %u, outcomes", memory,
           memory_after, descriptors, descriptors_after, rig.opens, cancelled);
    for (size_t i = 0; i < sizeof tallies / sizeof *tallies; i++)
        printf(" %u", tallies[i]);
    printf("\n");
    /* Idle connections are kept, at either end. */
    ck_assert_uint_le(descriptors_after, descriptors + 16);
    ck_assert_uint_le(memory_after, memory + GROWTH_MAX_BYTES);
    ck_assert_uint_eq(http_client_pending(rig.client), 0);
    ck_assert_uint_eq(rig.openings, 0);
    for (int failure = HTTP_DONE; failure <= HTTP_PROTOCOL; failure++)
        ck_assert_msg(tallies[failure] > 10, "%d: %u", failure, tallies[failure]);
    rig_client_renew(NULL);
    rig_run_ms(50);
    ck_assert_uint_eq(rig.server.open, 0);
    rig.manner = RIG_OPENS;
    const struct http_request request = rig_request("https://api.test/");
    for (;;) {
        struct rig_result *const result = rig_await(rig_submit(&request));
        const bool done = result->failure == HTTP_DONE && result->status == 200;
        rig_result_free(result);
        if (done)
            break;
    }
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, ten_thousand_requests_leave_nothing_behind);
}

int main(void)
{
    return unit_run("soak", add, 280);
}
