/* A path between our stack and itself: what leaves for the far address comes back, addresses exchanged, after
 * a delay, or not at all. So both ends of a connection are here, each behind a simulated network, on the
 * lab's clock. */
#ifndef TESTS_TUNNELD_LAB_PATH_H
#define TESTS_TUNNELD_LAB_PATH_H

#include "lab.h"

struct lab_path {
    uint64_t delay_ns;  /* each way */
    uint64_t jitter_ns; /* up to so much more; packets may pass each other */
    uint64_t rate;      /* bytes a second each way, 0 = no limit */
    uint64_t mark_ns;   /* a longer queue marks what is marked as able to tell (ECT); 0 = never */
    uint64_t queue_ns;  /* what may wait for the rate, as time */
    double loss, duplicate;
    bool dark;              /* everything is lost */
    uint16_t mss;           /* that both ends are told of; 0 = what the other says */
    bool no_sack, no_scale; /* options are taken out of SYNs */
    uint16_t mtu;           /* larger packets are lost; 0 = none are */
    bool fragments;         /* packets arrive as fragments, the last one empty where their length allows */
    uint64_t packets, lost, queue_drops, too_large, marked, ect;
    uint64_t wrong_ect; /* on a packet without data or with SYN */
    bool no_ecn;        /* SYNs lose their request for it */
};
extern struct lab_path lab_path;

/* After lab_start(): the far addresses are 100.64.0.9 and 200::9. */
void lab_path_start(void);
/* Other losses and jitter than those of the standard seed. */
void lab_path_seed(uint64_t seed);
struct netaddr lab_far(uint8_t family);
/* Runs the world for so long, or until done(arg) says so; true if it did. */
bool lab_path_run(uint64_t limit_ns, bool (*done)(void *arg), void *arg);

#endif
