/* As with the sockets of rules, a listener from proxyd is believed only after its own address says that it is
 * the one that was asked for. */
#include "nexd/metrics.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "ipc/metrics.h"
#include "nexd/parent.h"

#include <string.h>
#include <sys/socket.h>

static bool wanted(const struct parent *parent)
{
    return parent->config->metrics_listen && parent->config->metrics_listen->addr.family != NETADDR_NONE;
}

void metrics_open(struct parent *parent)
{
    parent->metrics = (struct metrics_listener){.fd = -1, .start_wall_ns = clock_wall_ns()};
}

void metrics_close(struct parent *parent)
{
    fd_close(&parent->metrics.fd);
}

void metrics_provision(struct parent_child *child, int *err)
{
    const struct parent *parent = child->parent;
    if (*err || !wanted(parent))
        return;
    const struct ipc_metrics_bind bind = {.address = *parent->config->metrics_listen};
    const struct ipc_metrics_socket listener = {.fd = parent->metrics.fd};
    if (child->role == IPC_PROXYD && parent->metrics.fd < 0)
        *err = ipc_send(child->link, IPC_MSG_METRICS_BIND, PARENT_REQUEST_METRICS, &bind);
    else if (child->role == IPC_CTLD && parent->metrics.fd >= 0)
        *err = ipc_send(child->link, IPC_MSG_METRICS_SOCKET, 0, &listener);
}

static bool bound_to(int fd, const struct netsock *address)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    struct netsock local;
    return getsockname(fd, (struct sockaddr *)&storage, &length) == 0 &&
           netsock_from_sockaddr((const struct sockaddr *)&storage, length, &local) == NX_OK &&
           netsock_equal(&local, address);
}

void metrics_bound(struct parent_child *child, uint32_t request, int *fd)
{
    struct parent *parent = child->parent;
    if (request != PARENT_REQUEST_METRICS || parent->metrics.fd >= 0 || !wanted(parent) ||
        !bound_to(*fd, parent->config->metrics_listen)) {
        parent_misbehaved(child, "a listener for metrics that was not asked for, or at another address");
        return;
    }
    parent->metrics.fd = fd_release(fd);
    struct parent_child *ctld = parent_child_of(parent, IPC_CTLD);
    int err = NX_OK;
    /* Where ctld is not up, its configuration will bring it. */
    if (ctld->link && parent->rule_change.configured[IPC_CTLD - IPC_TUNNELD])
        metrics_provision(ctld, &err);
    if (err && err != NX_ECLOSED)
        parent_misbehaved(ctld, nx_strerror(err));
}

void metrics_query(struct parent_child *child, uint32_t request)
{
    const struct parent *parent = child->parent;
    const struct supervisor *supervisor = &parent->supervisor;
    uint64_t failed = 0, barred = 0;
    for (size_t i = 0; i < parent->rules.count; i++)
        failed += parent->rules.entries[i].failed;
    for (size_t i = 0; i < parent->rules.count; i++)
        barred += parent->rules.entries[i].barred;
    const struct ipc_metric numbers[] = {
        {METRIC_STARTS_TUNNELD, supervisor->children[0].starts},
        {METRIC_STARTS_PROXYD, supervisor->children[1].starts},
        {METRIC_STARTS_CTLD, supervisor->children[2].starts},
        {METRIC_READY, parent->readiness.reached},
        {METRIC_DRAINING, parent->drain.wanted},
        {METRIC_RULES_FAILED, failed},
        {METRIC_RULES_BARRED, barred},
        {METRIC_REQUESTS_REFUSED, parent->guard.refused},
        {METRIC_START_TIME, parent->metrics.start_wall_ns / NS_PER_S},
    };
    const struct ipc_result end = {.result = IPC_OK};
    int err = NX_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++)
        err = ipc_send(child->link, IPC_MSG_METRIC, request, &numbers[i]);
    if (!err)
        err = ipc_send(child->link, IPC_MSG_RESULT, request, &end);
    if (err && err != NX_ECLOSED && err != NX_EAGAIN) /* a queue that is full: ctld asks again */
        parent_misbehaved(child, nx_strerror(err));
}
