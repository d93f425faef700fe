/* The array holds two regions: heap[0 .. count) is the binary heap, heap[count .. count + deferred) are
 * timers that a callback of the present timerq_run() armed for a time that is already due. They wait outside
 * the heap so that a callback which re-arms itself cannot keep the run from ending, and join the heap when it
 * ends. A timer's `position` is its index plus one in either region, so that it can be taken out in O(log n)
 * wherever it stands. */
#include "common/timerq.h"

#include "common/array.h"
#include "common/err.h"

#include <assert.h>
#include <stdlib.h>

void timerq_init(struct timerq *queue)
{
    *queue = (struct timerq){0};
}

void timerq_destroy(struct timerq *queue)
{
    for (size_t i = 0; i < queue->count + queue->deferred; i++)
        queue->heap[i]->position = 0;
    free(queue->heap);
    timerq_init(queue);
}

void timer_setup(struct timerq_timer *timer, timerq_fn fire, void *arg)
{
    *timer = (struct timerq_timer){.fire = fire, .arg = arg};
}

static void place(struct timerq *queue, size_t index, struct timerq_timer *timer)
{
    queue->heap[index] = timer;
    timer->position = index + 1;
}

static void sift_up(struct timerq *queue, size_t index, struct timerq_timer *timer)
{
    while (index > 0) {
        const size_t parent = (index - 1) / 2;
        if (queue->heap[parent]->deadline_ns <= timer->deadline_ns)
            break;
        place(queue, index, queue->heap[parent]);
        index = parent;
    }
    place(queue, index, timer);
}

static void sift_down(struct timerq *queue, size_t index, struct timerq_timer *timer)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && queue->heap[child + 1]->deadline_ns < queue->heap[child]->deadline_ns)
            child++;
        if (timer->deadline_ns <= queue->heap[child]->deadline_ns)
            break;
        place(queue, index, queue->heap[child]);
        index = child;
    }
    place(queue, index, timer);
}

/* Puts `timer` where its deadline belongs, given that the slot `index` is free for it. */
static void sift(struct timerq *queue, size_t index, struct timerq_timer *timer)
{
    if (index > 0 && timer->deadline_ns < queue->heap[(index - 1) / 2]->deadline_ns)
        sift_up(queue, index, timer);
    else
        sift_down(queue, index, timer);
}

/* Inserts into the heap; there is room for one more. The first deferred timer makes way by moving to the end.
 */
static void heap_insert(struct timerq *queue, struct timerq_timer *timer)
{
    if (queue->deferred > 0)
        place(queue, queue->count + queue->deferred, queue->heap[queue->count]);
    sift_up(queue, queue->count++, timer);
}

/* Takes the timer at `index` out of the heap and closes the gap between the regions. */
static void heap_remove(struct timerq *queue, size_t index)
{
    struct timerq_timer *const last = queue->heap[--queue->count];
    queue->heap[index]->position = 0;
    if (index < queue->count)
        sift(queue, index, last);
    if (queue->deferred > 0)
        place(queue, queue->count, queue->heap[queue->count + queue->deferred]);
}

void timer_disarm(struct timerq *queue, struct timerq_timer *timer)
{
    if (!timer_armed(timer))
        return;
    const size_t index = timer->position - 1;
    assert(index < queue->count + queue->deferred && queue->heap[index] == timer);
    if (index < queue->count) {
        heap_remove(queue, index);
        return;
    }
    queue->deferred--;
    place(queue, index, queue->heap[queue->count + queue->deferred]);
    timer->position = 0;
}

int timer_arm(struct timerq *queue, struct timerq_timer *timer, uint64_t deadline_ns)
{
    const bool defer = queue->running && deadline_ns <= queue->run_now_ns;
    if (timer_armed(timer) && timer->position <= queue->count && !defer) {
        timer->deadline_ns = deadline_ns;
        sift(queue, timer->position - 1, timer);
        return NX_OK;
    }
    timer_disarm(queue, timer);
    struct timerq_timer **const heap =
        array_reserve(queue->heap, &queue->capacity, queue->count + queue->deferred + 1, sizeof(*heap));
    if (heap == NULL)
        return NX_ENOMEM;
    queue->heap = heap;
    timer->deadline_ns = deadline_ns;
    if (defer)
        place(queue, queue->count + queue->deferred++, timer);
    else
        heap_insert(queue, timer);
    return NX_OK;
}

uint64_t timerq_next_ns(const struct timerq *queue)
{
    uint64_t next_ns = queue->count > 0 ? queue->heap[0]->deadline_ns : UINT64_MAX;
    for (size_t i = queue->count; i < queue->count + queue->deferred; i++) {
        if (queue->heap[i]->deadline_ns < next_ns)
            next_ns = queue->heap[i]->deadline_ns;
    }
    return next_ns;
}

size_t timerq_run(struct timerq *queue, uint64_t now_ns)
{
    size_t fired = 0;
    assert(!queue->running);
    queue->running = true;
    queue->run_now_ns = now_ns;
    while (queue->count > 0 && queue->heap[0]->deadline_ns <= now_ns) {
        struct timerq_timer *const timer = queue->heap[0];
        heap_remove(queue, 0);
        fired++;
        timer->fire(timer, timer->arg, now_ns);
    }
    queue->running = false;
    while (queue->deferred > 0) {
        struct timerq_timer *const timer = queue->heap[queue->count];
        queue->deferred--;
        sift_up(queue, queue->count++, timer);
    }
    return fired;
}
