/* What the tests with a simulated control plane share: a network of two others, and us. */
#ifndef NEXD_TESTS_NEXODUS_SESSION_WORLD_H
#define NEXD_TESTS_NEXODUS_SESSION_WORLD_H

#include "tests/unit/nexodus_session/plane.h"

enum { MINUTE_MS = 60000, HOUR_MS = 3600000 };

extern struct sim sim;
extern struct plane plane;
extern struct plane_device *other, *third;

/* For tcase_add_checked_fixture(). */
void world_begin(void);
void world_end(void);
/* Our node starts, with the registration key. */
void node_start(void);
/* … and is in the network. */
void node_join(void);
/* Ends and starts anew, with what is stored. */
void node_restart(void);
/* JOINED, with both others as peers. */
void ck_joined(void);
/* No more than so many requests in any ten seconds since then. */
void ck_gentle(uint64_t since_ns, size_t most);

#endif
