/* What has been gathered, in Prometheus' text format (version 0.0.4). ctld only. */
#ifndef NEXD_CTLD_METRICS_TEXT_H
#define NEXD_CTLD_METRICS_TEXT_H

#include "ctld/jsonrpc.h"
#include "ctld/metrics/gather.h"

/* How ctld comes to know its peers; `static` is the configuration file's, the others are those of
 * enum ipc_join_phase. */
enum metrics_api {
    METRICS_API_STATIC = 0,
    METRICS_API_STARTING = IPC_PHASE_STARTING,
    METRICS_API_LOGIN = IPC_PHASE_LOGIN,
    METRICS_API_JOINING = IPC_PHASE_JOINING,
    METRICS_API_CACHED = IPC_PHASE_CACHED,
    METRICS_API_JOINED = IPC_PHASE_JOINED,
    METRICS_API_STATES
};

/* Everything that the text is made of. */
struct metrics_view {
    const struct device *device;
    const struct peers *peers;
    const struct gathered *gathered;
    enum metrics_api api;
    const char *version;
};

void metrics_text(struct jsonrpc_text *out, const struct metrics_view *view);

/* NULL: everything that /readyz asks for is there; else what is missing, for an operator. */
const char *metrics_not_ready(const struct metrics_view *view);

#endif
