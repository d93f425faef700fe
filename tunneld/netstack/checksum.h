/* Internet checksum, RFC 1071. Sums are of memory as it stands (network byte order in, network byte order
 * out). Pure functions. */
#ifndef NEXD_TUNNELD_CHECKSUM_H
#define NEXD_TUNNELD_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `length` bytes to a running sum. Every piece but the last must have an even length. At most 2^32 words
 * in all. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t length);
/* The sum as 16 bits, not complemented. */
uint16_t checksum_fold(uint64_t sum);

#endif
