/* accept4(2) in small batches, so that a crowd of new clients does not hold up those that are served. */
#include "ctld/acceptor.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 8, PAUSE_MS = 500 };

struct acceptor {
    struct event_base *base;
    const struct acceptor_ops *ops;
    void *arg;
    int listener;
    struct event *acceptable, *again;
};

static void rest(struct acceptor *acceptor)
{
    static const struct timeval wait = {PAUSE_MS / 1000, PAUSE_MS % 1000 * 1000};
    event_del(acceptor->acceptable);
    event_add(acceptor->again, &wait);
}

static void on_acceptable(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    struct acceptor *acceptor = arg;
    for (size_t i = 0; i < BATCH; i++) {
        if (!acceptor->ops->room(acceptor->arg)) {
            rest(acceptor);
            return;
        }
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            acceptor->ops->open(acceptor->arg, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            log_warn("%s: accept: %s", acceptor->ops->name, strerror(errno));
            rest(acceptor);
            return;
        }
    }
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct acceptor *acceptor = arg;
    event_add(acceptor->acceptable, NULL);
}

struct acceptor *acceptor_new(struct event_base *base, const struct acceptor_ops *ops, void *arg)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (!acceptor)
        return NULL;
    *acceptor = (struct acceptor){.base = base, .ops = ops, .arg = arg, .listener = -1};
    acceptor->again = evtimer_new(base, on_again, acceptor);
    if (!acceptor->again) {
        free(acceptor);
        return NULL;
    }
    return acceptor;
}

static void listener_close(struct acceptor *acceptor)
{
    event_del(acceptor->again);
    if (acceptor->acceptable)
        event_free(acceptor->acceptable);
    acceptor->acceptable = NULL;
    fd_close(&acceptor->listener);
}

void acceptor_free(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    listener_close(acceptor);
    event_free(acceptor->again);
    free(acceptor);
}

int acceptor_listen(struct acceptor *acceptor, int fd)
{
    listener_close(acceptor);
    acceptor->listener = fd;
    evutil_make_socket_nonblocking(fd);
    acceptor->acceptable = event_new(acceptor->base, fd, EV_READ | EV_PERSIST, on_acceptable, acceptor);
    if (acceptor->acceptable && event_add(acceptor->acceptable, NULL) == 0)
        return NX_OK;
    listener_close(acceptor);
    return NX_ENOMEM;
}
