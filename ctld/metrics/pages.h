/* What is served over HTTP: /metrics, /healthz and /readyz. ctld only. */
#ifndef NEXD_CTLD_METRICS_PAGES_H
#define NEXD_CTLD_METRICS_PAGES_H

#include "ctld/metrics/server.h"
#include "ctld/metrics/text.h"

struct pages {
    struct gather *gather;
    const struct device *device;
    const struct peers *peers;
    enum metrics_api api; /* to be changed by who talks to a control plane */
    uint64_t (*now_ns)(void);
};

/* For scrape_server_new(), with a struct pages as its argument. */
extern const struct scrape_handler pages_handler;

#endif
