/* proxyd: the process that owns the host's side of every flow until it is handed to tunneld.
 *
 * The parent says which rules there are; tunneld asks for connections and destinations, ctld for names, and
 * says which names the mesh's devices have. Each request is answered once, with its id. Nothing here blocks.
 */
#include "child/child.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "ipc/metrics.h"
#include "proxyd/admission.h"
#include "proxyd/connector.h"
#include "proxyd/listener.h"
#include "proxyd/metrics_bind.h"
#include "proxyd/outlet.h"
#include "proxyd/ports.h"
#include "proxyd/query.h"
#include "proxyd/rule_stats.h"
#include "proxyd/tunnel_socket.h"
#include "proxyd/udp_port.h"
#include "seccomp/proxyd.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 65536 };

struct proxyd {
    const char *name_servers; /* --name-servers=, or NULL */
    struct admission admission;
    struct rule_table rules;
    struct mesh_names mesh_names;
    struct resolver *resolver;
    struct destination_chooser chooser;
    struct connector *connector;
    struct listeners *listeners;
    struct udp_ports *udp_ports;
    struct outlets *outlets;
    struct outbox parent, tunneld, ctld;
    struct queries tunneld_queries, ctld_queries;
    bool draining; /* new flows are refused */
};

static void on_tunneld_ready(void *arg)
{
    struct proxyd *const proxyd = arg;
    listeners_update(proxyd->listeners);
}

static int on_setup(struct child *child, void *arg)
{
    struct proxyd *const proxyd = arg;
    struct event_base *const base = child_base(child);
    rule_table_init(&proxyd->rules);
    const struct resolver_config config = {.name_servers = proxyd->name_servers};
    proxyd->resolver = resolver_new(base, &config);
    if (!proxyd->resolver)
        return -1;
    proxyd->chooser = (struct destination_chooser){.resolver = proxyd->resolver,
                                                   .rules = &proxyd->rules,
                                                   .admission = &proxyd->admission,
                                                   .names = &proxyd->mesh_names};
    if (outbox_init(&proxyd->parent, base, NULL, NULL) != NX_OK ||
        outbox_init(&proxyd->tunneld, base, on_tunneld_ready, proxyd) != NX_OK ||
        outbox_init(&proxyd->ctld, base, NULL, NULL) != NX_OK)
        goto no_memory;
    queries_init(&proxyd->tunneld_queries, &proxyd->tunneld);
    queries_init(&proxyd->ctld_queries, &proxyd->ctld);
    proxyd->connector =
        connector_new(base, proxyd->resolver, &proxyd->admission, &proxyd->rules, &proxyd->tunneld);
    proxyd->listeners =
        listeners_new(base, &proxyd->rules, &proxyd->chooser, &proxyd->tunneld, &proxyd->parent);
    proxyd->udp_ports = udp_ports_new(base, &proxyd->admission, &proxyd->tunneld, &proxyd->parent);
    proxyd->outlets = outlets_new(base, proxyd->resolver, &proxyd->ctld);
    if (!proxyd->connector || !proxyd->listeners || !proxyd->udp_ports || !proxyd->outlets)
        goto no_memory;
    outbox_set_link(&proxyd->parent, child_link(child, IPC_PARENT));
    return 0;
no_memory:
    log_error("out of memory at start");
    return -1;
}

static void on_teardown(struct child *child, void *arg)
{
    struct proxyd *const proxyd = arg;
    (void)child;
    if (!proxyd->resolver)
        return;
    queries_cancel_all(&proxyd->tunneld_queries);
    queries_cancel_all(&proxyd->ctld_queries);
    listeners_free(proxyd->listeners);
    udp_ports_free(proxyd->udp_ports);
    connector_free(proxyd->connector);
    outlets_free(proxyd->outlets);
    outbox_destroy(&proxyd->parent);
    outbox_destroy(&proxyd->tunneld);
    outbox_destroy(&proxyd->ctld);
    resolver_free(proxyd->resolver);
    mesh_names_destroy(&proxyd->mesh_names);
    rule_table_destroy(&proxyd->rules);
    admission_destroy(&proxyd->admission);
}

/* -- From the parent ---------------------------------------------------------------------------------------
 */

static void on_rule_add(struct proxyd *proxyd, uint32_t request, const struct ipc_rule_add *message)
{
    struct rule_entry *entry;
    struct failure failure = {.result = IPC_OK};
    int err = rule_table_add(&proxyd->rules, message, &entry, &failure);
    const bool added = err == NX_OK;
    if (err == NX_EEXIST)
        err = NX_OK;
    if (err == NX_OK)
        err = admission_rule(&proxyd->admission, entry, &failure);
    if (err == NX_OK && entry->rule.direction == RULE_EGRESS)
        err = entry->rule.protocol == RULE_TCP ? listener_open(proxyd->listeners, entry, &failure)
                                               : udp_port_open(proxyd->udp_ports, entry, &failure);
    if (err != NX_OK && added)
        rule_table_remove(&proxyd->rules, entry);
    outbox_send_result(&proxyd->parent, request, &failure);
}

static void on_rule_remove(struct proxyd *proxyd, uint32_t request, const struct ipc_rule_remove *message)
{
    struct rule_entry *const entry = rule_table_find(&proxyd->rules, message->rule_id);
    struct failure failure = {.result = IPC_OK};
    if (!entry) {
        failure_set(&failure, IPC_NOT_FOUND, "there is no rule with id %u", (unsigned)message->rule_id);
        outbox_send_result(&proxyd->parent, request, &failure);
        return;
    }
    const struct rule rule = entry->rule;
    rule_table_remove(&proxyd->rules, entry);
    if (rule.direction == RULE_INGRESS)
        connector_rule_removed(proxyd->connector, message->rule_id);
    if (rule.direction == RULE_EGRESS &&
        !rule_table_set(&proxyd->rules, rule.direction, rule.protocol, rule.listen_port)) {
        if (rule.protocol == RULE_TCP)
            listener_close(proxyd->listeners, rule.listen_port);
        else
            udp_port_close(proxyd->udp_ports, rule.listen_port);
    }
    outbox_send_result(&proxyd->parent, request, &failure);
}

/* LISTENER_KEEP and UDP_KEEP: an answer only where one was asked for; a failure is always logged, since the
 * next RULE_ADD opens the port anew. */
static void on_kept(struct proxyd *proxyd, uint32_t request, int err, const struct failure *failure)
{
    if (err != NX_OK)
        log_warn("%s", failure->text);
    if (request != 0)
        outbox_send_result(&proxyd->parent, request, failure);
}

static void on_tunnel_bind(struct proxyd *proxyd, uint32_t request, const struct ipc_tunnel_bind *message)
{
    struct tunnel_sockets sockets;
    struct failure failure;
    if (tunnel_sockets_bind(message->port, &sockets, &failure) != NX_OK) {
        outbox_send_result(&proxyd->parent, request, &failure);
        return;
    }
    const struct ipc_tunnel_bound body = {.port = sockets.port, .udp4 = sockets.udp4, .udp6 = sockets.udp6};
    const int err = ipc_send(proxyd->parent.link, IPC_MSG_TUNNEL_BOUND, request, &body);
    if (err != NX_OK) {
        failure_set(&failure, IPC_FAILED, "the tunnel's sockets cannot be handed over: %s", nx_strerror(err));
        outbox_send_result(&proxyd->parent, request, &failure);
    }
    fd_close(&sockets.udp4);
    fd_close(&sockets.udp6);
}

static void on_parent_message(struct proxyd *proxyd, struct ipc_message *message)
{
    const uint32_t request = message->header.request;
    struct failure failure = {.result = IPC_OK};
    int err;
    switch (message->header.type) {
    case IPC_MSG_POLICY:
        admission_begin(&proxyd->admission, &message->body.policy);
        break;
    case IPC_MSG_POLICY_LINE:
        admission_line(&proxyd->admission, &message->body.policy_line);
        break;
    case IPC_MSG_RULE_ADD:
        on_rule_add(proxyd, request, &message->body.rule_add);
        break;
    case IPC_MSG_RULE_REMOVE:
        on_rule_remove(proxyd, request, &message->body.rule_remove);
        break;
    case IPC_MSG_LISTENER_KEEP:
        err = listener_adopt(proxyd->listeners, message->body.listener_keep.port,
                             fd_release(&message->body.listener_keep.fd), &failure);
        on_kept(proxyd, request, err, &failure);
        break;
    case IPC_MSG_UDP_KEEP:
        err = udp_port_adopt(proxyd->udp_ports, message->body.udp_keep.port,
                             fd_release(&message->body.udp_keep.fd), &failure);
        on_kept(proxyd, request, err, &failure);
        break;
    case IPC_MSG_DRAIN:
        proxyd->draining = true;
        listeners_drain(proxyd->listeners);
        outbox_send_result(&proxyd->parent, request, &failure);
        break;
    case IPC_MSG_METRICS_BIND:
        metrics_bind(&proxyd->parent, request, &message->body.metrics_bind.address);
        break;
    case IPC_MSG_OUTLET:
        if (outlet_add(proxyd->outlets, &message->body.outlet) != NX_OK)
            log_warn("%s is no outlet: there are too many", message->body.outlet.host);
        break;
    case IPC_MSG_TUNNEL_BIND:
        on_tunnel_bind(proxyd, request, &message->body.tunnel_bind);
        break;
    default: /* RESULT: nothing of ours asks the parent */
        break;
    }
}

/* -- From the siblings -------------------------------------------------------------------------------------
 */

/* True: this asks for a new flow, and there are to be none. */
static bool refused_by_drain(struct proxyd *proxyd, const struct ipc_message *message)
{
    struct failure failure;
    if (!proxyd->draining ||
        (message->header.type != IPC_MSG_CONNECT && message->header.type != IPC_MSG_DEST_QUERY))
        return false;
    failure_set(&failure, IPC_REFUSED, "nexd is draining");
    outbox_send_result(&proxyd->tunneld, message->header.request, &failure);
    return true;
}

static void on_tunneld_message(struct proxyd *proxyd, const struct ipc_message *message)
{
    const uint32_t request = message->header.request;
    if (refused_by_drain(proxyd, message))
        return;
    switch (message->header.type) {
    case IPC_MSG_CONNECT:
        connector_connect(proxyd->connector, request, &message->body.connect);
        break;
    case IPC_MSG_CONNECT_CANCEL:
        connector_cancel(proxyd->connector, message->body.connect_cancel.request);
        break;
    case IPC_MSG_DEST_QUERY:
        query_destination(&proxyd->tunneld_queries, &proxyd->chooser, request, &message->body.dest_query);
        break;
    default:
        break;
    }
}

static void on_mesh_name(struct proxyd *proxyd, const struct ipc_mesh_name *message)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 5};
    const int err =
        mesh_names_set(&proxyd->mesh_names, message->name, message->addresses.item, message->addresses.count);
    if (err != NX_OK && log_ratelimit_ok(&limit))
        log_warn("the mesh device \"%s\" is not known by its name: %s", message->name, nx_strerror(err));
}

static void on_metrics_query(struct proxyd *proxyd, uint32_t request)
{
    const struct ipc_metric numbers[] = {
        {METRIC_QUEUE_TO_TUNNELD, proxyd->tunneld.count},
        {METRIC_QUEUE_TO_PARENT, proxyd->parent.count},
        {METRIC_QUEUE_TO_CTLD, proxyd->ctld.count},
        {METRIC_LISTENERS, listeners_count(proxyd->listeners)},
        {METRIC_CLIENTS_RESOLVING, listeners_waiting(proxyd->listeners)},
        {METRIC_OUTLET_REFUSED, outlets_refused(proxyd->outlets)},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        outbox_send(&proxyd->ctld, IPC_MSG_METRIC, request, &numbers[i], sizeof(numbers[i]), -1);
    outbox_send_ok(&proxyd->ctld, request);
}

static void on_ctld_message(struct proxyd *proxyd, const struct ipc_message *message)
{
    switch (message->header.type) {
    case IPC_MSG_RESOLVE:
        query_resolve(&proxyd->ctld_queries, proxyd->resolver, message->header.request,
                      &message->body.resolve);
        break;
    case IPC_MSG_MESH_SYNC:
        mesh_names_sync(&proxyd->mesh_names, message->body.mesh_sync.begin);
        break;
    case IPC_MSG_MESH_NAME:
        on_mesh_name(proxyd, &message->body.mesh_name);
        break;
    case IPC_MSG_RULE_STATS_QUERY:
        rule_stats_answer(&proxyd->rules, &proxyd->ctld, message->header.request);
        break;
    case IPC_MSG_OUTLET_ISSUER:
        outlet_issuer(proxyd->outlets, message->header.request, &message->body.outlet_issuer);
        break;
    case IPC_MSG_OPEN:
        outlet_open(proxyd->outlets, message->header.request, &message->body.open);
        break;
    case IPC_MSG_CONNECT_CANCEL:
        outlet_cancel(proxyd->outlets, message->body.connect_cancel.request);
        break;
    case IPC_MSG_METRICS_QUERY:
        on_metrics_query(proxyd, message->header.request);
        break;
    default:
        break;
    }
}

static void on_message(struct child *child, enum ipc_role from, struct ipc_link *link,
                       struct ipc_message *message, void *arg)
{
    struct proxyd *const proxyd = arg;
    (void)child, (void)link;
    if (from == IPC_PARENT)
        on_parent_message(proxyd, message);
    else if (from == IPC_TUNNELD)
        on_tunneld_message(proxyd, message);
    else
        on_ctld_message(proxyd, message);
}

static void on_link_up(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    struct proxyd *const proxyd = arg;
    (void)child;
    if (peer == IPC_CTLD) {
        outbox_set_link(&proxyd->ctld, link);
        return;
    }
    outbox_set_link(&proxyd->tunneld, link);
    udp_ports_announce(proxyd->udp_ports);
    listeners_update(proxyd->listeners);
}

static void on_link_down(struct child *child, enum ipc_role peer, void *arg)
{
    struct proxyd *const proxyd = arg;
    (void)child;
    if (peer == IPC_CTLD) {
        queries_cancel_all(&proxyd->ctld_queries);
        outlets_cancel_all(proxyd->outlets);
        outbox_set_link(&proxyd->ctld, NULL);
        return;
    }
    connector_cancel_all(proxyd->connector);
    queries_cancel_all(&proxyd->tunneld_queries);
    outbox_set_link(&proxyd->tunneld, NULL);
    listeners_update(proxyd->listeners);
}

static void on_link_writable(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    struct proxyd *const proxyd = arg;
    (void)child, (void)link;
    if (peer == IPC_PARENT)
        outbox_flush(&proxyd->parent);
    else
        outbox_flush(peer == IPC_CTLD ? &proxyd->ctld : &proxyd->tunneld);
}

static void on_shutdown(struct child *child, uint32_t grace_ms, void *arg)
{
    (void)grace_ms, (void)arg;
    child_exit(child, 0); /* on_teardown closes everything */
}

int main(int argc, char **argv)
{
    static const char name_servers[] = "--name-servers=", tcp_ports[] = "--tcp-ports=";
    static struct proxyd proxyd;
    static struct proxyd_ports ports;
    static struct sandbox_spec sandbox = {
        .name = "proxyd",
        .start = proxyd_start_filter,
        .start_count = proxyd_start_filter_count,
        .run = proxyd_run_filter,
        .run_count = proxyd_run_filter_count,
        .max_files = FILES_MAX,
    };
    static const struct child_ops ops = {
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
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name_servers, sizeof(name_servers) - 1) == 0)
            proxyd.name_servers = argv[i] + sizeof(name_servers) - 1;
        else if (strncmp(argv[i], tcp_ports, sizeof(tcp_ports) - 1) == 0 &&
                 proxyd_ports_parse(argv[i] + sizeof(tcp_ports) - 1, &ports) != NX_OK)
            return EXIT_FAILURE; /* another build's parent */
    sandbox.tcp_bind = ports.bind_limited ? &ports.bind : NULL;
    sandbox.tcp_connect = ports.connect_limited ? &ports.connect : NULL;
    return child_run(argc, argv, &ops, &proxyd);
}
