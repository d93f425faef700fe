/* A device is what peering takes it for: what peering would not read is left out here already, so that its
 * texts can be shown, kept and sent on without another check. */
#include "common/err.h"
#include "ctld/nexodus/models_internal.h"

#include <string.h>

/* A list of prefixes: at most `max` that can be read. */
static int prefixes_get(const struct json_value *object, const char *name, const char **item, size_t max,
                        size_t *count, size_t *left_out, char *error)
{
    const struct json_value *list = NULL;
    int err = json_get_array_optional(object, name, &list, error);
    if (!err && json_count(list) > API_LIST_MAX)
        err = json_fail(list, NULL, "too long", error);
    for (const struct json_value *each = json_first(list); !err && each; each = json_next(each)) {
        struct netprefix prefix;
        const char *text;
        err = json_as_string(each, API_TEXT_MAX, &text, error);
        if (err)
            break;
        if (*count < max && netprefix_parse(text, true, &prefix) == NX_OK)
            item[(*count)++] = text;
        else
            ++*left_out;
    }
    return err;
}

static int tunnel_ip_read(const struct json_value *value, enum netaddr_family family,
                          struct api_tunnel_ip *out, bool *usable, char *error)
{
    struct netaddr addr;
    struct netprefix prefix;
    int err = json_require_object(value, error);
    if (!err)
        err = model_get_text(value, "address", &out->address, error);
    if (!err)
        err = model_get_text(value, "cidr", &out->cidr, error);
    if (err)
        return err;
    *usable = netaddr_parse(out->address, &addr) == NX_OK && addr.family == family;
    if (netprefix_parse(out->cidr, true, &prefix) != NX_OK || prefix.addr.family != family)
        out->cidr = "";
    return NX_OK;
}

static int tunnel_ips_get(const struct json_value *object, const char *name, enum netaddr_family family,
                          struct api_tunnel_ip *item, size_t *count, size_t *left_out, char *error)
{
    const struct json_value *list = NULL;
    int err = json_get_array_optional(object, name, &list, error);
    if (!err && json_count(list) > API_LIST_MAX)
        err = json_fail(list, NULL, "too long", error);
    for (const struct json_value *each = json_first(list); !err && each; each = json_next(each)) {
        struct api_tunnel_ip one;
        bool usable = false;
        err = tunnel_ip_read(each, family, &one, &usable, error);
        if (!err && usable && *count < API_TUNNEL_IPS_MAX)
            item[(*count)++] = one;
        else
            ++*left_out;
    }
    return err;
}

static int endpoints_get(const struct json_value *object, struct api_device *out, char *error)
{
    const struct json_value *list = NULL;
    int err = json_get_array_optional(object, "endpoints", &list, error);
    if (!err && json_count(list) > API_LIST_MAX)
        err = json_fail(list, NULL, "too long", error);
    for (const struct json_value *each = json_first(list); !err && each; each = json_next(each)) {
        struct peering_endpoint one = {NULL, NULL};
        struct netsock sock;
        err = json_require_object(each, error);
        if (!err)
            err = model_get_text(each, "source", &one.source, error);
        if (!err)
            err = model_get_text(each, "address", &one.address, error);
        if (err)
            break;
        if (out->endpoint_count < MEMBER_ENDPOINTS_MAX && netsock_parse(one.address, &sock) == NX_OK)
            out->endpoints[out->endpoint_count++] = one;
        else
            out->left_out++;
    }
    return err;
}

/* "" stays "" without ado: a deleted device has no key, and many have no host name. */
static void leave_out_unless(bool readable, const char **text, size_t *left_out)
{
    if (**text == '\0' || readable)
        return;
    *text = "";
    ++*left_out;
}

static bool public_key_readable(const char *text)
{
    static const uint8_t zero[KEY_BYTES];
    uint8_t key[KEY_BYTES];
    return key_parse(text, key) == NX_OK && memcmp(key, zero, KEY_BYTES) != 0;
}

static int names_get(const struct json_value *value, struct api_device *out, char *error)
{
    int err = model_get_uuid(value, "id", &out->id, error);
    if (!err)
        err = model_get_uuid_optional(value, "owner_id", &out->owner_id, error);
    if (!err)
        err = model_get_uuid_optional(value, "vpc_id", &out->vpc_id, error);
    if (!err)
        err = model_get_group_id(value, &out->security_group_id, error);
    if (!err)
        err = model_get_text(value, "public_key", &out->public_key, error);
    if (!err)
        err = model_get_text(value, "hostname", &out->hostname, error);
    if (!err)
        err = model_get_text(value, "os", &out->os, error);
    if (err)
        return err;
    leave_out_unless(public_key_readable(out->public_key), &out->public_key, &out->left_out);
    leave_out_unless(hostname_valid(out->hostname), &out->hostname, &out->left_out);
    return NX_OK;
}

static int lists_get(const struct json_value *value, struct api_device *out, char *error)
{
    int err = prefixes_get(value, "allowed_ips", out->allowed_ips, MEMBER_TUNNEL_CLAIMS,
                           &out->allowed_ip_count, &out->left_out, error);
    if (!err)
        err = prefixes_get(value, "advertise_cidrs", out->advertise_cidrs, MEMBER_ADVERTISED_MAX,
                           &out->advertise_cidr_count, &out->left_out, error);
    if (!err)
        err = tunnel_ips_get(value, "ipv4_tunnel_ips", NETADDR_V4, out->ipv4_tunnel_ips,
                             &out->ipv4_tunnel_ip_count, &out->left_out, error);
    if (!err)
        err = tunnel_ips_get(value, "ipv6_tunnel_ips", NETADDR_V6, out->ipv6_tunnel_ips,
                             &out->ipv6_tunnel_ip_count, &out->left_out, error);
    return err ? err : endpoints_get(value, out, error);
}

static int flags_get(const struct json_value *value, struct api_device *out, char *error)
{
    int err = json_get_bool_optional(value, "relay", &out->relay, error);
    if (!err)
        err = json_get_bool_optional(value, "symmetric_nat", &out->symmetric_nat, error);
    if (!err)
        err = json_get_bool_optional(value, "online", &out->online, error);
    return err ? err : model_get_revision(value, &out->revision, error);
}

int api_device_decode(const struct json_value *value, enum api_device_whose whose, struct api_device *out,
                      char *error)
{
    memset(out, 0, sizeof *out);
    out->sealed_token = "";
    int err = json_require_object(value, error);
    if (!err)
        err = names_get(value, out, error);
    if (!err)
        err = lists_get(value, out, error);
    if (!err)
        err = flags_get(value, out, error);
    if (!err && whose == API_DEVICE_OWN)
        err =
            json_get_string_optional(value, "bearer_token", API_SEALED_TOKEN_MAX, &out->sealed_token, error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

static void prefixes_write(struct json_writer *writer, const char *name, const char *const *item,
                           size_t count)
{
    json_put_array(writer, name);
    for (size_t i = 0; i < count; i++)
        json_put_string(writer, NULL, item[i]);
    json_put_end(writer);
}

static void tunnel_ips_write(struct json_writer *writer, const char *name, const struct api_tunnel_ip *item,
                             size_t count)
{
    json_put_array(writer, name);
    for (size_t i = 0; i < count; i++) {
        json_put_object(writer, NULL);
        json_put_string(writer, "address", item[i].address);
        json_put_string(writer, "cidr", item[i].cidr);
        json_put_end(writer);
    }
    json_put_end(writer);
}

void api_device_write(struct json_writer *writer, const char *name, const struct api_device *device)
{
    json_put_object(writer, name);
    json_put_string(writer, "id", device->id);
    json_put_string(writer, "owner_id", device->owner_id);
    json_put_string(writer, "vpc_id", device->vpc_id);
    json_put_string(writer, "public_key", device->public_key);
    prefixes_write(writer, "allowed_ips", device->allowed_ips, device->allowed_ip_count);
    tunnel_ips_write(writer, "ipv4_tunnel_ips", device->ipv4_tunnel_ips, device->ipv4_tunnel_ip_count);
    tunnel_ips_write(writer, "ipv6_tunnel_ips", device->ipv6_tunnel_ips, device->ipv6_tunnel_ip_count);
    prefixes_write(writer, "advertise_cidrs", device->advertise_cidrs, device->advertise_cidr_count);
    json_put_bool(writer, "relay", device->relay);
    json_put_bool(writer, "symmetric_nat", device->symmetric_nat);
    json_put_string(writer, "hostname", device->hostname);
    json_put_string(writer, "os", device->os);
    json_put_array(writer, "endpoints");
    for (size_t i = 0; i < device->endpoint_count; i++) {
        json_put_object(writer, NULL);
        json_put_string(writer, "source", device->endpoints[i].source);
        json_put_string(writer, "address", device->endpoints[i].address);
        json_put_end(writer);
    }
    json_put_end(writer);
    json_put_u64(writer, "revision", device->revision);
    json_put_string(writer, "security_group_id", device->security_group_id);
    json_put_bool(writer, "online", device->online);
    json_put_end(writer);
}

void api_device_to_peering(const struct api_device *device, struct api_peering_scratch *scratch,
                           struct peering_device *out)
{
    for (size_t i = 0; i < device->ipv4_tunnel_ip_count; i++)
        scratch->tunnel_ipv4[i] = device->ipv4_tunnel_ips[i].address;
    for (size_t i = 0; i < device->ipv6_tunnel_ip_count; i++)
        scratch->tunnel_ipv6[i] = device->ipv6_tunnel_ips[i].address;
    *out = (struct peering_device){
        .id = device->id,
        .public_key = device->public_key,
        .hostname = device->hostname,
        .tunnel_ipv4 = {scratch->tunnel_ipv4, device->ipv4_tunnel_ip_count},
        .tunnel_ipv6 = {scratch->tunnel_ipv6, device->ipv6_tunnel_ip_count},
        .allowed_ips = {device->allowed_ips, device->allowed_ip_count},
        .advertise_cidrs = {device->advertise_cidrs, device->advertise_cidr_count},
        .endpoints = device->endpoints,
        .endpoint_count = device->endpoint_count,
        .relay = device->relay,
        .symmetric_nat = device->symmetric_nat,
        .relay_type = RELAY_WIREGUARD,
    };
}
