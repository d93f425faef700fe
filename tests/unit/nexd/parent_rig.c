/* See parent_rig.h. */
#include "tests/unit/nexd/parent_rig.h"

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

char tree[PATH_BYTES], socket_name[64];
int pid_fd;
bool with_state, with_network, unattended;
const char *with_policy, *vigil_ms;
pid_t parent_pid;
struct client *clients[CLIENTS_MAX];
size_t client_count;
uint16_t rule_port;
static char notify_name[64];
static int listener, notify_fd;
int output_fd;

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

const char *tree_path(const char *name)
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
                                        "state/device.json",
                                        "state/device.json.new",
                                        "state/network.json",
                                        "state/network.json.new",
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

bool port_is_free(uint16_t port)
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

void rig_set_up(void)
{
    static unsigned serial;
    tree_make();
    snprintf(socket_name, sizeof socket_name, "nexd-test-%d-%u", (int)getpid(), serial);
    snprintf(notify_name, sizeof notify_name, "nexd-notify-%d-%u", (int)getpid(), serial++);
    listener = abstract_socket(SOCK_SEQPACKET, socket_name);
    notify_fd = abstract_socket(SOCK_DGRAM, notify_name);
    client_count = 0;
    parent_pid = 0;
    with_state = with_network = unattended = false;
    with_policy = vigil_ms = NULL;
    rule_port = free_ports();
}

void rig_tear_down(void)
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
void parent_start(int namespaces, const char *host, const char *second_host)
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
        if (dup2(errors[1], STDERR_FILENO) < 0 || dup2(errors[1], STDOUT_FILENO) < 0 ||
            dup(STDERR_FILENO) < 0) /* the second: no child may see it */
            _exit(92);
        setenv("NOTIFY_SOCKET", variable, 1);
        setenv("WATCHDOG_USEC", "100000", 1);
        setenv("SECRET_OF_THE_CALLER", "1", 1);
        if (with_state)
            setenv("NEXD_TEST_STATE", tree_path("state"), 1);
        if (with_policy) {
            setenv("NEXD_TEST_POLICY", with_policy, 1);
            setenv("NEXD_TEST_CONTROL", tree_path("control"), 1);
        }
        if (with_network)
            setenv("NEXD_TEST_NETWORK", socket_name, 1);
        if (unattended)
            setenv("NEXD_TEST_UNATTENDED", "1", 1);
        if (vigil_ms)
            setenv("NEXD_TEST_VIGIL_MS", vigil_ms, 1);
        execl(tree_path("bin/nexd"), "nexd", port, host, second_host, NULL);
        _exit(93);
    }
    close(errors[1]);
    output_fd = errors[0];
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
void pump(uint64_t deadline_ns)
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
struct client *await_child(const char *role, size_t seen)
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
const char *await_line(struct client *client, const char *start)
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

void order(const struct client *client, const char *text)
{
    ck_assert_int_eq(send(client->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void await_notification(const char *expected)
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
int await_exit(char *errors, size_t written_bytes)
{
    size_t length = 0;
    char line[4096];
    ssize_t got;
    while ((got = read(output_fd, line, sizeof line)) > 0) { /* ends when parent and children have */
        size_t copy = errors && length + (size_t)got < written_bytes ? (size_t)got : 0;
        if (copy)
            memcpy(errors + length, line, copy);
        length += copy;
    }
    if (errors)
        errors[length] = '\0';
    close(output_fd);
    struct pollfd fd = {.fd = pid_fd, .events = POLLIN};
    ck_assert_msg(poll(&fd, 1, WAIT_MS) == 1, "the parent does not end");
    close(pid_fd);
    int status;
    ck_assert_int_eq(waitpid(parent_pid, &status, 0), parent_pid);
    parent_pid = 0;
    ck_assert_msg(WIFEXITED(status), "the parent died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

uint64_t elapsed_ms(uint64_t since_ns)
{
    return (clock_now_ns() - since_ns) / NS_PER_MS;
}

bool alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

bool port_connects(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connects = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connects;
}

void order_wish(struct client *ctld, const char *verb, unsigned port, const char *host)
{
    char text[LINE_BYTES];
    snprintf(text, sizeof text, "%s %u %s", verb, port, host);
    order(ctld, text);
}

/* What that client said, from first to last, that is exactly `line`. */
size_t lines_equal(const struct client *client, const char *line)
{
    size_t count = 0;
    for (size_t i = 0; i < client->line_count; i++)
        count += strcmp(client->lines[i], line) == 0;
    return count;
}
