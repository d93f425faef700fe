/* Receive buffers: large, reference counted, reused. The UDP reader fills one with coalesced datagrams
 * (UDP_GRO), WireGuard decrypts in place, and lwIP's packet buffers point into it; the last reference gives
 * it back.
 *
 * Packets that outlive their batch (out of order, slow readers) would pin 64 KiB each, so only
 * RXBUF_PINNED_MAX buffers may be held past a batch; rxbuf_may_pin() says when to copy instead. One thread.
 */
#ifndef NEXD_TUNNELD_RXBUF_H
#define NEXD_TUNNELD_RXBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RXBUF_BYTES = 65536, RXBUF_PINNED_MAX = 64 };

struct rxbuf {
    unsigned references;
    struct rxbuf *next_free;
    uint8_t data[RXBUF_BYTES] __attribute__((aligned(64)));
};

/* A buffer with one reference, or NULL when out of memory. */
struct rxbuf *rxbuf_get(void);
void rxbuf_ref(struct rxbuf *buffer);
void rxbuf_unref(struct rxbuf *buffer);
/* Buffers in use now. */
size_t rxbuf_in_use(void);
static inline bool rxbuf_may_pin(void)
{
    return rxbuf_in_use() < RXBUF_PINNED_MAX;
}
/* Frees unused buffers but `keep`. */
void rxbuf_trim(size_t keep);

#endif
