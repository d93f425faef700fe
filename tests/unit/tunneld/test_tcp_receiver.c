/* Our stack as receiver, segment by segment: the test is the sender at the far end and sees each packet that
 * comes back, on the lab's clock. When an acknowledgement leaves (RFC 5681, 4.2; RFC 9293, 3.8.6.3), which
 * SACK blocks it carries and in which order (RFC 2018, 4; RFC 2883), how congestion is echoed (RFC
 * 3168, 6.1), and how the window follows. */
#include "common/clock.h"
#include "common/err.h"
#include "lab.h"
#include "tests/unit/common/unit.h"
#include "tunneld/netstack/netstack.h"
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IP_BYTES = 20,
    TCP_BYTES = 20,
    SEGMENT = 1380,
    PACKET_MAX = 2048,
    SEEN_MAX = 512,
    FAR_PORT = 40000,
    FIN = 1,
    SYN = 2,
    ACK = 16,
    ECE = 64,
    CWR = 128,
    ECT_0 = 2,
    CE = 3,
    MEMORY = 64 << 20,
    QUICK_SEGMENTS = 16, /* from the first full one on, as tcp_receive.c has it */
    WINDOW_SHIFT = 7,
    ROUND_TRIP_MS = 50,
};

/* A packet of ours, as the far end sees it. `at_ns` is when it left. */
struct seen {
    uint64_t at_ns;
    uint32_t ack;
    uint32_t window;
    uint8_t flags;
    unsigned blocks;
    uint32_t start[4], end[4];
};
static struct seen seen[SEEN_MAX];
static unsigned seen_count;
static uint8_t leaving[PACKET_MAX];
static size_t leaving_length;
static uint32_t our_sequence; /* that the far end expects next */
static unsigned window_shift;
static const uint32_t first = 1000; /* the far end's first byte */
static uint8_t payload[SEGMENT];

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void options_read(struct seen *to, const uint8_t *tcp, size_t length)
{
    enum { END = 0, NOP = 1, SCALE = 3, SACK = 5 };
    for (size_t at = TCP_BYTES; at < length && tcp[at] != END; at += tcp[at] == NOP ? 1 : tcp[at + 1]) {
        if (tcp[at] == SCALE)
            window_shift = tcp[at + 2];
        if (tcp[at] != SACK)
            continue;
        for (size_t block = at + 2; block < at + tcp[at + 1]; block += 8) {
            to->start[to->blocks] = get32(tcp + block) - first;
            to->end[to->blocks++] = get32(tcp + block + 4) - first;
        }
    }
}

static int mesh_begin(const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)dst;
    ck_assert_uint_le(length, sizeof leaving);
    leaving_length = length;
    *slot = leaving;
    return NX_OK;
}

static void mesh_end(void)
{
    const uint8_t *tcp = leaving + IP_BYTES;
    ck_assert_uint_lt(seen_count, SEEN_MAX);
    struct seen *to = &seen[seen_count++];
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    *to = (struct seen){.at_ns = lab_now_ns(), .ack = get32(tcp + 8) - first, .flags = tcp[13]};
    options_read(to, tcp, header);
    to->window = (uint32_t)(tcp[14] << 8 | tcp[15]) << (to->flags & SYN ? 0 : window_shift);
    our_sequence = get32(tcp + 4) + (uint32_t)(leaving_length - IP_BYTES - header) + ((to->flags & SYN) != 0);
}

/* A segment of the far end; `offset` is counted from its first byte of data. */
static void arrive(uint8_t flags, uint32_t offset, size_t length, unsigned mark)
{
    static const uint8_t opening[] = {2, 4, SEGMENT >> 8, SEGMENT & 0xff, 1, 3, 3, WINDOW_SHIFT, 1, 1, 4, 2};
    size_t options = flags & SYN ? sizeof opening : 0, total = IP_BYTES + TCP_BYTES + options + length;
    uint8_t packet[PACKET_MAX] = {0x45, (uint8_t)mark, (uint8_t)(total >> 8), (uint8_t)total};
    uint8_t *tcp = packet + IP_BYTES;
    struct netaddr from, to = lab_own(NETADDR_V4);
    ck_assert_int_eq(netaddr_parse("100.64.0.9", &from), NX_OK);
    packet[8] = 64;
    packet[9] = 6;
    memcpy(packet + 12, from.bytes, 4);
    memcpy(packet + 16, to.bytes, 4);
    tcp[0] = FAR_PORT >> 8;
    tcp[1] = FAR_PORT & 0xff;
    tcp[3] = LAB_PORT;
    put32(tcp + 4, first + offset);
    if (flags & ACK)
        put32(tcp + 8, our_sequence);
    tcp[12] = (uint8_t)((TCP_BYTES + options) / 4 << 4);
    tcp[13] = flags;
    tcp[14] = 0xff;
    memcpy(tcp + TCP_BYTES, opening, options);
    memcpy(tcp + TCP_BYTES + options, payload, length);
    netstack_input(packet, total, NULL);
}

/* The end of a batch: what it causes leaves. */
static void batch_ends(void)
{
    lab_turns(4);
}

static void segment(unsigned number)
{
    arrive(ACK, number * SEGMENT, SEGMENT, 0);
    batch_ends();
}

static const struct seen *last(void)
{
    ck_assert_uint_gt(seen_count, 0);
    return &seen[seen_count - 1];
}

/* How many packets of ours acknowledge more than those before, from `from` on. */
static unsigned advances(unsigned from)
{
    unsigned count = 0;
    uint32_t ack = from > 0 ? seen[from - 1].ack : 0;
    for (unsigned i = from; i < seen_count; i++) {
        count += seen[i].ack > ack;
        ack = seen[i].ack;
    }
    return count;
}

/* Established, with a round trip of 50 ms; the reader is lab.server. */
static void established(bool ecn)
{
    lab_start(100, MEMORY);
    lab_mesh_begin = mesh_begin;
    lab_mesh_end = mesh_end;
    arrive(ecn ? SYN | ECE | CWR : SYN, UINT32_MAX, 0, 0);
    for (unsigned i = 0; i < 1000 && seen_count == 0; i++)
        lab_turns(1);
    ck_assert_uint_eq(last()->flags, ecn ? SYN | ACK | ECE : SYN | ACK);
    ck_assert_uint_eq(last()->ack, 0);
    lab_advance_ms(ROUND_TRIP_MS);
    arrive(ACK, 0, 0, 0);
    batch_ends();
    seen_count = 0;
}

/* Past the segments that are acknowledged one by one; returns the number of the next. */
static unsigned past_quick(bool ecn)
{
    established(ecn);
    for (unsigned i = 0; i < QUICK_SEGMENTS; i++)
        segment(i);
    ck_assert_uint_eq(last()->ack, QUICK_SEGMENTS * SEGMENT);
    seen_count = 0;
    return QUICK_SEGMENTS;
}

START_TEST(the_first_full_segments_are_acknowledged_one_by_one)
{
    established(false);
    for (unsigned i = 0; i < QUICK_SEGMENTS; i++) {
        segment(i);
        ck_assert_uint_eq(last()->ack, (i + 1) * SEGMENT);
    }
}
END_TEST

START_TEST(a_request_waits_for_its_answer_to_be_acknowledged)
{
    established(false);
    arrive(ACK, 0, 100, 0);
    batch_ends();
    ck_assert_uint_eq(seen_count, 0);
    ck_assert_int_eq(send(lab.server, "answer", 6, 0), 6);
    batch_ends();
    ck_assert_uint_eq(seen_count, 1);
    ck_assert_uint_eq(last()->ack, 100);
}
END_TEST

START_TEST(every_second_full_segment_is_acknowledged)
{
    unsigned next = past_quick(false);
    for (unsigned i = 0; i < 100; i++) {
        segment(next + i);
        ck_assert_uint_ge(seen_count, (i + 1) / 2);
        ck_assert(i == 0 || last()->ack + SEGMENT >= (next + i + 1) * SEGMENT);
    }
    ck_assert_uint_ge(advances(0), 50);
}
END_TEST

START_TEST(one_segment_alone_is_acknowledged_in_time)
{
    unsigned next = past_quick(false);
    uint64_t begin_ns = lab_now_ns();
    segment(next);
    ck_assert_uint_eq(seen_count, 0);
    for (unsigned ms = 0; ms < 500 && seen_count == 0; ms += 10)
        lab_advance_ms(10);
    ck_assert_uint_eq(last()->ack, (next + 1) * SEGMENT);
    ck_assert_uint_le(last()->at_ns - begin_ns, 100 * NS_PER_MS); /* 500 ms is what the RFCs bear */
}
END_TEST

/* What comes in one system call is acknowledged by one packet, which leaves before the next call. */
START_TEST(a_batch_is_acknowledged_by_its_end)
{
    unsigned next = past_quick(false);
    for (unsigned i = 0; i < 40; i++)
        arrive(ACK, (next + i) * SEGMENT, SEGMENT, 0);
    batch_ends();
    ck_assert_uint_eq(last()->ack, (next + 40) * SEGMENT);
    ck_assert_uint_eq(advances(0), 1);
}
END_TEST

START_TEST(a_gap_is_told_at_once_and_its_end_too)
{
    unsigned next = past_quick(false);
    for (unsigned i = 1; i <= 5; i++) { /* `next` is lost */
        segment(next + i);
        ck_assert_uint_eq(seen_count, i);
        ck_assert_uint_eq(last()->ack, next * SEGMENT);
        ck_assert_uint_eq(last()->blocks, 1);
        ck_assert_uint_eq(last()->start[0], (next + 1) * SEGMENT);
        ck_assert_uint_eq(last()->end[0], (next + i + 1) * SEGMENT);
    }
    seen_count = 0;
    segment(next);
    ck_assert_uint_ge(seen_count, 1);
    ck_assert_uint_eq(last()->ack, (next + 6) * SEGMENT);
    ck_assert_uint_eq(last()->blocks, 0);
}
END_TEST

START_TEST(a_gap_that_is_filled_in_part_is_told_at_once)
{
    unsigned next = past_quick(false);
    segment(next + 3);
    seen_count = 0;
    segment(next);
    ck_assert_uint_ge(seen_count, 1);
    ck_assert_uint_eq(last()->ack, (next + 1) * SEGMENT);
    ck_assert_uint_eq(last()->blocks, 1);
    ck_assert_uint_eq(last()->start[0], (next + 3) * SEGMENT);
}
END_TEST

START_TEST(the_first_block_is_of_the_latest_segment_and_the_rest_of_those_before)
{
    unsigned next = past_quick(false);
    static const unsigned order[] = {2, 6, 4, 8, 10, 3, 12};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        segment(next + order[i]);
        ck_assert_uint_le(last()->start[0], (next + order[i]) * SEGMENT);
        ck_assert_uint_ge(last()->end[0], (next + order[i] + 1) * SEGMENT);
    }
    /* 12; then 2 to 4, which the last but one joined; then 10 and 8. */
    ck_assert_uint_eq(last()->blocks, 4);
    static const unsigned starts[] = {12, 2, 10, 8};
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(last()->start[i], (next + starts[i]) * SEGMENT);
    ck_assert_uint_eq(last()->end[1], (next + 5) * SEGMENT);
}
END_TEST

START_TEST(each_range_is_told_more_than_once)
{
    unsigned next = past_quick(false), told[12] = {0};
    for (unsigned i = 0; i < 12; i++)
        segment(next + 2 * i + 1);
    for (unsigned i = 0; i < seen_count; i++)
        for (unsigned k = 0; k < seen[i].blocks; k++)
            told[(seen[i].start[k] / SEGMENT - next - 1) / 2]++;
    for (unsigned i = 0; i < 9; i++) /* RFC 2018, 4: three times, so that two lost ACKs do no harm */
        ck_assert_uint_ge(told[i], 3);
}
END_TEST

START_TEST(a_duplicate_is_told_once_and_in_front_of_what_it_lies_in)
{
    unsigned next = past_quick(false);
    segment(next + 2);
    segment(next + 3);
    segment(next + 6);
    segment(next + 3); /* again */
    ck_assert_uint_eq(last()->blocks, 3);
    ck_assert_uint_eq(last()->start[0], (next + 3) * SEGMENT);
    ck_assert_uint_eq(last()->end[0], (next + 4) * SEGMENT);
    ck_assert_uint_eq(last()->start[1], (next + 2) * SEGMENT);
    ck_assert_uint_eq(last()->end[1], (next + 4) * SEGMENT);
    ck_assert_uint_eq(last()->start[2], (next + 6) * SEGMENT);
    segment(next - 1); /* acknowledged long ago */
    ck_assert_uint_eq(last()->start[0], (next - 1) * SEGMENT);
    ck_assert_uint_eq(last()->end[0], next * SEGMENT);
    segment(next + 7);
    ck_assert_uint_eq(last()->start[0], (next + 6) * SEGMENT);
    ck_assert_uint_eq(last()->blocks, 2);
}
END_TEST

START_TEST(congestion_is_echoed_until_the_sender_has_reduced)
{
    unsigned next = past_quick(true);
    arrive(ACK, next * SEGMENT, SEGMENT, ECT_0);
    arrive(ACK, (next + 1) * SEGMENT, SEGMENT, ECT_0);
    batch_ends();
    ck_assert_uint_eq(last()->flags & ECE, 0);
    arrive(ACK, (next + 2) * SEGMENT, SEGMENT, CE);
    arrive(ACK, (next + 3) * SEGMENT, SEGMENT, ECT_0);
    batch_ends();
    ck_assert_uint_eq(last()->flags & ECE, ECE);
    arrive(ACK, (next + 4) * SEGMENT, SEGMENT, ECT_0);
    arrive(ACK, (next + 5) * SEGMENT, SEGMENT, ECT_0);
    batch_ends();
    ck_assert_uint_eq(last()->flags & ECE, ECE);
    arrive(ACK | CWR, (next + 6) * SEGMENT, SEGMENT, ECT_0);
    arrive(ACK, (next + 7) * SEGMENT, SEGMENT, ECT_0);
    batch_ends();
    ck_assert_uint_eq(last()->flags & ECE, 0);
    ck_assert_uint_eq(last()->ack, (next + 8) * SEGMENT);
}
END_TEST

START_TEST(marks_without_agreement_are_no_news)
{
    unsigned next = past_quick(false);
    arrive(ACK, next * SEGMENT, SEGMENT, CE);
    arrive(ACK, (next + 1) * SEGMENT, SEGMENT, CE);
    batch_ends();
    ck_assert_uint_eq(last()->flags & ECE, 0);
}
END_TEST

/* The reader takes everything; the sender doubles what it sends in each round trip. */
START_TEST(the_window_follows_what_the_sender_uses)
{
    static uint8_t sink[1 << 20];
    established(false);
    uint32_t opening = 0, sent = 0;
    for (unsigned burst = 8; burst <= 512; burst *= 2) {
        for (unsigned i = 0; i < burst; i++, sent++)
            arrive(ACK, sent * SEGMENT, SEGMENT, 0);
        batch_ends();
        while (recv(lab.server, sink, sizeof sink, MSG_DONTWAIT) > 0)
            batch_ends();
        lab_advance_ms(ROUND_TRIP_MS);
        ck_assert_uint_eq(last()->ack, sent * SEGMENT);
        opening = opening == 0 ? last()->window : opening;
        ck_assert_uint_ge(last()->window, 2 * burst * SEGMENT); /* room for what comes in the next */
        seen[0] = *last();
        seen_count = 1;
    }
    ck_assert_uint_gt(last()->window, opening);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, the_first_full_segments_are_acknowledged_one_by_one);
    tcase_add_test(tcase, a_request_waits_for_its_answer_to_be_acknowledged);
    tcase_add_test(tcase, every_second_full_segment_is_acknowledged);
    tcase_add_test(tcase, one_segment_alone_is_acknowledged_in_time);
    tcase_add_test(tcase, a_batch_is_acknowledged_by_its_end);
    tcase_add_test(tcase, a_gap_is_told_at_once_and_its_end_too);
    tcase_add_test(tcase, a_gap_that_is_filled_in_part_is_told_at_once);
    tcase_add_test(tcase, the_first_block_is_of_the_latest_segment_and_the_rest_of_those_before);
    tcase_add_test(tcase, each_range_is_told_more_than_once);
    tcase_add_test(tcase, a_duplicate_is_told_once_and_in_front_of_what_it_lies_in);
    tcase_add_test(tcase, congestion_is_echoed_until_the_sender_has_reduced);
    tcase_add_test(tcase, marks_without_agreement_are_no_news);
    tcase_add_test(tcase, the_window_follows_what_the_sender_uses);
}

int main(void)
{
    return unit_run("tcp_receiver", fill);
}
