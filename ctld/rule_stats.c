/* tunneld counts flows, bytes and what fails inside the mesh; proxyd what fails on the host's side. */
#include "ctld/rule_stats.h"

#include <string.h>

void rule_stats_sum(struct ipc_rule_stats *to, const struct ipc_rule_stats *from)
{
    to->flows += from->flows;
    to->live += from->live;
    to->to_mesh_bytes += from->to_mesh_bytes;
    to->to_host_bytes += from->to_host_bytes;
    to->refused += from->refused;
    to->timed_out += from->timed_out;
    to->unreachable += from->unreachable;
    to->limited += from->limited;
    to->policy += from->policy;
    to->reset += from->reset;
    to->failed += from->failed;
    if (from->last_error_unix_s >= to->last_error_unix_s && from->last_error_unix_s) {
        to->last_error_unix_s = from->last_error_unix_s;
        memcpy(to->last_error, from->last_error, sizeof to->last_error);
    }
}
