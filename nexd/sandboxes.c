/* The kernel shows most of a sandbox to whoever may look (nexd/report/), but not Landlock: that a process
 * says itself, once, right after the kernel took it and before it has read a byte of input. */
#include "nexd/sandboxes.h"

#include "common/err.h"
#include "nexd/parent.h"

#include <unistd.h>

void sandboxes_put(struct parent_child *child, const struct ipc_hello *hello)
{
    child->sandbox = (struct ipc_sandbox){
        .role = hello->role,
        .pid = hello->pid,
        .strict = hello->strict,
        .missing = hello->missing,
        .landlock_abi = hello->landlock_abi,
        .fs = hello->fs,
        .net = hello->net,
        .scoped = hello->scoped,
    };
}

static struct ipc_sandbox own(void)
{
    const struct sandbox_facts *facts = sandbox_facts();
    return (struct ipc_sandbox){
        .role = IPC_PARENT,
        .pid = (uint32_t)getpid(),
        .strict = facts->mode == SANDBOX_STRICT,
        .missing = facts->missing,
        .landlock_abi = facts->landlock_abi,
        .fs = facts->fs,
        .net = facts->net,
        .scoped = facts->scoped,
    };
}

void sandboxes_query(struct parent_child *ctld, uint32_t request)
{
    const struct parent *parent = ctld->parent;
    const struct ipc_sandbox mine = own();
    const struct ipc_result end = {.result = IPC_OK};
    int err = ipc_send(ctld->link, IPC_MSG_SANDBOX, request, &mine);
    for (size_t i = 0; i < SUPERVISOR_CHILDREN && !err; i++) {
        const struct parent_child *child = &parent->children[i];
        if (child->pid > 0 && child->sandbox.pid == (uint32_t)child->pid)
            err = ipc_send(ctld->link, IPC_MSG_SANDBOX, request, &child->sandbox);
    }
    if (!err)
        err = ipc_send(ctld->link, IPC_MSG_RESULT, request, &end);
    if (err && err != NX_ECLOSED && err != NX_EAGAIN) /* a queue that is full: the operator asks again */
        parent_misbehaved(ctld, nx_strerror(err));
}
