/* What several fuzz targets need: the input as a C string, and a check of messages. */
#ifndef NEXD_TESTS_FUZZ_INPUT_H
#define NEXD_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* The bytes in memory of exactly their size, so that a read past the end is noticed. The caller frees. */
static inline char *fuzz_string(const uint8_t *bytes, size_t length)
{
    char *const text = malloc(length + 1);
    if (text == NULL)
        abort();
    memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}

static inline void fuzz_require(bool condition)
{
    if (!condition)
        abort();
}

/* A message is one line that fits into `size` bytes, is not empty and has no control characters. */
static inline void fuzz_require_message(const char *message, size_t size)
{
    const size_t length = strnlen(message, size);
    fuzz_require(length > 0 && length < size);
    for (size_t i = 0; i < length; i++)
        fuzz_require((unsigned char)message[i] >= 0x20 && message[i] != 0x7f);
}

#endif
