/* SYNs from the mesh that wait until proxyd has connected their destination. Bounded; a SYN that comes again
 * while the first waits is dropped, and so is one that finds no room or no proxyd (TCP sends it again).
 * tunneld only, one thread. */
#ifndef NEXD_TUNNELD_GATE_H
#define NEXD_TUNNELD_GATE_H

#include "common/timerq.h"
#include "tunneld/flow/broker.h"
#include "tunneld/netstack/netstack.h"
#include <stdbool.h>

enum { GATE_MAX = 4096, GATE_MAX_PER_PEER = 2048, GATE_TIMEOUT_S = 30 };

struct gate_counters {
    uint64_t waited, dropped_full, refused, timed_out;
};

/* NX_OK or NX_ENOMEM. */
int gate_init(const struct broker *broker, struct timerq *timers);
/* netstack_ops.on_syn. */
void gate_syn(const struct netstack_syn *syn);
/* proxyd's answers. `fd` is taken over. False: no such request here (it may be a UDP flow's). */
bool gate_connected(uint32_t request, uint32_t rule_id, int fd);
bool gate_failed(uint32_t request);
/* proxyd is gone: its answers will not come. The SYNs are forgotten, not refused. */
void gate_forget(void);
size_t gate_waiting(void);
const struct gate_counters *gate_counters_get(void);

#endif
