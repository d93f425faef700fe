/* Why a rule is refused, in the words that clients of the control socket know. No I/O. ctld only. */
#ifndef NEXD_CTLD_RULE_REFUSAL_H
#define NEXD_CTLD_RULE_REFUSAL_H

enum { RULE_REFUSAL_MAX = 512 };

/* `text` is what rule_parse() refused with `own`. Where the Nexodus agent refuses it too, its words for that
 * go to `out` (RULE_REFUSAL_MAX bytes); where it takes what we do not (a host with blanks, an impossible
 * address), `own`. Returns `out`. */
const char *rule_refusal(const char *text, const char *own, char *out);

#endif
