/* A VPC for tests of peering: devices made from a number, and a tunnel that takes what is handed out and
 * answers, for the peers that the test says are up, as WireGuard would. One at a time. */
#ifndef NEXD_TESTS_PEERING_NET_H
#define NEXD_TESTS_PEERING_NET_H

#include "common/clock.h"
#include "ctld/peering/peering.h"

enum { NET_TUNNEL_MAX = 64, NET_TEXTS_MAX = 80, OWN = 0 };
#define NET_START_NS (5000 * NS_PER_S)

/* A device's texts with room for changes; `device` points into it. */
struct net_device {
    struct peering_device device;
    char id[40], key[KEY_TEXT_MAX], name[32], v4[24], v6[24];
    const char *tunnel4[1], *tunnel6[1];
    const char *allowed[NET_TEXTS_MAX], *advertised[NET_TEXTS_MAX];
    char allowed_text[2][32], local[64], reflexive[64];
    struct peering_endpoint endpoints[2];
};

struct net_peer {
    bool there, up; /* up: it answers, as long as it is there */
    uint8_t key[KEY_BYTES];
    struct netsock endpoint;
    bool via_derp;
    struct netprefix allowed[NET_TEXTS_MAX];
    size_t allowed_count;
    uint64_t handshake_ns, rx_bytes;
};

struct net {
    struct peering *peering;
    struct peering_self self;
    uint64_t now_ns;
    struct net_peer peers[NET_TUNNEL_MAX];
    bool short_of_memory; /* nothing can be set */
    unsigned sets, removes, own_told;
    struct netaddr own_v4, own_v6;
    /* Endpoints that answer, of `up_key` (NULL = whoever has them); others do not. */
    const char *up[NET_TUNNEL_MAX];
    size_t up_count;
};
extern struct net net;

/* Our device is number 0: local 10.0.0.1, reflexive 198.51.100.1, both port 51820. VPC 100.64.0.0/10,
 * 200::/64. */
void net_start(void);
void net_stop(void);
/* Device N: id and key from N, tunnel addresses 100.64.0.(N+1) and 200::(N+1), local 10.0.0.(N+1) and
 * reflexive 198.51.100.(N+1), port 51820. The key's first byte is N+1. */
struct net_device *net_device(struct net_device *device, unsigned n);
void net_endpoints(struct net_device *device, const char *local, const char *reflexive); /* NULL = none */
void net_advertise(struct net_device *device, const char *prefix);
int net_put(struct net_device *device);
/* Our own device and these, as a whole list; then a run. */
void net_list(struct net_device *const *devices, size_t count);
void net_run(void);
/* This endpoint text answers from now on; net_down() ends it. */
void net_up(const char *endpoint);
void net_down(const char *endpoint);
/* Time passes in steps of the poll, with reports and runs. */
void net_pass_s(unsigned seconds);
/* What the tunnel has of device N; NULL = nothing. */
struct net_peer *net_peer(unsigned n);
/* Texts for comparing: "" = none. "100.64.0.2/32 200::2/128" */
const char *net_endpoint(unsigned n);
const char *net_allowed(unsigned n);
const char *net_method(unsigned n);
bool net_healthy(unsigned n);
bool net_served(unsigned n);

#endif
