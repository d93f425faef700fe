/* Whether a child still lives inside: its event loop is asked every VIGIL_INTERVAL_NS, and a child that has
 * left VIGIL_QUESTIONS questions in a row unanswered hangs, stopped or in a loop. Without I/O, so that tests
 * run it on a simulated clock; parent.c sends the questions and ends who hangs. See vigil.c for what is not
 * taken for hanging. Only the parent process. */
#ifndef NEXD_NEXD_VIGIL_H
#define NEXD_NEXD_VIGIL_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define VIGIL_INTERVAL_NS (5 * NS_PER_S)
enum { VIGIL_QUESTIONS = 6, VIGIL_CHILDREN = 3 };

/* Zeroed, nothing has been asked. */
struct vigil {
    uint64_t tick_ns; /* of the last tick, 0 = none yet */
    struct vigil_child {
        uint32_t asked;      /* number of the last question to the present process, 0 = none yet */
        uint32_t unanswered; /* in a row */
    } children[VIGIL_CHILDREN];
};

enum vigil_verdict {
    VIGIL_ASK, /* send it the question with the number `asked` */
    VIGIL_HANGS,
};

/* A tick is due: call this once, then vigil_judge() for each child. */
void vigil_tick(struct vigil *vigil, uint64_t interval_ns, uint64_t now_ns);
/* Of a process that has said HELLO and is not being ended. `child` is below VIGIL_CHILDREN. */
enum vigil_verdict vigil_judge(struct vigil *vigil, unsigned child);
/* That process has ended, or is being ended: the next one begins anew. */
void vigil_forget(struct vigil *vigil, unsigned child);
/* It has answered a question; false if that was never asked. */
bool vigil_answered(struct vigil *vigil, unsigned child, uint32_t number);

#endif
