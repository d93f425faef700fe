/* A family of series is written as a whole: HELP, TYPE, then each series. Numbers that a process did not tell
 * are left out rather than shown as 0: a gap is what it is. Rules with equal text (one of the command line,
 * one of run time) are one series, since a series may stand there only once. */
#include "ctld/metrics/text.h"

#include "common/key.h"
#include "ctld/control_methods.h"
#include "ctld/rule_stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void family(struct jsonrpc_text *out, const char *name, const char *type, const char *help)
{
    jsonrpc_putf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are escaped. */
static void label_value(struct jsonrpc_text *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            jsonrpc_put(out, "\\", 1);
        if (*text == '\n')
            jsonrpc_put(out, "\\n", 2);
        else
            jsonrpc_put(out, text, 1);
    }
}

/* -- Numbers of the table -- */

#define METRIC_KIND_COUNTER                            "counter"
#define METRIC_KIND_GAUGE                              "gauge"
#define METRIC_ROW(id, owner, kind, name, label, help) {name, METRIC_KIND_##kind, label, help},

static const struct {
    const char *name, *kind, *label, *help; /* help: of the first of a name */
} table[] = {{NULL, NULL, NULL, NULL}, METRICS(METRIC_ROW)};

static void table_text(struct jsonrpc_text *out, const struct gathered *gathered)
{
    const char *begun = ""; /* the family that the last series belongs to */
    const char *help = "";
    for (size_t i = 1; i < METRIC_END; i++) {
        if (table[i].help[0])
            help = table[i].help;
        if (!gathered->numbers[i].known)
            continue;
        if (strcmp(begun, table[i].name) != 0)
            family(out, table[i].name, table[i].kind, help);
        begun = table[i].name;
        const char *open = table[i].label[0] ? "{" : "", *close = table[i].label[0] ? "}" : "";
        jsonrpc_putf(out, "%s%s%s%s %" PRIu64 "\n", table[i].name, open, table[i].label, close,
                     gathered->numbers[i].value);
    }
}

/* -- The program, and its processes -- */

static const char *const api_names[METRICS_API_STATES] = {
    [METRICS_API_STATIC] = "static",   [METRICS_API_STARTING] = "starting", [METRICS_API_LOGIN] = "login",
    [METRICS_API_JOINING] = "joining", [METRICS_API_CACHED] = "cached",     [METRICS_API_JOINED] = "joined"};

static void program_text(struct jsonrpc_text *out, const struct metrics_view *view)
{
    static const enum ipc_role roles[] = {IPC_PARENT, IPC_TUNNELD, IPC_PROXYD};
    family(out, "nexd_build_info", "gauge", "Always 1; the label tells the version.");
    jsonrpc_putf(out, "nexd_build_info{version=\"");
    label_value(out, view->version);
    jsonrpc_putf(out, "\"} 1\n");
    family(out, "nexd_process_up", "gauge", "1 where the process answered this time.");
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        jsonrpc_putf(out, "nexd_process_up{process=\"%s\"} %d\n",
                     roles[i] == IPC_PARENT ? "nexd" : ipc_role_name(roles[i]),
                     view->gathered->answered[roles[i]]);
    family(out, "nexd_control_plane_state", "gauge",
           "1 for the state that joining the control plane is in; static: peers are those of the "
           "configuration.");
    for (unsigned i = 0; i < METRICS_API_STATES; i++)
        jsonrpc_putf(out, "nexd_control_plane_state{state=\"%s\"} %d\n", api_names[i], view->api == i);
}

/* -- Peers -- */

static void peers_series(struct jsonrpc_text *out, const struct peers *peers, const char *name,
                         const char *label, uint64_t (*value)(const struct peer_status *status))
{
    char key[KEY_TEXT_MAX];
    for (size_t i = 0; i < peers_count(peers); i++) {
        const struct peer *peer = peers_at(peers, i);
        if (peer->status.known && !peer->removed)
            jsonrpc_putf(out, "%s{peer=\"%s\"%s} %" PRIu64 "\n", name, key_format(peer->public_key, key),
                         label, value(&peer->status));
    }
}

static uint64_t peer_sent(const struct peer_status *status)
{
    return status->tx_bytes;
}

static uint64_t peer_received(const struct peer_status *status)
{
    return status->rx_bytes;
}

static uint64_t peer_handshake(const struct peer_status *status)
{
    return status->handshake_unix_s;
}

static void peers_text(struct jsonrpc_text *out, const struct peers *peers)
{
    family(out, "nexd_peers", "gauge", "Peers that the tunnel has.");
    size_t count = 0;
    for (size_t i = 0; i < peers_count(peers); i++)
        count += !peers_at(peers, i)->removed;
    jsonrpc_putf(out, "nexd_peers %zu\n", count);
    if (count == 0)
        return;
    family(out, "nexd_peer_bytes_total", "counter", "Bytes of the tunnel's datagrams by peer.");
    peers_series(out, peers, "nexd_peer_bytes_total", ",direction=\"sent\"", peer_sent);
    peers_series(out, peers, "nexd_peer_bytes_total", ",direction=\"received\"", peer_received);
    family(out, "nexd_peer_last_handshake_timestamp_seconds", "gauge",
           "Unix time of the latest handshake with the peer; 0 = never.");
    peers_series(out, peers, "nexd_peer_last_handshake_timestamp_seconds", "", peer_handshake);
}

/* -- Rules -- */

/* One series' numbers: those of all rules with the same text. */
struct rule_sum {
    const struct rule *rule;
    struct ipc_rule_stats stats;
};

static int by_rule(const void *a, const void *b)
{
    const struct rule_sum *left = a, *right = b;
    return rule_compare(left->rule, right->rule);
}

static const struct ipc_rule_stats *stats_of(const struct gathered *gathered, uint32_t rule_id)
{
    static const struct ipc_rule_stats none;
    for (size_t i = 0; i < gathered->rule_count; i++)
        if (gathered->rules[i].rule_id == rule_id)
            return &gathered->rules[i];
    return &none;
}

/* At most GATHER_RULES_MAX of them. The caller frees what is returned; NULL: out of memory, or none. */
static struct rule_sum *rules_sum(const struct metrics_view *view, size_t *count)
{
    size_t rules = view->device->rule_count, used = 0;
    rules = rules < GATHER_RULES_MAX ? rules : GATHER_RULES_MAX;
    struct rule_sum *sums = rules ? calloc(rules, sizeof *sums) : NULL;
    *count = 0;
    if (!sums)
        return NULL;
    for (size_t i = 0; i < rules; i++) {
        const struct device_rule *rule = &view->device->rules[i];
        sums[i] = (struct rule_sum){.rule = &rule->rule, .stats = *stats_of(view->gathered, rule->rule_id)};
    }
    qsort(sums, rules, sizeof *sums, by_rule);
    for (size_t i = 0; i < rules; i++) {
        if (used && rule_equal(sums[used - 1].rule, sums[i].rule))
            rule_stats_sum(&sums[used - 1].stats, &sums[i].stats);
        else
            sums[used++] = sums[i];
    }
    *count = used;
    return sums;
}

static void rule_series(struct jsonrpc_text *out, const char *name, const struct rule *rule,
                        const char *label, uint64_t value)
{
    char text[RULE_TEXT_MAX];
    jsonrpc_putf(out, "%s{rule=\"", name);
    label_value(out, rule_format(rule, text));
    jsonrpc_putf(out, "\",type=\"%s\"%s} %" PRIu64 "\n", rule_direction_name(rule->direction), label, value);
}

static void rule_errors(struct jsonrpc_text *out, const struct rule_sum *sum)
{
    static const char name[] = "nexd_rule_errors_total";
    const struct ipc_rule_stats *stats = &sum->stats;
    rule_series(out, name, sum->rule, ",cause=\"refused\"", stats->refused);
    rule_series(out, name, sum->rule, ",cause=\"timed_out\"", stats->timed_out);
    rule_series(out, name, sum->rule, ",cause=\"unreachable\"", stats->unreachable);
    rule_series(out, name, sum->rule, ",cause=\"limit\"", stats->limited);
    rule_series(out, name, sum->rule, ",cause=\"policy\"", stats->policy);
    rule_series(out, name, sum->rule, ",cause=\"reset\"", stats->reset);
    rule_series(out, name, sum->rule, ",cause=\"failed\"", stats->failed);
}

static void rules_text(struct jsonrpc_text *out, const struct metrics_view *view)
{
    size_t count;
    family(out, "nexd_rules", "gauge", "Rules in force.");
    jsonrpc_putf(out, "nexd_rules %zu\n", view->device->rule_count);
    struct rule_sum *sums = rules_sum(view, &count);
    if (count) {
        family(out, "nexd_rule_flows_total", "counter", "Flows opened by rule.");
        for (size_t i = 0; i < count; i++)
            rule_series(out, "nexd_rule_flows_total", sums[i].rule, "", sums[i].stats.flows);
        family(out, "nexd_rule_flows", "gauge", "Flows open now by rule.");
        for (size_t i = 0; i < count; i++)
            rule_series(out, "nexd_rule_flows", sums[i].rule, "", sums[i].stats.live);
        family(out, "nexd_rule_payload_bytes_total", "counter", "Payload of flows by rule, both ways.");
        for (size_t i = 0; i < count; i++) {
            rule_series(out, "nexd_rule_payload_bytes_total", sums[i].rule, ",direction=\"to_mesh\"",
                        sums[i].stats.to_mesh_bytes);
            rule_series(out, "nexd_rule_payload_bytes_total", sums[i].rule, ",direction=\"to_host\"",
                        sums[i].stats.to_host_bytes);
        }
        family(out, "nexd_rule_errors_total", "counter", "Flows that failed by rule and cause.");
        for (size_t i = 0; i < count; i++)
            rule_errors(out, &sums[i]);
    }
    free(sums);
}

void metrics_text(struct jsonrpc_text *out, const struct metrics_view *view)
{
    program_text(out, view);
    table_text(out, view->gathered);
    rules_text(out, view);
    peers_text(out, view->peers);
}

const char *metrics_not_ready(const struct metrics_view *view)
{
    const struct gathered *gathered = view->gathered;
    const struct gather_number *numbers = gathered->numbers;
    bool joined =
        view->api == METRICS_API_STATIC || view->api == METRICS_API_JOINED || view->api == METRICS_API_CACHED;
    if (view->device->draining)
        return "draining: no new flows are accepted";
    if (!gathered->answered[IPC_PARENT])
        return "nexd does not answer";
    if (!gathered->answered[IPC_TUNNELD])
        return "tunneld does not answer, or has no configuration yet";
    if (!gathered->answered[IPC_PROXYD])
        return "proxyd does not answer";
    if (!joined)
        return "the control plane has not been joined";
    if (!view->device->known || !peers_synced(view->peers))
        return "the tunnel has not got its peers";
    if (numbers[METRIC_RULES_FAILED].value > 0)
        return "rules cannot be bound: nexd's log names them";
    return numbers[METRIC_READY].value ? NULL : "nexd is starting";
}
