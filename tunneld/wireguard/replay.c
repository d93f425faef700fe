/* The bitmap is a ring of words. A counter's word is its high bits modulo the ring's size; when the highest
 * counter moves on to later words, the words between are cleared, and nothing is ever shifted. */
#include "tunneld/wireguard/replay.h"

#include "tunneld/wireguard/messages.h"
#include <string.h>

_Static_assert(REPLAY_BITMAP_BITS == REPLAY_WINDOW_BITS, "REJECT_AFTER_MESSAGES keeps clear of the window");

static uint64_t word_number(uint64_t counter)
{
    return counter / REPLAY_WORD_BITS;
}

static uint64_t bit_mask(uint64_t counter)
{
    return UINT64_C(1) << (counter % REPLAY_WORD_BITS);
}

bool replay_check(const struct replay *replay, uint64_t counter)
{
    if (counter > replay->highest)
        return true;
    if (replay->highest - counter >= REPLAY_WINDOW)
        return false;
    return !(replay->bitmap[word_number(counter) % REPLAY_WORDS] & bit_mask(counter));
}

bool replay_accept(struct replay *replay, uint64_t counter)
{
    if (!replay_check(replay, counter))
        return false;
    if (counter > replay->highest) {
        uint64_t top = word_number(replay->highest), passed = word_number(counter) - top;

        if (passed >= REPLAY_WORDS)
            memset(replay->bitmap, 0, sizeof(replay->bitmap));
        else
            for (uint64_t i = 1; i <= passed; i++)
                replay->bitmap[(top + i) % REPLAY_WORDS] = 0;
        replay->highest = counter;
    }
    replay->bitmap[word_number(counter) % REPLAY_WORDS] |= bit_mask(counter);
    return true;
}
