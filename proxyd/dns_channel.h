/* Questions to the name servers: c-ares on the event loop, one record type a question. */
#ifndef NEXD_PROXYD_DNS_CHANNEL_H
#define NEXD_PROXYD_DNS_CHANNEL_H

#include "common/netaddr.h"

struct event_base;
struct dns_channel;

enum { DNS_ADDRS_MAX = 16, DNS_NAME_MAX = 253, DNS_DOMAINS_MAX = 16 };

/* The outcome of one question. err: NX_OK; NX_ENOENT: no such name, or no record of this type; NX_ETIMEDOUT:
 * no server answered; NX_ENOMEM; NX_EPROTO: the servers failed, refused or answered nonsense. */
struct dns_records {
    int err;
    uint32_t ttl_s; /* smallest of the records' */
    size_t count;
    struct netaddr addrs[DNS_ADDRS_MAX];
};

/* Search list of resolv.conf(5). */
struct dns_search {
    unsigned ndots;
    size_t count;
    char domains[DNS_DOMAINS_MAX][DNS_NAME_MAX + 1];
};

typedef void (*dns_fn)(const struct dns_records *records, void *arg);

/* Reads /etc/resolv.conf: before the sandbox's run stage. `servers`: a comma-separated list of ADDRESS[:PORT]
 * that is asked instead of those of the file, or NULL. NULL with a logged reason on failure. */
struct dns_channel *dns_channel_new(struct event_base *base, const char *servers);
/* Questions under way end without a callback. NULL is harmless. */
void dns_channel_free(struct dns_channel *channel);

const struct dns_search *dns_channel_search(const struct dns_channel *channel);

/* Asks for the A or AAAA records (family NETADDR_V4 or NETADDR_V6) of exactly `name`. `fn` is called once,
 * perhaps before this returns. */
void dns_query(struct dns_channel *channel, const char *name, enum netaddr_family family, dns_fn fn,
               void *arg);

/* Reads a server's answer; pure. `length` bytes at `answer`. */
void dns_answer_parse(const uint8_t *answer, size_t length, enum netaddr_family family,
                      struct dns_records *out);

#endif
