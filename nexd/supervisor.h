/* The order of start, restart and stop of the three children, as a state machine without I/O.
 *
 * The owner reports what happened (supervisor_hello, supervisor_exited, …) with the time it happened at, then
 * carries out, in order, the actions that supervisor_next_action() hands back. The machine decides everything
 * about order and time, so that tests run it on a simulated clock. Only the parent process uses it. See
 * supervisor.c for the states. */
#ifndef NEXD_NEXD_SUPERVISOR_H
#define NEXD_NEXD_SUPERVISOR_H

#include "ipc/messages.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SUPERVISOR_CHILDREN = 3,
    SUPERVISOR_PAIRS = 3, /* tunneld–proxyd, tunneld–ctld, proxyd–ctld */
    SUPERVISOR_BACKOFF_MIN_MS = 100,
    SUPERVISOR_BACKOFF_MAX_MS = 30000,
    SUPERVISOR_HEALTHY_AFTER_MS = 60000, /* READY for so long resets the back-off */
    SUPERVISOR_HELLO_TIMEOUT_MS = 10000, /* from start to HELLO */
    SUPERVISOR_ACTIONS_MAX = 64,
};

enum supervisor_state {
    SUPERVISOR_STOPPED = 0, /* no process, and none will be started */
    SUPERVISOR_STARTING,    /* process runs, has not said HELLO */
    SUPERVISOR_GREETED,     /* said HELLO; what it is to be configured with is not there yet */
    SUPERVISOR_READY,       /* configured, linked to its ready siblings */
    SUPERVISOR_STOPPING,    /* was killed or asked to end; its exit is awaited */
    SUPERVISOR_BACKOFF,     /* no process; one is started when the time comes */
};

enum supervisor_action_kind {
    SUPERVISOR_SPAWN,      /* start `child` with a fresh parent link */
    SUPERVISOR_CONFIGURE,  /* send `child` all it needs; comes before any LINK to it, once a process */
    SUPERVISOR_LINK,       /* make a socket pair; LINK `generation` to `child` (for `peer`) and to `peer` (for
                              `child`) */
    SUPERVISOR_LINK_DOWN,  /* send `child` LINK_DOWN for `peer`, `generation` */
    SUPERVISOR_DISCONNECT, /* drop the parent link of `child`; nothing more is heard from or said to that
                              process */
    SUPERVISOR_KILL,       /* SIGKILL `child` */
    SUPERVISOR_SHUTDOWN,   /* send `child` SHUTDOWN with `grace_ms` */
    SUPERVISOR_DONE,       /* every child has ended: exit with `status` */
};

struct supervisor_action {
    enum supervisor_action_kind kind;
    enum ipc_role child, peer;
    uint32_t generation;
    uint32_t grace_ms;
    int status;
};

struct supervisor_child {
    enum supervisor_state state;
    bool gate_open;          /* it may be configured */
    bool was_greeted;        /* some process of this child has said HELLO */
    uint64_t deadline_ns;    /* STARTING: HELLO must come; BACKOFF: next start; otherwise unused */
    bool was_ready;          /* the present, or last, process has been READY … */
    uint64_t ready_since_ns; /* … since then */
    uint32_t backoff_ms;     /* delay before the next restart */
    uint32_t starts;         /* processes started so far */
};

struct supervisor {
    struct supervisor_child children[SUPERVISOR_CHILDREN];
    uint32_t pair_generation[SUPERVISOR_PAIRS]; /* of the live link, 0 = none */
    uint32_t last_generation;
    bool stopping, killed, done;
    int status;
    uint64_t kill_at_ns; /* while stopping */
    struct supervisor_action actions[SUPERVISOR_ACTIONS_MAX];
    size_t action_first, action_count;
};

/* All children STOPPED, gates closed. */
void supervisor_init(struct supervisor *s);

/* -- Events. `role` is IPC_TUNNELD, IPC_PROXYD or IPC_CTLD. Events that make no sense in the child's present
 * state (a late HELLO of a killed process) change nothing. -- */

/* Starts all children, side by side. Once. */
void supervisor_start(struct supervisor *s, uint64_t now_ns);
/* What `role` is configured with is complete, now and for all later processes of it. */
void supervisor_gate_open(struct supervisor *s, enum ipc_role role, uint64_t now_ns);
/* A valid HELLO. A second one from the same process is misbehaviour. */
void supervisor_hello(struct supervisor *s, enum ipc_role role, uint64_t now_ns);
/* The process has been reaped, or could not be started. Before the child's first HELLO ever this is fatal:
 * the machine stops with status 1. */
void supervisor_exited(struct supervisor *s, enum ipc_role role, uint64_t now_ns);
/* The process closed its parent link or broke the protocol: it is killed, then restarted. */
void supervisor_misbehaved(struct supervisor *s, enum ipc_role role, uint64_t now_ns);
/* End everything. The first call's `status` is the one that counts; the children get `grace_ms` to end by
 * themselves. A second call kills at once. */
void supervisor_stop(struct supervisor *s, int status, uint32_t grace_ms, uint64_t now_ns);
/* Time has passed. */
void supervisor_run(struct supervisor *s, uint64_t now_ns);

/* When supervisor_run() is next needed; UINT64_MAX = never. */
uint64_t supervisor_next_ns(const struct supervisor *s);
/* Takes the next action, oldest first; false when there is none. */
bool supervisor_next_action(struct supervisor *s, struct supervisor_action *out);

/* Is `generation` that of the live link between two children? */
bool supervisor_pair_alive(const struct supervisor *s, enum ipc_role a, enum ipc_role b, uint32_t generation);
enum supervisor_state supervisor_state_of(const struct supervisor *s, enum ipc_role role);
/* Delay of the restart that is being waited for, ms; 0 when `role` is not in BACKOFF. */
uint32_t supervisor_restart_delay_ms(const struct supervisor *s, enum ipc_role role, uint64_t now_ns);
const char *supervisor_state_name(enum supervisor_state state);

#endif
