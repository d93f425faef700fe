/* A connection costs three system calls: accept4, sendmsg (the hand-over to tunneld) and close. Its options
 * are inherited from the listener, and its address comes with accept4.
 *
 * How many connections one wake-up takes adapts: one while they come singly, which saves the call that only
 * says that there are no more; doubling up to BATCH_MAX while they come faster than that.
 *
 * Back-pressure: while tunneld is away or its link is full, while too many connections wait for a name, and
 * for a moment after descriptors ran out, listeners are not watched. Clients then wait in the kernel's queue,
 * connected, and are served later. */
#include "proxyd/listener.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "proxyd/tcp_options.h"
#include "proxyd/wildcard.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 64, SHORTAGE_PAUSE_MS = 100, NAMES_MAX = DESTINATION_PENDING_MAX / 2 };
/* An accepted connection whose destination is being looked up. */
struct waiting {
    LIST_ENTRY(waiting) entry;
    struct listeners *listeners;
    struct destination_wait *wait;
    struct netsock client;
    int fd;
};

struct listener {
    LIST_ENTRY(listener) entry;
    struct listeners *listeners;
    struct event *event;
    int fd;
    uint16_t port;
    bool has_rules; /* an adopted one waits for its first */
    unsigned batch;
};

struct listeners {
    struct event_base *base;
    struct rule_table *rules;
    struct destination_chooser *chooser;
    struct outbox *tunneld, *parent;
    struct event *shortage; /* pending: descriptors ran out a moment ago */
    bool watching, draining;
    size_t waiting_count;
    LIST_HEAD(, listener) all;
    LIST_HEAD(, waiting) waiting;
};

static struct listener *listener_find(const struct listeners *listeners, uint16_t port)
{
    struct listener *listener;
    LIST_FOREACH (listener, &listeners->all, entry)
        if (listener->port == port)
            return listener;
    return NULL;
}

/* The client sees a reset. */
static void connection_reset(int fd)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

/* Takes over `fd`. */
static void connection_hand_over(struct listeners *listeners, int fd, const struct netsock *client,
                                 const struct destination *destination)
{
    if (destination->rule_id == 0) {
        connection_reset(fd);
        return;
    }
    const struct ipc_egress_tcp body = {
        .rule_id = destination->rule_id, .client = *client, .dest = destination->dest, .fd = fd};
    outbox_send(listeners->tunneld, IPC_MSG_EGRESS_TCP, 0, &body, sizeof(body), fd);
}

static void waiting_free(struct waiting *waiting)
{
    LIST_REMOVE(waiting, entry);
    waiting->listeners->waiting_count--;
    free(waiting);
}

static void on_destination(const struct destination *destination, void *arg)
{
    struct waiting *const waiting = arg;
    struct listeners *const listeners = waiting->listeners;
    connection_hand_over(listeners, waiting->fd, &waiting->client, destination);
    waiting_free(waiting);
    listeners_update(listeners);
}

/* Takes over `fd`. */
static void connection_begin(struct listener *listener, int fd, const struct netsock *client)
{
    struct listeners *const listeners = listener->listeners;
    struct destination destination;
    struct destination_wait *wait;
    struct rule_set *const set = rule_table_set(listeners->rules, RULE_EGRESS, RULE_TCP, listener->port);
    if (!set) {
        connection_reset(fd);
        return;
    }
    if (destination_choose(listeners->chooser, set, &destination, &wait) == NX_OK) {
        connection_hand_over(listeners, fd, client, &destination);
        return;
    }
    struct waiting *const waiting = malloc(sizeof(*waiting));
    if (!waiting) {
        destination_cancel(wait);
        connection_reset(fd);
        return;
    }
    *waiting = (struct waiting){.listeners = listeners, .wait = wait, .client = *client, .fd = fd};
    LIST_INSERT_HEAD(&listeners->waiting, waiting, entry);
    listeners->waiting_count++;
    destination_await(wait, on_destination, waiting);
}

static void shortage_begin(struct listeners *listeners, int error)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 1};
    if (log_ratelimit_ok(&limit))
        log_error("no connection can be accepted for the moment: %s", strerror(error));
    event_add(listeners->shortage, &(struct timeval){0, SHORTAGE_PAUSE_MS * 1000});
    listeners_update(listeners);
}

static void on_shortage_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    listeners_update(arg);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* NX_OK, NX_EAGAIN: the queue is empty, or NX_ESYS: accepting has stopped. */
static int connection_accept(struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    struct netsock client;
    const int fd = accept4(listener->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN)
            return NX_EAGAIN;
        if (errno == EINVAL || errno == EBADF) { /* it does not listen any more */
            log_error("egress tcp port %u: the listener was closed by somebody else", listener->port);
            event_del(listener->event);
            return NX_ESYS;
        }
        if (!is_shortage(errno))
            return NX_OK; /* that connection's own error, as accept(2) says */
        shortage_begin(listener->listeners, errno);
        return NX_ESYS;
    }
    if (netsock_from_sockaddr((const struct sockaddr *)&address, length, &client) == NX_OK &&
        client.port != 0)
        connection_begin(listener, fd, &client);
    else
        connection_reset(fd);
    return NX_OK;
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
    struct listener *const listener = arg;
    struct listeners *const listeners = listener->listeners;
    (void)fd, (void)what;
    for (unsigned i = 0; i < listener->batch; i++) {
        const int result = connection_accept(listener);
        if (result == NX_EAGAIN)
            listener->batch = i > 1 ? i : 1;
        if (result != NX_OK)
            return;
        listeners_update(listeners);
        if (!listeners->watching)
            return;
    }
    if (listener->batch < BATCH_MAX)
        listener->batch *= 2;
}

void listeners_update(struct listeners *listeners)
{
    const bool watch = outbox_ready(listeners->tunneld) && listeners->waiting_count < NAMES_MAX &&
                       !evtimer_pending(listeners->shortage, NULL);
    struct listener *listener;
    if (watch == listeners->watching)
        return;
    listeners->watching = watch;
    LIST_FOREACH (listener, &listeners->all, entry) {
        if (watch && listener->has_rules)
            event_add(listener->event, NULL);
        else
            event_del(listener->event);
    }
}

/* Takes over `fd` on success. */
static struct listener *listener_new(struct listeners *listeners, uint16_t port, int fd)
{
    struct listener *const listener = calloc(1, sizeof(*listener));
    if (!listener)
        return NULL;
    listener->event = event_new(listeners->base, fd, EV_READ | EV_PERSIST, on_client, listener);
    if (!listener->event) {
        free(listener);
        return NULL;
    }
    listener->listeners = listeners;
    listener->port = port;
    listener->fd = fd;
    listener->batch = 1;
    LIST_INSERT_HEAD(&listeners->all, listener, entry);
    return listener;
}

static void listener_free(struct listener *listener)
{
    LIST_REMOVE(listener, entry);
    event_free(listener->event);
    fd_close(&listener->fd);
    free(listener);
}

int listener_adopt(struct listeners *listeners, uint16_t port, int fd, struct failure *failure)
{
    FD_AUTO int owned = fd;
    if (listener_find(listeners, port)) {
        failure_set(failure, IPC_FAILED, "egress tcp port %u has a listener already", port);
        return NX_EEXIST;
    }
    if (wildcard_port(owned) != port) {
        failure_set(failure, IPC_FAILED, "the listener kept for tcp port %u is another port's", port);
        return NX_EINVAL;
    }
    if (!listener_new(listeners, port, owned)) {
        failure_set(failure, IPC_LIMIT, "egress tcp port %u: out of memory", port);
        return NX_ENOMEM;
    }
    fd_release(&owned);
    return NX_OK;
}

static struct listener *listener_create(struct listeners *listeners, const struct rule_entry *rule,
                                        struct failure *failure)
{
    FD_AUTO int fd = -1;
    char name[RULE_NAME_MAX];
    const uint16_t port = rule->rule.listen_port;
    const struct netaddr at = admission_listen(listeners->chooser->admission, &rule->rule);
    if (wildcard_bind_at(SOCK_STREAM, &at, port, &fd) != NX_OK || tcp_options_set(fd) != NX_OK ||
        listen(fd, SOMAXCONN)) {
        wildcard_failure(failure, rule_entry_name(rule, name), &at, port, errno);
        return NULL;
    }
    struct listener *const listener = listener_new(listeners, port, fd);
    if (!listener) {
        failure_set(failure, IPC_LIMIT, "%s: out of memory", rule_entry_name(rule, name));
        return NULL;
    }
    const int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const struct ipc_listener_keep body = {.port = port, .fd = kept};
    fd_release(&fd);
    if (kept >= 0)
        outbox_send(listeners->parent, IPC_MSG_LISTENER_KEEP, 0, &body, sizeof(body), kept);
    else
        log_warn("egress tcp port %u: a restart would lose waiting connections: %s", port, strerror(errno));
    return listener;
}

int listener_open(struct listeners *listeners, const struct rule_entry *entry, struct failure *failure)
{
    struct listener *listener = listener_find(listeners, entry->rule.listen_port);
    if (listeners->draining)
        return NX_OK;
    if (!listener)
        listener = listener_create(listeners, entry, failure);
    if (!listener)
        return NX_ESYS;
    if (listener->has_rules)
        return NX_OK;
    listener->has_rules = true;
    if (listeners->watching)
        event_add(listener->event, NULL);
    return NX_OK;
}

void listener_close(struct listeners *listeners, uint16_t port)
{
    struct listener *const listener = listener_find(listeners, port);
    if (!listener)
        return;
    /* Closing our descriptor alone would leave the parent's duplicate listening. */
    shutdown(listener->fd, SHUT_RD);
    listener_free(listener);
}

void listeners_drain(struct listeners *listeners)
{
    listeners->draining = true;
    while (!LIST_EMPTY(&listeners->all))
        listener_close(listeners, LIST_FIRST(&listeners->all)->port);
}

size_t listeners_count(const struct listeners *listeners)
{
    const struct listener *listener;
    size_t count = 0;
    LIST_FOREACH (listener, &listeners->all, entry)
        count += listener->has_rules;
    return count;
}

size_t listeners_waiting(const struct listeners *listeners)
{
    return listeners->waiting_count;
}

struct listeners *listeners_new(struct event_base *base, struct rule_table *rules,
                                struct destination_chooser *chooser, struct outbox *tunneld,
                                struct outbox *parent)
{
    struct listeners *const listeners = calloc(1, sizeof(*listeners));
    if (!listeners)
        return NULL;
    listeners->base = base;
    listeners->rules = rules;
    listeners->chooser = chooser;
    listeners->tunneld = tunneld;
    listeners->parent = parent;
    listeners->shortage = evtimer_new(base, on_shortage_over, listeners);
    if (!listeners->shortage) {
        free(listeners);
        return NULL;
    }
    return listeners;
}

void listeners_free(struct listeners *listeners)
{
    if (!listeners)
        return;
    while (!LIST_EMPTY(&listeners->waiting)) {
        struct waiting *const waiting = LIST_FIRST(&listeners->waiting);
        destination_cancel(waiting->wait);
        connection_reset(waiting->fd);
        waiting_free(waiting);
    }
    while (!LIST_EMPTY(&listeners->all))
        listener_free(LIST_FIRST(&listeners->all));
    event_free(listeners->shortage);
    free(listeners);
}
