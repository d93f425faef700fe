/* Bytes that wait for a slow reader: a list of chunks, filled to the brim, so that memory stays close to the
 * bytes held however small the pieces were that came. One thread. */
#ifndef NEXD_TUNNELD_BYTEQUEUE_H
#define NEXD_TUNNELD_BYTEQUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct bytequeue_chunk;

/* Zero-initialised = empty. */
struct bytequeue {
    struct bytequeue_chunk *head, *tail;
    size_t length; /* bytes held */
};

/* Appends a copy. NX_OK, or NX_ENOMEM with nothing appended or only a first part (see `length`). */
int bytequeue_append(struct bytequeue *queue, const void *data, size_t length);
/* Describes the first bytes in at most `max` pieces; returns how many. */
size_t bytequeue_peek(const struct bytequeue *queue, struct iovec *iov, size_t max);
/* Removes the first `length` bytes (at most all). */
void bytequeue_consume(struct bytequeue *queue, size_t length);
void bytequeue_clear(struct bytequeue *queue);

#endif
