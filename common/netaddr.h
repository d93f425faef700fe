/* IP addresses, endpoints and prefixes without the socket API's unions, and their text forms. Addresses are
 * in network byte order, ports in host byte order. No function resolves names or allocates. Any process. */
#ifndef NEXD_COMMON_NETADDR_H
#define NEXD_COMMON_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum netaddr_family { NETADDR_NONE = 0, NETADDR_V4 = 4, NETADDR_V6 = 6 };

struct netaddr {
    uint8_t family;    /* enum netaddr_family */
    uint8_t bytes[16]; /* first 4 used for IPv4; the rest zero */
};

struct netsock {
    struct netaddr addr;
    uint16_t port;
    uint32_t scope_id; /* IPv6 zone index, 0 = none */
};

struct netprefix {
    struct netaddr addr; /* bits beyond `length` are zero */
    uint8_t length;      /* bits */
};

enum { NETADDR_TEXT_MAX = 46, NETSOCK_TEXT_MAX = 72, NETPREFIX_TEXT_MAX = 50 };

/* Strict: dotted quad without leading zeros, or RFC 4291 text; no brackets, no zone. NX_EINVAL otherwise. */
int netaddr_parse(const char *text, struct netaddr *out);
/* "ADDR" or "ADDR/LEN"; with `mask_host_bits` false, bits beyond the length are an error (NX_EINVAL). */
int netprefix_parse(const char *text, bool mask_host_bits, struct netprefix *out);
/* An interface's own address, "ADDR" or "ADDR/LEN": all bits of the address are kept, so that `out` breaks
 * the rule at struct netprefix and must not be used with netprefix_contains(). */
int netprefix_parse_own(const char *text, struct netprefix *out);
/* "1.2.3.4:5" or "[v6]:5" or "[v6%3]:5"; port 1..65535. */
int netsock_parse(const char *text, struct netsock *out);

/* RFC 5952 text. `out` has at least the *_TEXT_MAX bytes. Return `out`. */
char *netaddr_format(const struct netaddr *addr, char *out);
char *netsock_format(const struct netsock *sock, char *out);
char *netprefix_format(const struct netprefix *prefix, char *out);

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);
bool netsock_equal(const struct netsock *a, const struct netsock *b);
bool netprefix_contains(const struct netprefix *prefix, const struct netaddr *addr);
/* A v4-mapped IPv6 address (::ffff:a.b.c.d) becomes IPv4; anything else is unchanged. */
void netaddr_unmap(struct netaddr *addr);

/* Conversion to and from the socket API. netsock_to_sockaddr returns the length; family AF_INET or AF_INET6.
 * netsock_from_sockaddr: NX_EINVAL for other families or a short length; v4-mapped addresses are unmapped. */
socklen_t netsock_to_sockaddr(const struct netsock *sock, struct sockaddr_storage *out);
int netsock_from_sockaddr(const struct sockaddr *sa, socklen_t length, struct netsock *out);

/* Host names after RFC 1123: labels of letters, digits and inner hyphens (underscore is allowed too), 1..63
 * each, 253 in all, one optional trailing dot; a name whose last label is all digits is refused (it is a
 * mistyped address). */
bool hostname_valid(const char *name);

#endif
