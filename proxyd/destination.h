/* Where the next flow of an egress port goes. */
#ifndef NEXD_PROXYD_DESTINATION_H
#define NEXD_PROXYD_DESTINATION_H

#include "proxyd/admission.h"
#include "proxyd/mesh_names.h"
#include "proxyd/resolver.h"
#include "proxyd/rules.h"

enum { DESTINATION_PENDING_MAX = 1024 };

struct destination_wait;
struct destination_chooser {
    struct resolver *resolver;
    struct rule_table *rules;
    struct admission *admission;
    const struct mesh_names *names; /* NULL: no mesh has names */
    size_t pending;                 /* flows that wait for a name */
};

struct destination {
    uint32_t rule_id; /* 0: none; `failure` says why */
    struct netsock dest;
    struct failure failure;
};

typedef void (*destination_fn)(const struct destination *destination, void *arg);

/* Chooses for a new flow of `set`: round robin, with rules whose name does not resolve passed over. NX_OK:
 * `out` is filled in (it may be a failure). NX_EAGAIN: a name is being resolved; `*wait` is to be given to
 * destination_await() or destination_cancel() before the loop goes on. */
int destination_choose(struct destination_chooser *chooser, struct rule_set *set, struct destination *out,
                       struct destination_wait **wait);
/* `fn` is called once, from the loop; in the callback the wait is gone already. */
void destination_await(struct destination_wait *wait, destination_fn fn, void *arg);
/* No callback follows. NULL is harmless. */
void destination_cancel(struct destination_wait *wait);

#endif
