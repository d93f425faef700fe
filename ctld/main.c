/* ctld: decides which peers the tunnel has and where they are, and answers operators on the control socket.
 * In static mode the peers are those of the configuration file (static_mode.c), in network mode those that a
 * control plane names (network_mode.c); which of the two it is, the parent's messages say. It holds no secret
 * key, makes no socket, and opens no file once its sandbox is closed.
 *
 * All its parts are state machines that are told what happened and when; here they are tied to the links, to
 * one timer and to each other. */
#include "child/child.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "ctld/device.h"
#include "ctld/documents.h"
#include "ctld/http/service.h"
#include "ctld/network_mode.h"
#include "ctld/operators.h"
#include "ctld/peers.h"
#include "ctld/static_mode.h"
#include "seccomp/ctld.h"

#include <event2/event.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 256 };

struct ctld {
    struct child *child;
    const char *ca_file; /* --ca-file=, or NULL */
    struct http_service *http;
    bool leaving;
    struct event *timer;
    struct device device;
    struct peers *peers;
    struct static_mode static_mode;
    struct network_mode *network;
    struct operators operators;
};

static int to_tunneld(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    struct ctld *ctld = arg;
    return ipc_send(child_link(ctld->child, IPC_TUNNELD), type, request, body);
}

static int to_proxyd(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    struct ctld *ctld = arg;
    return ipc_send(child_link(ctld->child, IPC_PROXYD), type, request, body);
}

static int control_send(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body)
{
    struct ctld *ctld = arg;
    return ipc_send(child_link(ctld->child, to), type, request, body);
}

static void on_peer_status(void *arg, const struct peer *peer, uint64_t now_ns)
{
    struct ctld *ctld = arg;
    if (network_mode_active(ctld->network))
        network_mode_peer_status(ctld->network, peer);
    else
        static_peers_status(ctld->static_mode.source, peer, now_ns);
}

static void on_synced(void *arg)
{
    struct ctld *ctld = arg;
    log_debug("the tunnel has its %zu peers", peers_count(ctld->peers));
    const uint32_t request = static_mode_synced(&ctld->static_mode);
    const struct ipc_result result = {.result = IPC_OK};
    if (request)
        ipc_send(child_link(ctld->child, IPC_PARENT), IPC_MSG_RESULT, request, &result);
}

/* Bulk to the parent waits while more than a few messages do, and goes on when they have gone. */
static bool parent_room(void *arg)
{
    struct ctld *ctld = arg;
    struct ipc_link *parent = child_link(ctld->child, IPC_PARENT);
    if (ipc_link_queued(parent) < DOCUMENTS_QUEUE_MAX)
        return true;
    ipc_link_await_room(parent);
    return false;
}

static int on_route(void *arg, const struct http_route *route)
{
    struct ctld *ctld = arg;
    return http_client_set_route(http_service_client(ctld->http), route);
}

static void on_tunnel_up(void *arg)
{
    struct ctld *ctld = arg;
    peers_link_up(ctld->peers, clock_now_ns());
}

static bool network_tell(void *arg, struct control_network *out)
{
    struct ctld *ctld = arg;
    return network_mode_tell(ctld->network, out, clock_now_ns());
}

static void peer_describe(void *arg, const struct peer *peer, const char **hostname, const char **method)
{
    struct ctld *ctld = arg;
    network_mode_describe(ctld->network, peer->public_key, hostname, method, clock_now_ns());
}

static bool network_devices(void *arg, connectivity_device_fn each, void *each_arg)
{
    struct ctld *ctld = arg;
    return network_mode_devices(ctld->network, clock_now_ns(), each, each_arg);
}

static const struct peers_ops peers_ops = {
    .send = to_tunneld, .on_status = on_peer_status, .on_synced = on_synced};
static const struct static_peers_ops static_ops = {.send = to_proxyd};
static const struct network_mode_ops network_ops = {
    .send = control_send, .room = parent_room, .route = on_route, .tunnel_up = on_tunnel_up};
static const struct proxyd_opener_ops opener_ops = {.send = to_proxyd};

/* Lets every part act on what has just changed, then sleeps until the first of them needs the time. */
static void settle(struct ctld *ctld)
{
    uint64_t now = clock_now_ns();
    static_peers_run(ctld->static_mode.source, now);
    network_mode_run(ctld->network, now);
    ctld->operators.pages.api = network_mode_active(ctld->network)
                                    ? (enum metrics_api)network_mode_status(ctld->network).phase
                                    : METRICS_API_STATIC;
    peers_run(ctld->peers, now);
    peers_pump(ctld->peers, now);
    operators_run(&ctld->operators, now);
    const uint64_t times[] = {peers_next_ns(ctld->peers), static_peers_next_ns(ctld->static_mode.source),
                              network_mode_next_ns(ctld->network, now), operators_next_ns(&ctld->operators)};
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        next = times[i] < next ? times[i] : next;
    if (next == UINT64_MAX) {
        event_del(ctld->timer);
        return;
    }
    uint64_t wait_us = next > now ? (next - now + NS_PER_US - 1) / NS_PER_US : 0;
    const struct timeval wait = {(time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000)};
    event_add(ctld->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    settle(arg);
}

static void on_settle(void *arg)
{
    settle(arg);
}

static const struct operators_ops operators_ops = {
    .send = control_send,
    .network = network_tell,
    .describe = peer_describe,
    .devices = network_devices,
    .settle = on_settle,
};

static int setup(struct child *child, void *arg)
{
    struct ctld *ctld = arg;
    struct event_base *base = child_base(child);
    ctld->child = child;
    ctld->timer = evtimer_new(base, on_timer, ctld);
    ctld->peers = peers_new(&peers_ops, ctld);
    const bool static_made = static_mode_init(&ctld->static_mode, ctld->peers, &static_ops, ctld);
    struct stat status;
    const int ca_fd = ctld->ca_file && fstat(CHILD_FILE_FD, &status) == 0 ? CHILD_FILE_FD : -1;
    ctld->http = http_service_new(base, ctld->ca_file, ca_fd, &opener_ops, ctld);
    if (ca_fd >= 0)
        close(ca_fd);
    if (!ctld->http)
        return NX_EINVAL; /* logged */
    ctld->network = network_mode_new(http_client_http(http_service_client(ctld->http)), ctld->peers,
                                     &ctld->device, &network_ops, ctld);
    const bool operators_made =
        operators_init(&ctld->operators, base, &ctld->device, ctld->peers, &operators_ops, ctld);
    if (ctld->timer && ctld->peers && static_made && ctld->network && operators_made)
        return NX_OK;
    log_error("set-up: out of memory");
    return NX_ENOMEM;
}

static void teardown(struct child *child, void *arg)
{
    (void)child;
    struct ctld *ctld = arg;
    operators_destroy(&ctld->operators);
    static_mode_destroy(&ctld->static_mode);
    network_mode_free(ctld->network);
    http_service_free(ctld->http);
    peers_free(ctld->peers);
    device_free(&ctld->device);
    if (ctld->timer)
        event_free(ctld->timer);
}

static void answer(struct ipc_link *link, uint32_t request, int err)
{
    if (request == 0)
        return;
    const struct ipc_result result = {.result = err == NX_OK       ? IPC_OK
                                                : err == NX_ENOENT ? IPC_NOT_FOUND
                                                                   : IPC_FAILED};
    ipc_send(link, IPC_MSG_RESULT, request, &result);
}

static void from_parent(struct ctld *ctld, struct ipc_link *link, struct ipc_message *message)
{
    union ipc_body *body = &message->body;
    uint32_t request = message->header.request;
    switch (message->header.type) {
    case IPC_MSG_DEVICE:
        ctld->device.public = body->device;
        ctld->device.known = true;
        break;
    case IPC_MSG_POLICY:
        control_policy_begin(&ctld->operators.methods.policy, &body->policy);
        break;
    case IPC_MSG_POLICY_LINE:
        control_policy_line(&ctld->operators.methods.policy, &body->policy_line);
        break;
    case IPC_MSG_RULE_ADD:
        answer(link, request, device_rule_add(&ctld->device, &body->rule_add));
        break;
    case IPC_MSG_RULE_REMOVE:
        answer(link, request, device_rule_remove(&ctld->device, body->rule_remove.rule_id));
        break;
    case IPC_MSG_RULE_PROBLEM:
        device_rule_problem(&ctld->device, &body->rule_problem);
        break;
    case IPC_MSG_REPORT_VERSION:
        memcpy(ctld->device.report_version, body->report_version.version, sizeof ctld->device.report_version);
        break;
    case IPC_MSG_DRAIN:
        ctld->device.draining = true;
        break;
    case IPC_MSG_METRICS_SOCKET:
        operators_metrics_listen(&ctld->operators, fd_release(&body->metrics_socket.fd));
        break;
    case IPC_MSG_CONTROL_SOCKET:
        operators_control_listen(&ctld->operators, fd_release(&body->control_socket.fd));
        break;
    default:
        log_warn("the parent sent %s, which has no meaning here", ipc_type_name(message->header.type));
        break;
    }
}

/* Parts that know their messages by what they are about. */
static bool part_takes(struct ctld *ctld, enum ipc_role from, struct ipc_message *message, uint64_t now)
{
    return operators_message(&ctld->operators, from, message, now) ||
           http_service_message(ctld->http, from, message) ||
           network_mode_message(ctld->network, from, message, now) ||
           (from == IPC_PARENT && static_mode_message(&ctld->static_mode, message, now));
}

static void on_message(struct child *child, enum ipc_role from, struct ipc_link *link,
                       struct ipc_message *message, void *arg)
{
    (void)child;
    struct ctld *ctld = arg;
    const uint64_t now = clock_now_ns();
    if (part_takes(ctld, from, message, now)) {
        settle(ctld);
        return;
    }
    if (from == IPC_PARENT)
        from_parent(ctld, link, message);
    else if (from == IPC_TUNNELD)
        peers_message(ctld->peers, message, now, clock_wall_ns() / NS_PER_S);
    else
        static_peers_message(ctld->static_mode.source, message, now);
    settle(ctld);
}

static void on_link_up(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    (void)child, (void)link;
    struct ctld *ctld = arg;
    network_mode_link_up(ctld->network, peer);
    if (peer == IPC_PROXYD) {
        static_peers_resolver_up(ctld->static_mode.source, clock_now_ns());
        http_service_proxyd_ready(ctld->http);
    } else if (!network_mode_active(ctld->network)) {
        peers_link_up(ctld->peers, clock_now_ns()); /* else when it has its addresses: on_tunnel_up() */
    }
    settle(ctld);
}

static void on_link_down(struct child *child, enum ipc_role peer, void *arg)
{
    (void)child;
    struct ctld *ctld = arg;
    operators_link_down(&ctld->operators, peer, clock_now_ns());
    network_mode_link_down(ctld->network, peer);
    if (peer == IPC_TUNNELD)
        peers_link_down(ctld->peers);
    else {
        static_peers_resolver_down(ctld->static_mode.source);
        http_service_proxyd_down(ctld->http);
    }
    settle(ctld);
}

/* What was learnt lately is kept for the next start; the grace period bounds how long that may take. */
static void on_shutdown(struct child *child, uint32_t grace_ms, void *arg)
{
    (void)grace_ms;
    struct ctld *ctld = arg;
    ctld->leaving = true;
    if (network_mode_flush(ctld->network))
        child_exit(child, 0);
}

static void on_link_writable(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    (void)link;
    struct ctld *ctld = arg;
    if (ctld->leaving) {
        if (peer == IPC_PARENT && network_mode_flush(ctld->network))
            child_exit(child, 0);
        return;
    }
    if (peer == IPC_PROXYD)
        http_service_proxyd_ready(ctld->http);
    settle(ctld);
}

/* What HTTP has told in this turn is acted upon. */
static bool on_turn(struct child *child, void *arg)
{
    (void)child;
    struct ctld *ctld = arg;
    if (network_mode_active(ctld->network))
        settle(ctld);
    return false;
}

int main(int argc, char **argv)
{
    static const struct sandbox_spec sandbox = {
        .name = "ctld",
        .start = ctld_start_filter,
        .start_count = sizeof ctld_start_filter / sizeof *ctld_start_filter,
        .run = ctld_run_filter,
        .run_count = sizeof ctld_run_filter / sizeof *ctld_run_filter,
        .max_files = MAX_FILES,
        .no_tcp = true,
    };
    static const struct child_ops ops = {
        .role = IPC_CTLD,
        .name = "ctld",
        .sandbox = &sandbox,
        .setup = setup,
        .on_message = on_message,
        .on_link_up = on_link_up,
        .on_link_down = on_link_down,
        .on_link_writable = on_link_writable,
        .on_turn = on_turn,
        .on_shutdown = on_shutdown,
        .teardown = teardown,
    };
    static const char ca_file[] = "--ca-file=";
    struct ctld ctld = {0};
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], ca_file, sizeof ca_file - 1) == 0)
            ctld.ca_file = argv[i] + sizeof ca_file - 1;
    return child_run(argc, argv, &ops, &ctld);
}
