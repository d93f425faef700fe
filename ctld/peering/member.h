/* A device of the VPC as far as peering needs it: the control plane's texts, read once and checked. Nothing
 * in them is trusted: what cannot be read is left out, as if it had not been said. ctld only, no I/O. */
#ifndef NEXD_CTLD_PEERING_MEMBER_H
#define NEXD_CTLD_PEERING_MEMBER_H

#include "common/key.h"
#include "common/netaddr.h"
#include "ctld/peering/claims.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MEMBER_ID_MAX = 64,         /* bytes of an id's text, its end included; a UUID has 37 */
    MEMBER_NAME_MAX = 253,      /* bytes of a host name */
    MEMBER_TUNNEL_CLAIMS = 8,   /* allowed_ips that are looked at */
    MEMBER_ADVERTISED_MAX = 64, /* advertise_cidrs that are looked at */
    MEMBER_ENDPOINTS_MAX = 16,  /* endpoints that are looked at */
};

/* What the relay's metadata entry says; without one, a relay is a WireGuard relay. */
enum relay_type { RELAY_WIREGUARD = 0, RELAY_DERP };

/* A device as the control plane describes it, in its own texts. All of it is borrowed for the call; any text
 * may be NULL, any list empty. */
struct peering_endpoint {
    const char *source, *address;
};
struct peering_texts {
    const char *const *item;
    size_t count;
};
struct peering_device {
    const char *id, *public_key, *hostname;
    struct peering_texts tunnel_ipv4, tunnel_ipv6; /* ipv4_tunnel_ips[].address, ipv6_tunnel_ips[].address */
    struct peering_texts allowed_ips, advertise_cidrs;
    const struct peering_endpoint *endpoints;
    size_t endpoint_count;
    bool relay, symmetric_nat;
    enum relay_type relay_type;
};

struct member {
    char id[MEMBER_ID_MAX];
    char hostname[MEMBER_NAME_MAX + 1]; /* "" = none, or not a host name */
    uint8_t key[KEY_BYTES];
    struct netsock local, reflexive;     /* family NETADDR_NONE = none that can be read */
    struct netaddr tunnel_v4, tunnel_v6; /* family NETADDR_NONE = none */
    bool relay, symmetric_nat;
    enum relay_type relay_type;
    struct claim *claims; /* owned */
    size_t claim_count;
};

/* NX_EINVAL: no id, or no public key that a device could have; NX_ENOMEM. Then `out` holds nothing. */
int member_read(const struct peering_device *device, struct member *out);
void member_free(struct member *member);
/* Do the two differ in nothing that bears on how the device is reached? (Host name and the like may.) */
bool member_same_path(const struct member *a, const struct member *b);

#endif
