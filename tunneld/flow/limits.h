/* What the operator's policy grants flows: how many there may be, in all, to a peer and of a rule, and how
 * many bytes a second a rule may carry each way. tunneld only, one thread. Without such limits nothing here
 * costs more than a look at a flag.
 *
 * Bandwidth is a bucket of bytes for each rule and direction, above the flows' own turns (tcp_flow.c): a flow
 * whose rule has none left waits in that rule's line, first come first served, and is woken when there are
 * some; so the flows of a rule share its rate as equals, and a rule that is held back holds up no other. */
#ifndef NEXD_TUNNELD_LIMITS_H
#define NEXD_TUNNELD_LIMITS_H

#include "common/netaddr.h"
#include "common/timerq.h"

#include <sys/queue.h>

enum limits_way { LIMITS_TO_MESH, LIMITS_TO_HOST, LIMITS_WAYS };

struct limits_rule;
struct limits_peer;
struct limits_bucket;

/* What a flow holds of the limits; zero = nothing. */
struct limits_hold {
    struct limits_rule *rule; /* NULL: its rule has no limit */
    struct limits_peer *peer;
    bool counted;
};

/* A flow's place in the line of its rule, one for each direction. `flow` is set by its owner, the rest is
 * zero at first. */
struct limits_waiter {
    TAILQ_ENTRY(limits_waiter) next;
    struct limits_bucket *bucket; /* NULL: does not wait */
    void *flow;
    bool woken; /* it is its turn, whoever waits still */
};

struct limits_all {
    uint32_t flows_max, flows_line;
    uint32_t peer_flows_max, peer_flows_line;
};

/* `wake`: the flow of a waiter may go on. `peer_of`: the key of the peer that has an address, false if none
 * has. */
void limits_init(struct timerq *timers, void (*wake)(void *flow),
                 bool (*peer_of)(const struct netaddr *address, uint8_t key[32]));
void limits_set(const struct limits_all *all);
/* 0 = no bound. NX_OK or NX_ENOMEM. */
int limits_rule_add(uint32_t rule_id, uint32_t flows_max, uint32_t flows_line, uint64_t bytes_per_s);
/* Its live flows keep what they have. */
void limits_rule_remove(uint32_t rule_id);

/* May there be another flow, of this rule (0: not known yet) with the peer that has this address? False:
 * *line is the policy's line that says no. */
bool limits_room(uint32_t rule_id, const struct netaddr *peer, unsigned *line);
/* Takes a place for a flow. False as above; *hold is empty then. */
bool limits_take(uint32_t rule_id, const struct netaddr *peer, struct limits_hold *hold, unsigned *line);
/* Gives it back. An empty one is harmless. */
void limits_release(struct limits_hold *hold);
/* Flows that were refused for these limits; datagrams likewise. */
struct limits_counters {
    uint64_t flows, datagrams;
};
const struct limits_counters *limits_counters_get(void);
void limits_count_refused(void);

/* How many of `wanted` bytes may move now; 0: none, and the waiter stands in line. */
size_t limits_budget(const struct limits_hold *hold, enum limits_way way, struct limits_waiter *waiter,
                     size_t wanted);
/* So many have moved. */
void limits_spend(const struct limits_hold *hold, enum limits_way way, size_t bytes);
/* A datagram cannot wait: false, it is dropped. True: it counts as moved. */
bool limits_datagram(const struct limits_hold *hold, enum limits_way way, size_t bytes);
/* Out of the line; a waiter that is not in one is harmless. */
void limits_leave(struct limits_waiter *waiter);

#endif
