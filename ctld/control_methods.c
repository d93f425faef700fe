/* One function a method, in a table. Every result is a JSON string, even where its content is JSON: that is
 * the protocol. Texts of errors are those that clients of this protocol know. */
#include "ctld/control_methods.h"

#include "common/err.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PEERS_TEXT_MAX = 4 << 20 };

static void answer_text(struct control_call *call, const char *text)
{
    control_answer(call, text, strlen(text));
}

void control_answer_built(struct control_call *call, struct jsonrpc_text *text)
{
    if (text->failed)
        control_refuse(call, "the answer does not fit into memory");
    else
        control_answer(call, text->length ? text->data : "", text->length);
    jsonrpc_text_free(text);
}

static void version(struct control_methods *methods, struct control_call *call,
                    const struct jsonrpc_request *request)
{
    (void)request;
    const char *reported = methods->device->report_version;
    answer_text(call, reported[0] ? reported : NEXD_VERSION);
}

static void tunnel_ipv4(struct control_methods *methods, struct control_call *call,
                        const struct jsonrpc_request *request)
{
    (void)request;
    char text[NETADDR_TEXT_MAX];
    answer_text(call, device_address(methods->device, NETADDR_V4, text));
}

static void tunnel_ipv6(struct control_methods *methods, struct control_call *call,
                        const struct jsonrpc_request *request)
{
    (void)request;
    char text[NETADDR_TEXT_MAX];
    answer_text(call, device_address(methods->device, NETADDR_V6, text));
}

/* -- Peers: answered when tunneld has reported. -- */

static void put_peer(struct jsonrpc_text *text, const struct peer *peer, uint64_t wall_s)
{
    const struct peer_status *status = &peer->status;
    char key[KEY_TEXT_MAX], endpoint[NETSOCK_TEXT_MAX] = "", prefix[NETPREFIX_TEXT_MAX];
    key_format(peer->public_key, key);
    if (status->endpoint.addr.family != NETADDR_NONE)
        netsock_format(&status->endpoint, endpoint);
    jsonrpc_putf(text, "\"%s\":{\"PublicKey\":\"%s\",\"Endpoint\":\"%s\",\"AllowedIPs\":", key, key,
                 endpoint);
    for (size_t i = 0; i < peer->allowed_count; i++)
        jsonrpc_putf(text, "%s\"%s\"", i ? "," : "[", netprefix_format(&peer->allowed[i], prefix));
    bool healthy = status->handshake_unix_s && wall_s < status->handshake_unix_s + CONTROL_HEALTHY_S;
    jsonrpc_putf(text, "%s,\"LatestHandshake\":\"%llu\",\"Tx\":%llu,\"Rx\":%llu,\"Healthy\":%s}",
                 peer->allowed_count ? "]" : "null", (unsigned long long)status->handshake_unix_s,
                 (unsigned long long)status->tx_bytes, (unsigned long long)status->rx_bytes,
                 healthy ? "true" : "false");
}

static void peers_reported(void *arg, void *call)
{
    struct control_methods *methods = arg;
    uint64_t wall_s = methods->ops->wall_s(methods->arg);
    struct control_network network;
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, PEERS_TEXT_MAX);
    control_network_of(methods, &network);
    jsonrpc_putf(&text, "{\"relay-present\":%s,\"relay-required\":%s,\"peers\":{",
                 network.relay_present ? "true" : "false", network.relay_required ? "true" : "false");
    bool first = true;
    for (size_t i = 0; i < peers_count(methods->peers); i++) {
        const struct peer *peer = peers_at(methods->peers, i);
        if (!peer->status.known)
            continue;
        if (!first)
            jsonrpc_put(&text, ",", 1);
        first = false;
        put_peer(&text, peer, wall_s);
    }
    jsonrpc_put(&text, "}}", 2);
    control_answer_built(call, &text);
}

static void list_peers(struct control_methods *methods, struct control_call *call,
                       const struct jsonrpc_request *request)
{
    (void)request;
    if (peers_refresh(methods->peers, peers_reported, methods, call, methods->ops->now_ns(methods->arg)))
        control_refuse(call, "too many requests at once");
}

static void connectivity_v4(struct control_methods *methods, struct control_call *call,
                            const struct jsonrpc_request *request)
{
    (void)request;
    connectivity_request(methods->connectivity, methods->peers, NETADDR_V4, call);
}

static void connectivity_v6(struct control_methods *methods, struct control_call *call,
                            const struct jsonrpc_request *request)
{
    (void)request;
    connectivity_request(methods->connectivity, methods->peers, NETADDR_V6, call);
}

/* -- Questions to other processes -- */

/* Who asks for what the parent is asked for next, under the same id. */
static bool caller_tell(const struct control_methods *methods, const struct control_call *call,
                        uint32_t request)
{
    const struct ipc_caller message = {.client = control_call_fd(call)};
    return !control_policy_wants_caller(&methods->policy) ||
           methods->ops->send(methods->arg, IPC_PARENT, IPC_MSG_CALLER, request, &message) == NX_OK;
}

struct control_pending *control_ask(struct control_methods *methods, struct control_call *call,
                                    enum ipc_role to, enum ipc_type type, const void *body,
                                    control_pending_fn on_message)
{
    struct control_pending *place = NULL;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX && !place; i++)
        if (!methods->pending[i].call)
            place = &methods->pending[i];
    uint32_t request = CONTROL_REQUEST | ((methods->last_request + 1) & ~CONNECTIVITY_REQUEST);
    if (!place || (to == IPC_PARENT && !caller_tell(methods, call, request)) ||
        methods->ops->send(methods->arg, to, type, request, body))
        return NULL;
    methods->last_request = request;
    *place =
        (struct control_pending){.call = call, .asked = to, .request = request, .on_message = on_message};
    return place;
}

struct control_pending *control_request(struct control_methods *methods, struct control_call *call,
                                        enum ipc_role to, enum ipc_type type, const void *body,
                                        control_pending_fn on_message)
{
    char text[64];
    struct control_pending *pending = control_ask(methods, call, to, type, body, on_message);
    if (!pending) {
        snprintf(text, sizeof text, "%s cannot be asked now; try again", ipc_role_name(to));
        control_refuse(call, text);
    }
    return pending;
}

struct control_call *control_pending_end(struct control_pending *pending)
{
    struct control_call *call = pending->call;
    pending->call = NULL;
    if (pending->data)
        pending->data_free(pending->data);
    pending->data = NULL;
    return call;
}

bool control_methods_message(struct control_methods *methods, enum ipc_role from,
                             const struct ipc_message *message)
{
    if (!(message->header.request & CONTROL_REQUEST))
        return false;
    if (from == IPC_TUNNELD && connectivity_message(methods->connectivity, message))
        return true;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_pending *pending = &methods->pending[i];
        if (pending->call && pending->asked == from && pending->request == message->header.request) {
            pending->on_message(methods, pending, message);
            break;
        }
    }
    return true; /* the client may have left meanwhile */
}

void control_methods_link_down(struct control_methods *methods, enum ipc_role role)
{
    char text[64];
    snprintf(text, sizeof text, "%s ended before it answered; try again", ipc_role_name(role));
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (methods->pending[i].call && methods->pending[i].asked == role)
            control_refuse(control_pending_end(&methods->pending[i]), text);
    if (role == IPC_TUNNELD)
        connectivity_link_down(methods->connectivity);
}

/* -- Log level: the parent sets it, for all processes. -- */

static void level_set(struct control_methods *methods, struct control_pending *pending,
                      const struct ipc_message *message)
{
    (void)methods;
    struct control_call *call = control_pending_end(pending);
    if (message->body.result.result != IPC_OK)
        control_refuse(call, message->body.result.text);
    else
        answer_text(call,
                    log_get_level() == LOG_LEVEL_DEBUG ? "Debug logging enabled" : "Debug logging disabled");
}

static void set_level(struct control_methods *methods, struct control_call *call, enum log_level level)
{
    control_change_log(call, "set the log level to %s", log_level_name(level));
    const struct ipc_log_level message = {.level = (uint8_t)level};
    control_request(methods, call, IPC_PARENT, IPC_MSG_LOG_LEVEL, &message, level_set);
}

static void set_debug_on(struct control_methods *methods, struct control_call *call,
                         const struct jsonrpc_request *request)
{
    (void)request;
    set_level(methods, call, LOG_LEVEL_DEBUG);
}

static void set_debug_off(struct control_methods *methods, struct control_call *call,
                          const struct jsonrpc_request *request)
{
    (void)request;
    set_level(methods, call, LOG_LEVEL_INFO);
}

static void get_debug(struct control_methods *methods, struct control_call *call,
                      const struct jsonrpc_request *request)
{
    (void)request;
    (void)methods;
    answer_text(call, log_get_level() == LOG_LEVEL_DEBUG ? "on" : "off");
}

/* -- Draining: the parent tells the others, and ctld among them before it answers. -- */

static void draining(struct control_methods *methods, struct control_pending *pending,
                     const struct ipc_message *message)
{
    (void)methods;
    struct control_call *call = control_pending_end(pending);
    if (message->body.result.result != IPC_OK)
        control_refuse(call, message->body.result.text);
    else
        answer_text(call, "Draining: no new flows are accepted; live ones go on\n");
}

static void drain(struct control_methods *methods, struct control_call *call,
                  const struct jsonrpc_request *request)
{
    (void)request;
    static const struct ipc_drain message = {.version = 1};
    control_change_log(call, "drain");
    control_request(methods, call, IPC_PARENT, IPC_MSG_DRAIN, &message, draining);
}

/* -- Exit nodes: a matter of the Nexodus agent's kernel mode. These are the answers of its proxy mode. -- */

static void list_exit_nodes(struct control_methods *methods, struct control_call *call,
                            const struct jsonrpc_request *request)
{
    (void)methods, (void)request;
    answer_text(call, "null");
}

static void exit_node_client(struct control_methods *methods, struct control_call *call,
                             const struct jsonrpc_request *request)
{
    (void)methods, (void)request;
    answer_text(call, "{}");
}

/* -- Dispatch -- */

void control_change_log(const struct control_call *call, const char *format, ...)
{
    const struct peercred *peer = control_call_peer(call);
    char change[LOG_LINE_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(change, sizeof change, format, arguments);
    va_end(arguments);
    /* Without the limit of a place: none may be missing. */
    log_write(LOG_LEVEL_INFO, "control socket: uid %u, gid %u, pid %d asks: %s", (unsigned)peer->uid,
              (unsigned)peer->gid, (int)peer->pid, change);
}

static const struct method {
    const char *name;
    control_method *call;
} methods_table[] = {
    {"Status", control_status},
    {"Version", version},
    {"GetTunnelIPv4", tunnel_ipv4},
    {"GetTunnelIPv6", tunnel_ipv6},
    {"ProxyList", control_proxy_list},
    {"ProxyAddIngress", control_proxy_add_ingress},
    {"ProxyAddEgress", control_proxy_add_egress},
    {"ProxyRemoveIngress", control_proxy_remove_ingress},
    {"ProxyRemoveEgress", control_proxy_remove_egress},
    {"ProxyKillIngress", control_proxy_kill_ingress},
    {"ProxyKillEgress", control_proxy_kill_egress},
    {"Drain", drain},
    {"ListPeers", list_peers},
    {"ConnectivityV4", connectivity_v4},
    {"ConnectivityV6", connectivity_v6},
    {"ListFlows", control_list_flows},
    {"ListRuleStats", control_list_rule_stats},
    {"SandboxReport", control_sandbox_report},
    {"ListExitNodes", list_exit_nodes},
    {"EnableExitNodeClient", exit_node_client},
    {"DisableExitNodeClient", exit_node_client},
    {"SetDebugOn", set_debug_on},
    {"SetDebugOff", set_debug_off},
    {"GetDebug", get_debug},
};

const char *control_method_name(size_t index)
{
    return index < sizeof methods_table / sizeof *methods_table ? methods_table[index].name : NULL;
}

/* An error that quotes what the client sent. */
static void refuse_with(struct control_call *call, const char *before, const char *what, const char *after)
{
    char error[JSONRPC_PARAM_MAX + 128];
    snprintf(error, sizeof error, "%s%s%s", before, what, after);
    control_refuse(call, error);
}

static void on_call(void *arg, struct control_call *call, const struct jsonrpc_request *request)
{
    static const char service[] = "NexdCtl.";
    struct control_methods *methods = arg;
    if (!strrchr(request->method, '.')) {
        refuse_with(call, "rpc: service/method request ill-formed: ", request->method, "");
        return;
    }
    if (strncmp(request->method, service, sizeof service - 1) != 0) {
        refuse_with(call, "rpc: can't find service ", request->method, "");
        return;
    }
    const char *name = request->method + sizeof service - 1;
    const struct method *method = NULL;
    char why[CONTROL_POLICY_WHY_MAX];
    for (size_t i = 0; i < sizeof methods_table / sizeof *methods_table; i++)
        if (strcmp(methods_table[i].name, name) == 0)
            method = &methods_table[i];
    if (!method)
        refuse_with(call, "rpc: can't find method ", request->method, "");
    else if (!control_policy_permits(&methods->policy, control_call_peer(call), name, why))
        control_refuse(call, why);
    else if (request->param_kind == JSONRPC_PARAMS_MISSING)
        control_refuse(call, "jsonrpc: request body missing params");
    else if (request->param_kind == JSONRPC_PARAM_OTHER)
        refuse_with(call, "json: cannot unmarshal ", request->param, " into Go value of type string");
    else
        method->call(methods, call, request);
}

static void on_cancel(void *arg, struct control_call *call)
{
    struct control_methods *methods = arg;
    peers_refresh_cancel(methods->peers, call);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (methods->pending[i].call == call)
            (void)control_pending_end(&methods->pending[i]);
    connectivity_cancel(methods->connectivity, call);
}

const struct control_handler control_methods_handler = {.call = on_call, .cancel = on_cancel};
