/* A queue of one-shot timers on an explicit clock: a binary heap of intrusive entries, so that protocol code
 * runs the same under real and simulated time. The owner of the loop asks timerq_next_ns() how long it may
 * sleep and calls timerq_run() with the time it has. O(log n) arm and disarm; nothing happens behind the
 * caller's back. Not thread safe; one queue belongs to one loop. */
#ifndef NEXD_COMMON_TIMERQ_H
#define NEXD_COMMON_TIMERQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timerq_timer;
typedef void (*timerq_fn)(struct timerq_timer *timer, void *arg, uint64_t now_ns);

struct timerq_timer {
    uint64_t deadline_ns;
    size_t position; /* index in the heap + 1; 0 = not armed */
    timerq_fn fire;
    void *arg;
};

struct timerq {
    struct timerq_timer **heap;
    size_t count, capacity;
    /* Internal to timerq_run(): timers armed by its callbacks for a time already due stand behind the heap.
     */
    size_t deferred;
    uint64_t run_now_ns;
    bool running;
};

void timerq_init(struct timerq *queue);
/* Disarms every timer and frees the heap (not the timers). */
void timerq_destroy(struct timerq *queue);
/* Sets the callback; must come before the first arm. The timer's memory belongs to the caller and must stay
 * valid while armed. */
void timer_setup(struct timerq_timer *timer, timerq_fn fire, void *arg);
/* Arms or moves. NX_ENOMEM when the heap cannot grow (the timer is then not armed). */
int timer_arm(struct timerq *queue, struct timerq_timer *timer, uint64_t deadline_ns);
/* Harmless when not armed. */
void timer_disarm(struct timerq *queue, struct timerq_timer *timer);
static inline bool timer_armed(const struct timerq_timer *timer)
{
    return timer->position != 0;
}
/* Deadline of the earliest timer, UINT64_MAX if none. */
uint64_t timerq_next_ns(const struct timerq *queue);
/* Fires, in order, every timer whose deadline is at most `now_ns`; each is disarmed before its callback,
 * which may arm, disarm or free any timer. Timers armed by callbacks for a time that is already due fire in
 * the next call. Timers with the same deadline fire in any order. Must not be called, and the queue not
 * destroyed, from a callback. Returns how many fired. */
size_t timerq_run(struct timerq *queue, uint64_t now_ns);

#endif
