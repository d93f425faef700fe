/* Messages are received as they come into one list a role, and looked for there. */
#include "rig.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "dns_server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MAX_S = 20, PARENT_FD = 3 };

struct received {
    STAILQ_ENTRY(received) next;
    struct ipc_message message;
};

static STAILQ_HEAD(, received) inbox[IPC_CTLD + 1];
static struct received *current; /* what rig_expect() gave last */

/* -- Links -------------------------------------------------------------------------------------------------
 */

static void on_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    const enum ipc_role role = (enum ipc_role)(uintptr_t)arg;
    struct received *const received = malloc(sizeof(*received));
    ck_assert_ptr_nonnull(received);
    (void)link;
    received->message = *message;
    STAILQ_INSERT_TAIL(&inbox[role], received, next);
    /* The descriptors are ours now: the link must not close them. */
    switch (message->header.type) {
    case IPC_MSG_LISTENER_KEEP:
        message->body.listener_keep.fd = -1;
        break;
    case IPC_MSG_UDP_KEEP:
        message->body.udp_keep.fd = -1;
        break;
    case IPC_MSG_TUNNEL_BOUND:
        message->body.tunnel_bound.udp4 = message->body.tunnel_bound.udp6 = -1;
        break;
    case IPC_MSG_EGRESS_TCP:
        message->body.egress_tcp.fd = -1;
        break;
    case IPC_MSG_EGRESS_UDP:
        message->body.egress_udp.fd = -1;
        break;
    case IPC_MSG_OPENED:
        message->body.opened.fd = -1;
        break;
    case IPC_MSG_CONNECTED:
        message->body.connected.fd = -1;
        break;
    default:
        break;
    }
}

static void on_close(struct ipc_link *link, int err, const char *why, void *arg)
{
    (void)link, (void)arg;
    ck_assert_msg(err == NX_ECLOSED, "proxyd broke the protocol: %s", why);
}

static const struct ipc_link_ops link_ops = {.on_message = on_message, .on_close = on_close};

static struct ipc_link *link_make(struct rig *rig, int fd, enum ipc_role role, uint32_t generation)
{
    struct ipc_link *const link =
        ipc_link_new(rig->base, fd, role, RIG_ROLE, generation, 1024, &link_ops, (void *)(uintptr_t)role);
    ck_assert_ptr_nonnull(link);
    return link;
}

static void received_free(struct received *received)
{
    if (!received)
        return;
    ipc_message_release(&received->message);
    free(received);
}

static void inbox_clear(enum ipc_role role)
{
    struct received *received;
    while ((received = STAILQ_FIRST(&inbox[role])) != NULL) {
        STAILQ_REMOVE_HEAD(&inbox[role], next);
        received_free(received);
    }
}

static void link_drop(struct rig *rig, enum ipc_role role)
{
    ipc_link_free(rig->links[role]);
    rig->links[role] = NULL;
    fd_close(&rig->deaf[role]);
    inbox_clear(role);
}

void rig_link_deaf(struct rig *rig, enum ipc_role sibling)
{
    int fds[2];
    link_drop(rig, sibling);
    ck_assert_int_eq(ipc_socketpair(fds), NX_OK);
    const struct ipc_sibling body = {.peer = (uint8_t)sibling, .generation = ++rig->generation, .fd = fds[1]};
    rig_send(rig, IPC_PARENT, IPC_MSG_LINK, &body);
    close(fds[1]);
    rig->deaf[sibling] = fds[0];
}

void rig_hear(struct rig *rig, enum ipc_role sibling)
{
    rig->links[sibling] = link_make(rig, fd_release(&rig->deaf[sibling]), sibling, rig->generation);
}

void rig_link(struct rig *rig, enum ipc_role sibling)
{
    rig_link_deaf(rig, sibling);
    rig_hear(rig, sibling);
}

void rig_unlink(struct rig *rig, enum ipc_role sibling)
{
    const struct ipc_link_down body = {.peer = (uint8_t)sibling,
                                       .generation = ipc_link_generation(rig->links[sibling])};
    link_drop(rig, sibling);
    rig_send(rig, IPC_PARENT, IPC_MSG_LINK_DOWN, &body);
    rig_sync(rig);
}

/* -- The loop ----------------------------------------------------------------------------------------------
 */

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

/* Until something was received, or for `ms`. */
static void loop_once(struct rig *rig, unsigned ms)
{
    const struct timeval wait = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
    struct event *const timer = evtimer_new(rig->base, on_wait_over, NULL);
    ck_assert_ptr_nonnull(timer);
    event_add(timer, &wait);
    event_base_loop(rig->base, EVLOOP_ONCE);
    event_free(timer);
}

/* -- The process -------------------------------------------------------------------------------------------
 */

/* socket(2) of family AF_INET6 fails as on a kernel booted without IPv6. */
static int ipv6_take_away(void)
{
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int err = filter ? 0 : -1;
    if (!err)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                               SCMP_A0(SCMP_CMP_EQ, AF_INET6, 0));
    if (!err)
        err = seccomp_load(filter);
    seccomp_release(filter);
    return err;
}

static void exec_proxyd(const struct rig *rig, int link)
{
    char name_servers[64];
    snprintf(name_servers, sizeof(name_servers), "--name-servers=%s", dns_server_text(rig->dns));
    if (dup2(link, PARENT_FD) < 0 || fcntl(PARENT_FD, F_SETFD, 0))
        _exit(126);
    for (int fd = PARENT_FD + 1; fd < 256; fd++)
        close(fd);
    const struct rlimit files = {rig->host.files_max, rig->host.files_max};
    if ((files.rlim_max && setrlimit(RLIMIT_NOFILE, &files)) || (rig->host.no_ipv6 && ipv6_take_away()))
        _exit(125);
    const char *const level = getenv("NEXD_TEST_LOG") ? "--log-level=0" : "--log-level=4";
    execl(RIG_PROGRAM, RIG_NAME, level, name_servers, (char *)NULL);
    _exit(127);
}

static void process_start(struct rig *rig)
{
    int fds[2];
    ck_assert_int_eq(ipc_socketpair(fds), NX_OK);
    rig->pid = fork();
    ck_assert_int_ge(rig->pid, 0);
    if (rig->pid == 0)
        exec_proxyd(rig, fds[1]);
    close(fds[1]);
    rig->links[IPC_PARENT] = link_make(rig, fds[0], IPC_PARENT, 1);
    const struct ipc_message *const hello = rig_expect(rig, IPC_PARENT, IPC_MSG_HELLO);
    ck_assert_int_eq(hello->body.hello.role, RIG_ROLE);
    ck_assert_int_eq((pid_t)hello->body.hello.pid, rig->pid);
}

void rig_start(struct rig *rig)
{
    rig_start_on(rig, &(struct rig_host){0});
}

void rig_start_on(struct rig *rig, const struct rig_host *host)
{
    *rig = (struct rig){.host = *host, .base = event_base_new(), .generation = 1};
    for (int role = 0; role <= IPC_CTLD; role++)
        STAILQ_INIT(&inbox[role]);
    for (int role = 0; role <= IPC_CTLD; role++)
        rig->deaf[role] = -1;
    signal(SIGPIPE, SIG_IGN);
    log_init("test", LOG_LEVEL_ERROR);
    rig->dns = dns_server_new(rig->base);
    process_start(rig);
}

static void process_reap(struct rig *rig)
{
    const uint64_t end_ns = clock_now_ns() + WAIT_MAX_S * NS_PER_S;
    pid_t ended = 0;
    while (ended == 0 && clock_now_ns() < end_ns) {
        ended = waitpid(rig->pid, &rig->status, WNOHANG);
        if (ended == 0)
            loop_once(rig, 2);
    }
    ck_assert_int_eq(ended, rig->pid);
    for (int role = IPC_PARENT; role <= IPC_CTLD; role++)
        link_drop(rig, (enum ipc_role)role);
}

void rig_stop(struct rig *rig)
{
    const struct ipc_shutdown body = {.grace_ms = 1000};
    rig_send(rig, IPC_PARENT, IPC_MSG_SHUTDOWN, &body);
    process_reap(rig);
    received_free(current);
    current = NULL;
    dns_server_free(rig->dns);
    event_base_free(rig->base);
    ck_assert_msg(WIFEXITED(rig->status) && WEXITSTATUS(rig->status) == 0, "proxyd ended with status %x",
                  (unsigned)rig->status);
}

void rig_restart(struct rig *rig)
{
    ck_assert_int_eq(kill(rig->pid, SIGKILL), 0);
    process_reap(rig);
    ck_assert(WIFSIGNALED(rig->status) && WTERMSIG(rig->status) == SIGKILL);
    process_start(rig);
}

/* -- Messages ----------------------------------------------------------------------------------------------
 */

uint32_t rig_send(struct rig *rig, enum ipc_role role, enum ipc_type type, const void *body)
{
    const uint32_t request = ipc_next_request(rig->links[role]);
    ck_assert_int_eq(ipc_send(rig->links[role], type, request, body), NX_OK);
    return request;
}

/* By request if that is not 0, else by type. */
static struct received *inbox_find(enum ipc_role role, enum ipc_type type, uint32_t request)
{
    struct received *received;
    STAILQ_FOREACH (received, &inbox[role], next) {
        const struct ipc_header *const header = &received->message.header;
        if (request != 0 ? header->request == request : header->type == type)
            return received;
    }
    return NULL;
}

static const struct ipc_message *inbox_await(struct rig *rig, enum ipc_role role, enum ipc_type type,
                                             uint32_t request)
{
    const uint64_t end_ns = clock_now_ns() + WAIT_MAX_S * NS_PER_S;
    struct received *found;
    while ((found = inbox_find(role, type, request)) == NULL) {
        ck_assert_msg(clock_now_ns() < end_ns, "no %s came", request ? "answer" : ipc_type_name(type));
        ck_assert_msg(waitpid(rig->pid, &rig->status, WNOHANG) == 0, "proxyd has ended, status %x",
                      (unsigned)rig->status);
        loop_once(rig, 1000);
    }
    STAILQ_REMOVE(&inbox[role], found, received, next);
    received_free(current);
    current = found;
    return &found->message;
}

const struct ipc_message *rig_expect(struct rig *rig, enum ipc_role role, enum ipc_type type)
{
    return inbox_await(rig, role, type, 0);
}

const struct ipc_message *rig_answer(struct rig *rig, enum ipc_role role, uint32_t request)
{
    return inbox_await(rig, role, 0, request);
}

const char *rig_result(struct rig *rig, enum ipc_role role, uint32_t request, enum ipc_outcome outcome)
{
    const struct ipc_message *const message = rig_answer(rig, role, request);
    ck_assert_int_eq(message->header.type, IPC_MSG_RESULT);
    ck_assert_msg(message->body.result.result == outcome, "outcome %d, not %d: %s",
                  message->body.result.result, outcome, message->body.result.text);
    return message->body.result.text;
}

size_t rig_count(const struct rig *rig, enum ipc_role role, enum ipc_type type)
{
    struct received *received;
    size_t count = 0;
    (void)rig;
    STAILQ_FOREACH (received, &inbox[role], next)
        count += received->message.header.type == type;
    return count;
}

bool rig_has(struct rig *rig, enum ipc_role role, enum ipc_type type)
{
    rig_sync(rig);
    return rig_count(rig, role, type) > 0;
}

int rig_fd(const int *fd)
{
    int *const place = (int *)(uintptr_t)fd; /* inside `current`, which is ours */
    return fd_release(place);
}

void rig_run_ms(struct rig *rig, unsigned ms)
{
    const uint64_t end_ns = clock_now_ns() + ms * NS_PER_MS;
    for (uint64_t now_ns = clock_now_ns(); now_ns < end_ns; now_ns = clock_now_ns())
        loop_once(rig, (unsigned)((end_ns - now_ns) / NS_PER_MS + 1));
}

/* A question a link that is answered at once: what was sent before it, or was ready before it, has been
 * handled when the answers are there. Twice, since ready descriptors are handled in no particular order. */
void rig_sync(struct rig *rig)
{
    const struct ipc_rule_remove no_rule = {.rule_id = UINT32_MAX};
    const struct ipc_dest_query no_port = {.port = 1, .client = rig_sock("127.0.0.1", 1)};
    for (int i = 0; i < 2; i++) {
        rig_result(rig, IPC_PARENT, rig_send(rig, IPC_PARENT, IPC_MSG_RULE_REMOVE, &no_rule), IPC_NOT_FOUND);
        if (rig->links[IPC_TUNNELD])
            rig_result(rig, IPC_TUNNELD, rig_send(rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &no_port),
                       IPC_NOT_FOUND);
    }
}

static const char *rule_add(struct rig *rig, uint32_t id, enum rule_direction direction, const char *text,
                            bool proxy_protocol, enum ipc_outcome outcome)
{
    struct rule rule;
    char error[RULE_ERROR_MAX];
    ck_assert_msg(rule_parse(direction, text, &rule, error) == NX_OK, "%s", error);
    struct ipc_rule_add body = {.rule_id = id,
                                .direction = (uint8_t)direction,
                                .protocol = (uint8_t)rule.protocol,
                                .listen_port = rule.listen_port,
                                .dest_port = rule.dest_port,
                                .proxy_protocol = proxy_protocol};
    strcpy(body.host, rule.host);
    return rig_result(rig, IPC_PARENT, rig_send(rig, IPC_PARENT, IPC_MSG_RULE_ADD, &body), outcome);
}

const char *rig_rule(struct rig *rig, uint32_t id, enum rule_direction direction, const char *text,
                     enum ipc_outcome outcome)
{
    return rule_add(rig, id, direction, text, false, outcome);
}

const char *rig_rule_proxy_protocol(struct rig *rig, uint32_t id, const char *text, enum ipc_outcome outcome)
{
    return rule_add(rig, id, RULE_INGRESS, text, true, outcome);
}

void rig_rule_remove(struct rig *rig, uint32_t id)
{
    const struct ipc_rule_remove body = {.rule_id = id};
    rig_result(rig, IPC_PARENT, rig_send(rig, IPC_PARENT, IPC_MSG_RULE_REMOVE, &body), IPC_OK);
}

void rig_policy(struct rig *rig, const char *const *lines, uint32_t count)
{
    const struct ipc_policy head = {.file = "P", .lines = count};
    rig_send(rig, IPC_PARENT, IPC_MSG_POLICY, &head);
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_policy_line line = {.number = i + 1};
        snprintf(line.text, sizeof(line.text), "%s", lines[i]);
        rig_send(rig, IPC_PARENT, IPC_MSG_POLICY_LINE, &line);
    }
}
