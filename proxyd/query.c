/* A query that has to wait for a name is kept in a list of its sibling, so that it ends with the link. */
#include "proxyd/query.h"

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

struct query {
    LIST_ENTRY(query) entry;
    struct queries *queries;
    uint32_t request;
    struct destination_wait *destination; /* one of these two */
    struct resolver_wait *resolving;
    char host[IPC_NAME_MAX + 1];
};

void queries_init(struct queries *queries, struct outbox *answers)
{
    queries->answers = answers;
    queries->count = 0;
    LIST_INIT(&queries->all);
}

static void query_free(struct query *query)
{
    destination_cancel(query->destination);
    resolver_cancel(query->resolving);
    LIST_REMOVE(query, entry);
    query->queries->count--;
    free(query);
}

void queries_cancel_all(struct queries *queries)
{
    while (!LIST_EMPTY(&queries->all))
        query_free(LIST_FIRST(&queries->all));
}

/* NULL, and the request is answered, when there is no room. */
static struct query *query_new(struct queries *queries, uint32_t request)
{
    struct query *const query = queries->count < QUERIES_MAX ? calloc(1, sizeof(*query)) : NULL;
    if (!query) {
        struct failure failure;
        failure_set(&failure, IPC_LIMIT, "too many requests wait for a name");
        outbox_send_result(queries->answers, request, &failure);
        return NULL;
    }
    query->queries = queries;
    query->request = request;
    LIST_INSERT_HEAD(&queries->all, query, entry);
    queries->count++;
    return query;
}

static void destination_answer(struct outbox *answers, uint32_t request,
                               const struct destination *destination)
{
    if (destination->rule_id == 0) {
        outbox_send_result(answers, request, &destination->failure);
        return;
    }
    const struct ipc_dest body = {.rule_id = destination->rule_id, .dest = destination->dest};
    outbox_send(answers, IPC_MSG_DEST, request, &body, sizeof(body), -1);
}

static void on_destination(const struct destination *destination, void *arg)
{
    struct query *const query = arg;
    query->destination = NULL;
    destination_answer(query->queries->answers, query->request, destination);
    query_free(query);
}

void query_destination(struct queries *queries, struct destination_chooser *chooser, uint32_t request,
                       const struct ipc_dest_query *message)
{
    struct rule_set *const set = rule_table_set(chooser->rules, RULE_EGRESS, RULE_UDP, message->port);
    struct destination destination;
    struct destination_wait *wait;
    if (!set) {
        failure_set(&destination.failure, IPC_NOT_FOUND, "no egress rule for udp port %u", message->port);
        outbox_send_result(queries->answers, request, &destination.failure);
        return;
    }
    if (destination_choose(chooser, set, &destination, &wait) == NX_OK) {
        destination_answer(queries->answers, request, &destination);
        return;
    }
    struct query *const query = query_new(queries, request);
    if (!query) {
        destination_cancel(wait);
        return;
    }
    query->destination = wait;
    destination_await(wait, on_destination, query);
}

static void resolve_answer(struct outbox *answers, uint32_t request, const char *host,
                           const struct resolver_answer *answer)
{
    if (answer->err != NX_OK) {
        struct failure failure;
        failure_set(&failure, failure_from_resolver(answer->err), "%s: %s", host,
                    resolver_strerror(answer->err));
        outbox_send_result(answers, request, &failure);
        return;
    }
    struct ipc_resolved body = {.ttl_s = answer->ttl_s, .addresses.count = (uint16_t)answer->count};
    memcpy(body.addresses.item, answer->addrs, answer->count * sizeof(answer->addrs[0]));
    outbox_send(answers, IPC_MSG_RESOLVED, request, &body, sizeof(body), -1);
}

static void on_resolved(const struct resolver_answer *answer, void *arg)
{
    struct query *const query = arg;
    query->resolving = NULL;
    resolve_answer(query->queries->answers, query->request, query->host, answer);
    query_free(query);
}

void query_resolve(struct queries *queries, struct resolver *resolver, uint32_t request,
                   const struct ipc_resolve *message)
{
    _Static_assert((int)RESOLVER_ADDRS_MAX <= (int)IPC_ADDRS_MAX, "an answer fits into RESOLVED");
    struct resolver_answer answer;
    struct query *const query = query_new(queries, request);
    if (!query)
        return;
    strcpy(query->host, message->host);
    if (resolver_lookup(resolver, message->host, &answer, on_resolved, query, &query->resolving) == NX_OK) {
        resolve_answer(queries->answers, request, message->host, &answer);
        query_free(query);
    }
}
