/* Questions of the siblings that proxyd answers without making a socket: DEST_QUERY of tunneld, RESOLVE of
 * ctld. */
#ifndef NEXD_PROXYD_QUERY_H
#define NEXD_PROXYD_QUERY_H

#include "proxyd/destination.h"
#include "proxyd/outbox.h"

enum { QUERIES_MAX = 4096 /* unanswered, of one sibling */ };

struct query;
struct queries {
    struct outbox *answers;
    size_t count;
    LIST_HEAD(, query) all;
};

void queries_init(struct queries *queries, struct outbox *answers);
/* The sibling is gone, or we are going: what it asked is not answered any more. */
void queries_cancel_all(struct queries *queries);

/* Answered, now or later, by DEST or RESULT with the id `request`. */
void query_destination(struct queries *queries, struct destination_chooser *chooser, uint32_t request,
                       const struct ipc_dest_query *message);
/* Answered, now or later, by RESOLVED or RESULT with the id `request`. */
void query_resolve(struct queries *queries, struct resolver *resolver, uint32_t request,
                   const struct ipc_resolve *message);

#endif
