/* Ready is reached once and announced once; a child that is restarted later does not make the service
 * unready, since the others go on serving. */
#include "nexd/readiness.h"

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

int readiness_init(struct readiness *r, size_t rules)
{
    *r = (struct readiness){.rules = rules};
    r->bound = calloc(rules ? rules : 1, sizeof *r->bound);
    return r->bound ? NX_OK : NX_ENOMEM;
}

void readiness_free(struct readiness *r)
{
    free(r->bound);
    *r = (struct readiness){0};
}

void readiness_rule_bound(struct readiness *r, size_t rule_index)
{
    if (rule_index >= r->rules || r->bound[rule_index])
        return;
    r->bound[rule_index] = true;
    r->bound_count++;
}

void readiness_tunnel(struct readiness *r)
{
    r->tunnel = true;
}

void readiness_peers(struct readiness *r)
{
    r->peers = true;
}

void readiness_child_gone(struct readiness *r, enum ipc_role role)
{
    if (r->reached)
        return;
    if (role == IPC_TUNNELD) {
        r->tunnel = false;
    } else if (role == IPC_CTLD) {
        r->peers = false;
    } else {
        memset(r->bound, 0, r->rules * sizeof *r->bound);
        r->bound_count = 0;
    }
}

bool readiness_check(struct readiness *r)
{
    if (r->reached || !r->tunnel || !r->peers || r->bound_count < r->rules)
        return false;
    r->reached = true;
    return true;
}
