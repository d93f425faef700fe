/* The member "proxy-rules-config" of a state document: the rules that were added at run time, as
 * {"egress": [RULE…] or null, "ingress": the same}. Pure functions; only the parent process. */
#ifndef NEXD_NEXD_STATE_RULES_H
#define NEXD_NEXD_STATE_RULES_H

#include "common/rule.h"
#include "nexd/state/document.h"

/* The rules, egress before ingress, each kind in the order of the file; none if the member is absent or null.
 * The caller frees *rules. NX_EINVAL (a line in `error`, STATE_ERROR_MAX bytes, names the rule) or NX_ENOMEM
 * with nothing allocated. */
int state_rules_read(const struct state_document *document, struct rule **rules, size_t *count, char *error);
/* Puts `rules` in place of those that the document has; what else the member holds stays. NX_ENOMEM. */
int state_rules_write(struct state_document *document, const struct rule *rules, size_t count);

#endif
