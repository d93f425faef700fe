/* Devices: registered, changed, deleted. */
#include "apid/store/internal.h"

#include "common/key.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key that any peer could agree with: not of small order, with which every secret would be the same. */
static int public_key_check(struct store_error *error, const char *text)
{
    static const uint8_t scalar[KEY_BYTES] = {8};
    uint8_t key[KEY_BYTES], shared[KEY_BYTES];
    if (!*text)
        return problem_field(error, "required", "public_key", "");
    if (key_parse(text, key) || crypto_scalarmult(shared, scalar, key))
        return problem_field(error, "invalid data in field", "public_key", "not a WireGuard public key");
    return NX_OK;
}

static int fields_check(struct store_error *error, unsigned changes, const struct store_device *device)
{
    char text[STORE_CIDR_MAX];
    struct netprefix prefix;
    int err = changes & STORE_DEVICE_HOSTNAME
                  ? problem_text(error, "hostname", device->hostname, sizeof device->hostname)
                  : NX_OK;
    for (unsigned i = 0; !err && changes & STORE_DEVICE_ENDPOINTS && i < device->endpoint_count; i++) {
        err = problem_text(error, "endpoints", device->endpoints[i].source, STORE_NAME_MAX);
        if (!err)
            err = problem_text(error, "endpoints", device->endpoints[i].address, STORE_ENDPOINT_MAX);
    }
    for (unsigned i = 0; !err && changes & STORE_DEVICE_ADVERTISE_CIDRS && i < device->advertise_cidr_count;
         i++) {
        snprintf(text, sizeof text, "%s", device->advertise_cidrs[i]);
        if (netprefix_parse(text, true, &prefix))
            err = problem_field(error, "invalid data in field", "advertise_cidrs", "not an IP range");
    }
    return err;
}

/* The id that a new device gets: its own, or that of its single-use key. */
static int id_choose(struct store *store, const char *reg_key_id, struct store_device *device,
                     struct store_error *error)
{
    struct store_reg_key key;
    id_make(device->id);
    if (!*reg_key_id)
        return NX_OK;
    int err = store_reg_key_get(store, reg_key_id, &key);
    if (err == NX_ENOENT)
        return problem_missing(error, "reg_key");
    if (err || !key.device_id[0])
        return err;
    struct store_device present;
    err = store_device_get(store, key.device_id, &present);
    if (err == NX_OK)
        return problem_field(error, "single use reg key exhausted", "", "");
    memcpy(device->id, key.device_id, sizeof device->id);
    /* A device of this id that was deleted makes room for the next one. */
    return err == NX_ENOENT ? query_run(store, "DELETE FROM device WHERE id = ?", "t", key.device_id) : err;
}

/* Addresses in the VPC, and the names of both. */
static int device_place(struct store *store, const struct store_vpc *vpc, struct store_device *device)
{
    struct netaddr wish, v4, v6;
    char text[NETADDR_TEXT_MAX];
    bool wished = device->ipv4[0] && netaddr_parse(device->ipv4, &wish) == NX_OK;
    int err = addresses_take(store, vpc, device->id, wished ? &wish : NULL, &v4, &v6);
    if (err)
        return err;
    snprintf(device->ipv4, sizeof device->ipv4, "%s", netaddr_format(&v4, text));
    snprintf(device->ipv6, sizeof device->ipv6, "%s", netaddr_format(&v6, text));
    memcpy(device->vpc_id, vpc->id, sizeof device->vpc_id);
    memcpy(device->organization_id, vpc->organization_id, sizeof device->organization_id);
    memcpy(device->ipv4_cidr, vpc->ipv4_cidr, sizeof device->ipv4_cidr);
    memcpy(device->ipv6_cidr, vpc->ipv6_cidr, sizeof device->ipv6_cidr);
    return NX_OK;
}

static int device_insert(struct store *store, struct store_device *device)
{
    char *endpoints = NULL, *cidrs = NULL, token[STORE_TOKEN_MAX];
    uint8_t hash[HASH_BYTES];
    int err = endpoints_write(device, &endpoints);
    if (!err)
        err = cidrs_write(device, &cidrs);
    device->revision = err ? 0 : revision_next(store);
    if (!err && device->revision == 0)
        err = NX_ESYS;
    token_make(store, "DT:", device->id, token);
    token_hash(token, hash);
    if (!err)
        err = query_run(store, "INSERT INTO device VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0,0,?,?,?,?,NULL)",
                        "tttnntttttiitthi", device->id, device->owner_id, device->vpc_id,
                        device->security_group_id, device->reg_key_id, device->public_key, device->hostname,
                        device->os, device->ipv4, device->ipv6, (int64_t)device->relay,
                        (int64_t)device->symmetric_nat, endpoints, cidrs, hash, (int64_t)device->revision);
    sodium_memzero(token, sizeof token);
    free(endpoints);
    free(cidrs);
    return err;
}

static int group_choose(struct store *store, const struct store_vpc *vpc, struct store_device *device,
                        struct store_error *error)
{
    if (device->security_group_id[0])
        return security_group_of_vpc(store, device->security_group_id, vpc->organization_id, error);
    memcpy(device->security_group_id, vpc->id, sizeof device->security_group_id);
    return NX_OK;
}

static int device_add(struct store *store, const char *reg_key_id, struct store_device *device,
                      struct store_error *error)
{
    struct store_device present;
    struct store_vpc vpc;
    int err = store_device_find_key(store, device->public_key, &present);
    if (err != NX_ENOENT)
        return err ? err : problem_exists(error, present.id);
    err = store_vpc_get(store, device->vpc_id, &vpc);
    if (err)
        return err == NX_ENOENT ? problem_missing(error, "vpc") : err;
    err = id_choose(store, reg_key_id, device, error);
    if (!err)
        err = group_choose(store, &vpc, device, error);
    if (!err)
        err = device_place(store, &vpc, device);
    return err ? err : device_insert(store, device);
}

int store_device_create(struct store *store, const char *reg_key_id, struct store_device *device,
                        struct store_error *error)
{
    *error = (struct store_error){0};
    int err = public_key_check(error, device->public_key);
    if (!err)
        err = fields_check(error, ~0u, device);
    if (!err)
        err = problem_text(error, "os", device->os, sizeof device->os);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    device->online = device->deleted = false;
    device->online_at_s = 0;
    snprintf(device->reg_key_id, sizeof device->reg_key_id, "%s", reg_key_id);
    return problem_finish(error, store_end(store, device_add(store, reg_key_id, device, error)));
}

static bool texts_differ(const char *a, const char *b)
{
    return a != b && (!a || !b || strcmp(a, b) != 0);
}

/* What is new goes from `wanted` to `device`. */
static int changes_apply(unsigned changes, const struct store_device *wanted, struct store_device *device,
                         bool *changed)
{
    char *before = NULL, *after = NULL;
    int err = NX_OK;
    if (changes & STORE_DEVICE_HOSTNAME && strcmp(device->hostname, wanted->hostname) != 0) {
        memcpy(device->hostname, wanted->hostname, sizeof device->hostname);
        *changed = true;
    }
    if (changes & STORE_DEVICE_ENDPOINTS) {
        err = endpoints_write(device, &before);
        device->has_endpoints = wanted->has_endpoints;
        device->endpoint_count = wanted->endpoint_count;
        memcpy(device->endpoints, wanted->endpoints, sizeof device->endpoints);
        err = err ? err : endpoints_write(device, &after);
        *changed |= texts_differ(before, after);
        free(before);
        free(after);
    }
    if (!err && changes & STORE_DEVICE_ADVERTISE_CIDRS) {
        before = after = NULL;
        err = cidrs_write(device, &before);
        device->has_advertise_cidrs = wanted->has_advertise_cidrs;
        device->advertise_cidr_count = wanted->advertise_cidr_count;
        memcpy(device->advertise_cidrs, wanted->advertise_cidrs, sizeof device->advertise_cidrs);
        err = err ? err : cidrs_write(device, &after);
        *changed |= texts_differ(before, after);
        free(before);
        free(after);
    }
    if (changes & STORE_DEVICE_SYMMETRIC_NAT) {
        *changed |= device->symmetric_nat != wanted->symmetric_nat;
        device->symmetric_nat = wanted->symmetric_nat;
    }
    if (changes & STORE_DEVICE_RELAY) {
        *changed |= device->relay != wanted->relay;
        device->relay = wanted->relay;
    }
    return err;
}

static int device_move(struct store *store, const char *vpc_id, struct store_device *device,
                       struct store_error *error)
{
    struct store_vpc from, to;
    int err = store_vpc_get(store, vpc_id, &to);
    if (err)
        return err == NX_ENOENT ? problem_missing(error, "vpc_id") : err;
    err = store_vpc_get(store, device->vpc_id, &from);
    if (err)
        return err;
    memcpy(device->security_group_id, to.id, sizeof device->security_group_id);
    if (!from.private_cidr && !to.private_cidr) {
        memcpy(device->vpc_id, to.id, sizeof device->vpc_id);
        memcpy(device->organization_id, to.organization_id, sizeof device->organization_id);
        return NX_OK;
    }
    err = addresses_release(store, device->id);
    device->ipv4[0] = '\0';
    return err ? err : device_place(store, &to, device);
}

static int device_write(struct store *store, struct store_device *device)
{
    char *endpoints = NULL, *cidrs = NULL;
    int err = endpoints_write(device, &endpoints);
    if (!err)
        err = cidrs_write(device, &cidrs);
    device->revision = err ? 0 : revision_next(store);
    if (!err && device->revision == 0)
        err = NX_ESYS;
    if (!err)
        err = query_run(store,
                        "UPDATE device SET vpc_id=?, security_group_id=?, hostname=?, ipv4=?, ipv6=?, "
                        "relay=?, symmetric_nat=?,"
                        " endpoints=?, advertise_cidrs=?, revision=? WHERE id=?",
                        "tntttiittit", device->vpc_id, device->security_group_id, device->hostname,
                        device->ipv4, device->ipv6, (int64_t)device->relay, (int64_t)device->symmetric_nat,
                        endpoints, cidrs, (int64_t)device->revision, device->id);
    free(endpoints);
    free(cidrs);
    return err;
}

static int device_change(struct store *store, unsigned changes, const struct store_device *wanted,
                         struct store_device *device, struct store_error *error)
{
    bool changed = false;
    int err = store_device_get(store, wanted->id, device);
    if (err)
        return err == NX_ENOENT ? problem_missing(error, "device") : err;
    err = changes_apply(changes, wanted, device, &changed);
    if (!err && changes & STORE_DEVICE_VPC && strcmp(device->vpc_id, wanted->vpc_id) != 0) {
        err = device_move(store, wanted->vpc_id, device, error);
        changed = true;
    }
    if (!err && changes & STORE_DEVICE_SECURITY_GROUP &&
        strcmp(device->security_group_id, wanted->security_group_id) != 0) {
        if (wanted->security_group_id[0])
            err = security_group_of_vpc(store, wanted->security_group_id, device->organization_id, error);
        memcpy(device->security_group_id, wanted->security_group_id, sizeof device->security_group_id);
        changed = true;
    }
    return err || !changed ? err : device_write(store, device);
}

int store_device_update(struct store *store, unsigned changes, struct store_device *device,
                        struct store_error *error)
{
    *error = (struct store_error){0};
    int err = fields_check(error, changes, device);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    const struct store_device wanted = *device;
    return problem_finish(error, store_end(store, device_change(store, changes, &wanted, device, error)));
}

int store_device_set_online(struct store *store, const char *id, bool online, uint64_t now_s)
{
    struct store_device device;
    int err = store_begin(store);
    if (err)
        return err;
    err = store_device_get(store, id, &device);
    if (!err && device.online != online) {
        uint64_t revision = revision_next(store);
        err =
            revision == 0
                ? NX_ESYS
                : query_run(store, "UPDATE device SET online = ?, online_at_s = ?, revision = ? WHERE id = ?",
                            "iiit", (int64_t)online, online ? (int64_t)now_s : (int64_t)device.online_at_s,
                            (int64_t)revision, id);
    }
    return store_end(store, err);
}

int store_device_delete(struct store *store, const char *id, struct store_device *out)
{
    struct store_device device;
    uint64_t now_s = wall_s();
    int err = store_begin(store);
    if (err)
        return err;
    err = store_device_get(store, id, &device);
    if (!err)
        err = addresses_release(store, id);
    if (!err)
        err = metadata_drop(store, id, now_s);
    if (!err && (device.revision = revision_next(store)) == 0)
        err = NX_ESYS;
    if (!err)
        err = query_run(store,
                        "UPDATE device SET deleted_s = ?, revision = ?, public_key = NULL, token_hash = "
                        "NULL, online = 0 WHERE id = ?",
                        "iit", (int64_t)now_s, (int64_t)device.revision, id);
    err = store_end(store, err);
    if (!err && out) {
        *out = device;
        out->public_key[0] = '\0';
        out->deleted = true;
        out->online = false;
    }
    return err;
}
