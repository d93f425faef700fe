/* What apid keeps: users, networks, devices, keys, and the revisions by which event streams go on.
 *
 * One SQLite database in the data folder, in WAL mode. Every function is one transaction; what has returned
 * NX_OK survives a power cut. Several processes may have it open (the server, and the administration's
 * commands): store_changed_elsewhere() tells the server of the others' commits.
 *
 * Every change of a VPC, device, security group or metadata entry gives it the next number of one revision
 * counter, for the whole database. A deleted object stays as a tombstone, so that streams can tell of it,
 * until store_collect().
 *
 * Functions return NX_OK or: NX_EINVAL (input; told in struct store_error), NX_ENOENT, NX_EEXIST, NX_EPERM,
 * NX_ERANGE (no address left), NX_EAGAIN (busy for longer than 5 s), NX_ENOMEM, NX_ESYS (the database
 * fails; logged). All texts are zero-terminated UTF-8; ids are UUIDs in lower case, "" = none. Times are Unix
 * seconds. Not thread-safe. apid only. */
#ifndef NEXD_APID_STORE_H
#define NEXD_APID_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_ID_MAX = 37,
    STORE_NAME_MAX = 256,
    STORE_TEXT_MAX = 1024,
    STORE_CIDR_MAX = 50,
    STORE_ADDRESS_MAX = 46,
    STORE_ENDPOINT_MAX = 64,
    STORE_KEY_MAX = 45,      /* base64 of 32 bytes */
    STORE_TOKEN_MAX = 64,    /* "RK:", "DT:" or nothing, and base64 of 32 bytes */
    STORE_ENDPOINTS_MAX = 8, /* of one device */
    STORE_CIDRS_MAX = 32,    /* advertised by one device */
    STORE_RULES_MAX = 64,    /* of one direction of a security group */
    STORE_RANGES_MAX = 32,   /* of one rule */
    STORE_RANGE_MAX = 96,
    STORE_JSON_MAX = 64 << 10, /* one metadata value */
    STORE_METADATA_MAX = 256,  /* keys of one device, tombstones among them */
    STORE_TOMBSTONE_S = 24 * 3600,
};

struct store;

/* What was wrong with a request, in the API's words. Valid where NX_OK was not returned; fields that do not
 * apply are "". */
struct store_error {
    char error[STORE_NAME_MAX]; /* "required", "invalid data in field", "resource already exists", … */
    char field[64];             /* the request's member */
    char reason[STORE_NAME_MAX];
    char resource[32];     /* NX_ENOENT: of which kind: "vpc", "device", … */
    char id[STORE_ID_MAX]; /* NX_EEXIST: the one that is there */
    bool unprocessable;    /* NX_EINVAL: 422 rather than 400 */
};

/* -- The database -- */

/* Opens or makes DIR/apid.db: folder 0700, file 0600. A folder that others can write to, a file that others
 * can read, a database of a later version, and one that is damaged are refused; `error` (STORE_TEXT_MAX
 * bytes) says why. */
int store_open(const char *dir, struct store **out, char *error);
void store_close(struct store *store);
/* True once after another process has committed since the last call. Cheap enough for ten times a second. */
bool store_changed_elsewhere(struct store *store);
/* Of the last change. */
uint64_t store_revision(struct store *store);
/* Removes tombstones, sessions and keys' devices that have been gone for STORE_TOMBSTONE_S. */
int store_collect(struct store *store, uint64_t now_s);

/* -- Secrets and sessions of the issuer -- */

/* A named text. NX_ENOENT; NX_ERANGE: `size` is too small. */
int store_secret_get(struct store *store, const char *name, char *out, size_t size);
int store_secret_put(struct store *store, const char *name, const char *value);

/* Refresh tokens: random, kept as hashes. */
int store_refresh_create(struct store *store, const char *user, const char *scope, uint64_t expires_s,
                         char token[STORE_TOKEN_MAX]);
/* Takes a token for its successor. NX_ENOENT: unknown or expired. NX_EPERM: it was taken before, so somebody
 * has stolen it: the whole session is ended. */
int store_refresh_rotate(struct store *store, const char *token, uint64_t now_s, uint64_t expires_s,
                         char user[STORE_ID_MAX], char *scope, size_t scope_size, char next[STORE_TOKEN_MAX]);

/* -- Users and organizations -- */

struct store_user {
    char id[STORE_ID_MAX];
    char username[STORE_NAME_MAX];
    char full_name[STORE_NAME_MAX];
};

struct store_organization {
    char id[STORE_ID_MAX];
    char owner_id[STORE_ID_MAX];
    char name[STORE_NAME_MAX];
    char description[STORE_TEXT_MAX];
};

/* With the user come, under the same id, an organization of his name, a default VPC (100.64.0.0/10,
 * 200::/64) and its default security group. The password is kept as Argon2id. NX_EEXIST. */
int store_user_create(struct store *store, const char *name, const char *password, struct store_user *out,
                      struct store_error *error);
/* Also takes a user's id. */
int store_user_set_password(struct store *store, const char *name, const char *password,
                            struct store_error *error);
int store_user_get(struct store *store, const char *id, struct store_user *out);
int store_user_find(struct store *store, const char *name, struct store_user *out);
/* NX_EPERM: wrong password; NX_ENOENT: no such user. Both take the time of one Argon2id. */
int store_user_verify(struct store *store, const char *name, const char *password, char id[STORE_ID_MAX]);
/* With all that is his. */
int store_user_delete(struct store *store, const char *id);
/* Calls `each` by name; what it returns but NX_OK ends the list and is returned. It may not change the store;
 * the same holds for all lists. */
int store_users_list(struct store *store, int (*each)(void *arg, const struct store_user *user), void *arg);

int store_organization_get(struct store *store, const char *id, struct store_organization *out);
int store_organization_create(struct store *store, const char *owner_id, const char *name,
                              const char *description, struct store_organization *out,
                              struct store_error *error);
/* With its VPCs. NX_EPERM: the one that came with its user. */
int store_organization_delete(struct store *store, const char *id, struct store_error *error);
/* `owner_id` "" = all. */
int store_organizations_list(struct store *store, const char *owner_id,
                             int (*each)(void *arg, const struct store_organization *organization),
                             void *arg);

/* -- VPCs -- */

struct store_vpc {
    char id[STORE_ID_MAX];
    char organization_id[STORE_ID_MAX];
    char owner_id[STORE_ID_MAX]; /* of the organization */
    char description[STORE_TEXT_MAX];
    bool private_cidr; /* has a pool of its own; else the default ranges, shared with all such VPCs */
    char ipv4_cidr[STORE_CIDR_MAX], ipv6_cidr[STORE_CIDR_MAX];
    uint64_t revision;
    bool deleted;
};

int store_vpc_get(struct store *store, const char *id, struct store_vpc *out);
/* organization_id, description, private_cidr and ranges of `vpc` are taken ("" = default range); the rest is
 * filled in. Makes its default security group, under its id. */
int store_vpc_create(struct store *store, struct store_vpc *vpc, struct store_error *error);
int store_vpc_set_description(struct store *store, const char *id, const char *description,
                              struct store_vpc *out);
/* NX_EPERM: devices still use it, or it is a default VPC. */
int store_vpc_delete(struct store *store, const char *id, struct store_vpc *out, struct store_error *error);

/* What a list or feed is narrowed to; "" and 0 do not narrow. */
struct store_filter {
    char owner_id[STORE_ID_MAX];
    char organization_id[STORE_ID_MAX];
    char vpc_id[STORE_ID_MAX];
    char device_id[STORE_ID_MAX]; /* metadata */
    const char *key;              /* metadata: NULL = any */
    bool with_deleted;            /* tombstones too */
    uint64_t after_revision;      /* only greater ones; then the order is by revision, else by creation */
    unsigned limit;               /* 0 = none */
};

int store_vpcs_list(struct store *store, const struct store_filter *filter,
                    int (*each)(void *arg, const struct store_vpc *vpc), void *arg);

/* -- Devices -- */

struct store_endpoint {
    char source[STORE_NAME_MAX];
    char address[STORE_ENDPOINT_MAX];
};

struct store_device {
    char id[STORE_ID_MAX];
    char owner_id[STORE_ID_MAX];
    char vpc_id[STORE_ID_MAX];
    char organization_id[STORE_ID_MAX];
    char security_group_id[STORE_ID_MAX];
    char reg_key_id[STORE_ID_MAX];  /* that it was registered with; "" = by a user */
    char public_key[STORE_KEY_MAX]; /* "" once deleted */
    char hostname[STORE_NAME_MAX];
    char os[STORE_NAME_MAX];
    char ipv4[STORE_ADDRESS_MAX], ipv4_cidr[STORE_CIDR_MAX]; /* its address, its VPC's range */
    char ipv6[STORE_ADDRESS_MAX], ipv6_cidr[STORE_CIDR_MAX];
    bool relay, symmetric_nat, online;
    uint64_t online_at_s;                    /* 0 = never */
    bool has_endpoints, has_advertise_cidrs; /* false: null in JSON */
    unsigned endpoint_count, advertise_cidr_count;
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    char advertise_cidrs[STORE_CIDRS_MAX][STORE_CIDR_MAX];
    uint64_t revision;
    bool deleted;
};

/* Registers `device`: owner_id, vpc_id, public_key, hostname, os, endpoints, advertise_cidrs, relay,
 * symmetric_nat, security_group_id ("" = the VPC's default) and ipv4 (a wish: "" or taken or outside the
 * range = the next free one) are taken, the rest is filled in. `reg_key_id`: the key that it is registered
 * with, or
 * "": a single-use key gives the device its id, and is exhausted for other public keys (NX_EINVAL, "single
 * use reg key exhausted"). NX_EEXIST: another device, of whomever, has that public key. The public key has to
 * be 32 bytes in base64, and no point of small order. */
int store_device_create(struct store *store, const char *reg_key_id, struct store_device *device,
                        struct store_error *error);

/* Which members of `device` are meant. */
enum store_device_change {
    STORE_DEVICE_HOSTNAME = 1 << 0,
    STORE_DEVICE_ENDPOINTS = 1 << 1,
    STORE_DEVICE_ADVERTISE_CIDRS = 1 << 2,
    STORE_DEVICE_SYMMETRIC_NAT = 1 << 3,
    STORE_DEVICE_RELAY = 1 << 4,
    STORE_DEVICE_SECURITY_GROUP = 1 << 5,
    STORE_DEVICE_VPC = 1 << 6, /* it moves; its addresses change where the pools differ */
};
/* `device` has the id and the new values; it gets all of the rest. Nothing new = no new revision. */
int store_device_update(struct store *store, unsigned changes, struct store_device *device,
                        struct store_error *error);
int store_device_set_online(struct store *store, const char *id, bool online, uint64_t now_s);
int store_device_get(struct store *store, const char *id, struct store_device *out);
int store_device_find_key(struct store *store, const char *public_key, struct store_device *out);
/* Its token, key and addresses are void at once. `out` (may be NULL) is the tombstone. */
int store_device_delete(struct store *store, const char *id, struct store_device *out);
int store_devices_list(struct store *store, const struct store_filter *filter,
                       int (*each)(void *arg, const struct store_device *device), void *arg);
/* How many would be listed. */
int store_devices_count(struct store *store, const struct store_filter *filter, uint64_t *out);

/* A device's token is the same for its life: "DT:…", made from its id and a secret of the store. */
int store_device_token(struct store *store, const char *id, char token[STORE_TOKEN_MAX]);
/* NX_ENOENT: no device, or none any more, has that token. */
int store_device_by_token(struct store *store, const char *token, struct store_device *out);

/* -- Registration keys -- */

struct store_reg_key {
    char id[STORE_ID_MAX];
    char owner_id[STORE_ID_MAX];
    char vpc_id[STORE_ID_MAX];
    char security_group_id[STORE_ID_MAX];
    char device_id[STORE_ID_MAX]; /* single-use: the id that its device will have; "" = any number */
    char description[STORE_TEXT_MAX];
    char settings[STORE_TEXT_MAX]; /* a JSON object, or "" = null */
    uint64_t expires_s;            /* 0 = never */
    char token[STORE_TOKEN_MAX];   /* "RK:…" */
};

/* owner_id, vpc_id ("" = the owner's default VPC), security_group_id, description, settings, expires_s are
 * taken; `single_use` gives it a device id. */
int store_reg_key_create(struct store *store, bool single_use, struct store_reg_key *key,
                         struct store_error *error);
int store_reg_key_get(struct store *store, const char *id, struct store_reg_key *out);
/* NX_ENOENT: no such key. NX_ETIMEDOUT: expired; `out` is filled in. */
int store_reg_key_by_token(struct store *store, const char *token, uint64_t now_s, struct store_reg_key *out);
/* description, security_group_id, settings and expires_s are taken from `key`. */
int store_reg_key_update(struct store *store, struct store_reg_key *key, struct store_error *error);
int store_reg_key_delete(struct store *store, const char *id);
/* `owner_id` "" = all. */
int store_reg_keys_list(struct store *store, const char *owner_id,
                        int (*each)(void *arg, const struct store_reg_key *key), void *arg);

/* -- Security groups -- */

struct store_rule {
    char ip_protocol[8]; /* "", ipv4, ipv6, tcp, udp, icmp, icmpv4, icmpv6 */
    uint16_t from_port, to_port;
    unsigned range_count;
    char ranges[STORE_RANGES_MAX][STORE_RANGE_MAX]; /* "", an address, a CIDR, or A-B */
};

struct store_security_group {
    char id[STORE_ID_MAX];
    char vpc_id[STORE_ID_MAX];
    char organization_id[STORE_ID_MAX];
    char description[STORE_TEXT_MAX];
    unsigned inbound_count, outbound_count;
    struct store_rule inbound[STORE_RULES_MAX], outbound[STORE_RULES_MAX];
    uint64_t revision;
    bool deleted;
};

int store_security_group_get(struct store *store, const char *id, struct store_security_group *out);
/* vpc_id, description and rules are taken. A rule that cannot be: NX_EINVAL, unprocessable, field "protocol",
 * "port_range", "ip_range" or "rule". */
int store_security_group_create(struct store *store, struct store_security_group *group,
                                struct store_error *error);
enum store_security_group_change {
    STORE_GROUP_DESCRIPTION = 1 << 0,
    STORE_GROUP_INBOUND = 1 << 1,
    STORE_GROUP_OUTBOUND = 1 << 2,
};
/* `group` has the id and the new values; it gets all of the rest. Nothing new = no new revision. */
int store_security_group_update(struct store *store, unsigned changes, struct store_security_group *group,
                                struct store_error *error);
/* NX_EPERM: a VPC's default group, or one in use ("operation not allowed"). */
int store_security_group_delete(struct store *store, const char *id, struct store_security_group *out,
                                struct store_error *error);
int store_security_groups_list(struct store *store, const struct store_filter *filter,
                               int (*each)(void *arg, const struct store_security_group *group), void *arg);

/* -- Metadata of devices -- */

struct store_metadata {
    char device_id[STORE_ID_MAX];
    char vpc_id[STORE_ID_MAX];
    char key[STORE_NAME_MAX];
    const char
        *value; /* JSON text, at most STORE_JSON_MAX bytes; of a list or get: valid until the next call */
    uint64_t revision;
    bool deleted;
};

int store_metadata_get(struct store *store, const char *device_id, const char *key,
                       struct store_metadata *out);
/* device_id, key and value are taken. NX_EPERM: the device has STORE_METADATA_MAX others. */
int store_metadata_put(struct store *store, struct store_metadata *metadata, struct store_error *error);
/* `key` NULL = all of the device. */
int store_metadata_delete(struct store *store, const char *device_id, const char *key);
int store_metadata_list(struct store *store, const struct store_filter *filter,
                        int (*each)(void *arg, const struct store_metadata *metadata), void *arg);

#endif
