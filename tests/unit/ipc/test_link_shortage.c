/* A link on a host short of descriptors, or of memory to watch them: nothing is lost that need not be, nobody
 * waits for ever, nothing spins. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/ends.h"
#include "tests/unit/ipc/sockets.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { QUEUE_MAX = 64 };

static struct ends ends;
static struct rlimit before;

/* As many descriptors as are open now; the lowest free number is past the limit. */
static void descriptors_limit(void)
{
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    ck_assert_int_ge(lowest, 0);
    close(lowest);
    const struct rlimit limit = {(rlim_t)lowest, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_lt(dup(0), 0);
}

static void descriptors_unlimit(void)
{
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

START_TEST(receiver_from_a_sibling)
{
    ends_open(&ends, QUEUE_MAX);
    int fd = socket_of(IPC_FD_UDP_BOUND, 0);
    descriptors_limit();
    ck_assert_int_eq(egress_udp_send(ends.a.link, 77, fd), NX_OK); /* would be out of order, if it came */
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    ends_wait(&ends, &ends.b.messages, 1);
    descriptors_unlimit();
    ck_assert_int_eq(egress_udp_send(ends.a.link, 2, fd), NX_OK);
    ends_wait(&ends, &ends.b.messages, 2);
    ck_assert_uint_eq(ends.b.fd_count, 1);
    ck_assert_uint_eq(ends.b.closes, 0);
    close(fd);
    ends_close(&ends);
}
END_TEST

START_TEST(receiver_from_the_parent)
{
    ends_open_one(&ends, IPC_TUNNELD, IPC_PARENT, QUEUE_MAX);
    struct ends up = ends; /* the parent's end, on the same loop */
    up.a = (struct end){0};
    up.a.link = ipc_link_new(ends.base, ends.fds[1], IPC_PARENT, IPC_TUNNELD, 1, QUEUE_MAX, &end_ops, &up.a);
    ends.fds[1] = -1;
    const struct ipc_tunnel_sockets sockets = {.udp4 = socket_of(IPC_FD_UDP_BOUND, 0), .udp6 = -1};
    descriptors_limit();
    ck_assert_int_eq(ipc_send(up.a.link, IPC_MSG_TUNNEL_SOCKETS, 1, &sockets), NX_OK);
    ends_wait(&ends, &ends.a.closes, 1);
    descriptors_unlimit();
    ck_assert_int_eq(ends.a.err, NX_ESYS);
    ck_assert_str_eq(ends.a.why, "out of descriptors");
    close(sockets.udp4);
    ipc_link_free(up.a.link);
    ends_close(&ends);
}
END_TEST

/* The queue cannot duplicate a descriptor, and is empty otherwise: no event of the socket's would tell. */
START_TEST(sender_is_told_to_go_on)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, QUEUE_MAX);
    int fd = socket_of(IPC_FD_UDP_BOUND, 0);
    socket_fill(&ends);
    descriptors_limit();
    ck_assert_int_eq(egress_udp_send(ends.a.link, 1, fd), NX_EAGAIN);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), 0);
    descriptors_unlimit();
    ends_wait(&ends, &ends.a.writables, 1);
    ck_assert_int_eq(egress_udp_send(ends.a.link, 1, fd), NX_OK);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), 1);
    close(fd);
    ends_close(&ends);
}
END_TEST

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    *(bool *)arg = true;
}

/* The kernel bounds the descriptors that are on their way, by the sender's RLIMIT_NOFILE; then the socket is
 * writable and yet takes nothing. */
START_TEST(too_many_in_flight)
{
    enum { LIMIT = 32, OWN_USER = 54321 };
    if (geteuid() == 0) /* root is not bounded; and the bound counts what is the user's */
        ck_assert_int_eq(setresuid(OWN_USER, OWN_USER, OWN_USER), 0);
    ends_open(&ends, QUEUE_MAX);
    ipc_link_hold(ends.b.link, true);
    const struct rlimit limit = {LIMIT, LIMIT};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int fd = socket_of(IPC_FD_UDP_BOUND, 0);
    uint32_t count = 0;
    while (ipc_link_queued(ends.a.link) == 0 && count < QUEUE_MAX)
        ck_assert_int_eq(egress_udp_send(ends.a.link, ++count, fd), NX_OK);
    ck_assert_uint_eq(ipc_link_queued(ends.a.link), 1);
    close(fd);

    bool over = false;
    const struct timeval window = {.tv_usec = 200 * 1000};
    struct event *timer = event_new(ends.base, -1, 0, on_time, &over);
    event_add(timer, &window);
    unsigned turns = 0;
    while (!over) {
        event_base_loop(ends.base, EVLOOP_ONCE);
        turns++;
    }
    event_free(timer);
    ck_assert_uint_lt(turns, 50);
    ck_assert_uint_gt(turns, 1);

    ipc_link_hold(ends.b.link, false);
    ends_wait(&ends, &ends.b.messages, count);
    ends_close(&ends);
}
END_TEST

/* -- A kernel that refuses to watch a socket -- */

struct watch {
    int fd, real; /* the loop's number for its epoll(7), and a duplicate of that */
};

static int epoll_find(void)
{
    char path[64], target[64];
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    int found = -1;
    for (struct dirent *entry; found < 0 && (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/fd/%.16s", entry->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strcmp(target, "anon_inode:[eventpoll]") == 0)
            found = atoi(entry->d_name);
    }
    closedir(dir);
    ck_assert_int_ge(found, 0);
    return found;
}

static void log_nothing(int severity, const char *text)
{
    (void)severity, (void)text;
}

/* Every epoll_ctl(2) of the loop fails until watching_mend(). */
static struct watch watching_break(void)
{
    struct watch watch = {.fd = epoll_find()};
    event_set_log_callback(log_nothing);
    watch.real = fcntl(watch.fd, F_DUPFD_CLOEXEC, 0);
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(watch.real, 0);
    ck_assert_int_eq(dup3(other, watch.fd, O_CLOEXEC), watch.fd);
    close(other);
    return watch;
}

static void watching_mend(const struct watch *watch)
{
    ck_assert_int_eq(dup3(watch->real, watch->fd, O_CLOEXEC), watch->fd);
    close(watch->real);
    event_set_log_callback(NULL);
}

START_TEST(sender_is_not_watched)
{
    ends_open_one(&ends, IPC_PROXYD, IPC_TUNNELD, 1);
    uint32_t count = socket_fill(&ends);
    struct watch watch = watching_break();
    ck_assert_int_eq(result_send(ends.a.link, count + 1), NX_OK);
    ck_assert_int_eq(result_send(ends.a.link, count + 2), NX_EAGAIN);
    watching_mend(&watch);
    for (uint32_t i = 1; i <= count; i++)
        ck_assert_uint_eq(raw_read(ends.fds[1]), i);
    ends_wait(&ends, &ends.a.writables, 1);
    ck_assert_uint_eq(raw_read(ends.fds[1]), count + 1);
    ends_close(&ends);
}
END_TEST

START_TEST(receiver_is_not_watched)
{
    ends_open(&ends, QUEUE_MAX);
    ipc_link_hold(ends.b.link, true);
    ck_assert_int_eq(result_send(ends.a.link, 1), NX_OK);
    struct watch watch = watching_break();
    ipc_link_hold(ends.b.link, false);
    watching_mend(&watch);
    ends_wait(&ends, &ends.b.messages, 1);
    ends_close(&ends);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, receiver_from_a_sibling);
    tcase_add_test(tcase, receiver_from_the_parent);
    tcase_add_test(tcase, sender_is_told_to_go_on);
    tcase_add_test(tcase, too_many_in_flight);
    tcase_add_test(tcase, sender_is_not_watched);
    tcase_add_test(tcase, receiver_is_not_watched);
}

int main(void)
{
    return unit_run("ipc_link_shortage", fill);
}
