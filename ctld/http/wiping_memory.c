/* The C library knows how large a block is (malloc_usable_size), so that no header of our own is needed and
 * the allocator's alignment and checks stay as they are. */
#include "ctld/http/wiping_memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *wiping_malloc(size_t bytes)
{
    return malloc(bytes);
}

void *wiping_calloc(size_t count, size_t bytes)
{
    return calloc(count, bytes);
}

void wiping_free(void *block)
{
    if (!block)
        return;
    explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

/* realloc(3) would leave the old bytes behind where it moves the block. */
void *wiping_realloc(void *block, size_t bytes)
{
    const size_t had = block ? malloc_usable_size(block) : 0;
    if (block && bytes > 0 && bytes <= had && bytes >= had / 2)
        return block;
    void *const moved = malloc(bytes ? bytes : 1);
    if (!moved)
        return NULL;
    if (block)
        memcpy(moved, block, had < bytes ? had : bytes);
    wiping_free(block);
    return moved;
}

char *wiping_strdup(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *const copy = malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}
