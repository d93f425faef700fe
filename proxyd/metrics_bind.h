/* The listener of those who read metrics; ctld serves it. */
#ifndef NEXD_PROXYD_METRICS_BIND_H
#define NEXD_PROXYD_METRICS_BIND_H

#include "proxyd/outbox.h"

/* Answers METRICS_BIND by METRICS_BOUND or RESULT. */
void metrics_bind(struct outbox *parent, uint32_t request, const struct netsock *address);

#endif
