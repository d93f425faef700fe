#include "tests/unit/child/stage.h"

#include "child/child.h"
#include "common/err.h"
#include "common/log.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- The child -- */

struct actor {
    enum stage_child what;
    bool was_set_up;
    unsigned turns_left, turns; /* CHILD_TURNS: still wanted; since the last wanted one */
    struct event *window;
};

static struct child *the_child;

static void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void report(const char *format, ...)
{
    struct ipc_result result = {.result = IPC_OK};
    va_list args;
    va_start(args, format);
    vsnprintf(result.text, sizeof result.text, format, args);
    va_end(args);
    if (ipc_send(child_link(the_child, IPC_PARENT), IPC_MSG_RESULT, 0, &result) != NX_OK)
        _exit(90);
}

static void on_window_over(evutil_socket_t fd, short what, void *arg)
{
    const struct actor *actor = arg;
    (void)fd, (void)what;
    report("%u turns more", actor->turns);
}

static bool on_turn(struct child *child, void *arg)
{
    static const struct timeval window = {.tv_usec = 100 * 1000};
    struct actor *actor = arg;
    (void)child;
    if (actor->turns_left == 0)
        actor->turns++;
    else if (--actor->turns_left == 0) {
        report("%d turns", TURNS_COUNT);
        actor->turns = 0;
        (void)event_add(actor->window, &window);
    }
    return actor->turns_left > 0;
}

static void on_link_writable(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    (void)arg;
    if (link != child_link(child, peer))
        _exit(97);
    report("writable %s", ipc_role_name(peer));
}

static void flood(struct ipc_link *link)
{
    uint32_t count = 0;
    while (ipc_send(link, IPC_MSG_RESULT, count + 1, &(struct ipc_result){.result = IPC_OK}) == NX_OK)
        count++;
    report("sent %u, queued %zu", count, ipc_link_queued(link));
}

static int on_setup(struct child *child, void *arg)
{
    struct actor *actor = arg;
    the_child = child;
    actor->was_set_up = true;
    if (actor->what == CHILD_SETUP_LEAVES)
        child_exit(child, 7);
    if (actor->what == CHILD_TURNS &&
        (actor->window = event_new(child_base(child), -1, 0, on_window_over, actor)) == NULL)
        _exit(96);
    return actor->what == CHILD_SETUP_FAILS;
}

static void on_message(struct child *child, enum ipc_role from, struct ipc_link *link,
                       struct ipc_message *message, void *arg)
{
    struct actor *actor = arg;
    if (link != child_link(child, from))
        _exit(91);
    if (actor->what == CHILD_TURNS)
        actor->turns_left = TURNS_COUNT;
    if (from != IPC_PARENT)
        (void)ipc_send(link, IPC_MSG_RESULT, message->header.request, &(struct ipc_result){.result = IPC_OK});
    report("%s from %s, level %d", ipc_type_name((enum ipc_type)message->header.type), ipc_role_name(from),
           (int)log_get_level());
}

static void on_link_up(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    const struct actor *actor = arg;
    if (link != child_link(child, peer))
        _exit(92);
    report("up %s %u", ipc_role_name(peer), ipc_link_generation(link));
    if (actor->what == CHILD_FLOODS)
        flood(link);
}

static void on_link_down(struct child *child, enum ipc_role peer, void *arg)
{
    (void)arg;
    if (child_link(child, peer) != NULL)
        _exit(93);
    report("down %s", ipc_role_name(peer));
}

/* Much more than its socket holds, whatever buffers the host allows: the rest waits in the queue. */
static void talk(const struct ipc_link *parent)
{
    const int small = 1;
    if (setsockopt(CHILD_PARENT_FD, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) != 0)
        _exit(98);
    for (int i = 0; i < TALKS_COUNT; i++)
        report("%d %0400d", i, i);
    if (ipc_link_queued(parent) == 0)
        _exit(99);
}

static void on_shutdown(struct child *child, uint32_t grace_ms, void *arg)
{
    const struct actor *actor = arg;
    report("shutdown %u", grace_ms);
    if (actor->what == CHILD_TALKS)
        talk(child_link(child, IPC_PARENT));
    if (actor->what != CHILD_SLOW)
        child_exit(child, 0);
}

static void on_teardown(struct child *child, void *arg)
{
    struct actor *actor = arg;
    if (!actor->was_set_up || child_base(child) == NULL)
        _exit(94);
    if (actor->window != NULL)
        event_free(actor->window);
}

static int act(enum stage_child what)
{
    static const struct sock_filter everything[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    static const struct sandbox_spec sandbox = {.name = "proxyd",
                                                .start = everything,
                                                .run = everything,
                                                .start_count = 1,
                                                .run_count = 1,
                                                .max_files = 64};
    static struct child_ops ops = {
        .role = IPC_PROXYD,
        .name = "proxyd",
        .sandbox = &sandbox,
        .setup = on_setup,
        .on_message = on_message,
        .on_link_up = on_link_up,
        .on_link_down = on_link_down,
        .on_link_writable = on_link_writable,
        .on_shutdown = on_shutdown,
        .teardown = on_teardown,
    };
    struct actor actor = {.what = what};
    if (what == CHILD_PLAIN)
        ops.on_shutdown = NULL;
    if (what == CHILD_TURNS)
        ops.on_turn = on_turn;
    char *argv[] = {(char[]){"proxyd"}, (char[]){"--sandbox=best-effort"}, (char[]){"--log-level=3"}, NULL};
    return child_run(3, argv, &ops, &actor);
}

/* -- The test's side -- */

void stage_start(struct stage *stage, enum stage_child what, int link_fd)
{
    stage->pid = fork();
    ck_assert_int_ge(stage->pid, 0);
    if (stage->pid == 0) {
        if (link_fd != CHILD_PARENT_FD && dup2(link_fd, CHILD_PARENT_FD) != CHILD_PARENT_FD)
            _exit(95);
        for (int fd = CHILD_PARENT_FD + 1; fd < 256; fd++)
            close(fd);
        exit(act(what)); /* with exit handlers: a sanitizer looks for leaks */
    }
    close(link_fd);
}

static void check_name(pid_t pid)
{
    char path[64], name[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(name, sizeof name, file));
    fclose(file);
    ck_assert_str_eq(name, "proxyd\n");
}

void stage_open(struct stage *stage, enum stage_child what)
{
    int fds[2];
    struct ipc_message message;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    stage->parent = fds[0];
    stage_start(stage, what, fds[1]);
    if (what == CHILD_SETUP_FAILS)
        return;
    ck_assert(stage_receive(stage->parent, IPC_PARENT, &message));
    ck_assert_uint_eq(message.header.type, IPC_MSG_HELLO);
    ck_assert_uint_eq(message.body.hello.version, IPC_VERSION);
    ck_assert_uint_eq(message.body.hello.role, IPC_PROXYD);
    ck_assert_uint_eq(message.body.hello.pid, (unsigned)stage->pid);
    check_name(stage->pid);
}

int stage_wait(struct stage *stage)
{
    int status;
    ck_assert_int_eq(waitpid(stage->pid, &status, 0), stage->pid);
    ck_assert_msg(WIFEXITED(status), "the child died of signal %d", WTERMSIG(status));
    if (stage->parent >= 0)
        close(stage->parent);
    return WEXITSTATUS(status);
}

void stage_close(struct stage *stage)
{
    stage_send(stage->parent, IPC_MSG_SHUTDOWN, 0, &(struct ipc_shutdown){.grace_ms = STAGE_TIMEOUT_MS});
    stage_expect(stage, "shutdown 10000");
    stage_expect_end(stage->parent);
    ck_assert_int_eq(stage_wait(stage), 0);
}

void stage_send(int fd, enum ipc_type type, uint32_t request, const void *body)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)] = {0};
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    char error[IPC_ERROR_MAX] = "";
    int length = ipc_encode(type, request, body, wire, fds, &fd_count, error);
    ck_assert_msg(length > 0, "%s", error);
    struct iovec iov = {wire, (size_t)length};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    ck_assert_int_eq(sendmsg(fd, &header, MSG_NOSIGNAL), length);
}

/* 0 at the end. */
static size_t datagram_read(int fd, uint8_t *wire)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&p, 1, STAGE_TIMEOUT_MS) == 1, "the child says nothing");
    ssize_t n = recv(fd, wire, IPC_DATAGRAM_MAX, 0);
    if (n < 0 && errno == ECONNRESET) /* it did not read all of ours; what it said comes next */
        n = recv(fd, wire, IPC_DATAGRAM_MAX, 0);
    ck_assert_msg(n >= 0, "%s", strerror(errno));
    return (size_t)n;
}

bool stage_receive(int fd, enum ipc_role to, struct ipc_message *out)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    char error[IPC_ERROR_MAX] = "";
    size_t length = datagram_read(fd, wire);
    if (length == 0)
        return false;
    ck_assert_msg(ipc_decode(wire, length, NULL, 0, IPC_PROXYD, to, out, error) == NX_OK, "%s", error);
    return true;
}

void stage_expect(struct stage *stage, const char *text)
{
    struct ipc_message message;
    ck_assert_msg(stage_receive(stage->parent, IPC_PARENT, &message), "the child ended before: %s", text);
    ck_assert_uint_eq(message.header.type, IPC_MSG_RESULT);
    ck_assert_str_eq(message.body.result.text, text);
}

void stage_expect_end(int fd)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    ck_assert_uint_eq(datagram_read(fd, wire), 0);
}

int stage_link(struct stage *stage, enum ipc_role peer, uint32_t generation)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    const struct ipc_sibling body = {.peer = (uint8_t)peer, .generation = generation, .fd = fds[1]};
    stage_send(stage->parent, IPC_MSG_LINK, 0, &body);
    close(fds[1]);
    return fds[0];
}

void stage_link_down(struct stage *stage, enum ipc_role peer, uint32_t generation)
{
    const struct ipc_link_down body = {.peer = (uint8_t)peer, .generation = generation};
    stage_send(stage->parent, IPC_MSG_LINK_DOWN, 0, &body);
}

void stage_ask(struct stage *stage, int link, enum ipc_role as, uint32_t request)
{
    struct ipc_message answer;
    char text[80];
    stage_send(link, IPC_MSG_RESULT, request, &(struct ipc_result){.result = IPC_OK});
    ck_assert(stage_receive(link, as, &answer));
    ck_assert_uint_eq(answer.header.request, request);
    snprintf(text, sizeof text, "RESULT from %s, level 3", ipc_role_name(as));
    stage_expect(stage, text);
}
