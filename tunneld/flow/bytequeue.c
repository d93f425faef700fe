/* See bytequeue.h. The first chunks are small, as most queues hold little: memory is at most twice what was
 * put in, and a little. */
#include "tunneld/flow/bytequeue.h"
#include "common/err.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SMALL = 2048, CHUNK_LARGE = 16384 };

struct bytequeue_chunk {
    struct bytequeue_chunk *next;
    uint32_t start, end, capacity;
    uint8_t data[];
};

int bytequeue_append(struct bytequeue *queue, const void *data, size_t length)
{
    const uint8_t *from = data;
    while (length > 0) {
        struct bytequeue_chunk *tail = queue->tail;
        if (tail == NULL || tail->end == tail->capacity) {
            uint32_t capacity = CHUNK_SMALL;
            while (capacity < CHUNK_LARGE && capacity < queue->length + length)
                capacity *= 2;
            tail = malloc(sizeof *tail + capacity);
            if (tail == NULL)
                return NX_ENOMEM;
            *tail = (struct bytequeue_chunk){.capacity = capacity};
            if (queue->tail == NULL)
                queue->head = tail;
            else
                queue->tail->next = tail;
            queue->tail = tail;
        }
        size_t take = tail->capacity - tail->end;
        if (take > length)
            take = length;
        memcpy(tail->data + tail->end, from, take);
        tail->end += (uint32_t)take;
        queue->length += take;
        from += take;
        length -= take;
    }
    return NX_OK;
}

size_t bytequeue_peek(const struct bytequeue *queue, struct iovec *iov, size_t max)
{
    size_t n = 0;
    for (struct bytequeue_chunk *c = queue->head; c != NULL && n < max; c = c->next)
        iov[n++] = (struct iovec){.iov_base = c->data + c->start, .iov_len = c->end - c->start};
    return n;
}

void bytequeue_consume(struct bytequeue *queue, size_t length)
{
    while (length > 0 && queue->head != NULL) {
        struct bytequeue_chunk *head = queue->head;
        size_t held = head->end - head->start;
        if (length < held) {
            head->start += (uint32_t)length;
            queue->length -= length;
            return;
        }
        length -= held;
        queue->length -= held;
        queue->head = head->next;
        if (queue->head == NULL)
            queue->tail = NULL;
        free(head);
    }
}

void bytequeue_clear(struct bytequeue *queue)
{
    bytequeue_consume(queue, queue->length);
}
