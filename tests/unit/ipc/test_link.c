/* A link while it lives: order, the bounded queue, descriptors on the way, holding back. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/ends.h"
#include "tests/unit/ipc/sockets.h"

#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 10000, QUEUE_MAX = 8 };

static struct ends ends;

/* -- Many messages, both ways at once, in order: on_message of ends.c checks the order. -- */

static uint32_t sent[2];

static void send_more(struct end *end)
{
    uint32_t *count = &sent[end == &ends.b];
    while (*count < MANY) {
        int err = result_send(end->link, *count + 1);
        if (err == NX_EAGAIN)
            return;
        ck_assert_int_eq(err, NX_OK);
        ++*count;
    }
}

START_TEST(ten_thousand_both_ways)
{
    ends_open(&ends, QUEUE_MAX);
    ends.a.then = ends.b.then = send_more;
    send_more(&ends.a);
    ck_assert_uint_lt(sent[0], MANY); /* it was too much at once */
    send_more(&ends.b);
    ends_wait(&ends, &ends.b.messages, MANY);
    ends_wait(&ends, &ends.a.messages, MANY);
    ck_assert_uint_gt(ends.a.writables, 0);
    ck_assert_uint_gt(ends.b.writables, 0);
    ck_assert_uint_eq(ends.a.closes + ends.b.closes, 0);
    ends_close(&ends);
}
END_TEST

/* -- The queue -- */

/* Sends until the queue is full; the number of messages that were taken. */
static uint32_t link_fill(struct ipc_link *link)
{
    uint32_t count = 0;
    int err;
    while ((err = result_send(link, count + 1)) == NX_OK)
        count++;
    ck_assert_int_eq(err, NX_EAGAIN);
    return count;
}

START_TEST(queue_is_bounded)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    uint32_t count = link_fill(ends.a.link), got = 0;
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), QUEUE_MAX);
    ck_assert_int_eq(result_send(ends.a.link, count + 1), NX_EAGAIN);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), QUEUE_MAX);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.a.writables, 0); /* nothing was read yet */
    while (got < count) {
        uint32_t request = raw_read(ends.fds[1]);
        if (request == 0) {
            ends_poll(&ends);
            continue;
        }
        ck_assert_uint_eq(request, ++got);
    }
    ck_assert_uint_eq(raw_read(ends.fds[1]), 0); /* what was refused is not sent */
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), 0);
    ends_wait(&ends, &ends.a.writables, 1);
    ck_assert_uint_eq(ends.a.writables, 1);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    ck_assert_uint_eq(raw_read(ends.fds[1]), 1);
    ends_close(&ends);
}
END_TEST

START_TEST(queue_of_none)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, 0);
    uint32_t count = link_fill(ends.a.link);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), 0);
    for (uint32_t i = 1; i <= count; i++)
        ck_assert_uint_eq(raw_read(ends.fds[1]), i);
    ends_wait(&ends, &ends.a.writables, 1);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    ends_close(&ends);
}
END_TEST

/* A sender who stops early hears of room too: with something queued once that is gone, otherwise at the next
 * turn of the loop; never inside the call, and once a wish. */
START_TEST(room_is_awaited_before_the_queue_is_full)
{
    ends_open(&ends, QUEUE_MAX);
    ipc_link_await_room(ends.a.link);
    ck_assert_uint_eq(ends.a.writables, 0);
    ends_wait(&ends, &ends.a.writables, 1);
    uint32_t count = 0;
    ipc_link_hold(ends.b.link, true);
    while (ipc_link_queued(ends.a.link) < 2)
        ck_assert_int_eq(result_send(ends.a.link, ++count), NX_OK);
    ipc_link_await_room(ends.a.link);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.a.writables, 1);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), 2);
    ipc_link_hold(ends.b.link, false);
    ends_wait(&ends, &ends.a.writables, 2);
    ends_wait(&ends, &ends.b.messages, count);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.a.writables, 2);
    ends_close(&ends);
}
END_TEST

START_TEST(descriptors_survive_the_queue)
{
    enum { COUNT = 5 };
    uint64_t identities[COUNT];
    ends_open(&ends, QUEUE_MAX);
    ends.b.last_request = 0;
    uint32_t count = 0;
    ipc_link_hold(ends.b.link, true);
    while (ipc_link_queued(ends.a.link) == 0)
        ck_assert_int_eq(result_send(ends.a.link, ++count), NX_OK);
    for (size_t i = 0; i < COUNT; i++) {
        int fd = socket_of(IPC_FD_UDP_BOUND, 0);
        identities[i] = fd_identity(fd);
        ck_assert_int_eq(egress_udp_send(ends.a.link, ++count, fd), NX_OK);
        close(fd); /* ours; the queue has its own */
    }
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), COUNT + 1);
    ipc_link_hold(ends.b.link, false);
    ends_wait(&ends, &ends.b.messages, count);
    ck_assert_uint_eq(ends.b.fd_count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        ck_assert_uint_eq(fd_identity(ends.b.fds_taken[i]), identities[i]);
    ends_close(&ends);
}
END_TEST

/* A descriptor that the callee leaves in the message is closed after it. */
START_TEST(descriptors_left_are_closed)
{
    enum { TAKEN = sizeof ends.b.fds_taken / sizeof ends.b.fds_taken[0], ALL = TAKEN + 20 };
    ends_open(&ends, QUEUE_MAX);
    int fd = socket_of(IPC_FD_UDP_BOUND, 0);
    size_t before = open_fds();
    for (uint32_t i = 1; i <= ALL; i++) {
        ck_assert_int_eq(egress_udp_send(ends.a.link, i, fd), NX_OK);
        ends_wait(&ends, &ends.b.messages, i);
    }
    ck_assert_uint_eq(open_fds(), before + TAKEN);
    close(fd);
    ends_close(&ends);
}
END_TEST

START_TEST(freed_with_a_full_queue)
{
    ends_open(&ends, QUEUE_MAX);
    ipc_link_hold(ends.b.link, true);
    int fd = socket_of(IPC_FD_UDP_BOUND, 0);
    uint32_t request = 0;
    while (egress_udp_send(ends.a.link, ++request, fd) == NX_OK)
        ;
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), QUEUE_MAX);
    close(fd);
    ends_close(&ends); /* checks that no descriptor is left */
}
END_TEST

START_TEST(held)
{
    ends_open(&ends, QUEUE_MAX);
    ipc_link_hold(ends.b.link, true);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.b.messages, 0);
    ck_assert_int_eq(result_send(ends.b.link, 1), NX_OK); /* only receiving stops */
    ends_wait(&ends, &ends.a.messages, 1);
    ipc_link_hold(ends.b.link, false);
    ends_wait(&ends, &ends.b.messages, 1);
    ends_close(&ends);
}
END_TEST

static void hold_self(struct end *end)
{
    ipc_link_hold(end->link, true);
}

/* Not one message more is handed over, though they have been sent already. */
START_TEST(held_from_inside)
{
    ends_open(&ends, QUEUE_MAX);
    ends.b.then = hold_self;
    for (uint32_t i = 1; i <= 3; i++)
        ck_assert_int_eq(result_send(ends.a.link, i), NX_OK);
    for (unsigned i = 1; i <= 3; i++) {
        ends_wait(&ends, &ends.b.messages, i);
        ends_poll(&ends);
        ck_assert_uint_eq(ends.b.messages, i);
        ipc_link_hold(ends.b.link, false);
    }
    ends_close(&ends);
}
END_TEST

/* -- Flushing -- */

START_TEST(flush)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    ck_assert_int_eq(ipc_link_flush(ends.a.link, 0), NX_OK);
    uint32_t count = link_fill(ends.a.link), got = 0;
    ck_assert_int_eq(ipc_link_flush(ends.a.link, 20), NX_ETIMEDOUT);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), QUEUE_MAX);
    while (raw_read(ends.fds[1]) != 0)
        got++;
    ck_assert_int_eq(ipc_link_flush(ends.a.link, 1000), NX_OK);
    while (raw_read(ends.fds[1]) != 0)
        got++;
    ck_assert_uint_eq(got, count);
    close(ends.fds[1]);
    ends.fds[1] = -1;
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_ECLOSED);
    ck_assert_int_eq(ipc_link_flush(ends.a.link, 1000), NX_ECLOSED);
    ck_assert_int_eq(ipc_link_flush(NULL, 1000), NX_ECLOSED);
    ends_close(&ends);
}
END_TEST

/* -- Bugs of the caller -- */

START_TEST(wrong_bodies_are_not_sent)
{
    const struct ipc_egress_udp portless = {.port = 0, .fd = 0}, closed = {.port = 1, .fd = 1 << 20};
    ends_open(&ends, QUEUE_MAX);
    ck_assert_int_eq(ipc_send(ends.a.link, (enum ipc_type)0, 1, &portless), NX_EINVAL);
    ck_assert_int_eq(ipc_send(ends.a.link, IPC_MSG_EGRESS_UDP, 1, &portless), NX_ERANGE);
    ck_assert_int_eq(ipc_send(ends.a.link, IPC_MSG_EGRESS_UDP, 1, &closed), NX_EINVAL);
    ck_assert_int_eq(ipc_send(NULL, IPC_MSG_EGRESS_UDP, 1, &portless), NX_ECLOSED);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    ends_wait(&ends, &ends.b.messages, 1);
    ck_assert_uint_eq(ends.a.closes, 0);
    ends_close(&ends);
}
END_TEST

START_TEST(request_ids)
{
    ends_open(&ends, QUEUE_MAX);
    for (uint32_t i = 1; i < 100; i++)
        ck_assert_uint_eq(ipc_next_request(ends.a.link), i);
    ends_close(&ends);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, ten_thousand_both_ways);
    tcase_add_test(tcase, queue_is_bounded);
    tcase_add_test(tcase, queue_of_none);
    tcase_add_test(tcase, room_is_awaited_before_the_queue_is_full);
    tcase_add_test(tcase, descriptors_survive_the_queue);
    tcase_add_test(tcase, descriptors_left_are_closed);
    tcase_add_test(tcase, freed_with_a_full_queue);
    tcase_add_test(tcase, held);
    tcase_add_test(tcase, held_from_inside);
    tcase_add_test(tcase, flush);
    tcase_add_test(tcase, wrong_bodies_are_not_sent);
    tcase_add_test(tcase, request_ids);
}

int main(void)
{
    return unit_run("ipc_link", fill);
}
