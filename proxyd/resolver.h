/* Names to addresses, for every part of proxyd: addresses as text, localhost, the hosts file, then DNS with a
 * cache. */
#ifndef NEXD_PROXYD_RESOLVER_H
#define NEXD_PROXYD_RESOLVER_H

#include "common/netaddr.h"

struct event_base;
struct resolver;
struct resolver_wait;

enum {
    RESOLVER_ADDRS_MAX = 16,
    RESOLVER_CACHE_MAX = 1024,  /* names */
    RESOLVER_PENDING_MAX = 256, /* names asked for at the same time */
    RESOLVER_TTL_MIN_S = 1,
    RESOLVER_TTL_MAX_S = 86400,
    RESOLVER_TTL_NEGATIVE_S = 5,
    RESOLVER_TTL_STATIC_S = 3600, /* of what needs no name server */
    RESOLVER_SECOND_FAMILY_MS = 50,
};

/* err: NX_OK with at least one address, IPv6 first; NX_ENOENT: the name does not exist or has no address;
 * NX_EINVAL: not a host name; NX_ETIMEDOUT: no name server answered; NX_EPROTO: they failed or refused;
 * NX_ENOMEM: too many names at once. */
struct resolver_answer {
    int err;
    uint32_t ttl_s; /* for how long it is good still */
    bool from_host; /* localhost, or the hosts file: this host itself says so, no name server */
    size_t count;
    struct netaddr addrs[RESOLVER_ADDRS_MAX];
};

struct resolver_config {
    const char *hosts_path;   /* NULL: /etc/hosts */
    const char *name_servers; /* see dns_channel_new() */
};

/* Opens files: before the sandbox's run stage. NULL with a logged reason on failure. */
struct resolver *resolver_new(struct event_base *base, const struct resolver_config *config);
/* Waits end without a callback. NULL is harmless. */
void resolver_free(struct resolver *resolver);

typedef void (*resolver_fn)(const struct resolver_answer *answer, void *arg);

/* Looks up a name. Either `answer` is filled in now, NX_OK is returned and `*wait` is NULL; or NX_EAGAIN is
 * returned, `*wait` is set, and `fn` is called once, later, from the event loop, unless the wait is cancelled
 * first. In the callback the wait is gone already. */
int resolver_lookup(struct resolver *resolver, const char *name, struct resolver_answer *answer,
                    resolver_fn fn, void *arg, struct resolver_wait **wait);
/* NULL is harmless. The question itself goes on, for the cache. */
void resolver_cancel(struct resolver_wait *wait);

/* Text for an error of an answer: "no such name", … */
const char *resolver_strerror(int err);

#endif
