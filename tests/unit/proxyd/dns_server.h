/* A name server on loopback, UDP and TCP on one port, in the test's own event loop. It answers from a table
 * that a test fills in, and can misbehave. */
#ifndef NEXD_TESTS_PROXYD_DNS_SERVER_H
#define NEXD_TESTS_PROXYD_DNS_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct dns_server;

enum dns_manner {
    DNS_MANNER_ANSWER = 0,
    DNS_MANNER_SILENT, /* drops the question */
    DNS_MANNER_SERVFAIL,
    DNS_MANNER_TRUNCATED, /* says TC over UDP, answers over TCP */
    DNS_MANNER_WRONG_ID,
    DNS_MANNER_WRONG_QUESTION,
    DNS_MANNER_CUT,   /* the record's data reaches beyond the end */
    DNS_MANNER_LOOP,  /* a compression pointer to itself */
    DNS_MANNER_NOISE, /* a valid header, then garbage */
    DNS_MANNER_EMPTY, /* a datagram of no bytes, then the answer */
};

struct dns_server *dns_server_new(struct event_base *base);
void dns_server_free(struct dns_server *server);
/* "127.0.0.1:PORT", for the resolver. */
const char *dns_server_text(const struct dns_server *server);

/* Adds a record: `address` in text; its family says whether it is A or AAAA. */
void dns_server_add(struct dns_server *server, const char *name, const char *address, uint32_t ttl_s);
/* CNAME with its own TTL; the target's records go into the same answer. */
void dns_server_alias(struct dns_server *server, const char *name, const char *target, uint32_t ttl_s);
/* How questions of `type` (1 = A, 28 = AAAA, 0 = both) for a name are treated. */
void dns_server_manner(struct dns_server *server, const char *name, uint16_t type, enum dns_manner manner);
/* Forgets records and manners, keeps the counts. */
void dns_server_clear(struct dns_server *server);
/* Answers that manner NOISE sends. */
void dns_server_seed(struct dns_server *server, unsigned seed);

/* Questions seen for a name; NULL = for any. `type` 0 = both. */
unsigned dns_server_questions(const struct dns_server *server, const char *name, uint16_t type);

#endif
