/* See broker.h. An answer is matched by its request id, first with the gate, then with the UDP flows; one
 * that matches nothing was cancelled, and its descriptor is closed with the message. */
#include "tunneld/broker.h"
#include "common/log.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/tunnel.h"
#include <string.h>

static struct ipc_link *link_of(void *arg)
{
    struct child **child = arg;
    return *child != NULL ? child_link(*child, IPC_PROXYD) : NULL;
}

static uint32_t ask_connect(void *arg, enum rule_protocol protocol, const struct netsock *client,
                            const struct netsock *local)
{
    struct ipc_link *link = link_of(arg);
    if (link == NULL)
        return 0;
    struct ipc_connect body = {
        .protocol = (uint8_t)protocol, .port = local->port, .client = *client, .local = *local};
    uint32_t request = ipc_next_request(link);
    return ipc_send(link, IPC_MSG_CONNECT, request, &body) == 0 ? request : 0;
}

static uint32_t ask_destination(void *arg, uint16_t port, const struct netsock *client)
{
    struct ipc_link *link = link_of(arg);
    if (link == NULL)
        return 0;
    struct ipc_dest_query body = {.port = port, .client = *client};
    uint32_t request = ipc_next_request(link);
    return ipc_send(link, IPC_MSG_DEST_QUERY, request, &body) == 0 ? request : 0;
}

static void ask_cancel(void *arg, uint32_t request)
{
    struct ipc_connect_cancel body = {.request = request};
    (void)ipc_send(link_of(arg), IPC_MSG_CONNECT_CANCEL, 0,
                   &body); /* best effort: an answer is closed unread */
}

static struct broker broker = {.connect = ask_connect, .destination = ask_destination, .cancel = ask_cancel};

const struct broker *broker_ipc(struct child **child)
{
    broker.arg = child;
    return &broker;
}

static void on_connected(uint32_t request, struct ipc_connected *body)
{
    int fd = body->fd;
    bool taken = body->protocol == RULE_TCP ? gate_connected(request, body->rule_id, fd)
                                            : udp_flow_connected(request, body->rule_id, fd);
    if (taken)
        body->fd = -1;
}

void broker_message(struct ipc_message *message)
{
    uint32_t request = message->header.request;
    union ipc_body *body = &message->body;
    if (!tunnel_configured())
        return;
    switch (message->header.type) {
    case IPC_MSG_EGRESS_TCP:
        tcp_flow_egress(body->egress_tcp.rule_id, &body->egress_tcp.client, &body->egress_tcp.dest,
                        body->egress_tcp.fd);
        body->egress_tcp.fd = -1;
        break;
    case IPC_MSG_EGRESS_UDP:
        if (udp_egress_open(body->egress_udp.port, body->egress_udp.fd) != 0)
            log_error("egress UDP port %u cannot be served: out of memory", body->egress_udp.port);
        body->egress_udp.fd = -1;
        break;
    case IPC_MSG_EGRESS_UDP_STOP:
        udp_egress_close(body->egress_udp_stop.port);
        break;
    case IPC_MSG_CONNECTED:
        on_connected(request, &body->connected);
        break;
    case IPC_MSG_DEST:
        (void)udp_flow_destination(request, body->dest.rule_id, &body->dest.dest);
        break;
    case IPC_MSG_RESULT:
        if (body->result.result != IPC_OK && !gate_failed(request))
            (void)udp_flow_failed(request);
        break;
    default:
        log_warn("proxyd sent %s, which has no meaning here", ipc_type_name(message->header.type));
    }
}

void broker_down(void)
{
    gate_forget();
    udp_flow_forget();
}
