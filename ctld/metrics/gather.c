/* One round at a time: every process is asked at once, and the round is over when all have answered, are
 * known to be away, or time is up. Who asks meanwhile waits for the same round. Answers carry the round's
 * number, so that a late one is not taken for this round's. */
#include "ctld/metrics/gather.h"

#include "common/array.h"
#include "common/clock.h"
#include "common/err.h"
#include "ctld/rule_stats.h"

#include <stdlib.h>
#include <string.h>

/* What is asked for in a round; a bit each while it is outstanding. */
enum question {
    OF_PARENT,
    OF_TUNNELD,
    OF_PROXYD,
    RULES_OF_TUNNELD,
    RULES_OF_PROXYD,
    QUESTIONS,
    OF_PEERS = QUESTIONS
};

static const struct {
    enum ipc_role role;
    enum ipc_type type;
} questions[QUESTIONS] = {
    [OF_PARENT] = {IPC_PARENT, IPC_MSG_METRICS_QUERY},
    [OF_TUNNELD] = {IPC_TUNNELD, IPC_MSG_METRICS_QUERY},
    [OF_PROXYD] = {IPC_PROXYD, IPC_MSG_METRICS_QUERY},
    [RULES_OF_TUNNELD] = {IPC_TUNNELD, IPC_MSG_RULE_STATS_QUERY},
    [RULES_OF_PROXYD] = {IPC_PROXYD, IPC_MSG_RULE_STATS_QUERY},
};

struct waiter {
    gather_done_fn done;
    void *arg, *token;
};

struct gather {
    struct peers *peers;
    const struct gather_ops *ops;
    void *arg;
    struct gathered gathered;
    bool running, ever;
    unsigned outstanding;
    uint32_t round;
    uint64_t deadline_ns, done_ns;
    struct waiter waiters[GATHER_WAITERS_MAX];
    size_t waiter_count;
};

struct gather *gather_new(struct peers *peers, const struct gather_ops *ops, void *arg)
{
    struct gather *gather = calloc(1, sizeof *gather);
    if (gather)
        *gather = (struct gather){.peers = peers, .ops = ops, .arg = arg};
    return gather;
}

void gather_free(struct gather *gather)
{
    if (!gather)
        return;
    peers_refresh_cancel(gather->peers, gather);
    free(gather->gathered.rules);
    free(gather);
}

/* Whoever is told may ask again at once: that begins another round. */
static void round_end(struct gather *gather, uint64_t now_ns)
{
    struct waiter waiters[GATHER_WAITERS_MAX];
    size_t count = gather->waiter_count;
    memcpy(waiters, gather->waiters, count * sizeof *waiters);
    gather->waiter_count = 0;
    gather->running = false;
    gather->ever = true;
    gather->done_ns = now_ns;
    peers_refresh_cancel(gather->peers, gather);
    for (size_t i = 0; i < count; i++)
        waiters[i].done(waiters[i].arg, waiters[i].token, &gather->gathered);
}

static void answered(struct gather *gather, unsigned question, uint64_t now_ns)
{
    if (!gather->running)
        return;
    gather->outstanding &= ~(1u << question);
    if (gather->outstanding == 0)
        round_end(gather, now_ns);
}

static void peers_reported(void *arg, void *token)
{
    (void)token;
    struct gather *gather = arg;
    answered(gather, OF_PEERS, clock_now_ns());
}

/* Ids: the bit of gather, the round, the question. */
static uint32_t request_id(const struct gather *gather, unsigned question)
{
    return GATHER_REQUEST | (gather->round << 3 & ~GATHER_MASK) | question;
}

static void round_begin(struct gather *gather, uint64_t now_ns)
{
    static const struct ipc_metrics_query metrics = {.version = 1};
    static const struct ipc_rule_stats_query rules = {.version = 1};
    struct gathered *gathered = &gather->gathered;
    memset(gathered->numbers, 0, sizeof gathered->numbers);
    memset(gathered->answered, 0, sizeof gathered->answered);
    gathered->rule_count = 0;
    gather->round++;
    gather->running = true;
    gather->deadline_ns = now_ns + GATHER_TIMEOUT_MS * NS_PER_MS;
    /* The peers' answer may come before this returns, when there is nobody to ask. */
    gather->outstanding = (1u << OF_PEERS) | ((1u << QUESTIONS) - 1);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        const void *body = questions[i].type == IPC_MSG_METRICS_QUERY ? (const void *)&metrics : &rules;
        if (gather->ops->send(gather->arg, questions[i].role, questions[i].type, request_id(gather, i), body))
            gather->outstanding &= ~(1u << i);
    }
    if (peers_refresh(gather->peers, peers_reported, gather, gather, now_ns))
        answered(gather, OF_PEERS, now_ns);
}

int gather_request(struct gather *gather, gather_done_fn done, void *arg, void *token, uint64_t now_ns)
{
    if (!gather->running && gather->ever && now_ns - gather->done_ns < GATHER_FRESH_MS * NS_PER_MS) {
        done(arg, token, &gather->gathered);
        return NX_OK;
    }
    if (gather->waiter_count == GATHER_WAITERS_MAX)
        return NX_EAGAIN;
    gather->waiters[gather->waiter_count++] = (struct waiter){.done = done, .arg = arg, .token = token};
    if (!gather->running)
        round_begin(gather, now_ns);
    return NX_OK;
}

void gather_cancel(struct gather *gather, const void *token)
{
    for (size_t i = gather->waiter_count; i-- > 0;)
        if (gather->waiters[i].token == token)
            gather->waiters[i] = gather->waiters[--gather->waiter_count];
}

/* -- Answers -- */

static void number_take(struct gathered *gathered, const struct ipc_metric *metric)
{
    if (metric->metric < METRIC_END)
        gathered->numbers[metric->metric] = (struct gather_number){.known = true, .value = metric->value};
}

static void rule_take(struct gathered *gathered, const struct ipc_rule_stats *stats)
{
    for (size_t i = 0; i < gathered->rule_count; i++) {
        if (gathered->rules[i].rule_id == stats->rule_id) {
            rule_stats_sum(&gathered->rules[i], stats);
            return;
        }
    }
    struct ipc_rule_stats *grown = gathered->rule_count < GATHER_RULES_MAX
                                       ? array_reserve(gathered->rules, &gathered->rule_capacity,
                                                       gathered->rule_count + 1, sizeof *grown)
                                       : NULL;
    if (!grown)
        return; /* one rule less in the metrics */
    gathered->rules = grown;
    grown[gathered->rule_count++] = *stats;
}

bool gather_message(struct gather *gather, enum ipc_role from, const struct ipc_message *message,
                    uint64_t now_ns)
{
    uint32_t request = message->header.request;
    unsigned question = request & 7;
    if ((request & GATHER_MASK) != GATHER_REQUEST)
        return false;
    bool expected = gather->running && question < QUESTIONS && request == request_id(gather, question) &&
                    from == questions[question].role && gather->outstanding & 1u << question;
    if (!expected) /* of a round that is over */
        return true;
    if (message->header.type == IPC_MSG_METRIC) {
        number_take(&gather->gathered, &message->body.metric);
    } else if (message->header.type == IPC_MSG_RULE_STATS) {
        rule_take(&gather->gathered, &message->body.rule_stats);
    } else if (message->header.type == IPC_MSG_RESULT) {
        if (questions[question].type == IPC_MSG_METRICS_QUERY)
            gather->gathered.answered[from] = message->body.result.result == IPC_OK;
        answered(gather, question, now_ns);
    }
    return true;
}

void gather_link_down(struct gather *gather, enum ipc_role role, uint64_t now_ns)
{
    gather->ever = false; /* what it told is of its past */
    for (unsigned i = 0; i < QUESTIONS && gather->running; i++)
        if (questions[i].role == role && gather->outstanding & 1u << i)
            answered(gather, i, now_ns);
}

void gather_run(struct gather *gather, uint64_t now_ns)
{
    if (gather->running && now_ns >= gather->deadline_ns)
        round_end(gather, now_ns);
}

uint64_t gather_next_ns(const struct gather *gather)
{
    return gather->running ? gather->deadline_ns : UINT64_MAX;
}
