/* lwIP's view of this platform: GCC or Clang on 64-bit Linux. */
#ifndef NEXD_LWIP_CC_H
#define NEXD_LWIP_CC_H

#include <stdint.h>
#include <stdlib.h>

#define LWIP_RAND() ((u32_t)netstack_random())
#define LWIP_CHKSUM netstack_checksum
#define LWIP_PLATFORM_DIAG(x)                                                                                \
    do {                                                                                                     \
    } while (0)
#define LWIP_PLATFORM_ASSERT(x) netstack_assert(x, __FILE__, __LINE__)

uint32_t netstack_random(void);
/* As malloc(3) and free(3): blocks.c. */
void *netstack_block_new(size_t bytes);
void netstack_block_free(void *memory);
/* RFC 1071 sum of `length` bytes, folded to 16 bits, not complemented, as it stands in memory. */
uint16_t netstack_checksum(const void *data, int length);
__attribute__((noreturn)) void netstack_assert(const char *what, const char *file, int line);

#endif
