/* One observation counts as much as another: the last one wins, as every answer brings a new one and a clock
 * that was just set must be believed at once. */
#include "ctld/nexodus/server_clock.h"

enum { ANSWER_MS_MAX = 60 * 1000 };
#define UNIX_MS_MAX (INT64_MAX / 4) /* so that differences cannot overflow */

void server_clock_observe(struct server_clock *clock, uint64_t server_ms, uint64_t sent_ms,
                          uint64_t received_ms, uint64_t granularity_ms)
{
    if (received_ms < sent_ms || received_ms - sent_ms > ANSWER_MS_MAX || server_ms > UNIX_MS_MAX ||
        received_ms > UNIX_MS_MAX)
        return;
    const uint64_t middle_ms = sent_ms + (received_ms - sent_ms) / 2;
    const int64_t offset_ms = (int64_t)(server_ms + granularity_ms / 2) - (int64_t)middle_ms;
    clock->known = true;
    clock->offset_ms =
        offset_ms > SERVER_CLOCK_TOLERATED_MS || offset_ms < -SERVER_CLOCK_TOLERATED_MS ? offset_ms : 0;
}

uint64_t server_clock_now_ms(const struct server_clock *clock, uint64_t own_ms)
{
    if (clock->offset_ms < 0 && own_ms < (uint64_t)-clock->offset_ms)
        return 0;
    return own_ms + (uint64_t)clock->offset_ms;
}
