/* Bound to the one address that the operator named: unlike a rule's, this port is not for everybody. A short
 * queue will do for it. */
#include "proxyd/metrics_bind.h"

#include "common/err.h"
#include "common/fd.h"
#include "proxyd/failure.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { QUEUE = 128 };

static int listener_make(const struct netsock *address, int *out)
{
    static const int on = 1;
    struct sockaddr_storage storage;
    const socklen_t length = netsock_to_sockaddr(address, &storage);
    FD_AUTO int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        (storage.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
        bind(fd, (const struct sockaddr *)&storage, length) || listen(fd, QUEUE))
        return NX_ESYS;
    *out = fd_release(&fd);
    return NX_OK;
}

void metrics_bind(struct outbox *parent, uint32_t request, const struct netsock *address)
{
    char text[NETSOCK_TEXT_MAX];
    struct failure failure;
    int fd = -1;
    if (listener_make(address, &fd) != NX_OK) {
        failure_set(&failure, failure_from_errno(errno), "metrics: %s cannot be listened on: %s",
                    netsock_format(address, text), strerror(errno));
        outbox_send_result(parent, request, &failure);
        return;
    }
    const struct ipc_metrics_bound body = {.fd = fd};
    outbox_send(parent, IPC_MSG_METRICS_BOUND, request, &body, sizeof(body), fd);
}
