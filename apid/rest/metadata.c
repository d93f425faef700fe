/* Metadata of devices: any JSON under a key. A registration key may write those of devices that it
 * registered. */
#include "apid/events/hub.h"
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/handlers.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <string.h>

static int row(void *arg, const struct store_metadata *metadata)
{
    struct list *const list = arg;
    if (list_wants(list))
        model_metadata(&list->out, metadata);
    return NX_OK;
}

void metadata_list(struct call *call)
{
    struct store_filter filter = {0};
    struct store_device device;
    struct list list;
    if (!access_device(call, call->params.values[0], NULL, &device) || !list_begin(call, &list))
        return;
    memcpy(filter.device_id, device.id, sizeof(filter.device_id));
    list_answer(call, &list, true, store_metadata_list(call->api->store, &filter, row, &list));
}

void vpc_metadata_list(struct call *call)
{
    struct store_filter filter = {0};
    struct store_vpc vpc;
    struct list list;
    if (!access_vpc(call, call->params.values[0], "vpc", &vpc) || !list_begin(call, &list))
        return;
    memcpy(filter.vpc_id, vpc.id, sizeof(filter.vpc_id));
    list_answer(call, &list, true, store_metadata_list(call->api->store, &filter, row, &list));
}

static void metadata_answer(struct call *call, const struct store_metadata *metadata)
{
    struct json_out out = {0};
    model_metadata(&out, metadata);
    answer_json(call->request, 200, &out);
}

/* What is missing has no body in Nexodus's answer. */
static void failed(struct call *call, int err, const struct store_error *error)
{
    if (err == NX_ENOENT)
        answer_empty(call->request, 404);
    else
        access_answer(call, err, error, "metadata");
}

void metadata_get(struct call *call)
{
    struct store_device device;
    struct store_metadata metadata;
    if (!access_device(call, call->params.values[0], NULL, &device))
        return;
    const int err = store_metadata_get(call->api->store, device.id, call->params.values[1], &metadata);
    if (err)
        failed(call, err, NULL);
    else
        metadata_answer(call, &metadata);
}

void metadata_put(struct call *call)
{
    struct store_device device;
    struct store_metadata metadata = {0};
    struct store_error error = {0};
    struct json_out value = {.max = STORE_JSON_MAX};
    if (!access_device(call, call->params.values[0], NULL, &device))
        return;
    if (call->caller.kind == CALLER_REG_KEY && strcmp(device.reg_key_id, call->caller.reg_key) != 0) {
        answer_error(call->request, 403, "reg key does not have access", NULL, NULL);
        return;
    }
    json_value_write(&value, call->body);
    json_raw(&value, "", 1);
    if (value.failed || strlen(call->params.values[1]) >= sizeof(metadata.key)) {
        json_out_free(&value);
        answer_error(call->request, 400, "invalid data in field", "value", "too large");
        return;
    }
    memcpy(metadata.device_id, device.id, sizeof(metadata.device_id));
    memcpy(metadata.key, call->params.values[1], strlen(call->params.values[1]) + 1);
    metadata.value = value.data;
    const int err = store_metadata_put(call->api->store, &metadata, &error);
    if (err) {
        failed(call, err, &error);
    } else {
        hub_changed(call->api->hub);
        metadata.value = value.data;
        metadata_answer(call, &metadata);
    }
    json_out_free(&value);
}

static void delete_one_or_all(struct call *call, const char *key)
{
    struct store_device device;
    if (!access_device(call, call->params.values[0], NULL, &device))
        return;
    const int err = store_metadata_delete(call->api->store, device.id, key);
    if (err && !(err == NX_ENOENT && key == NULL)) {
        failed(call, err, NULL);
        return;
    }
    hub_changed(call->api->hub);
    answer_empty(call->request, 204);
}

void metadata_delete(struct call *call)
{
    delete_one_or_all(call, call->params.values[1]);
}

void metadata_clear(struct call *call)
{
    delete_one_or_all(call, NULL);
}
