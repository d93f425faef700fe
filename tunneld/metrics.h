/* The numbers that tunneld keeps, for ctld to publish. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_METRICS_H
#define NEXD_TUNNELD_METRICS_H

#include <stdint.h>

/* Each with its value to `put`; the tunnel is configured. */
void metrics_each(void (*put)(void *arg, uint16_t metric, uint64_t value), void *arg);

#endif
