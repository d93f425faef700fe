/* The socket is dual-stack, and tells with each datagram at which of our addresses it arrived (IPV6_PKTINFO,
 * IPv4 ones as mapped addresses), so that the answer leaves from there: on a host with several addresses a
 * client drops what comes from another. tunneld may not set this option, so it is set here. */
#include "proxyd/udp_port.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "proxyd/wildcard.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { UDP_BUFFER_BYTES = 1 << 20, LINGER_MS = 1000 };

struct udp_port {
    LIST_ENTRY(udp_port) entry;
    uint16_t port;
    bool has_rules;       /* an adopted one waits for its first */
    struct event *linger; /* pending: its last rule is gone */
    int fd;
};

struct udp_ports {
    struct event_base *base;
    const struct admission *admission;
    struct outbox *tunneld, *parent;
    LIST_HEAD(, udp_port) all;
};

static struct udp_port *udp_port_find(const struct udp_ports *ports, uint16_t port)
{
    struct udp_port *found;
    LIST_FOREACH (found, &ports->all, entry)
        if (found->port == port)
            return found;
    return NULL;
}

static int udp_options_set(int fd)
{
    static const int on = 1, bytes = UDP_BUFFER_BYTES;
    int family = 0;
    socklen_t length = sizeof(family);
    /* As far as the host's limit goes; a smaller buffer works too. */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length))
        return NX_ESYS;
    const int result = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
                                          : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    return result ? NX_ESYS : NX_OK;
}

static void udp_port_free(struct udp_port *port)
{
    LIST_REMOVE(port, entry);
    event_free(port->linger);
    fd_close(&port->fd);
    free(port);
}

static void on_linger_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    udp_port_free(arg);
}

/* Takes over `fd` on success. */
static struct udp_port *udp_port_new(struct udp_ports *ports, uint16_t port, int fd)
{
    struct udp_port *const made = calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    made->linger = evtimer_new(ports->base, on_linger_over, made);
    if (!made->linger) {
        free(made);
        return NULL;
    }
    made->port = port;
    made->fd = fd;
    LIST_INSERT_HEAD(&ports->all, made, entry);
    return made;
}

int udp_port_adopt(struct udp_ports *ports, uint16_t port, int fd, struct failure *failure)
{
    FD_AUTO int owned = fd;
    if (udp_port_find(ports, port)) {
        failure_set(failure, IPC_FAILED, "egress udp port %u is open already", port);
        return NX_EEXIST;
    }
    if (wildcard_port(owned) != port) {
        failure_set(failure, IPC_FAILED, "the socket kept for udp port %u is another port's", port);
        return NX_EINVAL;
    }
    if (!udp_port_new(ports, port, owned)) {
        failure_set(failure, IPC_LIMIT, "egress udp port %u: out of memory", port);
        return NX_ENOMEM;
    }
    fd_release(&owned);
    return NX_OK;
}

/* Sends a duplicate. */
static void udp_port_send(const struct udp_port *port, struct outbox *outbox, enum ipc_type type)
{
    const int copy = fcntl(port->fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        log_error("egress udp port %u cannot be handed over: %s", port->port, strerror(errno));
        return;
    }
    if (type == IPC_MSG_UDP_KEEP) {
        const struct ipc_udp_keep body = {.port = port->port, .fd = copy};
        outbox_send(outbox, type, 0, &body, sizeof(body), copy);
    } else {
        const struct ipc_egress_udp body = {.port = port->port, .fd = copy};
        outbox_send(outbox, type, 0, &body, sizeof(body), copy);
    }
}

static struct udp_port *udp_port_create(struct udp_ports *ports, const struct rule_entry *rule,
                                        struct failure *failure)
{
    FD_AUTO int fd = -1;
    char name[RULE_NAME_MAX];
    const uint16_t port = rule->rule.listen_port;
    const struct netaddr at = admission_listen(ports->admission, &rule->rule);
    if (wildcard_bind_at(SOCK_DGRAM, &at, port, &fd) != NX_OK || udp_options_set(fd) != NX_OK) {
        wildcard_failure(failure, rule_entry_name(rule, name), &at, port, errno);
        return NULL;
    }
    struct udp_port *const made = udp_port_new(ports, port, fd);
    if (!made) {
        failure_set(failure, IPC_LIMIT, "%s: out of memory", rule_entry_name(rule, name));
        return NULL;
    }
    fd_release(&fd);
    udp_port_send(made, ports->parent, IPC_MSG_UDP_KEEP);
    return made;
}

int udp_port_open(struct udp_ports *ports, const struct rule_entry *entry, struct failure *failure)
{
    struct udp_port *port = udp_port_find(ports, entry->rule.listen_port);
    if (!port)
        port = udp_port_create(ports, entry, failure);
    if (!port)
        return NX_ESYS;
    if (port->has_rules)
        return NX_OK;
    port->has_rules = true;
    if (evtimer_pending(port->linger, NULL)) { /* the parent has let go of it */
        event_del(port->linger);
        udp_port_send(port, ports->parent, IPC_MSG_UDP_KEEP);
    }
    if (ports->tunneld->link) /* else with the others, when the link comes up */
        udp_port_send(port, ports->tunneld, IPC_MSG_EGRESS_UDP);
    return NX_OK;
}

void udp_port_close(struct udp_ports *ports, uint16_t port)
{
    struct udp_port *const found = udp_port_find(ports, port);
    if (!found)
        return;
    const struct ipc_egress_udp_stop body = {.port = port};
    if (ports->tunneld->link)
        outbox_send(ports->tunneld, IPC_MSG_EGRESS_UDP_STOP, 0, &body, sizeof(body), -1);
    found->has_rules = false;
    event_add(found->linger, &(struct timeval){LINGER_MS / 1000, LINGER_MS % 1000 * 1000});
}

void udp_ports_announce(struct udp_ports *ports)
{
    struct udp_port *port;
    LIST_FOREACH (port, &ports->all, entry)
        if (port->has_rules)
            udp_port_send(port, ports->tunneld, IPC_MSG_EGRESS_UDP);
}

struct udp_ports *udp_ports_new(struct event_base *base, const struct admission *admission,
                                struct outbox *tunneld, struct outbox *parent)
{
    struct udp_ports *const ports = calloc(1, sizeof(*ports));
    if (!ports)
        return NULL;
    ports->base = base;
    ports->admission = admission;
    ports->tunneld = tunneld;
    ports->parent = parent;
    return ports;
}

void udp_ports_free(struct udp_ports *ports)
{
    if (!ports)
        return;
    while (!LIST_EMPTY(&ports->all))
        udp_port_free(LIST_FIRST(&ports->all));
    free(ports);
}
