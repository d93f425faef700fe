/* A request tries the rules of its port, one after the other, in the order of balance.c:
 *
 *   rule → addresses (literal, or by name) → race (happy_eyeballs.c) → connected: answer CONNECTED
 *     ↑                       ↓ fails                 ↓ fails, or its share of the time is up
 *     └───────────────────────┴───────────────────────┘       no rule left: answer RESULT
 *
 * Where the rule asks for it, "connected" is not all: the PROXY protocol's header has to be written too, or
 * the rule has failed. tunneld never has a descriptor on which it is still missing.
 *
 * All of it has to be over within 10 s: what is left of them is shared out evenly among the rules left, so
 * that a destination that swallows packets cannot keep the next from being tried. */
#include "proxyd/connector.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "proxyd/happy_eyeballs.h"
#include "proxyd/proxy_protocol.h"
#include "proxyd/rule_stats.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_BUCKETS = 1024 };

struct connect_request {
    LIST_ENTRY(connect_request) bucket;
    struct connector *connector;
    uint32_t id;
    enum rule_protocol protocol;
    struct netsock client, local; /* who called, and where, inside the mesh */
    struct rule_walk *walk;
    uint32_t rule_id;    /* being tried */
    bool proxy_protocol; /* … and it asks for that; the rule itself may be gone when it is connected */
    uint64_t deadline_ns;
    struct event *timer;        /* made when something has to wait */
    struct resolver_wait *wait; /* at most one of these two */
    struct eyeballs_race *race;
    struct failure failure; /* of the rule tried last */
};

struct connector {
    struct event_base *base;
    struct resolver *resolver;
    struct admission *admission;
    struct rule_table *rules;
    struct outbox *answers;
    size_t pending;
    LIST_HEAD(, connect_request) requests[REQUEST_BUCKETS];
};

struct connector *connector_new(struct event_base *base, struct resolver *resolver,
                                struct admission *admission, struct rule_table *rules, struct outbox *answers)
{
    struct connector *const connector = calloc(1, sizeof(*connector));
    if (!connector)
        return NULL;
    connector->base = base;
    connector->resolver = resolver;
    connector->admission = admission;
    connector->rules = rules;
    connector->answers = answers;
    return connector;
}

void connector_free(struct connector *connector)
{
    if (!connector)
        return;
    connector_cancel_all(connector);
    free(connector);
}

static void request_abandon_attempt(struct connect_request *request)
{
    resolver_cancel(request->wait);
    eyeballs_cancel(request->race);
    request->wait = NULL;
    request->race = NULL;
}

static void request_free(struct connect_request *request)
{
    request_abandon_attempt(request);
    if (request->timer)
        event_free(request->timer);
    LIST_REMOVE(request, bucket);
    request->connector->pending--;
    free(request->walk);
    free(request);
}

static void request_refuse(struct connect_request *request)
{
    outbox_send_result(request->connector->answers, request->id, &request->failure);
    request_free(request);
}

/* What has to be said before the flow is: if it cannot be, the connection is a failed one. */
static void request_introduce(const struct connect_request *request, struct eyeballs_outcome *outcome)
{
    if (outcome->fd < 0 || !request->proxy_protocol)
        return;
    outcome->error = proxy_protocol_send(outcome->fd, &request->client, &request->local);
    if (outcome->error == 0)
        return;
    close(outcome->fd);
    outcome->fd = -1;
}

static void request_connected(struct connect_request *request, const struct eyeballs_outcome *outcome)
{
    struct rule_entry *const entry = rule_table_find(request->connector->rules, request->rule_id);
    if (entry)
        balance_worked(rule_entry_health(entry));
    const struct ipc_connected body = {
        .rule_id = request->rule_id,
        .protocol = (uint8_t)request->protocol,
        .dest = outcome->dest,
        .fd = outcome->fd,
    };
    outbox_send(request->connector->answers, IPC_MSG_CONNECTED, request->id, &body, sizeof(body),
                outcome->fd);
    request_free(request);
}

static void failure_note(struct rule_entry *entry, const struct connect_request *request)
{
    static struct log_ratelimit limit = {.per_second = 2, .burst = 10};
    char name[RULE_NAME_MAX];
    rule_stats_note(entry, &request->failure);
    if (log_ratelimit_ok(&limit))
        log_warn("%s: %s", rule_entry_name(entry, name), request->failure.text);
}

/* The present rule has failed, as `failure` says. */
static void request_note_failure(struct connect_request *request)
{
    struct rule_entry *const entry = rule_table_find(request->connector->rules, request->rule_id);
    if (!entry)
        return;
    balance_failed(rule_entry_health(entry), clock_now_ns());
    failure_note(entry, request);
}

static void request_note_outcome(struct connect_request *request, const struct eyeballs_outcome *outcome)
{
    char dest[NETSOCK_TEXT_MAX];
    failure_set(&request->failure, failure_from_errno(outcome->error), "%s: %s",
                netsock_format(&outcome->dest, dest), strerror(outcome->error));
    request_note_failure(request);
}

static void request_continue(struct connect_request *request);

static void on_race(const struct eyeballs_outcome *raced, void *arg)
{
    struct connect_request *const request = arg;
    struct eyeballs_outcome outcome = *raced;
    request->race = NULL;
    request_introduce(request, &outcome);
    if (outcome.fd >= 0) {
        request_connected(request, &outcome);
        return;
    }
    request_note_outcome(request, &outcome);
    request_continue(request);
}

/* NX_OK: the request was answered and is gone; NX_EAGAIN: it waits; otherwise this rule has failed. */
static int request_race(struct connect_request *request, const struct rule_entry *entry,
                        const struct netaddr *addrs, size_t count)
{
    struct netaddr ordered[EYEBALLS_ADDRS_MAX];
    struct eyeballs_outcome outcome;
    const size_t total = eyeballs_order(addrs, count, ordered);
    const int err =
        eyeballs_start(request->connector->base, request->protocol, ordered, total, entry->rule.dest_port,
                       entry->scope_id, on_race, request, &outcome, &request->race);
    if (err == NX_EAGAIN)
        return err;
    if (err != NX_OK) {
        failure_set(&request->failure, IPC_LIMIT, "out of memory");
        return err;
    }
    request_introduce(request, &outcome);
    if (outcome.fd >= 0) {
        request_connected(request, &outcome);
        return NX_OK;
    }
    request_note_outcome(request, &outcome);
    return NX_ESYS;
}

static int request_name_failed(struct connect_request *request, const struct rule_entry *entry, int err)
{
    failure_set(&request->failure, failure_from_resolver(err), "%s: %s", entry->rule.host,
                resolver_strerror(err));
    request_note_failure(request);
    return NX_ENOENT;
}

/* Results as of request_race(). The addresses that the policy was asked about are those that are tried. */
static int request_use_answer(struct connect_request *request, const struct rule_entry *entry,
                              const struct resolver_answer *answer)
{
    if (answer->err != NX_OK)
        return request_name_failed(request, entry, answer->err);
    struct netaddr addrs[RESOLVER_ADDRS_MAX];
    const size_t count =
        admission_addresses(request->connector->admission, entry, answer, addrs, &request->failure);
    if (count == 0) {
        request_note_failure(request);
        return NX_EPERM;
    }
    return request_race(request, entry, addrs, count);
}

static void on_resolved(const struct resolver_answer *answer, void *arg)
{
    struct connect_request *const request = arg;
    const struct rule_entry *const entry = rule_table_find(request->connector->rules, request->rule_id);
    request->wait = NULL;
    const int err = entry ? request_use_answer(request, entry, answer) : NX_ENOENT;
    if (err != NX_OK && err != NX_EAGAIN)
        request_continue(request);
}

/* May a flow of this rule begin? */
static int request_admit(struct connect_request *request, struct rule_entry *entry)
{
    const int err = admission_flow(request->connector->admission, entry, &request->failure);
    if (err == NX_OK)
        return err;
    failure_note(entry, request);
    if (err == NX_EPERM) /* it would be the same with the others */
        request->walk->next = request->walk->count;
    return err;
}

static int request_try(struct connect_request *request, struct rule_entry *entry)
{
    request->rule_id = entry->id;
    request->proxy_protocol = entry->proxy_protocol;
    const int refused = request_admit(request, entry);
    if (refused != NX_OK)
        return refused;
    balance_trying(rule_entry_health(entry), clock_now_ns());
    if (entry->rule.addr.family != NETADDR_NONE)
        return request_race(request, entry, &entry->rule.addr, 1);
    struct resolver_answer answer;
    const int err = resolver_lookup(request->connector->resolver, entry->rule.host, &answer, on_resolved,
                                    request, &request->wait);
    return err == NX_EAGAIN ? err : request_use_answer(request, entry, &answer);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct connect_request *const request = arg;
    (void)fd, (void)what;
    const struct rule_entry *const entry = rule_table_find(request->connector->rules, request->rule_id);
    request_abandon_attempt(request);
    if (entry)
        failure_set(&request->failure, IPC_TIMED_OUT, "%s port %u: no answer in time", entry->rule.host,
                    entry->rule.dest_port);
    request_note_failure(request);
    request_continue(request);
}

/* The present rule waits: gives it its share of the time. */
static int request_arm(struct connect_request *request)
{
    const uint64_t now_ns = clock_now_ns();
    const uint64_t left_ns = request->deadline_ns > now_ns ? request->deadline_ns - now_ns : 0;
    const uint64_t share_us = left_ns / (request->walk->count - request->walk->next + 1) / NS_PER_US;
    const struct timeval wait = {(time_t)(share_us / 1000000), (suseconds_t)(share_us % 1000000)};
    if (!request->timer)
        request->timer = evtimer_new(request->connector->base, on_timeout, request);
    return request->timer && event_add(request->timer, &wait) == 0 ? NX_OK : NX_ENOMEM;
}

static void request_continue(struct connect_request *request)
{
    struct rule_entry *entry;
    int err = NX_ENOENT;
    while (err != NX_EAGAIN) {
        entry = rule_walk_next(request->walk, request->connector->rules);
        if (!entry)
            break;
        err = request_try(request, entry);
        if (err == NX_OK)
            return;
    }
    if (err == NX_EAGAIN && request_arm(request) == NX_OK)
        return;
    if (err == NX_EAGAIN)
        failure_set(&request->failure, IPC_LIMIT, "out of memory");
    request_refuse(request);
}

static struct connect_request *request_new(struct connector *connector, uint32_t id, struct rule_set *set,
                                           const struct ipc_connect *message)
{
    const uint64_t now_ns = clock_now_ns();
    struct connect_request *const request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->walk = rule_walk_new(set, now_ns);
    if (!request->walk) {
        free(request);
        return NULL;
    }
    request->connector = connector;
    request->id = id;
    request->protocol = set->protocol;
    request->client = message->client;
    request->local = message->local;
    request->deadline_ns = now_ns + CONNECTOR_TIMEOUT_MS * NS_PER_MS;
    failure_set(&request->failure, IPC_NOT_FOUND, "the rule was removed");
    LIST_INSERT_HEAD(&connector->requests[id % REQUEST_BUCKETS], request, bucket);
    connector->pending++;
    return request;
}

void connector_connect(struct connector *connector, uint32_t request, const struct ipc_connect *message)
{
    struct failure failure;
    struct rule_set *const set =
        rule_table_set(connector->rules, RULE_INGRESS, message->protocol, message->port);
    if (!set) {
        failure_set(&failure, IPC_NOT_FOUND, "no ingress rule for %s port %u",
                    rule_protocol_name(message->protocol), message->port);
    } else if (message->client.addr.family != message->local.addr.family) {
        failure_set(&failure, IPC_FAILED, "the client's address and ours are not of one family");
    } else if (connector->pending >= CONNECTOR_PENDING_MAX) {
        failure_set(&failure, IPC_LIMIT, "%d connections are being made already", CONNECTOR_PENDING_MAX);
    } else {
        struct connect_request *const made = request_new(connector, request, set, message);
        if (made) {
            request_continue(made);
            return;
        }
        failure_set(&failure, IPC_LIMIT, "out of memory");
    }
    outbox_send_result(connector->answers, request, &failure);
}

void connector_cancel(struct connector *connector, uint32_t request)
{
    struct connect_request *found;
    LIST_FOREACH (found, &connector->requests[request % REQUEST_BUCKETS], bucket)
        if (found->id == request)
            break;
    if (found)
        request_free(found);
}

void connector_rule_removed(struct connector *connector, uint32_t rule_id)
{
    for (size_t i = 0; i < REQUEST_BUCKETS; i++) {
        struct connect_request *request = LIST_FIRST(&connector->requests[i]), *next;
        for (; request; request = next) {
            next = LIST_NEXT(request, bucket);
            if (request->rule_id != rule_id)
                continue;
            request_abandon_attempt(request);
            failure_set(&request->failure, IPC_NOT_FOUND, "the rule was removed");
            request_continue(request);
        }
    }
}

void connector_cancel_all(struct connector *connector)
{
    for (size_t i = 0; i < REQUEST_BUCKETS; i++)
        while (!LIST_EMPTY(&connector->requests[i]))
            request_free(LIST_FIRST(&connector->requests[i]));
}

size_t connector_pending(const struct connector *connector)
{
    return connector->pending;
}
