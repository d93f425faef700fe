/* The sliding window against replayed counters (RFC 6479). tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_REPLAY_H
#define NEXD_TUNNELD_WIREGUARD_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REPLAY_BITMAP_BITS = 8192,
    REPLAY_WORD_BITS = 64,
    REPLAY_WORDS = REPLAY_BITMAP_BITS / REPLAY_WORD_BITS,
    /* How far below the highest counter one is still accepted. A word less than the bitmap, as whole words
       are cleared. */
    REPLAY_WINDOW = REPLAY_BITMAP_BITS - REPLAY_WORD_BITS,
};

/* All zero at the start of a session. */
struct replay {
    uint64_t highest; /* accepted so far */
    uint64_t bitmap[REPLAY_WORDS];
};

/* Whether `counter` is new and inside the window; changes nothing, so it may be asked before authentication.
 */
bool replay_check(const struct replay *replay, uint64_t counter);
/* Accepts `counter` if replay_check() allows it. Only for authenticated messages. */
bool replay_accept(struct replay *replay, uint64_t counter);

#endif
