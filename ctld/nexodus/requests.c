/* Members are written in the order of their names, as upstream's client does; nothing depends on it. */
#include "ctld/nexodus/requests.h"

#include "common/err.h"

#include <stdio.h>
#include <string.h>

enum { STUN_SERVER_MAX = 300 };

static bool given(const char *text)
{
    return text && text[0] != '\0';
}

static bool endpoints_valid(const struct request_endpoints *endpoints)
{
    return endpoints->local.addr.family != NETADDR_NONE && endpoints->local.port != 0 &&
           (!endpoints->stun_server || strlen(endpoints->stun_server) < STUN_SERVER_MAX);
}

static void endpoint_put(struct json_writer *writer, const struct netsock *sock, const char *source)
{
    char text[NETSOCK_TEXT_MAX];
    json_put_object(writer, NULL);
    json_put_string(writer, "address", netsock_format(sock, text));
    json_put_string(writer, "source", source);
    json_put_end(writer);
}

/* Always two: see the header. */
static void endpoints_put(struct json_writer *writer, const struct request_endpoints *endpoints)
{
    char source[STUN_SERVER_MAX + 8];
    const bool known = endpoints->reflexive.addr.family != NETADDR_NONE && endpoints->reflexive.port != 0;
    snprintf(source, sizeof source, "stun:%s", endpoints->stun_server ? endpoints->stun_server : "");
    json_put_array(writer, "endpoints");
    endpoint_put(writer, &endpoints->local, "local");
    endpoint_put(writer, known ? &endpoints->reflexive : &endpoints->local, source);
    json_put_end(writer);
}

static bool prefixes_valid(const char *const *item, size_t count)
{
    struct netprefix prefix;
    for (size_t i = 0; i < count; i++)
        if (netprefix_parse(item[i], true, &prefix) != NX_OK)
            return false;
    return true;
}

static bool device_valid(const struct request_device *device)
{
    return device->vpc_id && uuid_valid(device->vpc_id) && endpoints_valid(&device->endpoints) &&
           (!given(device->security_group_id) || uuid_valid(device->security_group_id)) &&
           prefixes_valid(device->advertise_cidrs, device->advertise_cidr_count);
}

/* What only a new device says. */
static bool creation_valid(const struct request_device *device)
{
    uint8_t key[KEY_BYTES];
    struct netaddr addr;
    if (!device->public_key || key_parse(device->public_key, key) != NX_OK)
        return false;
    return !given(device->request_ip) ||
           (netaddr_parse(device->request_ip, &addr) == NX_OK && addr.family == NETADDR_V4 &&
            given(device->request_ip_cidr) && prefixes_valid(&device->request_ip_cidr, 1));
}

static void request_ip_put(struct json_writer *writer, const struct request_device *device)
{
    json_put_array(writer, "ipv4_tunnel_ips");
    json_put_object(writer, NULL);
    json_put_string(writer, "address", device->request_ip);
    json_put_string(writer, "cidr", device->request_ip_cidr);
    json_put_end(writer);
    json_put_end(writer);
}

static int device_write(struct json_writer *writer, const struct request_device *device, bool creation,
                        const char **text, size_t *length)
{
    if (!device_valid(device) || (creation && !creation_valid(device)))
        return NX_EINVAL;
    json_put_object(writer, NULL);
    if (device->advertise_cidr_count > 0) {
        json_put_array(writer, "advertise_cidrs");
        for (size_t i = 0; i < device->advertise_cidr_count; i++)
            json_put_string(writer, NULL, device->advertise_cidrs[i]);
        json_put_end(writer);
    }
    endpoints_put(writer, &device->endpoints);
    if (given(device->hostname))
        json_put_string(writer, "hostname", device->hostname);
    if (creation && given(device->request_ip))
        request_ip_put(writer, device);
    if (creation) {
        json_put_string(writer, "os", "linux");
        json_put_string(writer, "public_key", device->public_key);
    }
    json_put_bool(writer, "relay", device->relay);
    if (given(device->security_group_id))
        json_put_string(writer, "security_group_id", device->security_group_id);
    json_put_bool(writer, "symmetric_nat", device->symmetric_nat);
    json_put_string(writer, "vpc_id", device->vpc_id);
    json_put_end(writer);
    return json_writer_end(writer, text, length);
}

int request_device_create(struct json_writer *writer, const struct request_device *device, const char **text,
                          size_t *length)
{
    return device_write(writer, device, true, text, length);
}

int request_device_update(struct json_writer *writer, const struct request_device *device, const char **text,
                          size_t *length)
{
    return device_write(writer, device, false, text, length);
}

int request_endpoints_update(struct json_writer *writer, const struct request_endpoints *endpoints,
                             bool symmetric_nat, const char **text, size_t *length)
{
    if (!endpoints_valid(endpoints))
        return NX_EINVAL;
    json_put_object(writer, NULL);
    endpoints_put(writer, endpoints);
    json_put_bool(writer, "symmetric_nat", symmetric_nat);
    json_put_end(writer);
    return json_writer_end(writer, text, length);
}

static void watch_put(struct json_writer *writer, const char *kind, const char *vpc_id,
                      const struct request_watch *watch)
{
    json_put_object(writer, NULL);
    if (watch->at_tail)
        json_put_bool(writer, "at_tail", true);
    if (watch->gt_revision > 0)
        json_put_u64(writer, "gt_revision", watch->gt_revision);
    json_put_string(writer, "kind", kind);
    json_put_object(writer, "options");
    if (strcmp(kind, "device-metadata") == 0) {
        json_put_string(writer, "key", "relay");
        json_put_null(writer, "prefixes");
    }
    json_put_string(writer, "vpc-id", vpc_id);
    json_put_end(writer);
    json_put_end(writer);
}

int request_events(struct json_writer *writer, const struct request_events *events, const char **text,
                   size_t *length)
{
    if (!events->vpc_id || !uuid_valid(events->vpc_id))
        return NX_EINVAL;
    json_put_array(writer, NULL);
    watch_put(writer, "security-group", events->vpc_id, &events->security_group);
    watch_put(writer, "device", events->vpc_id, &events->device);
    watch_put(writer, "device-metadata", events->vpc_id, &events->device_metadata);
    json_put_end(writer);
    return json_writer_end(writer, text, length);
}

int request_path(char *out, const char *prefix, const char *uuid)
{
    if (!uuid_valid(uuid) || strlen(prefix) + UUID_TEXT_LENGTH >= REQUEST_PATH_MAX)
        return NX_EINVAL;
    snprintf(out, REQUEST_PATH_MAX, "%s%s", prefix, uuid);
    return NX_OK;
}
