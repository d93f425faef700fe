/* The parent's part in metrics: the listener, which proxyd makes, the parent keeps and ctld serves; and the
 * parent's own numbers. Only the parent process. */
#ifndef NEXD_NEXD_METRICS_H
#define NEXD_NEXD_METRICS_H

#include <stdint.h>

struct parent;
struct parent_child;

struct metrics_listener {
    int fd; /* -1 = there is none (yet) */
    uint64_t start_wall_ns;
};

void metrics_open(struct parent *parent);
void metrics_close(struct parent *parent);
/* proxyd is asked for the listener, unless it is there; ctld is given it, if it is. */
void metrics_provision(struct parent_child *child, int *err);
/* METRICS_BOUND: takes the descriptor over. */
void metrics_bound(struct parent_child *child, uint32_t request, int *fd);
/* METRICS_QUERY. */
void metrics_query(struct parent_child *child, uint32_t request);

#endif
