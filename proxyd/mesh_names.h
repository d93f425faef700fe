/* Names of the mesh's devices, as ctld tells them: destinations of egress rules may use them. */
#ifndef NEXD_PROXYD_MESH_NAMES_H
#define NEXD_PROXYD_MESH_NAMES_H

#include "common/netaddr.h"

enum { MESH_NAMES_MAX = 8192, MESH_ADDRS_MAX = 2 /* one a family */ };

struct mesh_name;
struct mesh_names {
    struct mesh_name **items; /* by name */
    size_t count, capacity;
};

/* Zero-initialised it is empty. */
void mesh_names_destroy(struct mesh_names *names);
/* What this name has from now on; `count` 0: it is no device's any more. Addresses beyond MESH_ADDRS_MAX are
 * ignored. NX_EINVAL: not a host name. NX_ENOMEM: no memory, or MESH_NAMES_MAX. */
int mesh_names_set(struct mesh_names *names, const char *name, const struct netaddr *addrs, size_t count);
/* begin: every name is stale until it is set again; not begin: what is still stale is forgotten. */
void mesh_names_sync(struct mesh_names *names, bool begin);
/* The addresses of a name, in any case, into `out`; 0 = no device has it. A name with a trailing dot is the
 * DNS's alone. */
size_t mesh_names_find(const struct mesh_names *names, const char *name, struct netaddr out[MESH_ADDRS_MAX]);

#endif
