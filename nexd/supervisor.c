/* States of one child:
 *
 *                 spawn          HELLO            gate open
 *     STOPPED ───────► STARTING ───────► GREETED ───────────► READY
 *                       │   ▲               │                   │
 *                       │   └── BACKOFF ◄───┴───── exit ────────┤
 *                       │          ▲                            │
 *      no HELLO in time ▼          │ exit                       ▼ misbehaved, stop
 *                    STOPPING ─────┴──────────────────────── STOPPING
 *
 * While everything stops, an exit leads to STOPPED instead of BACKOFF; when all are STOPPED the machine is
 * done.
 *
 * The children are started side by side: none of them does anything before it is configured. What order
 * there must be is kept by gates and by the rule that a link joins READY children only: proxyd binds the
 * tunnel's sockets, which opens tunneld's gate; a child has its whole configuration before its first link.
 *
 * A link between two siblings has a generation, fresh for each socket pair. When one side ends, or is given
 * up, the other is told at once, and the pair is linked anew when both are READY again; so at most one
 * generation of a pair is alive at any time. */
#include "nexd/supervisor.h"

#include "common/clock.h"

#include <stdlib.h>

static const enum ipc_role pair_roles[SUPERVISOR_PAIRS][2] = {
    {IPC_TUNNELD, IPC_PROXYD},
    {IPC_TUNNELD, IPC_CTLD},
    {IPC_PROXYD, IPC_CTLD},
};

static struct supervisor_child *child_of(struct supervisor *s, enum ipc_role role)
{
    return &s->children[role - IPC_TUNNELD];
}

static void act(struct supervisor *s, struct supervisor_action action)
{
    if (s->action_count == SUPERVISOR_ACTIONS_MAX)
        abort(); /* an event makes about ten at most, and the owner drains after each */
    s->actions[(s->action_first + s->action_count++) % SUPERVISOR_ACTIONS_MAX] = action;
}

static void act_on(struct supervisor *s, enum supervisor_action_kind kind, enum ipc_role role)
{
    act(s, (struct supervisor_action){.kind = kind, .child = role});
}

void supervisor_init(struct supervisor *s)
{
    *s = (struct supervisor){0};
    for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++)
        s->children[i].backoff_ms = SUPERVISOR_BACKOFF_MIN_MS;
}

static void child_spawn(struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    struct supervisor_child *child = child_of(s, role);
    child->state = SUPERVISOR_STARTING;
    child->deadline_ns = now_ns + SUPERVISOR_HELLO_TIMEOUT_MS * NS_PER_MS;
    child->was_ready = false;
    child->starts++;
    act_on(s, SUPERVISOR_SPAWN, role);
}

static void pairs_link(struct supervisor *s)
{
    for (size_t i = 0; i < SUPERVISOR_PAIRS; i++) {
        enum ipc_role a = pair_roles[i][0], b = pair_roles[i][1];
        if (s->pair_generation[i] || child_of(s, a)->state != SUPERVISOR_READY ||
            child_of(s, b)->state != SUPERVISOR_READY)
            continue;
        s->pair_generation[i] = ++s->last_generation;
        act(s, (struct supervisor_action){
                   .kind = SUPERVISOR_LINK, .child = a, .peer = b, .generation = s->pair_generation[i]});
    }
}

/* The links of a child that has gone. Siblings that are ending anyway need not know. */
static void pairs_unlink(struct supervisor *s, enum ipc_role gone)
{
    for (size_t i = 0; i < SUPERVISOR_PAIRS; i++) {
        enum ipc_role a = pair_roles[i][0], b = pair_roles[i][1];
        if (!s->pair_generation[i] || (a != gone && b != gone))
            continue;
        enum ipc_role other = a == gone ? b : a;
        if (child_of(s, other)->state == SUPERVISOR_READY)
            act(s, (struct supervisor_action){.kind = SUPERVISOR_LINK_DOWN,
                                              .child = other,
                                              .peer = gone,
                                              .generation = s->pair_generation[i]});
        s->pair_generation[i] = 0;
    }
}

bool supervisor_pair_alive(const struct supervisor *s, enum ipc_role a, enum ipc_role b, uint32_t generation)
{
    for (size_t i = 0; i < SUPERVISOR_PAIRS; i++)
        if ((pair_roles[i][0] == a && pair_roles[i][1] == b) ||
            (pair_roles[i][0] == b && pair_roles[i][1] == a))
            return generation != 0 && s->pair_generation[i] == generation;
    return false;
}

static void child_advance(struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    struct supervisor_child *child = child_of(s, role);
    if (child->state != SUPERVISOR_GREETED || !child->gate_open)
        return;
    child->state = SUPERVISOR_READY;
    child->was_ready = true;
    child->ready_since_ns = now_ns;
    act_on(s, SUPERVISOR_CONFIGURE, role);
    pairs_link(s);
}

/* Ends a process that cannot be trusted any more. */
static void child_give_up(struct supervisor *s, enum ipc_role role)
{
    act_on(s, SUPERVISOR_KILL, role);
    act_on(s, SUPERVISOR_DISCONNECT, role);
    child_of(s, role)->state = SUPERVISOR_STOPPING;
    pairs_unlink(s, role);
}

static bool child_has_process(const struct supervisor_child *child)
{
    return child->state != SUPERVISOR_STOPPED && child->state != SUPERVISOR_BACKOFF;
}

static void stop_check(struct supervisor *s)
{
    if (!s->stopping || s->done)
        return;
    for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++)
        if (s->children[i].state != SUPERVISOR_STOPPED)
            return;
    s->done = true;
    act(s, (struct supervisor_action){.kind = SUPERVISOR_DONE, .status = s->status});
}

void supervisor_start(struct supervisor *s, uint64_t now_ns)
{
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        if (child_of(s, role)->state == SUPERVISOR_STOPPED && !s->stopping)
            child_spawn(s, role, now_ns);
}

void supervisor_gate_open(struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    child_of(s, role)->gate_open = true;
    child_advance(s, role, now_ns);
}

void supervisor_hello(struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    struct supervisor_child *child = child_of(s, role);
    if (child->state == SUPERVISOR_GREETED || child->state == SUPERVISOR_READY) {
        supervisor_misbehaved(s, role, now_ns);
        return;
    }
    if (child->state != SUPERVISOR_STARTING)
        return;
    child->state = SUPERVISOR_GREETED;
    child->was_greeted = true;
    child_advance(s, role, now_ns);
}

void supervisor_misbehaved(struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    (void)now_ns;
    struct supervisor_child *child = child_of(s, role);
    if (child_has_process(child) && child->state != SUPERVISOR_STOPPING)
        child_give_up(s, role);
}

static void child_back_off(struct supervisor_child *child, uint64_t now_ns)
{
    if (child->was_ready && now_ns - child->ready_since_ns >= SUPERVISOR_HEALTHY_AFTER_MS * NS_PER_MS)
        child->backoff_ms = SUPERVISOR_BACKOFF_MIN_MS;
    child->state = SUPERVISOR_BACKOFF;
    child->deadline_ns = now_ns + child->backoff_ms * NS_PER_MS;
    child->backoff_ms = child->backoff_ms >= SUPERVISOR_BACKOFF_MAX_MS / 2 ? SUPERVISOR_BACKOFF_MAX_MS
                                                                           : child->backoff_ms * 2;
}

void supervisor_exited(struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    struct supervisor_child *child = child_of(s, role);
    if (!child_has_process(child))
        return;
    act_on(s, SUPERVISOR_DISCONNECT, role);
    child->state = SUPERVISOR_STOPPED;
    pairs_unlink(s, role);
    if (s->stopping)
        stop_check(s);
    else if (!child->was_greeted)
        supervisor_stop(s, 1, 0, now_ns);
    else
        child_back_off(child, now_ns);
}

/* Asks, or kills, whatever still runs. */
static void children_end(struct supervisor *s, bool kill, uint32_t grace_ms)
{
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++) {
        struct supervisor_child *child = child_of(s, role);
        if (!child_has_process(child)) {
            child->state = SUPERVISOR_STOPPED;
            continue;
        }
        if (kill)
            act_on(s, SUPERVISOR_KILL, role);
        else if (child->state != SUPERVISOR_STOPPING)
            act(s,
                (struct supervisor_action){.kind = SUPERVISOR_SHUTDOWN, .child = role, .grace_ms = grace_ms});
        child->state = SUPERVISOR_STOPPING;
    }
}

void supervisor_stop(struct supervisor *s, int status, uint32_t grace_ms, uint64_t now_ns)
{
    if (s->done || s->killed)
        return;
    bool again = s->stopping;
    if (!again) {
        s->stopping = true;
        s->status = status;
        s->kill_at_ns = now_ns + grace_ms * NS_PER_MS;
    }
    s->killed = again || grace_ms == 0;
    children_end(s, s->killed, grace_ms);
    stop_check(s);
}

void supervisor_run(struct supervisor *s, uint64_t now_ns)
{
    if (s->stopping) {
        if (!s->killed && now_ns >= s->kill_at_ns)
            supervisor_stop(s, s->status, 0, now_ns);
        return;
    }
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++) {
        struct supervisor_child *child = child_of(s, role);
        if (now_ns < child->deadline_ns)
            continue;
        if (child->state == SUPERVISOR_BACKOFF)
            child_spawn(s, role, now_ns);
        else if (child->state == SUPERVISOR_STARTING)
            child_give_up(s, role);
    }
}

uint64_t supervisor_next_ns(const struct supervisor *s)
{
    uint64_t next_ns = UINT64_MAX;
    if (s->stopping)
        return s->killed || s->done ? next_ns : s->kill_at_ns;
    for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++) {
        const struct supervisor_child *child = &s->children[i];
        if ((child->state == SUPERVISOR_BACKOFF || child->state == SUPERVISOR_STARTING) &&
            child->deadline_ns < next_ns)
            next_ns = child->deadline_ns;
    }
    return next_ns;
}

bool supervisor_next_action(struct supervisor *s, struct supervisor_action *out)
{
    if (s->action_count == 0)
        return false;
    *out = s->actions[s->action_first];
    s->action_first = (s->action_first + 1) % SUPERVISOR_ACTIONS_MAX;
    s->action_count--;
    return true;
}

enum supervisor_state supervisor_state_of(const struct supervisor *s, enum ipc_role role)
{
    return s->children[role - IPC_TUNNELD].state;
}

uint32_t supervisor_restart_delay_ms(const struct supervisor *s, enum ipc_role role, uint64_t now_ns)
{
    const struct supervisor_child *child = &s->children[role - IPC_TUNNELD];
    if (child->state != SUPERVISOR_BACKOFF || child->deadline_ns <= now_ns)
        return 0;
    return (uint32_t)((child->deadline_ns - now_ns) / NS_PER_MS);
}

const char *supervisor_state_name(enum supervisor_state state)
{
    static const char *const names[] = {"stopped", "starting", "greeted", "ready", "stopping", "backoff"};
    return (size_t)state < sizeof names / sizeof *names ? names[state] : "?";
}
