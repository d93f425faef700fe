/* What the three children have in common on their side of the IPC: descriptor 3 is the link to the parent;
 * links to siblings arrive in LINK messages and are replaced when the sibling is restarted.
 *
 * child_run() is a child's life: it makes the event loop and the parent link, calls `setup` (allocate, no
 * input yet), enters the sandbox, says HELLO and runs the loop until SHUTDOWN has been carried out or the
 * parent is gone. */
#ifndef NEXD_CHILD_CHILD_H
#define NEXD_CHILD_CHILD_H

#include "ipc/link.h"
#include "sandbox/sandbox.h"

/* The link to the parent; and, for a child that is given one, a file that its own user may not be able to
 * open. */
enum { CHILD_PARENT_FD = 3, CHILD_FILE_FD };

struct child;

struct child_ops {
    enum ipc_role role;
    const char *name; /* "tunneld": process title and log name */
    const struct sandbox_spec *sandbox;
    /* Before the sandbox's run stage. Non-zero ends the process with a message already logged. */
    int (*setup)(struct child *child, void *arg);
    /* Any message that child.c does not handle itself (LINK, LINK_DOWN, LOG_LEVEL, ALIVE_QUERY and SHUTDOWN
     * it does). `from` is the sender. */
    void (*on_message)(struct child *child, enum ipc_role from, struct ipc_link *link,
                       struct ipc_message *message, void *arg);
    /* A link to a sibling is up (again), or has gone. */
    void (*on_link_up)(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg);
    void (*on_link_down)(struct child *child, enum ipc_role peer, void *arg);
    /* A sibling's link has room again. May be NULL. */
    void (*on_link_writable)(struct child *child, enum ipc_role peer, struct ipc_link *link, void *arg);
    /* After each turn of the event loop (all ready events have been handled). True: there is more to do, so
     * the loop looks for events without waiting. May be NULL. */
    bool (*on_turn)(struct child *child, void *arg);
    /* SHUTDOWN came: finish and call child_exit(); it is called for you after grace_ms. May be NULL: exit at
     * once. */
    void (*on_shutdown)(struct child *child, uint32_t grace_ms, void *arg);
    /* The loop is over: free what `setup` made, while its event base is still there. Called once if `setup`
     * was. May be NULL. */
    void (*teardown)(struct child *child, void *arg);
};

/* Runs a child; returns its exit status. `argc`/`argv` are used for the process title and the --log-level=,
 * --log-format=, --sandbox= and --network=none options that the parent passes. */
int child_run(int argc, char **argv, const struct child_ops *ops, void *arg);

struct event_base *child_base(struct child *child);
/* The current link to a role, or NULL while it is down. */
struct ipc_link *child_link(struct child *child, enum ipc_role peer);
/* Ends the loop; child_run returns `status` after flushing what is queued to the parent. */
void child_exit(struct child *child, int status);

#endif
