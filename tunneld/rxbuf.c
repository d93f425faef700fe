/* A free list over malloc. See rxbuf.h. */
#include "tunneld/rxbuf.h"
#include <stdlib.h>

static struct rxbuf *free_list;
static size_t free_count, used_count;

struct rxbuf *rxbuf_get(void)
{
    struct rxbuf *buffer = free_list;
    if (buffer != NULL) {
        free_list = buffer->next_free;
        free_count--;
    } else {
        buffer = aligned_alloc(64, (sizeof *buffer + 63) & ~(size_t)63);
        if (buffer == NULL)
            return NULL;
    }
    buffer->references = 1;
    buffer->next_free = NULL;
    used_count++;
    return buffer;
}

void rxbuf_ref(struct rxbuf *buffer)
{
    buffer->references++;
}

void rxbuf_unref(struct rxbuf *buffer)
{
    if (--buffer->references > 0)
        return;
    used_count--;
    buffer->next_free = free_list;
    free_list = buffer;
    free_count++;
}

size_t rxbuf_in_use(void)
{
    return used_count;
}

void rxbuf_trim(size_t keep)
{
    while (free_count > keep) {
        struct rxbuf *buffer = free_list;
        free_list = buffer->next_free;
        free_count--;
        free(buffer);
    }
}
