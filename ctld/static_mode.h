/* Static mode, in ctld: the peers of a configuration file, and the parent's wish to know when the tunnel has
 * them. ctld only. */
#ifndef NEXD_CTLD_STATIC_MODE_H
#define NEXD_CTLD_STATIC_MODE_H

#include "ctld/static_peers.h"

struct static_mode {
    struct peers *peers;
    struct static_peers *source;
    uint32_t request; /* STATIC_DONE that waits for its answer */
};

/* False: out of memory. */
bool static_mode_init(struct static_mode *mode, struct peers *peers, const struct static_peers_ops *ops,
                      void *arg);
void static_mode_destroy(struct static_mode *mode);
/* STATIC_PEER or STATIC_DONE of the parent's; false: it is neither. */
bool static_mode_message(struct static_mode *mode, const struct ipc_message *message, uint64_t now_ns);
/* From peers_ops.on_synced: the request that is to be answered with RESULT now; 0 = none. */
uint32_t static_mode_synced(struct static_mode *mode);

#endif
