#include "apid/rest/model.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char nil_id[] = "00000000-0000-0000-0000-000000000000";

const char *model_time(uint64_t seconds, char out[MODEL_TIME_MAX])
{
    const time_t time = (time_t)seconds;
    struct tm utc;
    if (gmtime_r(&time, &utc) == NULL || strftime(out, MODEL_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        memcpy(out, "1970-01-01T00:00:00Z", 21);
    return out;
}

void model_user(struct json_out *out, const struct store_user *user)
{
    json_object_begin(out);
    json_put_string(out, "id", user->id);
    json_put_string(out, "full_name", user->full_name);
    json_put_string(out, "picture", "");
    json_put_string(out, "username", user->username);
    json_object_end(out);
}

void model_organization(struct json_out *out, const struct store_organization *organization)
{
    json_object_begin(out);
    json_put_string(out, "id", organization->id);
    json_put_string(out, "name", organization->name);
    json_put_string(out, "description", organization->description);
    json_object_end(out);
}

void model_vpc(struct json_out *out, const struct store_vpc *vpc)
{
    json_object_begin(out);
    json_put_string(out, "id", vpc->id);
    json_put_string(out, "organization_id", vpc->organization_id);
    json_put_string(out, "description", vpc->description);
    json_put_bool(out, "private_cidr", vpc->private_cidr);
    json_put_string(out, "ipv4_cidr", vpc->ipv4_cidr);
    json_put_string(out, "ipv6_cidr", vpc->ipv6_cidr);
    json_put_u64(out, "revision", vpc->revision);
    json_object_end(out);
}

static void tunnel_ips(struct json_out *out, const char *name, const char *address, const char *cidr)
{
    json_key(out, name);
    json_array_begin(out);
    json_object_begin(out);
    json_put_string(out, "address", address);
    json_put_string(out, "cidr", cidr);
    json_object_end(out);
    json_array_end(out);
}

/* A relay's addresses have no prefix length: so Nexodus has it, and so its clients expect it. */
static void allowed_ips(struct json_out *out, const struct store_device *device)
{
    char text[STORE_ADDRESS_MAX + 8];
    json_key(out, "allowed_ips");
    json_array_begin(out);
    snprintf(text, sizeof(text), "%s%s", device->ipv4, device->relay ? "" : "/32");
    json_string(out, text);
    snprintf(text, sizeof(text), "%s%s", device->ipv6, device->relay ? "" : "/128");
    json_string(out, text);
    json_array_end(out);
}

static void endpoints(struct json_out *out, const struct store_device *device)
{
    json_key(out, "endpoints");
    if (!device->has_endpoints) {
        json_null(out);
        return;
    }
    json_array_begin(out);
    for (unsigned i = 0; i < device->endpoint_count; i++) {
        json_object_begin(out);
        json_put_string(out, "source", device->endpoints[i].source);
        json_put_string(out, "address", device->endpoints[i].address);
        json_object_end(out);
    }
    json_array_end(out);
}

static void advertise_cidrs(struct json_out *out, const struct store_device *device)
{
    json_key(out, "advertise_cidrs");
    if (!device->has_advertise_cidrs) {
        json_null(out);
        return;
    }
    json_array_begin(out);
    for (unsigned i = 0; i < device->advertise_cidr_count; i++)
        json_string(out, device->advertise_cidrs[i]);
    json_array_end(out);
}

void model_device(struct json_out *out, const struct store_device *device, const char *sealed)
{
    char time[MODEL_TIME_MAX];
    json_object_begin(out);
    json_put_string(out, "id", device->id);
    json_put_string(out, "owner_id", device->owner_id);
    json_put_string(out, "vpc_id", device->vpc_id);
    json_put_string(out, "public_key", device->public_key);
    allowed_ips(out, device);
    tunnel_ips(out, "ipv4_tunnel_ips", device->ipv4, device->ipv4_cidr);
    tunnel_ips(out, "ipv6_tunnel_ips", device->ipv6, device->ipv6_cidr);
    advertise_cidrs(out, device);
    json_put_bool(out, "relay", device->relay);
    json_put_bool(out, "symmetric_nat", device->symmetric_nat);
    json_put_string(out, "hostname", device->hostname);
    json_put_string(out, "os", device->os);
    endpoints(out, device);
    json_put_u64(out, "revision", device->revision);
    json_put_string(out, "security_group_id",
                    device->security_group_id[0] ? device->security_group_id : nil_id);
    json_put_bool(out, "online", device->online);
    json_put_string(out, "online_at", device->online_at_s ? model_time(device->online_at_s, time) : NULL);
    if (sealed)
        json_put_string(out, "bearer_token", sealed);
    json_object_end(out);
}

void model_reg_key(struct json_out *out, const struct store_reg_key *key)
{
    char time[MODEL_TIME_MAX];
    json_object_begin(out);
    json_put_string(out, "id", key->id);
    json_put_string(out, "owner_id", key->owner_id);
    json_put_string(out, "vpc_id", key->vpc_id);
    json_put_string(out, "bearer_token", key->token);
    json_put_string(out, "description", key->description); /* also empty: nexctl fails where it is absent */
    if (key->device_id[0])
        json_put_string(out, "device_id", key->device_id);
    if (key->expires_s)
        json_put_string(out, "expires_at", model_time(key->expires_s, time));
    json_put_string(out, "security_group_id", key->security_group_id[0] ? key->security_group_id : NULL);
    json_key(out, "settings");
    if (key->settings[0])
        json_verbatim(out, key->settings, strlen(key->settings));
    else
        json_null(out);
    json_object_end(out);
}

static void rules(struct json_out *out, const char *name, const struct store_rule *list, unsigned count)
{
    if (count == 0)
        return;
    json_key(out, name);
    json_array_begin(out);
    for (unsigned i = 0; i < count; i++) {
        json_object_begin(out);
        json_put_string(out, "ip_protocol", list[i].ip_protocol);
        json_put_u64(out, "from_port", list[i].from_port);
        json_put_u64(out, "to_port", list[i].to_port);
        if (list[i].range_count) {
            json_key(out, "ip_ranges");
            json_array_begin(out);
            for (unsigned j = 0; j < list[i].range_count; j++)
                json_string(out, list[i].ranges[j]);
            json_array_end(out);
        }
        json_object_end(out);
    }
    json_array_end(out);
}

void model_security_group(struct json_out *out, const struct store_security_group *group)
{
    json_object_begin(out);
    json_put_string(out, "id", group->id);
    json_put_string(out, "description", group->description);
    json_put_string(out, "vpc_id", group->vpc_id);
    rules(out, "inbound_rules", group->inbound, group->inbound_count);
    rules(out, "outbound_rules", group->outbound, group->outbound_count);
    json_put_u64(out, "revision", group->revision);
    json_object_end(out);
}

void model_metadata(struct json_out *out, const struct store_metadata *metadata)
{
    json_object_begin(out);
    json_put_string(out, "device_id", metadata->device_id);
    json_put_string(out, "key", metadata->key);
    json_key(out, "value");
    if (metadata->value && metadata->value[0])
        json_verbatim(out, metadata->value, strlen(metadata->value));
    else
        json_null(out);
    json_put_u64(out, "revision", metadata->revision);
    json_object_end(out);
}
