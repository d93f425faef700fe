/* The parent's life: one loop, woken by signals, by the children's links and by one timer.
 *
 * Whatever happens is reported to the supervisor, which answers with actions (parent_settle carries them
 * out). Signals arrive through libevent, outside of handlers; SIGCHLD reaps whatever has ended, orphans that
 * were handed to us as process 1 included. The first fatal cause decides the exit status; the loop ends when
 * no child is left. */
#include "nexd/parent.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "nexd/ports.h"
#include "nexd/program.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const int parent_signals[PARENT_SIGNALS] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD};

struct parent_child *parent_child_of(struct parent *parent, enum ipc_role role)
{
    return &parent->children[role - IPC_TUNNELD];
}

bool parent_rules_are_fixed(const struct parent *parent)
{
    unsigned line;
    return parent->config->unattended || !policy_run_time_rules(parent->config->policy, &line);
}

void parent_fail(struct parent *parent)
{
    notify_send(parent->config->notify, "STOPPING=1");
    supervisor_stop(&parent->supervisor, 1, PARENT_GRACE_MS, clock_now_ns());
}

void parent_misbehaved(struct parent_child *child, const char *why)
{
    log_error("%s (pid %d) is ended: %s", child->name, (int)child->pid, why);
    supervisor_misbehaved(&child->parent->supervisor, child->role, clock_now_ns());
}

/* -- Links and processes -- */

static void link_closed(struct ipc_link *link, int err, const char *why, void *arg)
{
    (void)link;
    struct parent_child *child = arg;
    struct parent *parent = child->parent;
    ipc_link_free(child->link);
    child->link = NULL;
    if (err == NX_ECLOSED) { /* it is exiting, most likely: SIGCHLD will tell how */
        log_debug("%s closed its link", child->name);
        supervisor_misbehaved(&parent->supervisor, child->role, clock_now_ns());
    } else {
        parent_misbehaved(child, why);
    }
    parent_settle(parent);
}

static void link_writable(struct ipc_link *link, void *arg)
{
    (void)link;
    struct parent_child *child = arg;
    if (child->role == IPC_CTLD)
        feed_run(child);
    parent_settle(child->parent);
}

static const struct ipc_link_ops link_ops = {
    .on_message = report_message, .on_close = link_closed, .on_writable = link_writable};

static int child_start(struct parent_child *child)
{
    struct parent *parent = child->parent;
    const struct parent_config *config = parent->config;
    int fds[2];
    if (ipc_socketpair(fds))
        return NX_ESYS;
    const struct identity identity = identity_of(&config->identities, child->role);
    /* In a user namespace of its own, ctld could not tell who is at the other end of a control socket. */
    const bool no_network = child->role == IPC_TUNNELD || (child->role == IPC_CTLD && config->unattended);
    bool has_authorities = child->role == IPC_CTLD && parent->ctld_option[0];
    const char *option = child->role == IPC_PROXYD ? parent->proxyd_option
                         : has_authorities         ? parent->ctld_option
                                                   : NULL;
    pid_t pid =
        program_start(child->path, child->name, &identity, fds[1], log_get_level(), config->sandbox_mode,
                      no_network, option, has_authorities ? config->network->ca_file : NULL);
    fd_close(&fds[1]);
    if (pid < 0) {
        fd_close(&fds[0]);
        return NX_ESYS;
    }
    child->pid = pid;
    uint32_t generation = parent->supervisor.children[child->role - IPC_TUNNELD].starts;
    child->link = ipc_link_new(parent->base, fds[0], IPC_PARENT, child->role, generation,
                               provision_messages_max(parent), &link_ops, child);
    if (!child->link) /* end of file ends the process */
        log_error("%s: out of memory for its link", child->name);
    return NX_OK;
}

static void child_spawn(struct parent_child *child)
{
    if (child_start(child) == NX_OK)
        return;
    log_error("%s does not start: %s: %s", child->name, child->path, strerror(errno));
    supervisor_exited(&child->parent->supervisor, child->role, clock_now_ns());
}

static void child_log_end(const struct parent_child *child, int status, uint32_t delay_ms)
{
    bool by_signal = WIFSIGNALED(status);
    if (child->anew) {
        log_debug("%s (pid %d) ended as it was to; it is started again in %u ms", child->name,
                  (int)child->pid, delay_ms);
        return;
    }
    log_warn("%s (pid %d) ended: %s %d%s%s; it is started again in %u ms", child->name, (int)child->pid,
             by_signal ? "signal" : "exit status", by_signal ? WTERMSIG(status) : WEXITSTATUS(status),
             by_signal ? " " : "", by_signal ? sigabbrev_np(WTERMSIG(status)) : "", delay_ms);
}

static void child_ended(struct parent_child *child, int status)
{
    struct parent *parent = child->parent;
    struct supervisor *supervisor = &parent->supervisor;
    bool was_stopping = supervisor->stopping;
    uint64_t now_ns = clock_now_ns();
    readiness_child_gone(&parent->readiness, child->role);
    supervisor_exited(supervisor, child->role, now_ns);
    vigil_forget(&parent->vigil, child->role - IPC_TUNNELD);
    rule_change_child_gone(&parent->rule_change, child->role, now_ns);
    drain_child_gone(child);
    join_child_gone(child);
    if (child->role == IPC_CTLD)
        guard_forget(&parent->guard);
    if (supervisor_state_of(supervisor, child->role) == SUPERVISOR_BACKOFF)
        child_log_end(child, status, supervisor_restart_delay_ms(supervisor, child->role, now_ns));
    else if (supervisor->stopping && !was_stopping)
        log_error("%s could not start (%s %d)", child->name, WIFSIGNALED(status) ? "signal" : "exit status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) /* which would be ours */
        log_warn("%s (pid %d) did not end well: signal %d %s", child->name, (int)child->pid, WTERMSIG(status),
                 sigabbrev_np(WTERMSIG(status)));
    else
        log_debug("%s ended", child->name);
    child->pid = 0;
    child->anew = false;
}

/* Everything that has ended, our children or orphans. */
static void reap(struct parent *parent)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++)
            if (parent->children[i].pid == pid)
                child_ended(&parent->children[i], status);
    }
}

/* -- The supervisor's actions -- */

static void child_shutdown(struct parent_child *child, uint32_t grace_ms)
{
    const struct ipc_shutdown message = {
        .grace_ms = grace_ms > PARENT_GRACE_MARGIN_MS ? grace_ms - PARENT_GRACE_MARGIN_MS : 0};
    /* What does not get through is killed when the grace is over. */
    int err = ipc_send(child->link, IPC_MSG_SHUTDOWN, 0, &message);
    if (err)
        log_debug("%s is not told to stop: %s", child->name, nx_strerror(err));
}

static void act(struct parent *parent, const struct supervisor_action *action)
{
    if (action->kind == SUPERVISOR_DONE) {
        event_base_loopexit(parent->base, NULL);
        return;
    }
    struct parent_child *child = parent_child_of(parent, action->child);
    switch (action->kind) {
    case SUPERVISOR_SPAWN:
        child_spawn(child);
        break;
    case SUPERVISOR_CONFIGURE:
        provision_child(child);
        break;
    case SUPERVISOR_LINK:
        provision_link(parent, action->child, action->peer, action->generation);
        break;
    case SUPERVISOR_LINK_DOWN:
        provision_link_down(parent, action->child, action->peer, action->generation);
        break;
    case SUPERVISOR_DISCONNECT:
        ipc_link_free(child->link);
        child->link = NULL;
        break;
    case SUPERVISOR_KILL:
        if (child->pid > 0)
            kill(child->pid, SIGKILL);
        break;
    case SUPERVISOR_SHUTDOWN:
        child_shutdown(child, action->grace_ms);
        break;
    case SUPERVISOR_DONE:
        break;
    }
}

static void timer_set(struct parent *parent)
{
    uint64_t next_ns = supervisor_next_ns(&parent->supervisor), now_ns = clock_now_ns();
    uint64_t change_ns = rule_change_next_ns(&parent->rule_change);
    next_ns = change_ns < next_ns ? change_ns : next_ns;
    if (next_ns == UINT64_MAX) {
        event_del(parent->timer);
        return;
    }
    uint64_t wait_us = next_ns > now_ns ? (next_ns - now_ns + NS_PER_US - 1) / NS_PER_US : 0;
    const struct timeval wait = {(time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000)};
    event_add(parent->timer, &wait);
}

void parent_settle(struct parent *parent)
{
    if (parent->draining) /* an action's own consequences are picked up by the loop below */
        return;
    parent->draining = true;
    struct supervisor_action action;
    while (supervisor_next_action(&parent->supervisor, &action))
        act(parent, &action);
    parent->draining = false;
    timer_set(parent);
}

/* -- Events -- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct parent *parent = arg;
    supervisor_run(&parent->supervisor, clock_now_ns());
    rule_change_run(&parent->rule_change, clock_now_ns());
    parent_settle(parent);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    const struct parent *parent = arg;
    notify_send(parent->config->notify, "WATCHDOG=1");
}

static uint64_t vigil_interval_ns(const struct parent *parent)
{
    return parent->config->vigil_interval_ns ? parent->config->vigil_interval_ns : VIGIL_INTERVAL_NS;
}

static void child_watch(struct parent *parent, unsigned number)
{
    struct parent_child *child = &parent->children[number];
    enum supervisor_state state = supervisor_state_of(&parent->supervisor, child->role);
    if (!child->link || (state != SUPERVISOR_GREETED && state != SUPERVISOR_READY)) {
        vigil_forget(&parent->vigil, number);
        return;
    }
    if (vigil_judge(&parent->vigil, number) == VIGIL_HANGS) {
        parent_misbehaved(child, "it hangs: its event loop does not answer");
        return;
    }
    const struct ipc_alive_query query = {.number = parent->vigil.children[number].asked};
    int err = ipc_send(child->link, IPC_MSG_ALIVE_QUERY, 0, &query);
    if (err)
        log_debug("%s is not asked whether it is alive: %s", child->name, nx_strerror(err));
}

static void on_vigil(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct parent *parent = arg;
    vigil_tick(&parent->vigil, vigil_interval_ns(parent), clock_now_ns());
    for (unsigned i = 0; i < VIGIL_CHILDREN; i++)
        child_watch(parent, i);
    parent_settle(parent);
}

static void stop_signal(struct parent *parent, int number)
{
    uint64_t now_ns = clock_now_ns();
    bool first = parent->stop_ns == 0;
    if (first)
        parent->stop_ns = now_ns;
    else if (now_ns - parent->stop_ns < PARENT_ECHO_MS * NS_PER_MS)
        return;
    log_info("signal %s: stopping%s", sigabbrev_np(number), first ? "" : " at once");
    notify_send(parent->config->notify, "STOPPING=1");
    supervisor_stop(&parent->supervisor, 0, PARENT_GRACE_MS, now_ns);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct parent *parent = arg;
    if (number == SIGCHLD)
        reap(parent);
    else if (number != SIGHUP)
        stop_signal(parent, (int)number);
    parent_settle(parent);
}

/* -- Setting up and tearing down -- */

static struct event *ticker_new(struct parent *parent, event_callback_fn tick, uint64_t interval_ns)
{
    const struct timeval interval = {(time_t)(interval_ns / NS_PER_S),
                                     (suseconds_t)(interval_ns % NS_PER_S / NS_PER_US)};
    struct event *event = event_new(parent->base, -1, EV_PERSIST, tick, parent);
    if (event && event_add(event, &interval)) {
        event_free(event);
        return NULL;
    }
    return event;
}

static int events_open(struct parent *parent)
{
    parent->base = event_base_new();
    if (!parent->base)
        return NX_ENOMEM;
    parent->timer = evtimer_new(parent->base, on_timer, parent);
    if (!parent->timer)
        return NX_ENOMEM;
    for (size_t i = 0; i < PARENT_SIGNALS; i++) {
        parent->signals[i] = evsignal_new(parent->base, parent_signals[i], on_signal, parent);
        if (!parent->signals[i] || event_add(parent->signals[i], NULL))
            return NX_ENOMEM;
    }
    parent->vigil_timer = ticker_new(parent, on_vigil, vigil_interval_ns(parent));
    if (!parent->vigil_timer)
        return NX_ENOMEM;
    uint64_t interval_ns = parent->config->notify->watchdog_interval_ns;
    if (interval_ns == 0)
        return NX_OK;
    parent->watchdog = ticker_new(parent, on_watchdog, interval_ns);
    return parent->watchdog ? NX_OK : NX_ENOMEM;
}

static int children_find(struct parent *parent)
{
    static const char *const names[SUPERVISOR_CHILDREN] = {"tunneld", "proxyd", "ctld"};
    for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++) {
        struct parent_child *child = &parent->children[i];
        *child = (struct parent_child){
            .parent = parent, .role = (enum ipc_role)(IPC_TUNNELD + i), .name = names[i]};
        if (program_find(child->name, child->path)) {
            log_error(
                "program \"%s\" is missing or not executable at %s (%m): the installation is incomplete",
                child->name, child->path);
            return NX_ENOENT;
        }
    }
    return NX_OK;
}

static int parent_open(struct parent *parent, const struct parent_config *config)
{
    *parent = (struct parent){.config = config};
    kept_init(&parent->kept);
    guard_init(&parent->guard);
    join_open(parent);
    if (config->network && config->network->ca_file && config->network->ca_file[0])
        snprintf(parent->ctld_option, sizeof parent->ctld_option, "--ca-file=%s", config->network->ca_file);
    metrics_open(parent);
    supervisor_init(&parent->supervisor);
    int err = children_find(parent);
    if (err)
        return err;
    err = rules_open(parent);
    if (!err && parent_rules_are_fixed(parent))
        parent->proxyd_option = ports_option(&parent->rules, config->metrics_listen, config->network != NULL);
    if (!err)
        err = readiness_init(&parent->readiness, parent->rules.count);
    for (size_t i = 0; !err && i < parent->rules.count; i++)
        if (parent->rules.entries[i].barred) /* nobody is going to bind it */
            readiness_rule_bound(&parent->readiness, i);
    if (!err)
        err = events_open(parent);
    if (err)
        log_error("set-up: %s", nx_strerror(err));
    return err;
}

static void parent_close(struct parent *parent)
{
    for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++)
        ipc_link_free(parent->children[i].link);
    for (size_t i = 0; i < PARENT_SIGNALS; i++)
        if (parent->signals[i])
            event_free(parent->signals[i]);
    if (parent->timer)
        event_free(parent->timer);
    if (parent->watchdog)
        event_free(parent->watchdog);
    if (parent->vigil_timer)
        event_free(parent->vigil_timer);
    if (parent->base)
        event_base_free(parent->base);
    join_close(parent);
    readiness_free(&parent->readiness);
    free(parent->proxyd_option);
    rulebook_free(&parent->rules);
    kept_free(&parent->kept);
    guard_forget(&parent->guard);
    metrics_close(parent);
}

static void signals_unblock(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < PARENT_SIGNALS; i++)
        sigaddset(&set, parent_signals[i]);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int parent_run(const struct parent_config *config)
{
    struct parent parent;
    int status = 1;
    if (parent_open(&parent, config))
        goto out;
    if (config->sandbox)
        sandbox_enter(config->sandbox, config->sandbox_mode);
    uint64_t now_ns = clock_now_ns();
    supervisor_gate_open(&parent.supervisor, IPC_PROXYD, now_ns);
    supervisor_start(&parent.supervisor, now_ns);
    signals_unblock();
    parent_settle(&parent);
    if (event_base_dispatch(parent.base) < 0)
        log_error("event loop failed");
    else
        status = parent.supervisor.status;
out:
    parent_close(&parent);
    return status;
}
