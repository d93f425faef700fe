/* The parent process: starts the children, gives them what they need, keeps what must survive them, and ends
 * everything in order. parent.c is its life, provision.c what it tells the children, reports.c what it hears
 * from them. */
#ifndef NEXD_NEXD_PARENT_H
#define NEXD_NEXD_PARENT_H

#include "common/rule.h"
#include "common/wgconf.h"
#include "ipc/link.h"
#include "nexd/control_socket.h"
#include "nexd/drain.h"
#include "nexd/guard.h"
#include "nexd/identity.h"
#include "nexd/join.h"
#include "nexd/kept.h"
#include "nexd/metrics.h"
#include "nexd/network_config.h"
#include "nexd/notify.h"
#include "nexd/readiness.h"
#include "nexd/rule_change.h"
#include "nexd/sandboxes.h"
#include "nexd/state/state.h"
#include "nexd/supervisor.h"
#include "nexd/vault.h"
#include "nexd/vigil.h"
#include "sandbox/sandbox.h"

#include <event2/event.h>
#include <limits.h>

enum {
    PARENT_GRACE_MS = 800,        /* after a stop signal, before SIGKILL */
    PARENT_GRACE_MARGIN_MS = 100, /* the children are told so much less, to end by themselves */
    /* A second stop signal sooner than this is the first one's echo: who starts us with timeout(1), or ends a
     * whole process group, often sends two. */
    PARENT_ECHO_MS = 100,
};

/* Request ids on the parent's links, beside those of rule_change.h. */
enum parent_request {
    PARENT_REQUEST_BIND = 0x01000000,
    PARENT_REQUEST_PEERS,
    PARENT_REQUEST_DRAIN,
    PARENT_REQUEST_METRICS,
    PARENT_REQUEST_TUNNEL,
};

/* What the command line and the configuration came to. Everything is borrowed and must outlive parent_run().
 */
struct parent_config {
    const struct rule *rules; /* of the command line */
    size_t rule_count;
    const struct port_set *proxy_protocol; /* see struct rulebook; NULL = none */
    const struct policy *policy;           /* the operator's; NULL = none */
    struct state *state;                   /* NULL: rules cannot be changed at run time, … */
    const char *state_missing;             /* … for this reason, which then is not NULL */
    const struct network_config *network;  /* the control plane's network to join; NULL: static mode */
    struct wgconf
        *wgconf; /* its secrets already moved into `vault`; with `network`, of use for its MTU alone */
    struct vault *vault;
    const struct control_socket *control; /* fd -1 = none */
    bool unattended; /* there never will be a control socket: nobody can ask for changes of rules */
    const struct netsock *metrics_listen; /* NULL or family NETADDR_NONE: nobody reads metrics */
    const char *report_version;           /* for Version on the control socket; NULL or "" = our own */
    const struct notify *notify;
    enum sandbox_mode sandbox_mode;
    enum ipc_congestion congestion_control; /* of TCP in the mesh */
    struct identities identities;           /* of the children */
    const struct sandbox_spec *sandbox;     /* entered before the loop; NULL in tests */
    uint64_t vigil_interval_ns;             /* 0 = VIGIL_INTERVAL_NS; tests are less patient */
};

struct parent;

struct parent_child {
    struct parent *parent;
    enum ipc_role role;
    const char *name;
    char path[PATH_MAX];
    pid_t pid; /* 0 = no process */
    bool anew; /* it is ended on purpose, to be started anew */
    struct ipc_link *link;
    struct ipc_sandbox sandbox; /* of the process whose number it has */
};

enum { PARENT_SIGNALS = 5 };

struct parent {
    const struct parent_config *config;
    struct event_base *base;
    struct event *signals[PARENT_SIGNALS], *timer, *watchdog, *vigil_timer;
    struct supervisor supervisor;
    struct vigil vigil;
    struct parent_child children[SUPERVISOR_CHILDREN];
    struct kept kept;
    struct readiness readiness;
    struct rulebook rules;
    struct rule_change rule_change;
    struct guard guard;
    struct drain drain;
    struct metrics_listener metrics;
    struct join join;
    struct feed feed;
    char ctld_option[PATH_MAX + 16]; /* "--ca-file=PATH"; "" = none */
    char *proxyd_option;             /* "--tcp-ports=…"; NULL = none */
    bool draining;
    uint64_t stop_ns; /* of the first stop signal, 0 = none yet */
};

/* Runs until everything has ended; returns the exit status. Signals that it handles should be blocked by the
 * caller since the program's start; they are unblocked here. */
int parent_run(const struct parent_config *config);

/* -- Between parent.c, provision.c and reports.c -- */

struct parent_child *parent_child_of(struct parent *parent, enum ipc_role role);
/* Rules do not change while nexd runs: there is no control socket, or the operator's policy says so. */
bool parent_rules_are_fixed(const struct parent *parent);
/* Carries out what the supervisor wants done, and sets the timer anew. Call after each event reported to it.
 */
void parent_settle(struct parent *parent);
/* The cause has been logged: stop everything, exit status 1. */
void parent_fail(struct parent *parent);
/* `why`: what it did wrong; logged, then the process is killed and restarted. */
void parent_misbehaved(struct parent_child *child, const char *why);

/* provision.c: all messages that a child is configured with, in order. The number of them is what its link
 * must be able to queue. */
void provision_child(struct parent_child *child);
size_t provision_messages_max(const struct parent *parent);
/* Joins two children by a new link. */
void provision_link(struct parent *parent, enum ipc_role a, enum ipc_role b, uint32_t generation);
/* network mode: tunneld is to have key, addresses and rules, all that it lacks yet. */
void provision_tunnel_addresses(struct parent_child *tunneld, const struct ipc_mesh_addresses *addresses);
/* ctld is told who we are, again. */
void provision_device(struct parent_child *ctld);
void provision_link_down(struct parent *parent, enum ipc_role to, enum ipc_role peer, uint32_t generation);

/* rules.c: fills the rulebook with the rules of the start. NX_ENOMEM. */
int rules_open(struct parent *parent);
/* A child's answer to a RULE_ADD or RULE_REMOVE. */
void rules_result(struct parent_child *child, uint32_t request, const struct ipc_result *result);

/* reports.c: one message from a child. */
void report_message(struct ipc_link *link, struct ipc_message *message, void *child);

#endif
