/* The far end of one connection of ours, played packet by packet: IPv4, to port LAB_PORT of 100.64.0.9. */
#ifndef TESTS_TUNNELD_LAB_FAR_H
#define TESTS_TUNNELD_LAB_FAR_H

#include "lab.h"

enum { FAR_FIN = 1, FAR_SYN = 2, FAR_RST = 4, FAR_PSH = 8, FAR_ACK = 16, FAR_WORDS = 5 };

struct lab_far {
    uint16_t port;         /* of our side */
    uint32_t seq;          /* what the far end says next has this number */
    uint32_t ack;          /* what it has got; 0 before our SYN */
    uint16_t window;       /* that it tells */
    unsigned resets, fins; /* that were sent to it */
    size_t longest;        /* bytes of the longest segment that was sent to it */
};
extern struct lab_far lab_far_end;

/* After lab_start(): opens a connection and answers its SYN. Returns the client's socket. */
int lab_far_connected(void);
/* A segment with the first `data` bytes of "adieu", without an option. */
void lab_far_says(uint8_t flags, uint32_t seq, size_t data);
/* An ACK with a maximum segment size as its option, where none belongs. */
void lab_far_says_mss(uint16_t mss);

#endif
