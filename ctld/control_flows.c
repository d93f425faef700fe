/* What is going on: live flows, and statistics of the rules. Methods of our own, beside those that the
 * Nexodus agent has; their JSON is documented in docs/nexctl.md. */
#include "ctld/control_methods.h"

#include "common/array.h"
#include "common/err.h"
#include "common/text.h"
#include "ctld/rule_stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A listing may take its share of memory twice, as text and as an answer: so few at once. */
enum { FLOWS_DEFAULT = 1000, LISTINGS_MAX = 4, TEXT_MAX = 16 << 20 };

/* The rule, and whether it was removed while its flows go on. */
static void put_rule(struct jsonrpc_text *text, const struct device *device, uint32_t rule_id)
{
    char rule_text[RULE_TEXT_MAX];
    bool removed;
    const struct device_rule *rule = device_rule_find(device, rule_id, &removed);
    if (!rule) { /* a UDP flow's is not known yet; or removed so long ago that it is forgotten */
        jsonrpc_putf(text, "\"rule\":null");
        return;
    }
    rule_format(&rule->rule, rule_text);
    jsonrpc_putf(text, "\"rule\":");
    jsonrpc_put_string(text, rule_text, strlen(rule_text));
    if (removed)
        jsonrpc_putf(text, ",\"removed\":true");
}

/* -- Flows -- */

struct flows {
    struct jsonrpc_text text;
    size_t count;
};

static void flows_free(void *data)
{
    struct flows *flows = data;
    jsonrpc_text_free(&flows->text);
    free(flows);
}

static void put_socket(struct jsonrpc_text *text, const char *name, const struct netsock *socket)
{
    char address[NETSOCK_TEXT_MAX];
    if (socket->addr.family == NETADDR_NONE)
        jsonrpc_putf(text, ",\"%s\":null", name);
    else
        jsonrpc_putf(text, ",\"%s\":\"%s\"", name, netsock_format(socket, address));
}

/* The far end: its key, and its name where the network has one for it. */
static void put_peer(struct jsonrpc_text *text, const struct control_methods *methods,
                     const struct ipc_flow_status *flow)
{
    const char *hostname = "", *method = "";
    char key[KEY_TEXT_MAX];
    if (!flow->peer_known) {
        jsonrpc_putf(text, ",\"peer\":null,\"peer_name\":null");
        return;
    }
    const struct peer *peer = peers_find(methods->peers, flow->peer);
    if (peer && methods->ops->describe)
        methods->ops->describe(methods->arg, peer, &hostname, &method);
    jsonrpc_putf(text, ",\"peer\":\"%s\",\"peer_name\":", key_format(flow->peer, key));
    if (hostname[0])
        jsonrpc_put_string(text, hostname, strlen(hostname));
    else
        jsonrpc_putf(text, "null");
}

/* TCP towards the peer. */
static void put_transport(struct jsonrpc_text *text, const struct ipc_flow_status *flow)
{
    jsonrpc_putf(text,
                 ",\"congestion_control\":\"%s\",\"rtt_us\":%" PRIu64 ",\"min_rtt_us\":%" PRIu64
                 ",\"cwnd_bytes\":%" PRIu64 ",\"pacing_bytes_per_s\":%" PRIu64
                 ",\"delivery_bytes_per_s\":%" PRIu64 ",\"retransmitted_bytes\":%" PRIu64,
                 flow->congestion_control == IPC_CONGESTION_CUBIC ? "cubic" : "bbr", flow->rtt_us,
                 flow->min_rtt_us, flow->cwnd_bytes, flow->pacing_bytes_per_s, flow->delivery_bytes_per_s,
                 flow->retransmitted_bytes);
}

static void put_flow(struct jsonrpc_text *text, const struct control_methods *methods,
                     const struct ipc_flow_status *flow)
{
    static const char *const states[] = {[IPC_FLOW_CONNECTING] = "connecting",
                                         [IPC_FLOW_OPEN] = "open",
                                         [IPC_FLOW_HOST_ENDED] = "host-ended",
                                         [IPC_FLOW_MESH_ENDED] = "mesh-ended"};
    jsonrpc_put(text, "{", 1);
    put_rule(text, methods->device, flow->rule_id);
    jsonrpc_putf(text, ",\"direction\":\"%s\",\"protocol\":\"%s\"",
                 rule_direction_name((enum rule_direction)flow->direction),
                 rule_protocol_name((enum rule_protocol)flow->protocol));
    put_socket(text, "client", &flow->client);
    put_socket(text, "destination", &flow->dest);
    put_peer(text, methods, flow);
    jsonrpc_putf(text,
                 ",\"state\":\"%s\",\"to_mesh_bytes\":%" PRIu64 ",\"to_host_bytes\":%" PRIu64
                 ",\"age_ms\":%" PRIu64,
                 states[flow->state], flow->to_mesh_bytes, flow->to_host_bytes, flow->age_ms);
    if (flow->transport_known)
        put_transport(text, flow);
    jsonrpc_put(text, "}", 1);
}

static void on_flow(struct control_methods *methods, struct control_pending *pending,
                    const struct ipc_message *message)
{
    struct flows *flows = pending->data;
    struct jsonrpc_text *text = &flows->text;
    if (message->header.type == IPC_MSG_FLOW_STATUS) {
        jsonrpc_putf(text, flows->count++ ? "," : "{\"flows\":[");
        put_flow(text, methods, &message->body.flow_status);
        return;
    }
    uint8_t outcome = message->body.result.result;
    if (outcome != IPC_OK && outcome != IPC_LIMIT) {
        control_refuse(control_pending_end(pending), message->body.result.text);
        return;
    }
    jsonrpc_putf(text, "%s],\"truncated\":%s}", flows->count ? "" : "{\"flows\":[",
                 outcome == IPC_LIMIT ? "true" : "false");
    if (text->failed) {
        control_refuse(control_pending_end(pending), "there are too many flows for one answer: list fewer");
        return;
    }
    struct jsonrpc_text whole = *text;
    jsonrpc_text_init(text, TEXT_MAX);
    control_answer_built(control_pending_end(pending), &whole);
}

static size_t listings_count(const struct control_methods *methods)
{
    size_t count = 0;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        count += methods->pending[i].call && methods->pending[i].on_message == on_flow;
    return count;
}

void control_list_flows(struct control_methods *methods, struct control_call *call,
                        const struct jsonrpc_request *request)
{
    uint64_t limit = FLOWS_DEFAULT;
    if (request->param[0] && text_to_u64(request->param, strlen(request->param), 1, IPC_FLOWS_MAX, &limit)) {
        control_refuse(call, "the number of flows to list must be from 1 to 20000");
        return;
    }
    if (listings_count(methods) >= LISTINGS_MAX) {
        control_refuse(call, "others list flows at this moment; try again");
        return;
    }
    struct flows *flows = calloc(1, sizeof *flows);
    if (!flows) {
        control_refuse(call, "out of memory");
        return;
    }
    jsonrpc_text_init(&flows->text, TEXT_MAX);
    const struct ipc_flows_query query = {.limit = (uint32_t)limit};
    struct control_pending *pending =
        control_request(methods, call, IPC_TUNNELD, IPC_MSG_FLOWS_QUERY, &query, on_flow);
    if (!pending) {
        flows_free(flows);
        return;
    }
    pending->data = flows;
    pending->data_free = flows_free;
}

/* -- Statistics of rules: tunneld's, and then proxyd's added to them. -- */

struct stats {
    struct ipc_rule_stats *items;
    size_t count, capacity;
};

static void stats_free(void *data)
{
    struct stats *stats = data;
    free(stats->items);
    free(stats);
}

static void stats_add(struct stats *stats, const struct ipc_rule_stats *from)
{
    struct ipc_rule_stats *to = NULL;
    for (size_t i = 0; i < stats->count && !to; i++)
        if (stats->items[i].rule_id == from->rule_id)
            to = &stats->items[i];
    if (!to) {
        struct ipc_rule_stats *grown =
            array_reserve(stats->items, &stats->capacity, stats->count + 1, sizeof *grown);
        if (!grown)
            return; /* one rule less in a listing */
        stats->items = grown;
        grown[stats->count++] = *from;
        return;
    }
    rule_stats_sum(to, from);
}

static const struct ipc_rule_stats *stats_of(const struct stats *all, uint32_t rule_id)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].rule_id == rule_id)
            return &all->items[i];
    return NULL;
}

static void put_stats(struct jsonrpc_text *text, const struct device *device, const struct device_rule *rule,
                      const struct ipc_rule_stats *stats)
{
    jsonrpc_put(text, "{", 1);
    put_rule(text, device, rule->rule_id);
    jsonrpc_putf(text, ",\"problem\":");
    if (rule->problem)
        jsonrpc_put_string(text, rule->problem, strlen(rule->problem));
    else
        jsonrpc_putf(text, "null");
    jsonrpc_putf(text, ",\"proxy_protocol\":%s", rule->proxy_protocol ? "true" : "false");
    jsonrpc_putf(text,
                 ",\"direction\":\"%s\",\"flows\":%" PRIu64 ",\"live\":%" PRIu64 ",\"to_mesh_bytes\":%" PRIu64
                 ",\"to_host_bytes\":%" PRIu64 ",\"errors\":{\"refused\":%" PRIu64 ",\"timed_out\":%" PRIu64
                 ",\"unreachable\":%" PRIu64 ",\"limit\":%" PRIu64 ",\"policy\":%" PRIu64
                 ",\"reset\":%" PRIu64 ",\"failed\":%" PRIu64 "},\"last_error\":",
                 rule_direction_name(rule->rule.direction), stats->flows, stats->live, stats->to_mesh_bytes,
                 stats->to_host_bytes, stats->refused, stats->timed_out, stats->unreachable, stats->limited,
                 stats->policy, stats->reset, stats->failed);
    if (stats->last_error_unix_s)
        jsonrpc_put_string(text, stats->last_error, strlen(stats->last_error));
    else
        jsonrpc_putf(text, "null");
    jsonrpc_putf(text, ",\"last_error_unix_s\":%" PRIu64 "}", stats->last_error_unix_s);
}

/* tunneld tells of removed rules as long as they have flows: the others are forgotten here too. */
static void removed_settle(struct device *device, const struct stats *stats)
{
    for (size_t i = device->removed_count; i-- > 0;)
        if (!stats_of(stats, device->removed[i].rule_id))
            device_removed_forget(device, device->removed[i].rule_id);
}

static void stats_answer(const struct control_methods *methods, struct control_call *call,
                         const struct stats *stats)
{
    static const struct ipc_rule_stats none;
    const struct device *device = methods->device;
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, TEXT_MAX);
    jsonrpc_put(&text, "{\"rules\":[", 10);
    removed_settle(methods->device, stats);
    for (size_t i = 0; i < device->rule_count + device->removed_count; i++) {
        const struct device_rule *rule =
            i < device->rule_count ? &device->rules[i] : &device->removed[i - device->rule_count];
        const struct ipc_rule_stats *own = stats_of(stats, rule->rule_id);
        if (i)
            jsonrpc_put(&text, ",", 1);
        put_stats(&text, device, rule, own ? own : &none);
    }
    jsonrpc_put(&text, "]}", 2);
    control_answer_built(call, &text);
}

static void on_proxyd_stats(struct control_methods *methods, struct control_pending *pending,
                            const struct ipc_message *message)
{
    struct stats *stats = pending->data;
    if (message->header.type == IPC_MSG_RULE_STATS) {
        stats_add(stats, &message->body.rule_stats);
        return;
    }
    pending->data = NULL;
    stats_answer(methods, control_pending_end(pending), stats);
    stats_free(stats);
}

static void on_tunneld_stats(struct control_methods *methods, struct control_pending *pending,
                             const struct ipc_message *message)
{
    static const struct ipc_rule_stats_query query = {.version = 1};
    struct stats *stats = pending->data;
    if (message->header.type == IPC_MSG_RULE_STATS) {
        stats_add(stats, &message->body.rule_stats);
        return;
    }
    pending->data = NULL;
    struct control_call *call = control_pending_end(pending);
    pending = control_ask(methods, call, IPC_PROXYD, IPC_MSG_RULE_STATS_QUERY, &query, on_proxyd_stats);
    if (pending) {
        pending->data = stats;
        pending->data_free = stats_free;
        return;
    }
    stats_answer(methods, call, stats); /* proxyd is being restarted, and knows nothing */
    stats_free(stats);
}

void control_list_rule_stats(struct control_methods *methods, struct control_call *call,
                             const struct jsonrpc_request *request)
{
    (void)request;
    static const struct ipc_rule_stats_query query = {.version = 1};
    struct stats *stats = calloc(1, sizeof *stats);
    if (!stats) {
        control_refuse(call, "out of memory");
        return;
    }
    struct control_pending *pending =
        control_request(methods, call, IPC_TUNNELD, IPC_MSG_RULE_STATS_QUERY, &query, on_tunneld_stats);
    if (!pending) {
        stats_free(stats);
        return;
    }
    pending->data = stats;
    pending->data_free = stats_free;
}
