/* What is still missing before the program may call itself ready: every rule in force at proxyd (bound), the
 * tunnel's sockets and keys in place, the peers known to the tunnel. Pure bookkeeping; only the parent
 * process. */
#ifndef NEXD_NEXD_READINESS_H
#define NEXD_NEXD_READINESS_H

#include "ipc/messages.h"
#include <stdbool.h>
#include <stddef.h>

struct readiness {
    bool *bound; /* by rule index */
    size_t rules, bound_count;
    bool tunnel, peers;
    bool reached; /* ready was reported; stays true */
};

/* NX_ENOMEM or NX_OK. */
int readiness_init(struct readiness *r, size_t rules);
void readiness_free(struct readiness *r);

void readiness_rule_bound(struct readiness *r, size_t rule_index);
void readiness_tunnel(struct readiness *r);
void readiness_peers(struct readiness *r);
/* That child ended: what it had reported counts no more, as long as ready was not reached. */
void readiness_child_gone(struct readiness *r, enum ipc_role role);
/* True exactly once: when nothing is missing for the first time. */
bool readiness_check(struct readiness *r);

#endif
