/* The parent with three fake children (fake_child.c): real processes, links, signals and descriptors. Every
 * step waits for an event: a report of a child on the test's socket, a notification, or the parent's exit.
 *
 * Each test makes a tree of its own, with the parent in bin/ and the children in libexec/nexd/. */
#include "common/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000, LINE_BYTES = 256, CLIENTS_MAX = 32, BACKLOG_MAX = 128, PATH_BYTES = 256 };

/* A child that has connected to the test's socket, and what it has said. */
struct client {
    int fd;
    pid_t pid;
    char role[16];
    char lines[BACKLOG_MAX][LINE_BYTES];
    size_t line_count, read_count;
};

static char tree[PATH_BYTES], socket_name[64], notify_name[64];
static int listener, notify_fd, pid_fd;
static bool with_state; /* the parent gets a state folder in the tree */
static int error_fd;    /* the parent's standard error */
static pid_t parent_pid;
static struct client *clients[CLIENTS_MAX];
static size_t client_count;
static uint16_t rule_port;

static int abstract_socket(int type, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, length), 0);
    if (type == SOCK_SEQPACKET)
        ck_assert_int_eq(listen(fd, CLIENTS_MAX), 0);
    return fd;
}

static void file_copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ck_assert(in >= 0 && out >= 0);
    char bytes[65536];
    for (ssize_t got; (got = read(in, bytes, sizeof bytes)) > 0;)
        ck_assert_int_eq(write(out, bytes, (size_t)got), got);
    close(in);
    close(out);
}

static const char *tree_path(const char *name)
{
    static char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", tree, name);
    return path;
}

/* /proc/self/exe must be in the tree, so the parent is a copy; the children may be links. */
static void tree_make(void)
{
    static const char *const children[] = {"tunneld", "proxyd", "ctld"};
    snprintf(tree, sizeof tree, "%s/nexd-parent-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(tree));
    static const char *const folders[] = {"bin", "libexec", "libexec/nexd"};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(mkdir(tree_path(folders[i]), 0755), 0);
    file_copy(FAKE_PARENT, tree_path("bin/nexd"));
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "libexec/nexd/%s", children[i]);
        ck_assert_int_eq(symlink(FAKE_CHILD, tree_path(name)), 0);
    }
}

static void tree_remove(void)
{
    static const char *const names[] = {"state/state.json",
                                        "state/state.json.new",
                                        "state",
                                        "bin/nexd",
                                        "libexec/nexd/tunneld",
                                        "libexec/nexd/proxyd",
                                        "libexec/nexd/ctld",
                                        "libexec/nexd",
                                        "libexec",
                                        "bin",
                                        "."};
    for (size_t i = 0; i < sizeof names / sizeof *names - 1; i++)
        if (unlink(tree_path(names[i])))
            rmdir(tree_path(names[i]));
    rmdir(tree);
}

static bool port_is_free(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    bool is_free = bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
    close(probe);
    return is_free;
}

/* The first of four free ports, below those that the system gives to connections. */
static uint16_t free_ports(void)
{
    static unsigned tries;
    for (unsigned i = 0; i < 1000; i++) {
        uint16_t port = (uint16_t)(10000 + ((unsigned)getpid() * 8 + tries++ * 4) % 20000);
        if (port_is_free(port) && port_is_free((uint16_t)(port + 1)) && port_is_free((uint16_t)(port + 2)) &&
            port_is_free((uint16_t)(port + 3)))
            return port;
    }
    ck_abort_msg("no four free ports in a row");
    return 0;
}

static void set_up(void)
{
    static unsigned serial;
    tree_make();
    snprintf(socket_name, sizeof socket_name, "nexd-test-%d-%u", (int)getpid(), serial);
    snprintf(notify_name, sizeof notify_name, "nexd-notify-%d-%u", (int)getpid(), serial++);
    listener = abstract_socket(SOCK_SEQPACKET, socket_name);
    notify_fd = abstract_socket(SOCK_DGRAM, notify_name);
    client_count = 0;
    parent_pid = 0;
    with_state = false;
    rule_port = free_ports();
}

static void tear_down(void)
{
    if (parent_pid > 0) {
        kill(parent_pid, SIGKILL);
        waitpid(parent_pid, NULL, 0);
    }
    for (size_t i = 0; i < client_count; i++) {
        close(clients[i]->fd);
        free(clients[i]);
    }
    close(listener);
    close(notify_fd);
    tree_remove();
}

/* Starts the parent with one rule a host, in new namespaces (CLONE_NEW… flags) if wanted. */
static void parent_start(int namespaces, const char *host, const char *second_host)
{
    int errors[2];
    ck_assert_int_eq(pipe2(errors, O_CLOEXEC), 0);
    char port[8], variable[80];
    snprintf(port, sizeof port, "%u", rule_port);
    snprintf(variable, sizeof variable, "@%s", notify_name);
    /* As fork(), but the namespaces are for the new process alone; the test stays in its own. */
    parent_pid = (pid_t)syscall(SYS_clone, (unsigned long)(namespaces | SIGCHLD), 0, 0, 0, 0);
    ck_assert_int_ge(parent_pid, 0);
    if (parent_pid == 0) {
        if (dup2(errors[1], STDERR_FILENO) < 0 ||
            dup(STDERR_FILENO) < 0) /* the second: no child may see it */
            _exit(92);
        setenv("NOTIFY_SOCKET", variable, 1);
        setenv("WATCHDOG_USEC", "100000", 1);
        setenv("SECRET_OF_THE_CALLER", "1", 1);
        if (with_state)
            setenv("NEXD_TEST_STATE", tree_path("state"), 1);
        execl(tree_path("bin/nexd"), "nexd", port, host, second_host, NULL);
        _exit(93);
    }
    close(errors[1]);
    error_fd = errors[0];
    pid_fd = (int)syscall(SYS_pidfd_open, parent_pid, 0);
    ck_assert_int_ge(pid_fd, 0);
}

static struct client *client_accept(void)
{
    struct ucred who;
    socklen_t length = sizeof who;
    ck_assert_uint_lt(client_count, CLIENTS_MAX);
    struct client *client = calloc(1, sizeof *client);
    ck_assert_ptr_nonnull(client);
    client->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    ck_assert_int_ge(client->fd, 0);
    ck_assert_int_eq(getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &who, &length), 0);
    client->pid = who.pid;
    clients[client_count++] = client;
    return client;
}

static void client_read(struct client *client)
{
    while (client->line_count < BACKLOG_MAX) {
        char *line = client->lines[client->line_count];
        ssize_t got = recv(client->fd, line, LINE_BYTES - 1, 0);
        if (got <= 0)
            return;
        line[got] = '\0';
        client->line_count++;
        if (strncmp(line, "up ", 3) == 0)
            snprintf(client->role, sizeof client->role, "%.15s", line + 3);
    }
}

/* Waits for something to happen at the children's sockets. */
static void pump(uint64_t deadline_ns)
{
    struct pollfd fds[CLIENTS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
    size_t known = client_count;
    for (size_t i = 0; i < known; i++)
        fds[i + 1] = (struct pollfd){.fd = clients[i]->fd, .events = POLLIN};
    uint64_t now_ns = clock_now_ns();
    int wait_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / NS_PER_MS) + 1 : 0;
    poll(fds, (nfds_t)known + 1, wait_ms);
    for (size_t i = 0; i < known; i++) {
        if (!fds[i + 1].revents)
            continue;
        client_read(clients[i]);
        if (fds[i + 1].revents & (POLLHUP | POLLERR)) {
            close(clients[i]->fd);
            clients[i]->fd = -1; /* poll() passes over it */
        }
    }
    if (fds[0].revents & POLLIN)
        client_accept();
}

/* The next child of that role to appear, after `seen` of them. */
static struct client *await_child(const char *role, size_t seen)
{
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (clock_now_ns() < deadline_ns) {
        size_t found = 0;
        for (size_t i = 0; i < client_count; i++)
            if (strcmp(clients[i]->role, role) == 0 && found++ == seen)
                return clients[i];
        pump(deadline_ns);
    }
    ck_abort_msg("%s number %zu did not come up", role, seen + 1);
    return NULL;
}

/* The next line, from where the last search ended, that begins with `start`. */
static const char *await_line(struct client *client, const char *start)
{
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    do {
        while (client->read_count < client->line_count) {
            const char *line = client->lines[client->read_count++];
            if (strncmp(line, start, strlen(start)) == 0)
                return line;
        }
        pump(deadline_ns);
    } while (clock_now_ns() < deadline_ns);
    ck_abort_msg("%s never said \"%s\"", client->role, start);
    return NULL;
}

static void order(const struct client *client, const char *text)
{
    ck_assert_int_eq(send(client->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void await_notification(const char *expected)
{
    char text[LINE_BYTES];
    for (;;) {
        struct pollfd fd = {.fd = notify_fd, .events = POLLIN};
        ck_assert_msg(poll(&fd, 1, WAIT_MS) == 1, "no notification \"%s\"", expected);
        ssize_t got = recv(notify_fd, text, sizeof text - 1, 0);
        ck_assert_int_gt(got, 0);
        text[got] = '\0';
        if (strncmp(text, expected, strlen(expected)) == 0)
            return;
    }
}

/* The parent's exit status; its standard error into `errors` if wanted. */
static int await_exit(char *errors, size_t errors_bytes)
{
    size_t length = 0;
    char line[4096];
    ssize_t got;
    while ((got = read(error_fd, line, sizeof line)) > 0) { /* ends when parent and children have */
        size_t copy = errors && length + (size_t)got < errors_bytes ? (size_t)got : 0;
        if (copy)
            memcpy(errors + length, line, copy);
        length += copy;
    }
    if (errors)
        errors[length] = '\0';
    close(error_fd);
    struct pollfd fd = {.fd = pid_fd, .events = POLLIN};
    ck_assert_msg(poll(&fd, 1, WAIT_MS) == 1, "the parent does not end");
    close(pid_fd);
    int status;
    ck_assert_int_eq(waitpid(parent_pid, &status, 0), parent_pid);
    parent_pid = 0;
    ck_assert_msg(WIFEXITED(status), "the parent died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static uint64_t elapsed_ms(uint64_t since_ns)
{
    return (clock_now_ns() - since_ns) / NS_PER_MS;
}

static bool alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static bool port_connects(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connects = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connects;
}

static void order_wish(struct client *ctld, const char *verb, unsigned port, const char *host)
{
    char text[LINE_BYTES];
    snprintf(text, sizeof text, "%s %u %s", verb, port, host);
    order(ctld, text);
}

/* What that client said, from first to last, that is exactly `line`. */
static size_t lines_equal(const struct client *client, const char *line)
{
    size_t count = 0;
    for (size_t i = 0; i < client->line_count; i++)
        count += strcmp(client->lines[i], line) == 0;
    return count;
}

/* -- The tests -- */

START_TEST(starts_configures_links_and_is_ready)
{
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *proxyd = await_child("proxyd", 0),
                  *ctld = await_child("ctld", 0);
    await_line(tunneld, "config");
    await_line(tunneld, "secret a5");
    await_line(tunneld, "link proxyd ");
    await_line(proxyd, "bind");
    await_line(ctld, "peer one.example:51820 128");
    await_line(ctld, "peer one.example:51820 128");
    await_line(ctld, "peer one.example:51820 44");
    await_line(ctld, "peer :0 0");
    await_line(ctld, "peers 2");
    await_line(ctld, "link ");
    await_line(ctld, "link ");
    await_notification("READY=1");
    await_notification("WATCHDOG=1");
    await_notification("WATCHDOG=1");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    await_notification("STOPPING=1");
    await_line(tunneld, "shutdown 700");
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 1000);
}
END_TEST

START_TEST(a_killed_child_comes_back_and_is_linked_anew)
{
    unsigned old_generation, down_generation, new_generation;
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    ck_assert_int_eq(sscanf(await_line(tunneld, "link ctld"), "link ctld %u", &old_generation), 1);
    uint64_t killed_ns = clock_now_ns();
    kill(ctld->pid, SIGKILL);
    ck_assert_int_eq(sscanf(await_line(tunneld, "down ctld"), "down ctld %u", &down_generation), 1);
    ck_assert_uint_eq(down_generation, old_generation);
    ck_assert_int_eq(sscanf(await_line(tunneld, "link ctld"), "link ctld %u", &new_generation), 1);
    ck_assert_uint_gt(new_generation, old_generation);
    struct client *second = await_child("ctld", 1);
    ck_assert_uint_ge(elapsed_ms(killed_ns), 100);
    ck_assert_int_ne(second->pid, ctld->pid);
    await_line(second, "peers 2");
    /* The second time it takes longer. */
    killed_ns = clock_now_ns();
    order(second, "crash");
    await_child("ctld", 2);
    ck_assert_uint_ge(elapsed_ms(killed_ns), 200);
    kill(parent_pid, SIGINT);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(sockets_survive_their_maker)
{
    char kept[32];
    snprintf(kept, sizeof kept, "kept %u", rule_port);
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0);
    await_notification("READY=1");
    await_line(proxyd, "bind");
    kill(proxyd->pid, SIGKILL);
    await_line(tunneld, "down proxyd");
    /* Nobody serves the listener now; the kernel takes the connection all the same. */
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(rule_port)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    close(client);
    /* The fake binds the port only if it was not handed back: then bind() would fail and it would end. */
    struct client *second = await_child("proxyd", 1);
    await_line(second, kept);
    await_line(second, "link ");
    for (size_t i = 0; i < second->line_count; i++)
        ck_assert_str_ne(second->lines[i], "bind");
    /* A new tunneld gets key, preshared keys and sockets again. */
    kill(tunneld->pid, SIGKILL);
    struct client *other = await_child("tunneld", 1);
    await_line(other, "config");
    await_line(other, "secret a5");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(garbage_ends_its_sender_only)
{
    static char errors[65536];
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(ctld, "garbage");
    await_line(proxyd, "down ctld");
    await_child("ctld", 1);
    ck_assert(alive(proxyd->pid));
    kill(parent_pid, SIGQUIT);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_ptr_nonnull(strstr(errors, "is ended: "));
}
END_TEST

START_TEST(a_child_that_broke_the_protocol_towards_a_sibling_is_restarted)
{
    static char errors[65536];
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *proxyd = await_child("proxyd", 0);
    await_child("ctld", 0);
    await_notification("READY=1");
    order(tunneld, "accuse"); /* of whom it was linked with last */
    await_line(tunneld, "down");
    await_line(tunneld, "link");
    ck_assert(alive(tunneld->pid));
    (void)proxyd;
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_ptr_nonnull(strstr(errors, "it broke the protocol towards a sibling"));
}
END_TEST

START_TEST(a_deaf_child_is_killed_within_a_second)
{
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0);
    await_notification("READY=1");
    order(tunneld, "deaf");
    await_line(tunneld, "done deaf");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_ge(elapsed_ms(stop_ns), 790);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 1000);
    ck_assert(!alive(tunneld->pid));
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0);
    await_notification("READY=1");
    order(tunneld, "deaf");
    await_line(tunneld, "done deaf");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    kill(parent_pid, SIGTERM); /* an echo, not a second wish: SHUTDOWN is still asked for */
    await_line(tunneld, "shutdown");
    /* Until it is no echo any more. */
    struct pollfd exit_fd = {.fd = pid_fd, .events = POLLIN};
    while (poll(&exit_fd, 1, 20) == 0)
        kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_ge(elapsed_ms(stop_ns), 100);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 700);
}
END_TEST

START_TEST(a_hang_up_is_no_reason_to_stop)
{
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    kill(parent_pid, SIGHUP);
    order(ctld, "exit 3"); /* it still supervises */
    await_child("ctld", 1);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_dead_parent_takes_its_children_along)
{
    parent_start(0, socket_name, NULL);
    struct client *children[] = {await_child("tunneld", 0), await_child("proxyd", 0), await_child("ctld", 0)};
    int fds[3];
    await_notification("READY=1");
    for (size_t i = 0; i < 3; i++) {
        order(children[i], "deaf"); /* it would not leave because of the link */
        await_line(children[i], "done deaf");
        fds[i] = (int)syscall(SYS_pidfd_open, children[i]->pid, 0);
        ck_assert_int_ge(fds[i], 0);
    }
    kill(parent_pid, SIGKILL);
    for (size_t i = 0; i < 3; i++) {
        struct pollfd fd = {.fd = fds[i], .events = POLLIN};
        ck_assert_int_eq(poll(&fd, 1, 2000), 1);
        close(fds[i]);
    }
    close(pid_fd);
    close(error_fd);
}
END_TEST

START_TEST(a_rule_that_cannot_be_had_is_fatal_at_start)
{
    static char errors[65536];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "egress rule tcp:%u:refused:80", rule_port + 1);
    uint64_t start_ns = clock_now_ns();
    parent_start(0, socket_name, "refused");
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_uint_lt(elapsed_ms(start_ns), 2000);
    ck_assert_msg(strstr(errors, wanted) && strstr(errors, "address already in use"), "%s", errors);
}
END_TEST

START_TEST(a_rule_added_at_run_time_is_kept_and_removed_as_the_others_are)
{
    char added[32], kept[32];
    uint16_t port = (uint16_t)(rule_port + 1);
    snprintf(added, sizeof added, "rule+ 2 %u", port);
    snprintf(kept, sizeof kept, "kept %u", port);
    with_state = true;
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0),
                  *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", port, "other.example");
    await_line(proxyd, added);
    await_line(tunneld, added);
    await_line(ctld, added);
    await_line(ctld, "answer 0 ");
    ck_assert_int_eq(access(tree_path("state/state.json"), F_OK), 0);
    ck_assert(port_connects(port));
    kill(proxyd->pid, SIGKILL);
    struct client *second = await_child("proxyd", 1);
    await_line(second, added);
    ck_assert_uint_eq(lines_equal(second, kept), 1);
    order_wish(ctld, "remove", port, "other.example");
    await_line(second, "rule- 2");
    await_line(tunneld, "rule- 2");
    await_line(ctld, "rule- 2");
    await_line(ctld, "answer 0 ");
    ck_assert(!port_connects(port));
    ck_assert(port_connects(rule_port));
    /* And nothing of it is handed to the next one. */
    kill(second->pid, SIGKILL);
    struct client *third = await_child("proxyd", 2);
    await_line(third, "link ");
    ck_assert_uint_eq(lines_equal(third, kept), 0);
    ck_assert_uint_eq(lines_equal(third, added), 0);
    order_wish(ctld, "remove", rule_port, socket_name);
    await_line(ctld, "answer 5 no matching egress proxy rule found: ");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_child_that_dies_while_a_rule_is_added_neither_loses_nor_doubles_it)
{
    char added[32];
    uint16_t port = (uint16_t)(rule_port + 1);
    snprintf(added, sizeof added, "rule+ 2 %u", port);
    with_state = true;
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0),
                  *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(proxyd, "mute");
    await_line(proxyd, "done mute");
    order(tunneld, "mute");
    await_line(tunneld, "done mute");
    order_wish(ctld, "add", port, "other.example");
    await_line(proxyd, added);
    kill(proxyd->pid, SIGKILL);
    await_line(await_child("proxyd", 1), added);
    await_line(tunneld, added);
    kill(tunneld->pid, SIGKILL);
    struct client *second = await_child("tunneld", 1);
    await_line(second, added);
    await_line(ctld, "answer 0 ");
    ck_assert_uint_eq(lines_equal(second, added), 1);
    ck_assert_uint_eq(lines_equal(ctld, added), 1);
    ck_assert(port_connects(port));
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(stored_rules_come_back_and_one_that_cannot_be_had_is_no_reason_to_stop)
{
    static char errors[65536];
    char added[32];
    uint16_t port = (uint16_t)(rule_port + 1);
    snprintf(added, sizeof added, "rule+ 2 %u", port);
    with_state = true;
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", port, "other.example");
    await_line(ctld, "answer 0 ");
    kill(parent_pid, SIGKILL); /* right after the answer */
    ck_assert_int_eq(waitpid(parent_pid, NULL, 0), parent_pid);
    close(pid_fd);
    close(error_fd);
    char state[512] = "";
    FILE *file = fopen(tree_path("state/state.json"), "r+");
    ck_assert_uint_gt(fread(state, 1, sizeof state - 1, file), 0);
    char *host = strstr(state, "other.example");
    ck_assert_ptr_nonnull(host);
    parent_start(0, socket_name, NULL);
    await_line(await_child("proxyd", 1), added);
    await_notification("READY=1");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    /* By now its port is somebody else's. */
    memcpy(host, "refused.xmple", strlen("refused.xmple"));
    rewind(file);
    ck_assert_uint_eq(fwrite(state, 1, strlen(state), file), strlen(state));
    fclose(file);
    parent_start(0, socket_name, NULL);
    await_notification("READY=1");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_msg(strstr(errors, "refused.xmple:80: tcp port"), "%s", errors);
}
END_TEST

START_TEST(without_a_state_folder_nothing_changes_at_run_time)
{
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", rule_port + 1u, "other.example");
    await_line(proxyd, "rule- 2");
    await_line(ctld, "answer 1 no state folder");
    ck_assert(!port_connects((uint16_t)(rule_port + 1)));
    order_wish(ctld, "add", rule_port + 1u, "refused.example");
    await_line(ctld, "answer 6 address already in use");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_child_that_cannot_start_is_fatal)
{
    static char errors[65536];
    unlink(tree_path("libexec/nexd/ctld"));
    ck_assert_int_eq(symlink("/bin/false", tree_path("libexec/nexd/ctld")), 0);
    parent_start(0, socket_name, NULL);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "ctld could not start (exit status 1)"), "%s", errors);
}
END_TEST

START_TEST(a_missing_or_broken_program_is_named)
{
    static char errors[65536];
    unlink(tree_path("libexec/nexd/proxyd"));
    parent_start(0, socket_name, NULL);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "\"proxyd\" is missing"), "%s", errors);
    int fd = open(tree_path("libexec/nexd/proxyd"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ck_assert_int_eq(write(fd, "no program\n", 11), 11);
    close(fd);
    parent_start(0, socket_name, NULL);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "proxyd does not start") && strstr(errors, "Exec format error"), "%s",
                  errors);
}
END_TEST

/* As process 1 of a PID namespace. */
START_TEST(process_1_reaps_orphans_and_stops_on_a_signal)
{
    int flags = CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0);
    pid_t probe = fork();
    ck_assert_int_ge(probe, 0);
    if (probe == 0)
        _exit(unshare(flags) ? 1 : 0);
    int status;
    waitpid(probe, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        fprintf(stderr, "skipped: PID namespaces are not permitted here\n");
        return;
    }
    parent_start(flags, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(ctld, "orphan");
    await_line(ctld, "done orphan");
    struct client *orphan = NULL;
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (!orphan && clock_now_ns() < deadline_ns) {
        for (size_t i = 0; i < client_count; i++)
            if (clients[i]->line_count && strcmp(clients[i]->lines[0], "orphan") == 0)
                orphan = clients[i];
        if (!orphan)
            pump(deadline_ns);
    }
    ck_assert_ptr_nonnull(orphan);
    /* It ends; and then it goes away for good, which only its adoptive parent can do. There is no event for
     * that. */
    order(orphan, "x");
    while (alive(orphan->pid) && clock_now_ns() < deadline_ns)
        sched_yield();
    ck_assert_msg(!alive(orphan->pid), "the orphan was not reaped");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parent");
    TCase *tests = tcase_create("parent");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, starts_configures_links_and_is_ready);
    tcase_add_test(tests, a_killed_child_comes_back_and_is_linked_anew);
    tcase_add_test(tests, sockets_survive_their_maker);
    tcase_add_test(tests, garbage_ends_its_sender_only);
    tcase_add_test(tests, a_child_that_broke_the_protocol_towards_a_sibling_is_restarted);
    tcase_add_test(tests, a_deaf_child_is_killed_within_a_second);
    tcase_add_test(tests, a_second_signal_ends_at_once);
    tcase_add_test(tests, a_hang_up_is_no_reason_to_stop);
    tcase_add_test(tests, a_dead_parent_takes_its_children_along);
    tcase_add_test(tests, a_rule_that_cannot_be_had_is_fatal_at_start);
    tcase_add_test(tests, a_rule_added_at_run_time_is_kept_and_removed_as_the_others_are);
    tcase_add_test(tests, a_child_that_dies_while_a_rule_is_added_neither_loses_nor_doubles_it);
    tcase_add_test(tests, stored_rules_come_back_and_one_that_cannot_be_had_is_no_reason_to_stop);
    tcase_add_test(tests, without_a_state_folder_nothing_changes_at_run_time);
    tcase_add_test(tests, a_child_that_cannot_start_is_fatal);
    tcase_add_test(tests, a_missing_or_broken_program_is_named);
    tcase_add_test(tests, process_1_reaps_orphans_and_stops_on_a_signal);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
