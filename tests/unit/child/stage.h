/* A stage for one child: the test is its parent and its siblings, over plain sockets and with timeouts.
 *
 * The child is a fork of the test, with proxyd's role. It runs child_run() with filters that allow everything
 * (the policies have tests of their own), and reports to the parent in RESULT messages what it is told. */
#ifndef NEXD_TESTS_CHILD_STAGE_H
#define NEXD_TESTS_CHILD_STAGE_H

#include "ipc/codec.h"
#include <sys/types.h>

enum stage_child {
    CHILD_USUAL,  /* told to shut down, it leaves at once */
    CHILD_SLOW,   /* it does nothing about it */
    CHILD_PLAIN,  /* it has no on_shutdown */
    CHILD_TALKS,  /* told to shut down, it reports TALKS_COUNT times and leaves */
    CHILD_FLOODS, /* a link that is up, it fills, and reports with how much; and when there is room */
    CHILD_TURNS, /* told anything, it wants TURNS_COUNT turns, then counts those of a window without events */
    CHILD_SETUP_FAILS,  /* its set-up fails */
    CHILD_SETUP_LEAVES, /* its set-up calls child_exit(7) */
};
enum { TALKS_COUNT = 500, TURNS_COUNT = 1000, STAGE_TIMEOUT_MS = 10000 };

struct stage {
    pid_t pid;
    int parent; /* the test's end of the parent link */
};

/* Starts the child. It has said HELLO, under its own name, unless its set-up does not come to that. */
void stage_open(struct stage *stage, enum stage_child what);
/* The same without the HELLO, with any descriptor as the child's link to its parent (which is closed here).
 */
void stage_start(struct stage *stage, enum stage_child what, int link_fd);
/* Its exit status, once it has ended. */
int stage_wait(struct stage *stage);
/* SHUTDOWN, and the child is expected to end with status 0. */
void stage_close(struct stage *stage);

/* Sends as `from` a message to the child. */
void stage_send(int fd, enum ipc_type type, uint32_t request, const void *body);
/* The child's next message, as `to`; false at the end of the link. Fails the test when none comes. */
bool stage_receive(int fd, enum ipc_role to, struct ipc_message *out);
/* The child's next report to its parent is that text. */
void stage_expect(struct stage *stage, const char *text);
/* Nothing but the end comes from there. */
void stage_expect_end(int fd);

/* Gives the child a link; the test's end of it. */
int stage_link(struct stage *stage, enum ipc_role peer, uint32_t generation);
void stage_link_down(struct stage *stage, enum ipc_role peer, uint32_t generation);
/* A question of a sibling's, and the child's answer on the same link. */
void stage_ask(struct stage *stage, int link, enum ipc_role as, uint32_t request);

#endif
