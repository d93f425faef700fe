/* Connections to the destinations of ingress rules, on tunneld's request. */
#ifndef NEXD_PROXYD_CONNECTOR_H
#define NEXD_PROXYD_CONNECTOR_H

#include "proxyd/admission.h"
#include "proxyd/outbox.h"
#include "proxyd/resolver.h"
#include "proxyd/rules.h"

enum { CONNECTOR_PENDING_MAX = 4096, CONNECTOR_TIMEOUT_MS = 10000 };

struct connector;

/* `answers` goes to tunneld. All arguments outlive the connector. NULL when out of memory. */
struct connector *connector_new(struct event_base *base, struct resolver *resolver,
                                struct admission *admission, struct rule_table *rules,
                                struct outbox *answers);
/* Aborts everything without an answer. NULL is harmless. */
void connector_free(struct connector *connector);

/* CONNECT: answered, now or later, by CONNECTED with `request`'s id, or by RESULT. */
void connector_connect(struct connector *connector, uint32_t request, const struct ipc_connect *message);
/* CONNECT_CANCEL: no answer follows, unless it was on its way already. Unknown ids are ignored. */
void connector_cancel(struct connector *connector, uint32_t request);
/* The rule is gone: connections on their way by it are cut, and what wanted one goes on with the next rule.
 */
void connector_rule_removed(struct connector *connector, uint32_t rule_id);
/* tunneld is gone: what it asked for is aborted. */
void connector_cancel_all(struct connector *connector);

/* Requests that wait. */
size_t connector_pending(const struct connector *connector);

#endif
