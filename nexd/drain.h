/* Draining: no new flow is accepted, live ones go on, until nexd is started anew.
 *
 * proxyd does it, since every new flow begins there: it closes its TCP listeners and refuses what tunneld
 * asks for. The parent gives up its duplicates of those listeners, tells each process of proxyd that comes up
 * before it is given rules, and answers the operator when proxyd has done it. Only the parent process. */
#ifndef NEXD_NEXD_DRAIN_H
#define NEXD_NEXD_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct parent;
struct parent_child;

struct drain {
    bool wanted;      /* once and for all */
    bool done;        /* the present process of proxyd has closed its listeners */
    uint32_t request; /* of ctld, that waits for it; 0 = nobody does */
};

/* DRAIN from ctld. */
void drain_request(struct parent *parent, uint32_t request);
/* proxyd's answer. */
void drain_result(struct parent *parent);
/* What a new process of proxyd or ctld is told, before its rules. */
void drain_provision(struct parent_child *child, int *err);
/* ctld has ended: nobody waits. proxyd has ended: its next process is told again. */
void drain_child_gone(struct parent_child *child);

#endif
