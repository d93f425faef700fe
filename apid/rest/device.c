/* Devices. The sealed token is given to those only who register or reconnect the device, and to the device
 * itself; never in lists or streams. */
#include "apid/events/hub.h"
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/field.h"
#include "apid/rest/handlers.h"
#include "apid/rest/model.h"
#include "apid/rest/sealed_token.h"
#include "apid/rest/watchers.h"
#include "common/err.h"
#include "common/key.h"

#include <sodium.h>
#include <string.h>

/* False: the device's token cannot be told, which for a stored device does not happen. */
static bool token_seal(struct call *call, const struct store_device *device, char out[SEALED_TOKEN_MAX])
{
    uint8_t key[KEY_BYTES];
    char token[STORE_TOKEN_MAX];
    int err = store_device_token(call->api->store, device->id, token);
    if (!err)
        err = key_parse(device->public_key, key);
    if (!err)
        err = sealed_token_make(key, token, out);
    sodium_memzero(token, sizeof(token));
    return err == NX_OK;
}

static void device_answer(struct call *call, int status, const struct store_device *device, bool with_token)
{
    struct json_out out = {0};
    char sealed[SEALED_TOKEN_MAX];
    if (with_token && !token_seal(call, device, sealed)) {
        answer_internal(call->request, "a device's token cannot be sealed");
        return;
    }
    model_device(&out, device, with_token ? sealed : NULL);
    answer_json(call->request, status, &out);
}

static int row(void *arg, const struct store_device *device)
{
    struct list *const list = arg;
    if (list_wants(list))
        model_device(&list->out, device, NULL);
    return NX_OK;
}

static void list(struct call *call, const struct store_filter *filter, bool total)
{
    struct list all;
    if (list_begin(call, &all))
        list_answer(call, &all, total, store_devices_list(call->api->store, filter, row, &all));
}

void devices_list(struct call *call)
{
    struct store_filter filter = {0};
    memcpy(filter.owner_id, call->caller.user, sizeof(filter.owner_id));
    list(call, &filter, false);
}

void vpc_devices_list(struct call *call)
{
    struct store_filter filter = {0};
    struct store_vpc vpc;
    if (!access_vpc(call, call->params.values[0], "vpc", &vpc))
        return;
    memcpy(filter.vpc_id, vpc.id, sizeof(filter.vpc_id));
    list(call, &filter, true);
}

/* The device itself, and the key that it was registered with. */
static bool may_have_token(const struct caller *caller, const struct store_device *device)
{
    return (caller->kind == CALLER_DEVICE && strcmp(caller->device, device->id) == 0) ||
           (caller->kind == CALLER_REG_KEY && strcmp(caller->reg_key, device->reg_key_id) == 0);
}

void devices_get(struct call *call)
{
    struct store_device device;
    if (access_device(call, call->params.values[0], NULL, &device))
        device_answer(call, 200, &device, may_have_token(&call->caller, &device));
}

/* Members that both creating and updating know. `changes` collects which are there. False: answered. */
static bool endpoints_read(struct call *call, struct store_device *device, unsigned *changes)
{
    const struct json_value *array;
    if (!field_array(call, call->body, "endpoints", &array))
        return false;
    for (const struct json_value *one = array ? array->child : NULL; one; one = one->next) {
        struct store_endpoint *const endpoint = &device->endpoints[device->endpoint_count];
        if (device->endpoint_count == STORE_ENDPOINTS_MAX)
            return field_refuse(call, "endpoints", "too many");
        if (one->type != JSON_OBJECT)
            return field_refuse(call, "endpoints", "objects are needed");
        if (!field_copy(call, one, "source", endpoint->source, sizeof(endpoint->source)) ||
            !field_copy(call, one, "address", endpoint->address, sizeof(endpoint->address)))
            return false;
        device->endpoint_count++;
    }
    if (device->endpoint_count > 0) {
        device->has_endpoints = true;
        *changes |= STORE_DEVICE_ENDPOINTS;
    }
    return true;
}

static bool cidrs_read(struct call *call, struct store_device *device, unsigned *changes)
{
    const struct json_value *array;
    if (!field_array(call, call->body, "advertise_cidrs", &array))
        return false;
    if (array == NULL)
        return true;
    for (const struct json_value *one = array->child; one; one = one->next) {
        if (device->advertise_cidr_count == STORE_CIDRS_MAX)
            return field_refuse(call, "advertise_cidrs", "too many");
        if (one->type != JSON_STRING || one->length >= STORE_CIDR_MAX)
            return field_refuse(call, "advertise_cidrs", "prefixes are needed");
        memcpy(device->advertise_cidrs[device->advertise_cidr_count++], one->text, one->length + 1);
    }
    device->has_advertise_cidrs = true;
    *changes |= STORE_DEVICE_ADVERTISE_CIDRS;
    return true;
}

static bool values_read(struct call *call, struct store_device *device, unsigned *changes)
{
    bool relay_given, nat_given;
    *changes = 0;
    if (!endpoints_read(call, device, changes) || !cidrs_read(call, device, changes) ||
        !field_copy(call, call->body, "hostname", device->hostname, sizeof(device->hostname)) ||
        !field_id(call, call->body, "vpc_id", device->vpc_id) ||
        !field_id(call, call->body, "security_group_id", device->security_group_id) ||
        !field_bool(call, call->body, "relay", &relay_given, &device->relay) ||
        !field_bool(call, call->body, "symmetric_nat", &nat_given, &device->symmetric_nat))
        return false;
    *changes |= device->hostname[0] ? STORE_DEVICE_HOSTNAME : 0;
    *changes |= device->vpc_id[0] ? STORE_DEVICE_VPC : 0;
    *changes |= device->security_group_id[0] ? STORE_DEVICE_SECURITY_GROUP : 0;
    *changes |= relay_given ? STORE_DEVICE_RELAY : 0;
    *changes |= nat_given ? STORE_DEVICE_SYMMETRIC_NAT : 0;
    return true;
}

/* At most one wish, as {"address":…,"cidr":…}. */
static bool wish_read(struct call *call, struct store_device *device)
{
    const struct json_value *array;
    if (!field_array(call, call->body, "ipv4_tunnel_ips", &array))
        return false;
    const struct json_value *const first = array ? array->child : NULL;
    if (first && first->next) {
        answer_error(call->request, 400, "can only specify a single IPv4 address request", "tunnel_ips_v4",
                     NULL);
        return false;
    }
    return first == NULL || field_copy(call, first, "address", device->ipv4, sizeof(device->ipv4));
}

/* A registration key leads into its own VPC only. */
static bool vpc_check(struct call *call, const char *vpc)
{
    if (call->caller.kind != CALLER_REG_KEY || strcmp(call->caller.vpc, vpc) == 0)
        return true;
    answer_error(call->request, 400, "does not match the reg key vpc_id", "vpc_id", NULL);
    return false;
}

/* A group has to be the caller's; answered as unknown otherwise. */
static bool group_check(struct call *call, const char *group)
{
    static struct store_security_group unused; /* large */
    return group[0] == '\0' || access_security_group(call, group, "security_group_id", &unused);
}

static bool absent(struct call *call, const char *field)
{
    answer_error(call->request, 400, "field not present", field, NULL);
    return false;
}

static bool new_read(struct call *call, struct store_device *device)
{
    unsigned changes;
    const char *public_key;
    if (!field_text(call, call->body, "public_key", 256, &public_key))
        return false;
    if (public_key == NULL || *public_key == '\0')
        return absent(call, "public_key");
    if (!values_read(call, device, &changes) || !wish_read(call, device) ||
        !field_copy(call, call->body, "os", device->os, sizeof(device->os)))
        return false;
    if (device->vpc_id[0] == '\0')
        return absent(call, "vpc_id");
    if (strlen(public_key) >= sizeof(device->public_key)) {
        answer_error(call->request, 400, "invalid data in field", "public_key", "not 32 bytes in base64");
        return false;
    }
    memcpy(device->public_key, public_key, strlen(public_key) + 1);
    memcpy(device->owner_id, call->caller.user, sizeof(device->owner_id));
    if (device->security_group_id[0] == '\0')
        memcpy(device->security_group_id, call->caller.security_group, sizeof(device->security_group_id));
    return true;
}

void devices_create(struct call *call)
{
    struct store_device device = {0};
    struct store_error error = {0};
    struct store_vpc vpc;
    if (!new_read(call, &device) || !access_vpc(call, device.vpc_id, "vpc", &vpc) ||
        !vpc_check(call, vpc.id) || !group_check(call, device.security_group_id))
        return;
    const int err = store_device_create(call->api->store, call->caller.reg_key, &device, &error);
    if (err) {
        access_answer(call, err, &error, "vpc");
        return;
    }
    hub_changed(call->api->hub);
    device_answer(call, 201, &device, true);
}

/* Users: all devices of theirs; keys: those that they registered; devices: themselves. */
static bool may_update(struct call *call, const struct store_device *device)
{
    if (call->caller.kind == CALLER_USER || may_have_token(&call->caller, device))
        return true;
    answer_error(call->request, 403, "reg key does not have access", NULL, NULL);
    return false;
}

void devices_update(struct call *call)
{
    struct store_device present, device = {0};
    struct store_error error = {0};
    struct store_vpc vpc;
    unsigned changes;
    if (!access_device(call, call->params.values[0], "device", &present) || !may_update(call, &present) ||
        !values_read(call, &device, &changes))
        return;
    if ((changes & STORE_DEVICE_VPC) &&
        (!access_vpc(call, device.vpc_id, "vpc_id", &vpc) || !vpc_check(call, device.vpc_id)))
        return;
    if (!group_check(call, device.security_group_id))
        return;
    memcpy(device.id, present.id, sizeof(device.id));
    const int err = store_device_update(call->api->store, changes, &device, &error);
    if (err) {
        access_answer(call, err, &error, "device");
        return;
    }
    hub_changed(call->api->hub);
    device_answer(call, 200, &device, true);
}

void devices_delete(struct call *call)
{
    struct store_device device;
    if (!access_device(call, call->params.values[0], "device", &device))
        return;
    const int err = store_device_delete(call->api->store, device.id, &device);
    if (err) {
        access_answer(call, err, NULL, "device");
        return;
    }
    watchers_check(call->api->watchers);
    hub_changed(call->api->hub);
    device_answer(call, 200, &device, false);
}
