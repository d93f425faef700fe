/* The Internet checksum (RFC 1071) over one piece of memory. One's complement addition does not care about
 * the order or width of the words it adds, so the loop adds 32-bit words into independent 64-bit sums, which
 * compilers turn into vector code. */
#include "tunneld/netstack/checksum.h"
#include <string.h>

/* One implementation a vector width, chosen by the loader. Sanitizers cannot instrument the resolver. */
#if defined(__x86_64__) && !defined(NEXD_SANITIZE) && defined(__GNUC__) && !defined(__clang__)
#define CHECKSUM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CHECKSUM_CLONES
#endif

CHECKSUM_CLONES
static uint64_t sum_words(const uint8_t *data, size_t words)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++) {
        uint32_t word;
        memcpy(&word, data + i * 4, 4);
        sum += word;
    }
    return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    size_t words = length / 4;
    sum += sum_words(bytes, words);
    uint32_t tail = 0;
    if (length % 4 != 0) {
        memcpy(&tail, bytes + words * 4, length % 4);
        sum += tail;
    }
    return sum;
}

uint16_t netstack_checksum(const void *data, int length);
uint16_t netstack_checksum(const void *data, int length)
{
    return checksum_fold(checksum_add(0, data, (size_t)length));
}
