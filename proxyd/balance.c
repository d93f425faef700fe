/* Round robin, as every implementation of these rules does it: the counter is incremented before use, so the
 * first flow goes to the second of several rules. */
#include "proxyd/balance.h"

#include "common/clock.h"

#include <stdbool.h>

void balance_failed(struct balance_health *health, uint64_t now_ns)
{
    uint32_t backoff_ms = health->backoff_ms ? health->backoff_ms * 2 : BALANCE_BACKOFF_MIN_MS;
    if (backoff_ms > BALANCE_BACKOFF_MAX_MS)
        backoff_ms = BALANCE_BACKOFF_MAX_MS;
    health->backoff_ms = backoff_ms;
    health->retry_at_ns = now_ns + backoff_ms * NS_PER_MS;
}

void balance_worked(struct balance_health *health)
{
    *health = (struct balance_health){0};
}

void balance_trying(struct balance_health *health, uint64_t now_ns)
{
    if (health->backoff_ms != 0 && health->retry_at_ns <= now_ns)
        health->retry_at_ns = now_ns + BALANCE_BACKOFF_MIN_MS * NS_PER_MS;
}

static bool balance_is_healthy(const struct balance_health *health, uint64_t now_ns)
{
    return health->backoff_ms == 0 || health->retry_at_ns <= now_ns;
}

/* Moves order[at] forward to its place among order[first..at), sorted by the end of the pause. */
static void balance_insert(const struct balance_health *health, uint32_t *order, size_t first, size_t at)
{
    const uint32_t moving = order[at];
    while (at > first && health[order[at - 1]].retry_at_ns > health[moving].retry_at_ns) {
        order[at] = order[at - 1];
        at--;
    }
    order[at] = moving;
}

void balance_order(const struct balance_health *health, size_t count, uint32_t *turn, uint64_t now_ns,
                   uint32_t *order)
{
    const uint32_t start = ++*turn;
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t index = (uint32_t)((start + i) % count);
        if (balance_is_healthy(&health[index], now_ns))
            order[filled++] = index;
    }
    const size_t healthy = filled;
    for (size_t i = 0; i < count; i++) {
        const uint32_t index = (uint32_t)((start + i) % count);
        if (balance_is_healthy(&health[index], now_ns))
            continue;
        order[filled] = index;
        balance_insert(health, order, healthy, filled);
        filled++;
    }
}
