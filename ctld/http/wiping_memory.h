/* libcurl's memory, wiped when it is given back: requests, credentials and answers pass through many buffers
 * of libcurl, and it clears none of them. ctld only. */
#ifndef NEXD_CTLD_HTTP_WIPING_MEMORY_H
#define NEXD_CTLD_HTTP_WIPING_MEMORY_H

#include <stddef.h>

/* As malloc(3) and the like; what is freed or moved away from is overwritten first, over all of the block. */
void *wiping_malloc(size_t bytes);
void *wiping_calloc(size_t count, size_t bytes);
void *wiping_realloc(void *block, size_t bytes);
char *wiping_strdup(const char *text);
void wiping_free(void *block);

#endif
