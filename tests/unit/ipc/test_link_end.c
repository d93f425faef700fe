/* How a link ends: told once, after all that was said before, and by whoever frees it wherever they do. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/ends.h"
#include "tests/unit/ipc/sockets.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_MAX = 8 };

static struct ends ends;

static void other_end_close(void)
{
    close(ends.fds[1]);
    ends.fds[1] = -1;
}

static void check_ended(int err)
{
    ends_wait(&ends, &ends.a.closes, 1);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.a.closes, 1);
    ck_assert_int_eq(ends.a.err, err);
    ck_assert_uint_gt(strlen(ends.a.why), 0);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_ECLOSED);
}

START_TEST(end_of_file)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    for (uint32_t i = 1; i <= 200; i++) /* more than one turn takes */
        result_write(ends.fds[1], i);
    other_end_close();
    check_ended(NX_ECLOSED);
    ck_assert_uint_eq(ends.a.messages, 200);
    ends_close(&ends);
}
END_TEST

/* The other side dies with messages unread: the kernel tells of the reset before the last words. */
START_TEST(last_words_of_a_crash)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    for (uint32_t i = 1; i <= 3; i++)
        result_write(ends.fds[1], i);
    other_end_close();
    if (_i > 0) /* the reset is told to a sender */
        ck_assert_int_eq(result_send(ends.a.link, 2), NX_ECLOSED);
    check_ended(NX_ECLOSED);
    ck_assert_uint_eq(ends.a.messages, 3);
    ends_close(&ends);
}
END_TEST

/* The same, found by the queue. */
START_TEST(last_words_before_a_full_queue)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    uint32_t count = 0;
    while (result_send(ends.a.link, ++count) == NX_OK)
        ;
    for (uint32_t i = 1; i <= 200; i++)
        result_write(ends.fds[1], i);
    other_end_close();
    check_ended(NX_ECLOSED);
    ck_assert_uint_eq(ends.a.messages, 200);
    ck_assert_uint_eq(ends.a.writables, 0);
    ends_close(&ends);
}
END_TEST

START_TEST(nothing_more_is_taken)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    for (uint32_t i = 1; i <= 200; i++)
        result_write(ends.fds[1], i);
    ck_assert_int_eq(shutdown(ends.fds[1], SHUT_RD), 0);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_ECLOSED);
    check_ended(NX_ECLOSED);
    ck_assert_uint_eq(ends.a.messages, 200);
    ends_close(&ends);
}
END_TEST

START_TEST(held_until_after_the_end)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    ipc_link_hold(ends.a.link, true);
    result_write(ends.fds[1], 1);
    other_end_close();
    if (_i > 0)
        ck_assert_int_eq(result_send(ends.a.link, 1), NX_ECLOSED);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.a.messages + ends.a.closes, 0);
    ipc_link_hold(ends.a.link, false);
    check_ended(NX_ECLOSED);
    ck_assert_uint_eq(ends.a.messages, 1);
    ends_close(&ends);
}
END_TEST

/* -- Broken protocol -- */

/* What ends a link, sent between two good messages. */
static void garbage_write(int which)
{
    static uint8_t wire[IPC_DATAGRAM_MAX + 100];
    int fds[40];
    size_t fd_count = 0;
    char error[IPC_ERROR_MAX];
    const struct ipc_hello hello = {.version = IPC_VERSION, .role = IPC_TUNNELD, .pid = 1};
    size_t length = sizeof wire;
    switch (which) {
    case 0:
        length = 1;
        break;
    case 1: /* longer than any message */
        break;
    case 2: /* from tunneld to the parent only */
        length = (size_t)ipc_encode(IPC_MSG_HELLO, 1, &hello, wire, fds, &fd_count, error);
        break;
    case 3: /* as many descriptors as there is room for */
        length = 12;
        fd_count = IPC_FDS_MAX;
        break;
    case 4: /* more */
        length = 12;
        fd_count = 40;
        break;
    default: /* descriptors alone: no end of file */
        length = 0;
        fd_count = 1;
    }
    for (size_t i = 0; i < fd_count; i++)
        fds[i] = ends.fds[1];
    ck_assert_int_eq(raw_write(ends.fds[1], wire, length, fds, fd_count), 0);
}

START_TEST(protocol_error)
{
    static const char *const reasons[] = {
        "header.length: truncated",
        "header.length: datagram too long",
        "HELLO.type: not from this sender",
        "header.version: of another build",
        "header.descriptors: more than any message has",
        "header.length: truncated",
    };
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    size_t before = open_fds();
    result_write(ends.fds[1], 1);
    garbage_write(_i);
    result_write(ends.fds[1], 2);
    check_ended(NX_EPROTO);
    ck_assert_str_eq(ends.a.why, reasons[_i]);
    ck_assert_uint_eq(ends.a.messages, 1);
    ck_assert_uint_eq(open_fds(), before);
    ends_close(&ends);
}
END_TEST

/* -- Freed inside callbacks -- */

START_TEST(freed_in_message)
{
    ends_open(&ends, QUEUE_MAX);
    ends.b.free_when = FREE_IN_MESSAGE;
    int fd = socket_of(IPC_FD_UDP_BOUND, 0);
    for (uint32_t i = 1; i <= 3; i++)
        ck_assert_int_eq(egress_udp_send(ends.a.link, i, fd), NX_OK);
    close(fd);
    ends_wait(&ends, &ends.a.closes, 1);
    ck_assert_uint_eq(ends.b.messages, 1);
    ck_assert_uint_eq(ends.b.closes, 0); /* who frees it need not be told */
    ends_close(&ends);
}
END_TEST

START_TEST(freed_in_close)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    ends.a.free_when = FREE_IN_CLOSE;
    if (_i == 0)
        garbage_write(0);
    while (_i == 1 && result_send(ends.a.link, 1) == NX_OK) /* with a queue */
        ;
    other_end_close();
    ends_wait(&ends, &ends.a.closes, 1);
    ends_poll(&ends);
    ck_assert_uint_eq(ends.a.closes, 1);
    ends_close(&ends);
}
END_TEST

START_TEST(freed_in_writable)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    ends.a.free_when = FREE_IN_WRITABLE;
    while (result_send(ends.a.link, 1) == NX_OK)
        ;
    while (raw_read(ends.fds[1]) != 0)
        ;
    ends_wait(&ends, &ends.a.writables, 1);
    ends_poll(&ends);
    ck_assert_ptr_null(ends.a.link);
    ends_close(&ends);
}
END_TEST

static void send_and_free(struct end *end)
{
    ck_assert_int_eq(result_send(end->link, 1), NX_OK);
    ipc_link_free(end->link);
    end->link = NULL;
}

START_TEST(freed_after_an_answer)
{
    ends_open(&ends, QUEUE_MAX);
    ends.b.then = send_and_free;
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    ends_wait(&ends, &ends.a.closes, 1);
    ck_assert_uint_eq(ends.a.messages, 1);
    ends_close(&ends);
}
END_TEST

START_TEST(no_socket)
{
    ends_open(&ends, QUEUE_MAX);
    struct end other = {0};
    /* A number that is no descriptor makes no link; a descriptor that is no socket makes one that ends. */
    ck_assert_ptr_null(
        ipc_link_new(ends.base, 1 << 20, IPC_PROXYD, IPC_TUNNELD, 1, QUEUE_MAX, &end_ops, &other));
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    other.link = ipc_link_new(ends.base, fds[0], IPC_PROXYD, IPC_TUNNELD, 1, QUEUE_MAX, &end_ops, &other);
    ck_assert_ptr_nonnull(other.link);
    ck_assert_int_eq(result_send(other.link, 1), NX_ECLOSED);
    ends_wait(&ends, &other.closes, 1);
    ck_assert_int_eq(other.err, NX_ESYS);
    ipc_link_free(other.link);
    close(fds[1]);
    ends_close(&ends);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, end_of_file);
    tcase_add_loop_test(tcase, last_words_of_a_crash, 0, 2);
    tcase_add_test(tcase, last_words_before_a_full_queue);
    tcase_add_test(tcase, nothing_more_is_taken);
    tcase_add_loop_test(tcase, held_until_after_the_end, 0, 2);
    tcase_add_loop_test(tcase, protocol_error, 0, 6);
    tcase_add_test(tcase, freed_in_message);
    tcase_add_loop_test(tcase, freed_in_close, 0, 2);
    tcase_add_test(tcase, freed_in_writable);
    tcase_add_test(tcase, freed_after_an_answer);
    tcase_add_test(tcase, no_socket);
}

int main(void)
{
    return unit_run("ipc_link_end", fill);
}
