/* Checked growth of heap arrays. Any process. */
#ifndef NEXD_COMMON_ARRAY_H
#define NEXD_COMMON_ARRAY_H

#include <stddef.h>

/* Makes room for at least `needed` items of `item_bytes` each in the array `items` (NULL when *capacity is
 * 0), growing by doubling. Returns the array, perhaps moved, and updates *capacity (in items); NULL when the
 * size would overflow or memory is short, and then `items` and *capacity are as before. A result that is not
 * NULL replaces `items`, which the caller still frees. Old bytes are not wiped when the array moves: see
 * array_reserve_secret(). */
void *array_reserve(void *items, size_t *capacity, size_t needed, size_t item_bytes);

/* The same for items that hold secrets: the old memory is wiped before it is freed. */
void *array_reserve_secret(void *items, size_t *capacity, size_t needed, size_t item_bytes);

#endif
