/* See static_mode.h. */
#include "ctld/static_mode.h"

#include "common/err.h"
#include "common/log.h"

bool static_mode_init(struct static_mode *mode, struct peers *peers, const struct static_peers_ops *ops,
                      void *arg)
{
    *mode = (struct static_mode){.peers = peers};
    mode->source = peers ? static_peers_new(peers, ops, arg) : NULL;
    return mode->source != NULL;
}

void static_mode_destroy(struct static_mode *mode)
{
    static_peers_free(mode->source);
    mode->source = NULL;
}

bool static_mode_message(struct static_mode *mode, const struct ipc_message *message, uint64_t now_ns)
{
    switch (message->header.type) {
    case IPC_MSG_STATIC_PEER:
        if (static_peers_add(mode->source, &message->body.static_peer, now_ns) == NX_ENOMEM)
            log_error("a peer is missing: out of memory");
        return true;
    case IPC_MSG_STATIC_DONE:
        mode->request = message->header.request;
        peers_complete(mode->peers);
        return true;
    default:
        return false;
    }
}

uint32_t static_mode_synced(struct static_mode *mode)
{
    const uint32_t request = mode->request;
    mode->request = 0;
    return request;
}
