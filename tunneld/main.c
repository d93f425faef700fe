/* tunneld: crypto and packets. It receives the private key, the tunnel's UDP sockets and its flows' host
 * sockets over IPC, and can make neither sockets nor files itself. */
#include "child/child.h"
#include "common/clock.h"
#include "common/log.h"
#include "seccomp/tunneld.h"
#include "tunneld/broker.h"
#include "tunneld/control.h"
#include "tunneld/report.h"
#include "tunneld/stun.h"
#include "tunneld/tunnel.h"
#include <sys/resource.h>

enum { MAX_FILES = 1 << 16, DRAIN_MS = 200, LINGER_MS = 100 };

static struct child *self;
static struct event *linger;
static bool closing;

static int setup(struct child *child, void *arg)
{
    (void)arg;
    self = child;
    struct rlimit files;
    size_t max_files =
        getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < MAX_FILES ? files.rlim_max : MAX_FILES;
    stun_setup(&self);
    report_setup(&self);
    return tunnel_setup(child_base(child), broker_ipc(&self), max_files);
}

static void on_message(struct child *child, enum ipc_role from, struct ipc_link *link,
                       struct ipc_message *message, void *arg)
{
    (void)arg;
    if (from == IPC_PARENT)
        control_parent_message(child, link, message);
    else if (from == IPC_CTLD)
        control_ctld_message(child, link, message);
    else
        broker_message(message);
}

static void on_link_up(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    (void)link;
    (void)arg;
    log_debug("link to %s is up", ipc_role_name(peer));
    control_links_hold(child);
}

static void on_link_down(struct child *child, enum ipc_role peer, void *arg)
{
    (void)child;
    (void)arg;
    log_debug("link to %s is down", ipc_role_name(peer));
    if (peer == IPC_PROXYD)
        broker_down();
    else {
        stun_forget();
        report_forget();
    }
}

static bool on_turn(struct child *child, void *arg)
{
    (void)child;
    (void)arg;
    bool more = report_turn(); /* before what it asks to be sent */
    more |= tunnel_turn();
    return report_turn() || more; /* a ping whose time is up is told in this turn, not with the next packet */
}

/* ctld takes more of a series: the turn that follows sends it. */
static void on_link_writable(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg)
{
    (void)child, (void)peer, (void)link, (void)arg;
}

static void linger_for(struct child *child, uint32_t wait_ms)
{
    struct timeval wait = {.tv_usec = (suseconds_t)wait_ms * 1000};
    if (linger == NULL || event_add(linger, &wait) != 0)
        child_exit(child, 0);
}

/* Twice: when it has been seen which flows are idle, and when their last segments have had time to be
 * acknowledged. */
static void on_linger(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    if (closing)
        child_exit(arg, 0);
    closing = true;
    tunnel_close_flows();
    linger_for(arg, LINGER_MS);
}

static void on_shutdown(struct child *child, uint32_t grace_ms, void *arg)
{
    (void)arg;
    if (linger != NULL)
        return; /* told before */
    linger = event_new(child_base(child), -1, 0, on_linger, child);
    if (!tunnel_drain() || grace_ms < DRAIN_MS + LINGER_MS)
        on_linger(-1, 0, child);
    else
        linger_for(child, DRAIN_MS);
}

static void teardown(struct child *child, void *arg)
{
    (void)child;
    (void)arg;
    tunnel_destroy();
    if (linger != NULL)
        event_free(linger);
}

int main(int argc, char **argv)
{
    static const struct sandbox_spec sandbox = {
        .name = "tunneld",
        .start = tunneld_start_filter,
        .run = tunneld_run_filter,
        .start_count = sizeof tunneld_start_filter / sizeof tunneld_start_filter[0],
        .run_count = sizeof tunneld_run_filter / sizeof tunneld_run_filter[0],
        .max_files = MAX_FILES,
        .no_tcp = true,
    };
    static const struct child_ops ops = {
        .role = IPC_TUNNELD,
        .name = "tunneld",
        .sandbox = &sandbox,
        .setup = setup,
        .on_message = on_message,
        .on_link_up = on_link_up,
        .on_link_down = on_link_down,
        .on_link_writable = on_link_writable,
        .on_turn = on_turn,
        .on_shutdown = on_shutdown,
        .teardown = teardown,
    };
    return child_run(argc, argv, &ops, NULL);
}
