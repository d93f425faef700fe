/* Egress TCP: the listeners of the host's side, and what is accepted on them. */
#ifndef NEXD_PROXYD_LISTENER_H
#define NEXD_PROXYD_LISTENER_H

#include "proxyd/destination.h"
#include "proxyd/outbox.h"

struct listeners;

/* `tunneld` takes the connections, `parent` the duplicates of listeners. All arguments outlive it. NULL when
 * out of memory. */
struct listeners *listeners_new(struct event_base *base, struct rule_table *rules,
                                struct destination_chooser *chooser, struct outbox *tunneld,
                                struct outbox *parent);
/* Closes the listeners (connections in the kernel's queues stay there as long as the parent has its
 * duplicates) and resets connections that still wait. NULL is harmless. */
void listeners_free(struct listeners *listeners);

/* LISTENER_KEEP from the parent: a listener of an earlier life. Takes over `fd`. It accepts nothing before
 * its first rule. NX_OK, or an error with `failure` filled in (`fd` is then closed). */
int listener_adopt(struct listeners *listeners, uint16_t port, int fd, struct failure *failure);
/* Starts accepting for a rule, on the listener that its port has or on a new one. NX_OK, or an error with
 * `failure` filled in. */
int listener_open(struct listeners *listeners, const struct rule_entry *entry, struct failure *failure);
/* Closes all of them, for good: from now on listener_open() succeeds without listening. */
void listeners_drain(struct listeners *listeners);
/* Ports that are listened on; accepted clients whose destination's name is being looked up. */
size_t listeners_count(const struct listeners *listeners);
size_t listeners_waiting(const struct listeners *listeners);
/* The port's last rule is gone: stops listening, also for the parent's duplicate. */
void listener_close(struct listeners *listeners, uint16_t port);

/* Accept, or leave connections in the kernel's queues, as the way to tunneld and the names that are waited
 * for demand. To be called when the link came up, went down, or has room. */
void listeners_update(struct listeners *listeners);

#endif
