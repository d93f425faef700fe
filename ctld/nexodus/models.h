/* The objects of the Nexodus API, decoded from JSON with every member checked, and the bodies of error
 * answers.
 *
 * All texts are borrowed from the JSON document and live as long as it. "" stands for texts that were not
 * said. A member of the wrong type, an id that is no UUID and a list beyond any sense make the whole object
 * invalid (NX_EINVAL with a message that names the member). What is of the right type but cannot be read,
 * such as an endpoint "invalid AddrPort" or a host name with blanks, is left out and counted: the other
 * programs of such networks send these, and the object is still of use. No I/O, no clock. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_MODELS_H
#define NEXD_CTLD_NEXODUS_MODELS_H

#include "common/key.h"
#include "common/netaddr.h"
#include "ctld/nexodus/json.h"
#include "ctld/nexodus/json_write.h"
#include "ctld/peering/member.h"

enum {
    UUID_TEXT_LENGTH = 36,
    API_TEXT_MAX = 1024,        /* bytes of a description, a name */
    API_SEALED_TOKEN_MAX = 512, /* a sealed token has 156 */
    API_LIST_MAX = 1024,        /* elements of a list, more make the object invalid */
    API_TUNNEL_IPS_MAX = 4,     /* per family, what is beyond is left out */
    API_RULES_MAX = 256,  /* rules of a security group and direction: one more makes the group invalid, as */
    API_RANGES_MAX = 256, /* … leaving a rule out would change its meaning; so with ranges of a rule */
};

/* A UUID in lower case with hyphens, as the API writes it. */
bool uuid_valid(const char *text);
/* The nil UUID: "no group". */
bool uuid_is_nil(const char *text);

/* -- Device -- */

struct api_tunnel_ip {
    const char *address; /* of its family */
    const char *cidr;    /* "" = not said, or cannot be read */
};
struct api_device {
    const char *id;                /* always there */
    const char *owner_id, *vpc_id; /* UUID or "" */
    const char *public_key;        /* base64 of a key, or "": deleted, or nothing that a device could have */
    const char *hostname, *os;
    const char *allowed_ips[MEMBER_TUNNEL_CLAIMS]; /* each can be read as a prefix */
    size_t allowed_ip_count;
    const char *advertise_cidrs[MEMBER_ADVERTISED_MAX];
    size_t advertise_cidr_count;
    struct api_tunnel_ip ipv4_tunnel_ips[API_TUNNEL_IPS_MAX], ipv6_tunnel_ips[API_TUNNEL_IPS_MAX];
    size_t ipv4_tunnel_ip_count, ipv6_tunnel_ip_count;
    struct peering_endpoint endpoints[MEMBER_ENDPOINTS_MAX]; /* each address can be read as IP:PORT */
    size_t endpoint_count;
    const char *security_group_id; /* UUID or ""; the nil UUID reads as "" */
    uint64_t revision;
    bool relay, symmetric_nat, online;
    const char *sealed_token; /* bearer_token; "" unless API_DEVICE_OWN was asked for */
    size_t left_out;          /* texts that could not be read, or were too many */
};
enum api_device_whose {
    API_DEVICE_ANY = 0, /* the bearer_token is not even looked at: it is for somebody else */
    API_DEVICE_OWN = 1, /* the answer to our own registration */
};
int api_device_decode(const struct json_value *value, enum api_device_whose whose, struct api_device *out,
                      char *error);
/* The object again, without bearer_token: for a cache of the last known devices. Member of `name` (NULL =
 * root or element). */
void api_device_write(struct json_writer *writer, const char *name, const struct api_device *device);

/* As peering_put() wants it. `out` borrows from `device`, which must stay where it is as long as `out` is
 * used, and the lists of tunnel addresses live in `scratch`. What its metadata says of a relay comes from
 * elsewhere: RELAY_WIREGUARD here unless the caller sets it. */
struct api_peering_scratch {
    const char *tunnel_ipv4[API_TUNNEL_IPS_MAX], *tunnel_ipv6[API_TUNNEL_IPS_MAX];
};
void api_device_to_peering(const struct api_device *device, struct api_peering_scratch *scratch,
                           struct peering_device *out);

/* -- The others -- */

struct api_vpc {
    const char *id, *organization_id; /* UUID; organization_id may be "" */
    const char *description;
    bool private_cidr;
    const char *ipv4_cidr, *ipv6_cidr; /* each a prefix of its family or ""; at least one is there */
    uint64_t revision;
};
int api_vpc_decode(const struct json_value *value, struct api_vpc *out, char *error);

struct api_reg_key {
    const char *id, *owner_id, *vpc_id; /* UUID; the last two may be "" */
    const char *device_id;              /* of a single-use key; else "" */
    const char *security_group_id;      /* UUID or ""; nil reads as "" */
    const char *description;
    uint64_t expires_at_ms; /* Unix time; 0 = never */
};
/* bearer_token is not looked at: the caller has it. */
int api_reg_key_decode(const struct json_value *value, struct api_reg_key *out, char *error);

struct api_user {
    const char *id; /* UUID; that of the user's default VPC too */
    const char *username, *full_name;
};
int api_user_decode(const struct json_value *value, struct api_user *out, char *error);

enum api_protocol {
    API_PROTOCOL_NONE = 0, /* "": allows nothing, but makes its list one that is not empty */
    API_PROTOCOL_IPV4,
    API_PROTOCOL_IPV6,
    API_PROTOCOL_TCP,
    API_PROTOCOL_UDP,
    API_PROTOCOL_ICMP,
    API_PROTOCOL_ICMPV4,
    API_PROTOCOL_ICMPV6,
};
struct api_range { /* first..last of one family; NETADDR_NONE = "", any address */
    struct netaddr first, last;
};
struct api_security_rule {
    enum api_protocol protocol;
    uint16_t from_port, to_port; /* both 0 = all, else 1 <= from <= to */
    const struct api_range *ranges;
    size_t range_count; /* 0 = any address */
};
struct api_security_group {
    const char *id, *vpc_id, *description; /* id a UUID, vpc_id one or "" */
    const struct api_security_rule *inbound, *outbound;
    size_t inbound_count, outbound_count; /* 0 = everything is allowed in that direction */
    uint64_t revision;
    void *memory; /* owns rules and ranges */
};
/* A rule that cannot be read makes the group invalid: leaving it out could empty a list, which would then
 * allow all. `out` is freed with api_security_group_free(); on an error there is nothing to free. NX_ENOMEM.
 */
int api_security_group_decode(const struct json_value *value, struct api_security_group *out, char *error);
void api_security_group_free(struct api_security_group *group);
const char *api_protocol_name(enum api_protocol protocol);

struct api_device_metadata {
    const char *device_id, *key;    /* UUID; not empty */
    const struct json_value *value; /* NULL = null or absent */
    uint64_t revision;
};
int api_device_metadata_decode(const struct json_value *value, struct api_device_metadata *out, char *error);
/* What the entry "relay" says: {"type":"derp","hostname":…,"certmodemanual":…}; any other type is a WireGuard
 * relay. `derp_hostname` (may be NULL) becomes its host name, or "" where there is none that is valid. */
enum relay_type api_relay_type(const struct api_device_metadata *metadata, const char **derp_hostname);

/* -- Error answers -- */

/* Whatever was said; "" for the rest. Texts are cut and made printable, so that they may be logged. */
struct api_error {
    char error[128], field[64], reason[96], resource[48], trace_id[40];
    char id[UUID_TEXT_LENGTH + 1]; /* of a 409: the object that exists already; "" = none that is a UUID */
};
/* Never fails: a body that is no JSON object with an "error" (the gateway sends plain text, or nothing) gives
 * its first line as `error`, or "". `reader` is used and reset; it may be NULL, then only plain text is seen.
 */
void api_error_decode(struct json_reader *reader, const char *body, size_t length, struct api_error *out);

#endif
