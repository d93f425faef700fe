/* Rules are kept in the order in which they came, which is the order of load balancing and of listings. */
#include "ctld/device.h"

#include "common/array.h"
#include "common/err.h"

#include <stdlib.h>
#include <string.h>

void device_free(struct device *device)
{
    for (size_t i = 0; i < device->rule_count; i++)
        free(device->rules[i].problem);
    free(device->rules);
    *device = (struct device){0};
}

static struct device_rule *rule_find(struct device *device, uint32_t rule_id)
{
    for (size_t i = 0; i < device->rule_count; i++)
        if (device->rules[i].rule_id == rule_id)
            return &device->rules[i];
    return NULL;
}

int device_rule_add(struct device *device, const struct ipc_rule_add *message)
{
    struct device_rule *entry = rule_find(device, message->rule_id);
    if (!entry) {
        struct device_rule *grown =
            array_reserve(device->rules, &device->rule_capacity, device->rule_count + 1, sizeof *grown);
        if (!grown)
            return NX_ENOMEM;
        device->rules = grown;
        entry = &device->rules[device->rule_count++];
        entry->problem = NULL;
    }
    free(entry->problem);
    *entry = (struct device_rule){.rule_id = message->rule_id,
                                  .proxy_protocol = message->proxy_protocol,
                                  .rule = {.direction = (enum rule_direction)message->direction,
                                           .protocol = (enum rule_protocol)message->protocol,
                                           .listen_port = message->listen_port,
                                           .dest_port = message->dest_port}};
    memcpy(entry->rule.host, message->host, sizeof entry->rule.host);
    device_removed_forget(device, message->rule_id);
    return NX_OK;
}

void device_rule_problem(struct device *device, const struct ipc_rule_problem *message)
{
    struct device_rule *entry = rule_find(device, message->rule_id);
    if (!entry)
        return;
    free(entry->problem);
    entry->problem = message->text[0] ? strdup(message->text) : NULL; /* out of memory: one hint less */
}

/* The oldest makes room. */
static void removed_keep(struct device *device, const struct device_rule *entry)
{
    if (device->removed_count == DEVICE_REMOVED_MAX)
        device_removed_forget(device, device->removed[0].rule_id);
    device->removed[device->removed_count++] = *entry;
}

void device_removed_forget(struct device *device, uint32_t rule_id)
{
    for (size_t i = 0; i < device->removed_count; i++) {
        if (device->removed[i].rule_id != rule_id)
            continue;
        device->removed_count--;
        memmove(&device->removed[i], &device->removed[i + 1],
                (device->removed_count - i) * sizeof *device->removed);
        return;
    }
}

const struct device_rule *device_rule_find(const struct device *device, uint32_t rule_id, bool *removed)
{
    *removed = false;
    for (size_t i = 0; i < device->rule_count; i++)
        if (device->rules[i].rule_id == rule_id)
            return &device->rules[i];
    *removed = true;
    for (size_t i = 0; i < device->removed_count; i++)
        if (device->removed[i].rule_id == rule_id)
            return &device->removed[i];
    return NULL;
}

int device_rule_remove(struct device *device, uint32_t rule_id)
{
    struct device_rule *entry = rule_find(device, rule_id);
    if (!entry)
        return NX_ENOENT;
    free(entry->problem);
    entry->problem = NULL;
    removed_keep(device, entry);
    size_t after = (size_t)(device->rules + device->rule_count - entry) - 1;
    memmove(entry, entry + 1, after * sizeof *entry);
    device->rule_count--;
    return NX_OK;
}

const char *device_address(const struct device *device, enum netaddr_family family, char *out)
{
    for (size_t i = 0; i < device->public.addresses.count; i++)
        if (device->public.addresses.item[i].family == family)
            return netaddr_format(&device->public.addresses.item[i], out);
    out[0] = '\0';
    return out;
}
