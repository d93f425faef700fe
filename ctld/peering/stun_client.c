/* Rounds. A round asks one server, or a pair of them at once; each question is looked up, sent, repeated, and
 * ends with an answer or not. When all have ended, or 5 s after its start, so has the round:
 *
 *   START (pairs, up to four, 1 s apart) ──► REGULAR (one server every 20 s) ◄──► a pair, where one is due
 *                                    └─────► SYMMETRIC (a pair every 300 s) ◄──┘
 *
 * A pair is due after a start that failed and after a new IP address, since another network may have another
 * NAT. Servers take turns. The second of a pair must have another address than the first, or both would see
 * the same mapping whatever the NAT does (several names of one operator often have one address); other
 * addresses of the name and then other names are tried for that. */
#include "ctld/peering/stun_client.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct server {
    char text[STUN_SERVER_TEXT_MAX];
    char host[STUN_SERVER_TEXT_MAX];
    uint16_t port; /* 0 = the text is no server's */
};

enum question_state { UNUSED = 0, RESOLVING, ASKING, ANSWERED, FAILED };

struct question {
    enum question_state state;
    const struct server *server;
    size_t names_tried;
    uint32_t request;
    struct netsock to, mapped;
    unsigned sent;
    uint64_t resend_ns;
};

struct stun_client {
    const struct stun_client_ops *ops;
    void *arg;
    struct server servers[STUN_SERVERS_MAX];
    size_t server_count, next_server;
    struct question questions[2];
    bool started, in_round, pair_due, assume_symmetric;
    unsigned attempts; /* of the start */
    uint64_t deadline_ns, next_round_ns;
    uint32_t last_request;
    bool settled, symmetric;
    struct netsock reflexive;
    const char *told_by;
};

/* -- Servers -- */

static bool server_read(const char *text, struct server *out)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = STUN_SERVER_PORT;
    const size_t length = colon ? (size_t)(colon - text) : strlen(text);
    if (strlen(text) >= sizeof out->text)
        return false;
    strcpy(out->text, text);
    memcpy(out->host, text, length);
    out->host[length] = '\0';
    struct netaddr addr;
    const bool literal = netaddr_parse(out->host, &addr) == NX_OK && addr.family == NETADDR_V4;
    if ((!literal && !hostname_valid(out->host)) ||
        (colon && text_to_u64(colon + 1, strlen(colon + 1), 1, UINT16_MAX, &port) != NX_OK))
        return false;
    out->port = (uint16_t)port;
    return true;
}

static uint32_t random_below(const struct stun_client *client, size_t bound)
{
    return (uint32_t)(client->ops->random(client->arg) % bound);
}

static void servers_shuffle(struct stun_client *client)
{
    for (size_t i = client->server_count; i > 1; i--) {
        const size_t j = random_below(client, i);
        const struct server swap = client->servers[i - 1];
        client->servers[i - 1] = client->servers[j];
        client->servers[j] = swap;
    }
}

struct stun_client *stun_client_new(const char *const *servers, size_t count, bool assume_symmetric,
                                    const struct stun_client_ops *ops, void *arg)
{
    struct stun_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->ops = ops;
    client->arg = arg;
    client->assume_symmetric = client->symmetric = assume_symmetric;
    client->told_by = "";
    for (size_t i = 0; i < count && client->server_count < STUN_SERVERS_MAX; i++) {
        struct server *server = &client->servers[client->server_count++];
        char quoted[TEXT_QUOTE_MAX];
        if (!server_read(servers[i], server))
            log_warn("STUN server %s is no host with a port", text_quote(servers[i], quoted, sizeof quoted));
    }
    servers_shuffle(client);
    client->settled = client->server_count == 0;
    return client;
}

void stun_client_free(struct stun_client *client)
{
    free(client);
}

/* -- One question -- */

static const struct question *other_question(const struct stun_client *client,
                                             const struct question *question)
{
    return question == &client->questions[0] ? &client->questions[1] : &client->questions[0];
}

static bool is_taken(const struct stun_client *client, const struct question *question,
                     const struct netsock *to)
{
    const struct question *other = other_question(client, question);
    return (other->state == ASKING || other->state == ANSWERED) && netsock_equal(&other->to, to);
}

static void question_send(struct stun_client *client, struct question *question, uint64_t now_ns)
{
    (void)client->ops->send(client->arg, question->request, &question->to);
    question->resend_ns = now_ns + (STUN_RESEND_MS * NS_PER_MS << question->sent);
    question->sent++;
}

static void question_ask(struct stun_client *client, struct question *question, const struct netaddr *addr,
                         uint64_t now_ns)
{
    question->to = (struct netsock){.addr = *addr, .port = question->server->port};
    question->state = ASKING;
    question_send(client, question, now_ns);
}

static void server_next(struct stun_client *client, struct question *question)
{
    question->server = &client->servers[client->next_server];
    client->next_server = (client->next_server + 1) % client->server_count;
    question->names_tried++;
}

static void question_start(struct stun_client *client, struct question *question, uint64_t now_ns);

/* An address that the other question does not ask; else another server; else, if there is no other, the same.
 */
static void question_choose(struct stun_client *client, struct question *question,
                            const struct netaddr *addresses, size_t count, uint64_t now_ns)
{
    const struct netaddr *same = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct netsock to = {.addr = addresses[i], .port = question->server->port};
        if (addresses[i].family != NETADDR_V4)
            continue;
        if (!is_taken(client, question, &to)) {
            question_ask(client, question, &addresses[i], now_ns);
            return;
        }
        same = same ? same : &addresses[i];
    }
    if (same && question->names_tried < client->server_count)
        question_start(client, question, now_ns);
    else if (same)
        question_ask(client, question, same, now_ns);
    else
        question->state = FAILED;
}

static void question_start(struct stun_client *client, struct question *question, uint64_t now_ns)
{
    struct netaddr literal;
    server_next(client, question);
    if (question->server->port == 0) {
        question->state = FAILED;
        return;
    }
    client->last_request = client->last_request + 1 ? client->last_request + 1 : 1;
    question->request = client->last_request;
    if (netaddr_parse(question->server->host, &literal) == NX_OK) {
        question_choose(client, question, &literal, 1, now_ns);
        return;
    }
    const int err = client->ops->resolve(client->arg, question->request, question->server->host);
    question->state = err == NX_OK ? RESOLVING : FAILED;
}

/* -- Rounds -- */

static bool wants_pair(const struct stun_client *client)
{
    return !client->settled || client->pair_due || client->symmetric;
}

static void round_begin(struct stun_client *client, uint64_t now_ns)
{
    const size_t count = wants_pair(client) ? 2 : 1;
    client->in_round = true;
    client->deadline_ns = now_ns + STUN_ANSWER_MS * NS_PER_MS;
    memset(client->questions, 0, sizeof client->questions);
    for (size_t i = 0; i < count; i++)
        question_start(client, &client->questions[i], now_ns);
}

static bool is_over(const struct question *question)
{
    return question->state == UNUSED || question->state == ANSWERED || question->state == FAILED;
}

static void result_set(struct stun_client *client, const struct netsock *reflexive, const char *told_by)
{
    char text[NETSOCK_TEXT_MAX];
    if (netsock_equal(&client->reflexive, reflexive))
        return;
    client->reflexive = *reflexive;
    client->told_by = told_by;
    log_info("the internet sees the tunnel at %s", netsock_format(reflexive, text));
}

static void symmetric_set(struct stun_client *client, bool symmetric)
{
    if (client->symmetric == symmetric || client->assume_symmetric)
        return;
    client->symmetric = symmetric;
    log_info(symmetric ? "Symmetric NAT detected" : "the NAT is not symmetric any more");
}

/* True: all that was asked has been answered. After the start, a part of a pair is used too, since one server
 * may be out of reach for ever. */
static bool round_evaluate(struct stun_client *client)
{
    const struct question *first = &client->questions[0], *second = &client->questions[1];
    const struct question *told = first->state == ANSWERED ? first : second;
    const bool pair = first->state == ANSWERED && second->state == ANSWERED;
    const bool complete = pair || (first->state == ANSWERED && second->state == UNUSED);
    if (told->state != ANSWERED || (!complete && !client->settled))
        return false;
    const bool moved = !netaddr_equal(&client->reflexive.addr, &told->mapped.addr);
    if (pair)
        symmetric_set(client, !netsock_equal(&first->mapped, &second->mapped));
    client->pair_due = !pair && (client->pair_due || moved);
    if (moved || !client->symmetric) /* behind a symmetric NAT, ports mean nothing */
        result_set(client, &told->mapped, client->settled ? told->server->text : "");
    return complete;
}

/* After the last attempt, one answer is better than none; a pair is still due. */
static void start_fail(struct stun_client *client)
{
    client->settled = client->pair_due = true;
    for (size_t i = 0; i < 2; i++) {
        if (client->questions[i].state == ANSWERED) {
            result_set(client, &client->questions[i].mapped, "");
            log_warn("only one STUN server has answered: a symmetric NAT would not be noticed");
            return;
        }
    }
    log_warn("no STUN server has answered: peers outside this network may not reach us");
}

static void round_schedule(struct stun_client *client, uint64_t now_ns)
{
    const uint64_t interval_ms =
        client->symmetric && !client->pair_due ? STUN_SYMMETRIC_MS : STUN_INTERVAL_MS - STUN_JITTER_MS;
    client->next_round_ns = now_ns + (interval_ms + random_below(client, 2 * STUN_JITTER_MS + 1)) * NS_PER_MS;
}

static void round_end(struct stun_client *client, uint64_t now_ns)
{
    const struct stun_result before = stun_client_result(client);
    client->in_round = false;
    const bool answered = round_evaluate(client);
    if (!client->settled && answered) {
        client->settled = true;
    } else if (!client->settled && ++client->attempts < STUN_START_ATTEMPTS) {
        client->next_round_ns = now_ns + STUN_START_PAUSE_MS * NS_PER_MS;
        return;
    } else if (!client->settled) {
        start_fail(client);
    }
    round_schedule(client, now_ns);
    if (before.settled != client->settled || before.symmetric != client->symmetric ||
        !netsock_equal(&before.reflexive, &client->reflexive))
        client->ops->changed(client->arg);
}

static void round_check(struct stun_client *client, uint64_t now_ns)
{
    if (client->in_round &&
        ((is_over(&client->questions[0]) && is_over(&client->questions[1])) || now_ns >= client->deadline_ns))
        round_end(client, now_ns);
}

/* -- Events -- */

static struct question *question_find(struct stun_client *client, uint32_t request, enum question_state state)
{
    for (size_t i = 0; i < 2 && client->in_round; i++)
        if (client->questions[i].request == request && client->questions[i].state == state)
            return &client->questions[i];
    return NULL;
}

void stun_client_resolved(struct stun_client *client, uint32_t request, const struct netaddr *addresses,
                          size_t count, uint64_t now_ns)
{
    struct question *question = question_find(client, request, RESOLVING);
    if (!question)
        return;
    question_choose(client, question, addresses, count, now_ns);
    round_check(client, now_ns);
}

void stun_client_answered(struct stun_client *client, uint32_t request, const struct netsock *server,
                          const struct netsock *mapped, uint64_t now_ns)
{
    struct question *question = question_find(client, request, ASKING);
    if (!question || !netsock_equal(&question->to, server) || mapped->addr.family != NETADDR_V4)
        return;
    question->mapped = *mapped;
    question->state = ANSWERED;
    round_check(client, now_ns);
}

void stun_client_refused(struct stun_client *client, uint32_t request, uint64_t now_ns)
{
    struct question *question = question_find(client, request, ASKING);
    if (!question)
        return;
    question->state = FAILED;
    round_check(client, now_ns);
}

void stun_client_run(struct stun_client *client, uint64_t now_ns)
{
    if (client->server_count == 0)
        return;
    round_check(client, now_ns);
    if (!client->in_round && (!client->started || now_ns >= client->next_round_ns)) {
        client->started = true;
        round_begin(client, now_ns);
        round_check(client, now_ns);
    }
    for (size_t i = 0; i < 2 && client->in_round; i++)
        if (client->questions[i].state == ASKING && now_ns >= client->questions[i].resend_ns)
            question_send(client, &client->questions[i], now_ns);
}

uint64_t stun_client_next_ns(const struct stun_client *client)
{
    if (client->server_count == 0)
        return UINT64_MAX;
    if (!client->started)
        return 0;
    if (!client->in_round)
        return client->next_round_ns;
    uint64_t next_ns = client->deadline_ns;
    for (size_t i = 0; i < 2; i++)
        if (client->questions[i].state == ASKING && client->questions[i].resend_ns < next_ns)
            next_ns = client->questions[i].resend_ns;
    return next_ns;
}

struct stun_result stun_client_result(const struct stun_client *client)
{
    return (struct stun_result){.settled = client->settled,
                                .symmetric = client->symmetric,
                                .reflexive = client->reflexive,
                                .server = client->told_by};
}

int stun_publish(const struct netsock *local, const struct stun_result *result, struct stun_published out[2])
{
    const bool has_local = local->addr.family != NETADDR_NONE,
               has_reflexive = result->reflexive.addr.family != NETADDR_NONE;
    if (!has_local && !has_reflexive)
        return NX_ENOENT;
    snprintf(out[0].source, sizeof out[0].source, "local");
    snprintf(out[1].source, sizeof out[1].source, "stun:%s", has_reflexive ? result->server : "");
    netsock_format(has_local ? local : &result->reflexive, out[0].address);
    netsock_format(has_reflexive ? &result->reflexive : local, out[1].address);
    return NX_OK;
}
