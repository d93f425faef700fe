/* Bodies of the requests that a device sends, in the JSON meaning that upstream's control plane knows.
 * Always two endpoints, "local" and then "stun:…": the Go peers of such a network index both and crash on
 * fewer. No I/O. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_REQUESTS_H
#define NEXD_CTLD_NEXODUS_REQUESTS_H

#include "ctld/nexodus/models.h"

enum { REQUEST_BYTES_MAX = 64 << 10 };

/* Our own endpoints. */
struct request_endpoints {
    struct netsock local; /* required */
    struct netsock
        reflexive; /* family NETADDR_NONE = STUN told nothing: the local one is sent in its place */
    const char
        *stun_server; /* "host:port" that told a change; NULL or "" at registration: the bare "stun:" */
};

struct request_device {
    const char *vpc_id, *hostname;
    const char *public_key;        /* POST only */
    const char *security_group_id; /* NULL or "" = not said */
    struct request_endpoints endpoints;
    bool relay, symmetric_nat;
    const char *const *advertise_cidrs; /* none: not said */
    size_t advertise_cidr_count;
    const char *request_ip,
        *request_ip_cidr; /* POST only: address wanted, and the VPC's ipv4_cidr; NULL = any */
};
/* POST /api/devices. `os` is "linux". NX_EINVAL: an id, key or the local endpoint is missing or malformed.
 * The text is the writer's: see json_writer_end(). */
int request_device_create(struct json_writer *writer, const struct request_device *device, const char **text,
                          size_t *length);
/* PATCH /api/devices/{id}: the same without public_key, os and ipv4_tunnel_ips. */
int request_device_update(struct json_writer *writer, const struct request_device *device, const char **text,
                          size_t *length);
/* PATCH /api/devices/{id} after a change of NAT: endpoints, and whether the NAT is symmetric. */
int request_endpoints_update(struct json_writer *writer, const struct request_endpoints *endpoints,
                             bool symmetric_nat, const char **text, size_t *length);

/* POST /api/events. One watch for each kind; a kind whose `at_tail` is set is resumed from its revision (0 =
 * from the beginning, deletions included). */
struct request_watch {
    bool at_tail;
    uint64_t gt_revision;
};
struct request_events {
    const char *vpc_id;
    struct request_watch device, security_group, device_metadata;
};
int request_events(struct json_writer *writer, const struct request_events *events, const char **text,
                   size_t *length);

/* Path of a request with a UUID in it, e.g. request_path(out, "/api/devices/", id); NX_EINVAL: not a UUID.
 * `out` has REQUEST_PATH_MAX bytes. */
enum { REQUEST_PATH_MAX = 96 };
int request_path(char *out, const char *prefix, const char *uuid);

#endif
