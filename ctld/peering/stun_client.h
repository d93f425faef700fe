/* Under which address does the internet see the tunnel's socket, and is that the same for everybody? STUN's
 * schedule: whom to ask, when, and what follows from the answers. Look-ups go to proxyd, requests through
 * tunneld, which makes and reads the datagrams. A state machine without I/O; times are monotonic nanoseconds.
 * ctld only. */
#ifndef NEXD_CTLD_PEERING_STUN_CLIENT_H
#define NEXD_CTLD_PEERING_STUN_CLIENT_H

#include "common/netaddr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STUN_SERVERS_MIN = 2, /* symmetric NAT shows only to two */
    STUN_SERVERS_MAX = 16,
    STUN_SERVER_TEXT_MAX = 260,
    STUN_SERVER_PORT = 19302,   /* where a server's text names none */
    STUN_ANSWER_MS = 5000,      /* a question that has no answer by then has failed */
    STUN_RESEND_MS = 500,       /* first repetition, then doubling */
    STUN_START_ATTEMPTS = 4,    /* pairs of questions at the start … */
    STUN_START_PAUSE_MS = 1000, /* … with such pauses */
    STUN_INTERVAL_MS = 20000,   /* afterwards, … */
    STUN_JITTER_MS = 2000,      /* … give or take, so that a fleet does not ask in step */
    STUN_SYMMETRIC_MS =
        300000, /* behind a symmetric NAT, whose answers are of no use, the pair is asked so often */
};

struct stun_client_ops {
    /* Look a host up: stun_client_resolved() follows, later. Not NX_OK: it cannot be done now. */
    int (*resolve)(void *arg, uint32_t request, const char *host);
    /* STUN_SEND: stun_client_answered() may follow, later. Not NX_OK: lost, as a datagram may be. */
    int (*send)(void *arg, uint32_t request, const struct netsock *server);
    uint32_t (*random)(void *arg);
    /* stun_client_result() has changed, or the start is over. May not call back but for the result. */
    void (*changed)(void *arg);
};

struct stun_result {
    bool settled;             /* the start is over, with or without an address */
    bool symmetric;           /* each destination sees another address */
    struct netsock reflexive; /* family NETADDR_NONE = not known */
    const char *server;       /* who told, "host:port"; "" = the two of the start */
};

struct stun_client;
/* `servers`: "host", "host:port" or "a.b.c.d:port"; the order is made random. One that cannot be used counts
 * as one that does not answer. `assume_symmetric`: --relay-only. NULL when out of memory. */
struct stun_client *stun_client_new(const char *const *servers, size_t count, bool assume_symmetric,
                                    const struct stun_client_ops *ops, void *arg);
void stun_client_free(struct stun_client *client);

/* The addresses of a host, none = it was not found. Only IPv4 is used: so do the others. */
void stun_client_resolved(struct stun_client *client, uint32_t request, const struct netaddr *addresses,
                          size_t count, uint64_t now_ns);
/* STUN_ANSWER. */
void stun_client_answered(struct stun_client *client, uint32_t request, const struct netsock *server,
                          const struct netsock *mapped, uint64_t now_ns);
/* RESULT instead: the server refused, or tunneld would not ask it. */
void stun_client_refused(struct stun_client *client, uint32_t request, uint64_t now_ns);

/* Time has passed; the first call starts. */
void stun_client_run(struct stun_client *client, uint64_t now_ns);
uint64_t stun_client_next_ns(const struct stun_client *client);
struct stun_result stun_client_result(const struct stun_client *client);

/* What a device says of itself: always two endpoints, "local" and then "stun:…", because programs of the
 * network end themselves over a peer that has fewer. Where STUN gave nothing, the local one is said twice. */
struct stun_published {
    char source[sizeof "stun:" + STUN_SERVER_TEXT_MAX];
    char address[NETSOCK_TEXT_MAX];
};
/* NX_ENOENT: neither address is known. */
int stun_publish(const struct netsock *local, const struct stun_result *result, struct stun_published out[2]);

#endif
