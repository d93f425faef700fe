/* The Internet checksum, as it is taken of each TCP segment and UDP datagram that leaves. */
#include "bench/micro/micro.h"
#include "tunneld/netstack/checksum.h"

enum { LENGTH_MAX = 1420, REPEATS = 256 };

struct piece {
    const uint8_t *data;
    size_t length;
    uint64_t sum;
};

static void run(void *arg)
{
    struct piece *piece = arg;
    for (int i = 0; i < REPEATS; i++)
        piece->sum = checksum_add(piece->sum & 1, piece->data, piece->length);
}

/* RFC 1071, by the letter. */
static uint16_t reference(const uint8_t *data, size_t length)
{
    uint64_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2) {
        uint16_t word;
        memcpy(&word, data + i, 2);
        sum += word;
    }
    if (length % 2 != 0)
        sum += data[length - 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {40, 512, 1420};
    static uint8_t data[LENGTH_MAX];
    struct micro micro = micro_start(argc, argv);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 3);
    for (size_t length = 0; length <= LENGTH_MAX; length++)
        micro_expect(checksum_fold(checksum_add(0, data, length)) == reference(data, length), "a checksum");
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct piece piece = {.data = data, .length = lengths[i]};
        double ns = micro_best_ns(&micro, run, &piece, REPEATS);
        printf("checksum %5zu bytes: %7.1f ns  %6.1f Gbit/s\n", lengths[i], ns, (double)lengths[i] * 8 / ns);
    }
    return 0;
}
