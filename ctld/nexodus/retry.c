/* Decorrelated jitter: pause = random between base and three times the last pause, capped. Unlike doubling
 * with a random share it also spreads clients that fail in step from the start, and it grows as fast on
 * average. */
#include "ctld/nexodus/retry.h"

#include "common/err.h"
#include "common/text.h"
#include "ctld/nexodus/timestamp.h"

void retry_init(struct retry *retry, uint64_t base_ms, uint64_t cap_ms)
{
    *retry = (struct retry){.base_ms = base_ms ? base_ms : RETRY_BASE_MS,
                            .cap_ms = cap_ms ? cap_ms : RETRY_CAP_MS};
}

void retry_succeeded(struct retry *retry)
{
    retry->pause_ms = 0;
    retry->failures = 0;
}

/* Somewhere in low..high; the bias of the remainder is nothing beside 64 bits. */
static uint64_t between(uint64_t low, uint64_t high, uint64_t random)
{
    return high <= low ? low : low + random % (high - low + 1);
}

uint64_t retry_failed(struct retry *retry, uint64_t random, uint64_t retry_after_ms)
{
    const uint64_t last_ms = retry->pause_ms ? retry->pause_ms : retry->base_ms;
    const uint64_t high_ms = last_ms > retry->cap_ms / 3 ? retry->cap_ms : last_ms * 3;
    const uint64_t pause_ms = between(retry->base_ms < high_ms ? retry->base_ms : high_ms, high_ms, random);
    retry->pause_ms = pause_ms;
    if (retry->failures < UINT32_MAX)
        retry->failures++;
    if (retry_after_ms == 0)
        return pause_ms;
    return (retry_after_ms < RETRY_AFTER_MAX_MS ? retry_after_ms : RETRY_AFTER_MAX_MS) + pause_ms;
}

uint64_t retry_after_parse(const char *value, size_t length, const char *date, size_t date_length,
                           uint64_t now_ms)
{
    const struct text_span text = text_trim(value, length);
    uint64_t seconds, at_ms, from_ms;
    switch (text_to_u64(text.start, text.length, 0, RETRY_AFTER_MAX_MS / 1000, &seconds)) {
    case NX_OK:
        return seconds * 1000;
    case NX_ERANGE:
        return RETRY_AFTER_MAX_MS;
    default:
        break;
    }
    if (timestamp_parse_http(text.start, text.length, now_ms, &at_ms) != NX_OK)
        return 0;
    if (!date || timestamp_parse_http(date, date_length, now_ms, &from_ms) != NX_OK)
        from_ms = now_ms;
    if (at_ms <= from_ms)
        return 0;
    return at_ms - from_ms < RETRY_AFTER_MAX_MS ? at_ms - from_ms : RETRY_AFTER_MAX_MS;
}
