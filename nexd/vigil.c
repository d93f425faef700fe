/* What is not taken for hanging:
 *
 * A parent that was not running itself. When the whole tree was stopped, frozen or suspended, or the machine
 * is so busy that our own tick comes late, the silence of the children says nothing: who is asked and who
 * listens were equally deaf. A tick that comes more than an interval late therefore begins all counts anew.
 * What counts is questions, not time: they are asked only by a parent that runs as it should.
 *
 * A slow child. Any answer to any question that was asked ends the count, so one that works through its queue
 * late is alive.
 *
 * A child that starts or ends: the supervisor has time limits of its own for both. */
#include "nexd/vigil.h"

#include <stddef.h>

void vigil_tick(struct vigil *vigil, uint64_t interval_ns, uint64_t now_ns)
{
    if (vigil->tick_ns == 0 || now_ns - vigil->tick_ns > 2 * interval_ns)
        for (size_t i = 0; i < VIGIL_CHILDREN; i++)
            vigil->children[i].unanswered = 0;
    vigil->tick_ns = now_ns;
}

enum vigil_verdict vigil_judge(struct vigil *vigil, unsigned child)
{
    struct vigil_child *watched = &vigil->children[child];
    if (watched->unanswered >= VIGIL_QUESTIONS)
        return VIGIL_HANGS;
    watched->asked++;
    watched->unanswered++;
    return VIGIL_ASK;
}

void vigil_forget(struct vigil *vigil, unsigned child)
{
    vigil->children[child] = (struct vigil_child){0};
}

bool vigil_answered(struct vigil *vigil, unsigned child, uint32_t number)
{
    struct vigil_child *watched = &vigil->children[child];
    if (number == 0 || number > watched->asked)
        return false;
    watched->unanswered = 0;
    return true;
}
