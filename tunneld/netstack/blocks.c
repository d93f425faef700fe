/* lwIP's memory: malloc(3), with a list of free blocks of a full segment's size. Those come and go by the
 * hundred thousand a second, and the C library keeps none of that size apart: it joins each with its
 * neighbours and cuts it out again, which was an eighth of the sending end's time.
 *
 * All blocks of that class are of one size, so what free() gets tells by its usable size whether it belongs
 * here. The list is as long as bulk makes it worth: a crowd of flows that each say a word has many such
 * blocks for a moment, and none of them soon. It is given back when bulk is over. */
#include "tunneld/netstack/blocks.h"
#include "tunneld/netstack/port/arch/cc.h"
#include <malloc.h>
#include <stdlib.h>

enum {
    BLOCK_SMALLEST = 1033, /* below, the C library has lists of its own */
    BLOCK_BYTES = 1544,    /* a segment of an MTU up to 1420, with lwIP's heads */
    KEPT_MAX = 1024,
    KEPT_FEW = 64, /* without bulk */
};

struct block {
    struct block *next;
};

#ifndef NEXD_SANITIZE /* it watches over each block */
static struct block *kept;
static size_t kept_count, kept_limit = KEPT_FEW;
#endif

void netstack_blocks_expect(size_t bytes)
{
#ifndef NEXD_SANITIZE
    size_t blocks = KEPT_FEW + bytes / BLOCK_BYTES;
    kept_limit = blocks < KEPT_MAX ? blocks : KEPT_MAX;
#else
    (void)bytes;
#endif
}

void *netstack_block_new(size_t bytes)
{
#ifndef NEXD_SANITIZE
    if (bytes >= BLOCK_SMALLEST && bytes <= BLOCK_BYTES) {
        struct block *block = kept;
        if (block == NULL)
            return malloc(BLOCK_BYTES);
        kept = block->next;
        kept_count--;
        return block;
    }
#endif
    return malloc(bytes);
}

void netstack_block_free(void *memory)
{
#ifndef NEXD_SANITIZE
    if (memory != NULL && malloc_usable_size(memory) == BLOCK_BYTES && kept_count < kept_limit) {
        struct block *block = memory;
        block->next = kept;
        kept = block;
        kept_count++;
        return;
    }
#endif
    free(memory);
}

void netstack_blocks_trim(void)
{
#ifndef NEXD_SANITIZE
    while (kept != NULL) {
        struct block *block = kept;
        kept = block->next;
        free(block);
    }
    kept_count = 0;
#endif
}
