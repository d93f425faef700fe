/* The rules of this device as the parent knows them: those of the command line, and those added at run time.
 * Everything that is told to a child comes from here. Only the parent process; no I/O.
 *
 * A rule's id is what children know it by. Ids of the command line are 1, 2, …; later ones follow and are not
 * used again while the process lives, short of 16 million changes. */
#ifndef NEXD_NEXD_RULEBOOK_H
#define NEXD_NEXD_RULEBOOK_H

#include "common/rule.h"
#include "nexd/port_set.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>

enum { RULEBOOK_ID_MAX = 0x00ffffff, RULEBOOK_RULES_MAX = 65536 };

enum rulebook_state {
    RULEBOOK_COMING,   /* children are being told; it is not promised yet */
    RULEBOOK_STANDING, /* in force */
    RULEBOOK_GOING,    /* children are being told to forget it; none is told of it any more */
};

struct rulebook_entry {
    uint32_t id;
    struct rule rule;
    bool at_run_time;    /* it can be removed again, and is stored */
    bool failed;         /* STANDING, but proxyd could not have its port; it is tried again */
    char *problem;       /* … and why, for operators; kept until proxyd has it. NULL = none */
    bool proxy_protocol; /* its destination is told first who called */
    bool barred;         /* STANDING, and stored, but the operator's policy refuses it; `problem` says why */
    struct policy_rule_limits limits; /* that the policy grants it */
    enum rulebook_state state;
};

/* In the order of addition, which is the order of balancing and of listings. */
struct rulebook {
    struct rulebook_entry *entries;
    size_t count, capacity;
    uint32_t last_id;
    bool wrapped;                          /* ids have come round: the next one may be taken */
    const struct port_set *proxy_protocol; /* listen ports of TCP ingress rules that get it; NULL = none */
};

void rulebook_free(struct rulebook *book);
/* NULL: out of memory, or full. Pointers to entries are good until the next change. */
struct rulebook_entry *rulebook_add(struct rulebook *book, const struct rule *rule, bool at_run_time,
                                    enum rulebook_state state);
void rulebook_remove(struct rulebook *book, uint32_t id);
/* Why it is not in force; "": it is. Out of memory, it has no reason. */
void rulebook_problem(struct rulebook_entry *entry, const char *why);
/* NULL if there is none. */
struct rulebook_entry *rulebook_find(const struct rulebook *book, uint32_t id);
/* The STANDING rule, added at run time, that equals `rule`; NULL if there is none. */
struct rulebook_entry *rulebook_match(const struct rulebook *book, const struct rule *rule);
/* A rule of that listener that is neither GOING nor barred, or with `going` any. */
bool rulebook_has_listener(const struct rulebook *book, enum rule_direction direction,
                           enum rule_protocol protocol, uint16_t port, bool going);
/* What is to be stored: the STANDING rules that were added at run time. The caller frees *rules. NX_ENOMEM.
 */
int rulebook_stored(const struct rulebook *book, struct rule **rules, size_t *count);

#endif
