/* Connections for ctld, and only to places that the parent has named (outlets) and one login server that the
 * control plane may name itself (the issuer). */
#ifndef NEXD_PROXYD_OUTLET_H
#define NEXD_PROXYD_OUTLET_H

#include "proxyd/outbox.h"
#include "proxyd/resolver.h"

enum {
    OUTLETS_MAX = 8,
    OUTLET_PENDING_MAX = 64,
    OUTLET_TIMEOUT_MS = 30000,
    OUTLET_DEAD_AFTER_MS = 60000, /* without an acknowledgement, or an answer to keepalives */
};

struct outlets;

/* `answers` goes to ctld. All arguments outlive it. NULL when out of memory. */
struct outlets *outlets_new(struct event_base *base, struct resolver *resolver, struct outbox *answers);
/* Aborts everything without an answer. NULL is harmless. */
void outlets_free(struct outlets *outlets);

/* OUTLET of the parent: one more place. A repeated one is harmless. NX_ENOMEM: there are OUTLETS_MAX. */
int outlet_add(struct outlets *outlets, const struct ipc_outlet *message);
/* OUTLET_ISSUER of ctld: answered by RESULT. The first one stays for this process's life. */
void outlet_issuer(struct outlets *outlets, uint32_t request, const struct ipc_outlet_issuer *message);
/* OPEN: answered, now or later, by OPENED with the id `request`, or by RESULT. */
void outlet_open(struct outlets *outlets, uint32_t request, const struct ipc_open *message);
/* CONNECT_CANCEL of ctld: no answer follows, unless it was on its way already. Unknown ids are ignored. */
void outlet_cancel(struct outlets *outlets, uint32_t request);
/* ctld is gone: what it asked for is aborted. The issuer stays. */
void outlets_cancel_all(struct outlets *outlets);

/* Requests that nobody had named a place for, or that led to this host or its link. */
uint64_t outlets_refused(const struct outlets *outlets);

/* Is this an address of the host itself or its link (loopback, link-local, unspecified, multicast), where a
 * name from outside must not lead? The metadata services of clouds are there too. Pure. */
bool outlet_address_is_inside(const struct netaddr *address);

#endif
