/* The numbers of all processes, gathered when somebody asks, and for a second afterwards told again. No I/O:
 * messages and time come in as arguments. ctld only. */
#ifndef NEXD_CTLD_METRICS_GATHER_H
#define NEXD_CTLD_METRICS_GATHER_H

#include "ctld/device.h"
#include "ctld/peers.h"
#include "ipc/metrics.h"

enum {
    GATHER_FRESH_MS = 1000,   /* what is younger is not asked for again */
    GATHER_TIMEOUT_MS = 2000, /* who has not answered by then is told to be missing */
    GATHER_WAITERS_MAX = 16,
    GATHER_RULES_MAX = 4096, /* rules whose numbers are kept */
};

/* Request ids of what is asked for here have this bit and none of those above it. */
#define GATHER_REQUEST UINT32_C(0x20000000)
#define GATHER_MASK    UINT32_C(0xe0000000)

struct gather_ops {
    /* As ipc_send(), to the parent or a sibling. */
    int (*send)(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body);
};

struct gather_number {
    bool known;
    uint64_t value;
};

/* What has been gathered. */
struct gathered {
    struct gather_number numbers[METRIC_END]; /* by enum metric */
    bool answered[IPC_CTLD + 1];              /* by role: that process has told all of its own */
    struct ipc_rule_stats *rules;             /* of tunneld and proxyd, added up */
    size_t rule_count, rule_capacity;
};

typedef void (*gather_done_fn)(void *arg, void *token, const struct gathered *gathered);

struct gather;
/* NULL when out of memory. `peers` and `ops` must outlive it. */
struct gather *gather_new(struct peers *peers, const struct gather_ops *ops, void *arg);
void gather_free(struct gather *gather);

/* `done` is called once, maybe at once; the peers' status is then fresh too. NX_EAGAIN: too many wait. */
int gather_request(struct gather *gather, gather_done_fn done, void *arg, void *token, uint64_t now_ns);
/* Whoever asked with this token is gone. */
void gather_cancel(struct gather *gather, const void *token);

/* A message from `from`. False: it answers nothing that was asked for here. */
bool gather_message(struct gather *gather, enum ipc_role from, const struct ipc_message *message,
                    uint64_t now_ns);
void gather_link_down(struct gather *gather, enum ipc_role role, uint64_t now_ns);
/* Time has passed; when it is next needed (UINT64_MAX = never). */
void gather_run(struct gather *gather, uint64_t now_ns);
uint64_t gather_next_ns(const struct gather *gather);

#endif
