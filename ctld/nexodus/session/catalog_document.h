/* The network as it was known last, for the slot IPC_SLOT_NETWORK: with it, a restart carries traffic before
 * the control plane has answered. Pure functions. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_CATALOG_DOCUMENT_H
#define NEXD_CTLD_NEXODUS_SESSION_CATALOG_DOCUMENT_H

#include "ctld/nexodus/session/catalog.h"

/* The VPC that the device is in. */
struct session_vpc {
    char id[UUID_TEXT_LENGTH + 1];
    char ipv4_cidr[NETPREFIX_TEXT_MAX], ipv6_cidr[NETPREFIX_TEXT_MAX]; /* "" = none */
};
struct catalog_owner {
    const char *api_base;   /* at which control plane */
    const char *public_key; /* base64: whose network it is */
    const char *device_id;
};

/* The document, freed by the caller; NULL when out of memory. */
char *catalog_document_write(const struct catalog *catalog, const struct session_vpc *vpc,
                             const struct catalog_owner *owner, size_t *length);
/* Into an empty `catalog` and `vpc`, `device_id` (UUID_TEXT_LENGTH + 1 bytes). NX_EINVAL: not such a
 * document, with `error` (JSON_ERROR_MAX bytes); NX_ENOENT: another control plane's, or another key's;
 * NX_ENOMEM. Then `catalog` holds nothing. Entries that cannot be read are left out. */
int catalog_document_read(const char *text, size_t length, const struct catalog_owner *owner,
                          struct catalog *catalog, struct session_vpc *vpc, char *device_id, char *error);

/* Copies what of a VPC is kept. */
void session_vpc_set(struct session_vpc *out, const struct api_vpc *vpc);

#endif
