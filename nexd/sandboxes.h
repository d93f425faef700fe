/* What the kernel took of each process's sandbox, as the processes said when they came up, for the operator's
 * report. Only the parent process. */
#ifndef NEXD_NEXD_SANDBOXES_H
#define NEXD_NEXD_SANDBOXES_H

#include "ipc/messages.h"

struct parent_child;

/* Its HELLO was in order. */
void sandboxes_put(struct parent_child *child, const struct ipc_hello *hello);
/* SANDBOX_QUERY of ctld. */
void sandboxes_query(struct parent_child *ctld, uint32_t request);

#endif
