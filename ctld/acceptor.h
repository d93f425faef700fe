/* A listening socket whose clients are let in only while there is a place for them: those that find none wait
 * in the kernel's queue, and are looked at again half a second later. So it is when accept(2) fails for want
 * of descriptors or memory. ctld only, one thread. */
#ifndef NEXD_CTLD_ACCEPTOR_H
#define NEXD_CTLD_ACCEPTOR_H

#include <stdbool.h>

struct event_base;
struct acceptor;

struct acceptor_ops {
    const char *name; /* of the socket, for the log */
    /* Is there, or can there be made, a place for one more? */
    bool (*room)(void *arg);
    /* A client that there was room for; the non-blocking, close-on-exec `fd` is the callee's. */
    void (*open)(void *arg, int fd);
};

/* Without a socket yet. NULL when out of memory. `ops` must outlive it. */
struct acceptor *acceptor_new(struct event_base *base, const struct acceptor_ops *ops, void *arg);
/* Closes the listening socket, not the clients. NULL is ignored. */
void acceptor_free(struct acceptor *acceptor);
/* Takes over a listening socket (made non-blocking), in place of an older one. NX_OK, or NX_ENOMEM: it is
 * closed. */
int acceptor_listen(struct acceptor *acceptor, int fd);

#endif
