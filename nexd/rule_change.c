/* States of the change under way, with what ends each:
 *
 *   IDLE ── next wish ──► ADDING ── both have it, the file too ──► IDLE (answer: done)
 *                           │ a refusal, the file cannot be written, time is up
 *                           ▼
 *                         UNDOING ── both have forgotten it ──► IDLE (answer: why)
 *   IDLE ── next wish ──► REMOVING ── both have forgotten it ──► IDLE (answer: done)
 *
 * "Both" are proxyd and tunneld. For each, `told` says that its present process knows of the rule, `done`
 * that it has answered. A process that ends knows nothing, and has nothing to forget. */
#include "nexd/rule_change.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

static const enum ipc_role both[] = {IPC_PROXYD, IPC_TUNNELD};
enum { BOTH = sizeof both / sizeof *both };

static void advance(struct rule_change *rc, uint64_t now_ns);

static size_t at(enum ipc_role child)
{
    return (size_t)(child - IPC_TUNNELD);
}

static struct rulebook_entry *entry_of(const struct rule_change *rc)
{
    return rulebook_find(rc->book, rc->rule_id);
}

void rule_change_init(struct rule_change *rc, struct rulebook *book, const struct rule_change_ops *ops,
                      void *arg)
{
    *rc = (struct rule_change){.book = book, .ops = ops, .arg = arg, .retry_ns = UINT64_MAX};
}

void rule_change_add_fill(const struct rulebook_entry *entry, struct ipc_rule_add *out)
{
    *out = (struct ipc_rule_add){.rule_id = entry->id,
                                 .direction = (uint8_t)entry->rule.direction,
                                 .protocol = (uint8_t)entry->rule.protocol,
                                 .listen_port = entry->rule.listen_port,
                                 .dest_port = entry->rule.dest_port};
    memcpy(out->host, entry->rule.host, sizeof entry->rule.host);
    out->proxy_protocol = entry->proxy_protocol;
    out->flows_max = (uint32_t)entry->limits.flows.value;
    out->flows_line = entry->limits.flows.line;
    out->bytes_per_s_max = entry->limits.bandwidth.value;
}

/* -- Telling the children -- */

/* One that does not take a message is given up; its next process gets everything. */
static void tell(struct rule_change *rc, enum ipc_role child, enum ipc_type type, uint32_t request,
                 const void *body)
{
    int err = rc->ops->send(rc->arg, child, type, request, body);
    if (err && err != NX_ECLOSED)
        rc->ops->stuck(rc->arg, child, nx_strerror(err));
}

static void tell_add(struct rule_change *rc, enum ipc_role child, const struct rulebook_entry *entry,
                     uint32_t request)
{
    struct ipc_rule_add add;
    rule_change_add_fill(entry, &add);
    tell(rc, child, IPC_MSG_RULE_ADD, request, &add);
}

static void tell_remove(struct rule_change *rc, enum ipc_role child, uint32_t rule_id, uint32_t request)
{
    const struct ipc_rule_remove remove = {.rule_id = rule_id,
                                           .kill_flows = rc->kill_flows && rc->phase == RULE_CHANGE_REMOVING};
    tell(rc, child, IPC_MSG_RULE_REMOVE, request, &remove);
}

/* -- Ends of a change -- */

static void answer(struct rule_change *rc, uint32_t request, enum ipc_outcome outcome, const char *text)
{
    if (request)
        rc->ops->answer(rc->arg, request, outcome, text);
}

static void change_log(const struct rulebook_entry *entry, const char *what)
{
    char text[RULE_TEXT_MAX];
    /* Without the limit of a place: who reads the log can follow every change. */
    log_write(LOG_LEVEL_INFO, "%s rule %s %s", rule_direction_name(entry->rule.direction),
              rule_format(&entry->rule, text), what);
}

/* The rule is to be forgotten by everybody who knows of it. */
static void forget_begin(struct rule_change *rc, enum rule_change_phase phase, uint64_t now_ns)
{
    struct rulebook_entry *entry = entry_of(rc);
    const struct rule rule = entry->rule;
    entry->state = RULEBOOK_GOING;
    rc->phase = phase;
    rc->deadline_ns = now_ns + RULE_CHANGE_TIMEOUT_MS * NS_PER_MS;
    /* Before proxyd lets go: who holds a duplicate holds the port. */
    if (rule.direction == RULE_EGRESS &&
        !rulebook_has_listener(rc->book, rule.direction, rule.protocol, rule.listen_port, false))
        rc->ops->port_free(rc->arg, rule.protocol, rule.listen_port);
    for (size_t i = 0; i < BOTH; i++) {
        bool knows = rc->told[at(both[i])] && rc->configured[at(both[i])];
        rc->done[at(both[i])] = !knows;
        if (knows)
            tell_remove(rc, both[i], rc->rule_id, RULE_CHANGE_REMOVE | rc->rule_id);
    }
}

static void undo(struct rule_change *rc, enum ipc_outcome outcome, const char *text, uint64_t now_ns)
{
    rc->outcome = outcome;
    snprintf(rc->text, sizeof rc->text, "%s", text);
    forget_begin(rc, RULE_CHANGE_UNDOING, now_ns);
}

static void forgotten(struct rule_change *rc)
{
    if (rc->phase == RULE_CHANGE_REMOVING) {
        change_log(entry_of(rc), "removed");
        if (rc->configured[at(IPC_CTLD)])
            tell_remove(rc, IPC_CTLD, rc->rule_id, 0);
    }
    rulebook_remove(rc->book, rc->rule_id);
    rc->phase = RULE_CHANGE_IDLE;
    answer(rc, rc->request, rc->outcome, rc->text);
}

static void commit(struct rule_change *rc, uint64_t now_ns)
{
    char error[RULE_CHANGE_ERROR_MAX];
    struct rulebook_entry *entry = entry_of(rc);
    entry->state = RULEBOOK_STANDING;
    if (rc->ops->store(rc->arg, error)) {
        log_error("a rule cannot be added: %s", error);
        undo(rc, IPC_FAILED, error, now_ns);
        return;
    }
    change_log(entry, "added");
    if (rc->configured[at(IPC_CTLD)])
        tell_add(rc, IPC_CTLD, entry, 0);
    rc->phase = RULE_CHANGE_IDLE;
    answer(rc, rc->request, IPC_OK, "");
}

/* -- Beginning a change -- */

/* What ctld says, read again as an operator's text would be. */
static int rule_read(const struct ipc_rule_request *message, struct rule *out, char *error)
{
    char text[RULE_TEXT_MAX];
    struct rule rule = {.direction = (enum rule_direction)message->direction,
                        .protocol = (enum rule_protocol)message->protocol,
                        .listen_port = message->listen_port,
                        .dest_port = message->dest_port};
    memcpy(rule.host, message->host, sizeof rule.host);
    return rule_parse(rule.direction, rule_format(&rule, text), out, error);
}

static void add_begin(struct rule_change *rc, uint32_t request, const struct rule *rule, uint64_t now_ns)
{
    struct policy_rule_limits limits;
    char error[RULE_CHANGE_ERROR_MAX];
    if (rc->ops->judge(rc->arg, rule, &limits, error)) {
        log_warn("a rule is refused: %s", error);
        answer(rc, request, IPC_POLICY, error);
        return;
    }
    if (rulebook_match(rc->book, rule)) {
        answer(rc, request, IPC_IN_USE, "port already in use by another proxy rule");
        return;
    }
    struct rulebook_entry *entry = rulebook_add(rc->book, rule, true, RULEBOOK_COMING);
    if (!entry) {
        answer(rc, request, IPC_LIMIT, "there is no room for another proxy rule");
        return;
    }
    entry->limits = limits;
    rc->phase = RULE_CHANGE_ADDING;
    rc->rule_id = entry->id;
    rc->request = request;
    rc->deadline_ns = now_ns + RULE_CHANGE_TIMEOUT_MS * NS_PER_MS;
    memset(rc->told, 0, sizeof rc->told);
    memset(rc->done, 0, sizeof rc->done);
}

static void remove_begin(struct rule_change *rc, uint32_t request, const struct rule *rule, bool kill_flows,
                         uint64_t now_ns)
{
    char error[RULE_CHANGE_ERROR_MAX], text[RULE_TEXT_MAX];
    struct rulebook_entry *entry = rulebook_match(rc->book, rule);
    if (!entry) {
        snprintf(error, sizeof error, "no matching %s proxy rule found: %s",
                 rule_direction_name(rule->direction), rule_format(rule, text));
        answer(rc, request, IPC_NOT_FOUND, error);
        return;
    }
    entry->state = RULEBOOK_GOING;
    if (rc->ops->store(rc->arg, error)) {
        log_error("a rule cannot be removed: %s", error);
        entry->state = RULEBOOK_STANDING;
        answer(rc, request, IPC_FAILED, error);
        return;
    }
    rc->rule_id = entry->id;
    rc->request = request;
    rc->kill_flows = kill_flows;
    rc->outcome = IPC_OK;
    rc->text[0] = '\0';
    memset(rc->told, true, sizeof rc->told);
    forget_begin(rc, RULE_CHANGE_REMOVING, now_ns);
}

/* Takes the next wish. It may be over at once. */
static void wish_begin(struct rule_change *rc, uint64_t now_ns)
{
    const struct rule_change_wish wish = rc->queue[rc->queue_first];
    rc->queue_first = (rc->queue_first + 1) % RULE_CHANGE_QUEUE_MAX;
    rc->queue_count--;
    struct rule rule;
    char error[RULE_ERROR_MAX];
    if (rule_read(&wish.rule, &rule, error))
        answer(rc, wish.request, IPC_FAILED, error);
    else if (wish.rule.remove)
        remove_begin(rc, wish.request, &rule, wish.rule.kill_flows, now_ns);
    else
        add_begin(rc, wish.request, &rule, now_ns);
}

/* -- The machine -- */

static void adding_advance(struct rule_change *rc, uint64_t now_ns)
{
    /* proxyd first: no packet of a peer asks for a port that proxyd does not know. */
    for (size_t i = 0; i < BOTH; i++) {
        size_t child = at(both[i]);
        if (!rc->told[child] && rc->configured[child]) {
            rc->told[child] = true;
            tell_add(rc, both[i], entry_of(rc), rc->rule_id);
        }
        if (!rc->done[child])
            return;
    }
    commit(rc, now_ns);
}

static void advance(struct rule_change *rc, uint64_t now_ns)
{
    for (;;) {
        enum rule_change_phase before = rc->phase;
        if (rc->phase == RULE_CHANGE_ADDING)
            adding_advance(rc, now_ns);
        else if (rc->phase != RULE_CHANGE_IDLE && rc->done[at(IPC_PROXYD)] && rc->done[at(IPC_TUNNELD)])
            forgotten(rc);
        else if (rc->phase == RULE_CHANGE_IDLE && rc->open && rc->queue_count)
            wish_begin(rc, now_ns);
        else
            return;
        /* A wish may be over without having changed the phase. */
        if (rc->phase == before && rc->phase != RULE_CHANGE_IDLE)
            return;
    }
}

void rule_change_open(struct rule_change *rc, uint64_t now_ns)
{
    rc->open = true;
    advance(rc, now_ns);
}

void rule_change_request(struct rule_change *rc, uint32_t request, const struct ipc_rule_request *rule,
                         uint64_t now_ns)
{
    if (rc->queue_count == RULE_CHANGE_QUEUE_MAX) {
        answer(rc, request, IPC_LIMIT, "too many changes of proxy rules at once");
        return;
    }
    rc->queue[(rc->queue_first + rc->queue_count++) % RULE_CHANGE_QUEUE_MAX] = (struct rule_change_wish){
        .rule = *rule, .request = request, .deadline_ns = now_ns + RULE_CHANGE_TIMEOUT_MS * NS_PER_MS};
    advance(rc, now_ns);
}

bool rule_change_result(struct rule_change *rc, enum ipc_role child, uint32_t request,
                        const struct ipc_result *result, uint64_t now_ns)
{
    bool of_removal = request & RULE_CHANGE_REMOVE;
    if (rc->phase == RULE_CHANGE_IDLE || (request & ~(uint32_t)RULE_CHANGE_REMOVE) != rc->rule_id ||
        child == IPC_CTLD)
        return false;
    if (of_removal && rc->phase != RULE_CHANGE_ADDING) {
        rc->done[at(child)] = true;
    } else if (!of_removal && rc->phase == RULE_CHANGE_ADDING) {
        rc->done[at(child)] = result->result == IPC_OK;
        if (result->result != IPC_OK) {
            rc->told[at(child)] = false; /* it has not got the rule */
            undo(rc, (enum ipc_outcome)result->result,
                 result->text[0] ? result->text : "refused without a reason", now_ns);
        }
    } else if (of_removal) {
        return false; /* nobody was asked to */
    }
    advance(rc, now_ns);
    return true;
}

void rule_change_child_up(struct rule_change *rc, enum ipc_role child, uint64_t now_ns)
{
    rc->configured[at(child)] = true;
    rc->told[at(child)] = rc->phase == RULE_CHANGE_ADDING; /* with all the others */
    advance(rc, now_ns);
}

/* Wishes of a ctld that has ended have nobody to be answered to. The change under way is carried through. */
static void requester_gone(struct rule_change *rc)
{
    rc->queue_count = 0;
    rc->request = 0;
}

/* Its next process will be asked for all rules anew. */
static void failures_forget(struct rule_change *rc)
{
    for (size_t i = 0; i < rc->book->count; i++)
        rc->book->entries[i].failed = false;
    rc->retry_ns = UINT64_MAX;
}

void rule_change_child_gone(struct rule_change *rc, enum ipc_role child, uint64_t now_ns)
{
    rc->configured[at(child)] = false;
    rc->told[at(child)] = false;
    rc->done[at(child)] = rc->phase != RULE_CHANGE_ADDING;
    if (child == IPC_CTLD)
        requester_gone(rc);
    else if (child == IPC_PROXYD)
        failures_forget(rc);
    advance(rc, now_ns);
}

/* -- Time -- */

void rule_change_failed(struct rule_change *rc, struct rulebook_entry *entry, uint64_t now_ns)
{
    entry->failed = true;
    if (rc->retry_ns == UINT64_MAX)
        rc->retry_ns = now_ns + RULE_CHANGE_RETRY_MS * NS_PER_MS;
}

static void retry(struct rule_change *rc, uint64_t now_ns)
{
    bool any = false;
    for (size_t i = 0; i < rc->book->count; i++) {
        const struct rulebook_entry *entry = &rc->book->entries[i];
        if (!entry->failed || entry->state != RULEBOOK_STANDING)
            continue;
        any = true;
        if (rc->configured[at(IPC_PROXYD)])
            tell_add(rc, IPC_PROXYD, entry, entry->id);
    }
    rc->retry_ns = any ? now_ns + RULE_CHANGE_RETRY_MS * NS_PER_MS : UINT64_MAX;
}

static void overdue(struct rule_change *rc, uint64_t now_ns)
{
    char text[IPC_TEXT_MAX];
    for (size_t i = 0; i < BOTH; i++) {
        if (rc->done[at(both[i])])
            continue;
        if (rc->phase == RULE_CHANGE_ADDING) {
            snprintf(text, sizeof text, "%s did not answer within %d s; the rule was not added",
                     ipc_role_name(both[i]), RULE_CHANGE_TIMEOUT_MS / 1000);
            undo(rc, IPC_TIMED_OUT, text, now_ns);
            return;
        }
        rc->deadline_ns = now_ns + RULE_CHANGE_TIMEOUT_MS * NS_PER_MS;
        rc->ops->stuck(rc->arg, both[i], "it does not answer RULE_REMOVE");
    }
}

void rule_change_run(struct rule_change *rc, uint64_t now_ns)
{
    if (rc->phase != RULE_CHANGE_IDLE && now_ns >= rc->deadline_ns)
        overdue(rc, now_ns);
    while (rc->queue_count && now_ns >= rc->queue[rc->queue_first].deadline_ns) {
        answer(rc, rc->queue[rc->queue_first].request, IPC_TIMED_OUT,
               rc->open ? "another change of the proxy rules takes too long" : "nexd is still starting");
        rc->queue_first = (rc->queue_first + 1) % RULE_CHANGE_QUEUE_MAX;
        rc->queue_count--;
    }
    if (now_ns >= rc->retry_ns)
        retry(rc, now_ns);
    advance(rc, now_ns);
}

uint64_t rule_change_next_ns(const struct rule_change *rc)
{
    uint64_t next_ns = rc->retry_ns;
    if (rc->phase != RULE_CHANGE_IDLE && rc->deadline_ns < next_ns)
        next_ns = rc->deadline_ns;
    if (rc->queue_count && rc->queue[rc->queue_first].deadline_ns < next_ns)
        next_ns = rc->queue[rc->queue_first].deadline_ns;
    return next_ns;
}
