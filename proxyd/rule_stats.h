/* What fails on the host's side, by rule: destinations of ingress rules, names. */
#ifndef NEXD_PROXYD_RULE_STATS_H
#define NEXD_PROXYD_RULE_STATS_H

#include "proxyd/outbox.h"
#include "proxyd/rules.h"

/* The rule's destination has failed, as `failure` says. */
void rule_stats_note(struct rule_entry *entry, const struct failure *failure);
/* RULE_STATS_QUERY: RULE_STATS for each rule that something failed of, then RESULT. */
void rule_stats_answer(const struct rule_table *rules, struct outbox *ctld, uint32_t request);

#endif
