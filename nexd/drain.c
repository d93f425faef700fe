/* See drain.h. A second request while the first one waits takes its place: both are answered, the first one
 * at once. */
#include "nexd/drain.h"

#include "common/err.h"
#include "common/log.h"
#include "nexd/parent.h"

static const struct ipc_drain message = {.version = 1};

static void answer(struct parent *parent)
{
    const struct ipc_result ok = {.result = IPC_OK};
    uint32_t request = parent->drain.request;
    parent->drain.request = 0;
    if (request)
        ipc_send(parent_child_of(parent, IPC_CTLD)->link, IPC_MSG_RESULT, request, &ok);
}

void drain_request(struct parent *parent, uint32_t request)
{
    struct drain *drain = &parent->drain;
    answer(parent);
    drain->request = request;
    if (drain->wanted && drain->done) {
        answer(parent);
        return;
    }
    if (drain->wanted) /* proxyd is on it, or will be once it is up */
        return;
    drain->wanted = true;
    log_info("draining: no new flow is accepted from now on; live flows go on");
    notify_send(parent->config->notify, "STATUS=Draining");
    kept_drop_listeners(&parent->kept);
    ipc_send(parent_child_of(parent, IPC_CTLD)->link, IPC_MSG_DRAIN, 0, &message);
    /* Where there is no link now, its next process is told by drain_provision(). */
    ipc_send(parent_child_of(parent, IPC_PROXYD)->link, IPC_MSG_DRAIN, PARENT_REQUEST_DRAIN, &message);
}

void drain_result(struct parent *parent)
{
    parent->drain.done = true;
    answer(parent);
}

void drain_provision(struct parent_child *child, int *err)
{
    if (*err || !child->parent->drain.wanted)
        return;
    *err =
        ipc_send(child->link, IPC_MSG_DRAIN, child->role == IPC_PROXYD ? PARENT_REQUEST_DRAIN : 0, &message);
}

void drain_child_gone(struct parent_child *child)
{
    struct drain *drain = &child->parent->drain;
    if (child->role == IPC_CTLD)
        drain->request = 0;
    else if (child->role == IPC_PROXYD)
        drain->done = false;
}
