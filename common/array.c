/* Doubling growth with overflow checks, in one place so that no caller multiplies sizes by hand. */
#include "common/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Capacity to grow to, 0 when its size in bytes would overflow. */
static size_t array_new_capacity(size_t capacity, size_t needed, size_t item_bytes)
{
    size_t wanted = capacity == 0 ? 8 : capacity;
    while (wanted < needed) {
        if (__builtin_mul_overflow(wanted, (size_t)2, &wanted))
            return 0;
    }
    size_t bytes;
    if (__builtin_mul_overflow(wanted, item_bytes, &bytes) || bytes > PTRDIFF_MAX)
        return 0;
    return wanted;
}

void *array_reserve(void *items, size_t *capacity, size_t needed, size_t item_bytes)
{
    if (needed <= *capacity && items != NULL)
        return items;
    const size_t wanted = array_new_capacity(*capacity, needed, item_bytes);
    void *const grown = wanted == 0 ? NULL : realloc(items, wanted * item_bytes);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

void *array_reserve_secret(void *items, size_t *capacity, size_t needed, size_t item_bytes)
{
    if (needed <= *capacity && items != NULL)
        return items;
    const size_t wanted = array_new_capacity(*capacity, needed, item_bytes);
    void *const grown = wanted == 0 ? NULL : malloc(wanted * item_bytes);
    if (grown == NULL)
        return NULL;
    if (items != NULL) {
        memcpy(grown, items, *capacity * item_bytes);
        explicit_bzero(items, *capacity * item_bytes);
        free(items);
    }
    *capacity = wanted;
    return grown;
}
