/* Registration keys. */
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/field.h"
#include "apid/rest/handlers.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <string.h>

static void key_answer(struct call *call, int status, const struct store_reg_key *key)
{
    struct json_out out = {0};
    model_reg_key(&out, key);
    answer_json(call->request, status, &out);
}

void reg_keys_me(struct call *call)
{
    struct store_reg_key key;
    if (call->caller.kind != CALLER_REG_KEY)
        answer_not_found(call->request, "reg key");
    else if (access_reg_key(call, call->caller.reg_key, &key))
        key_answer(call, 200, &key);
}

static int row(void *arg, const struct store_reg_key *key)
{
    struct list *const list = arg;
    if (list_wants(list))
        model_reg_key(&list->out, key);
    return NX_OK;
}

void reg_keys_list(struct call *call)
{
    struct list list;
    if (list_begin(call, &list))
        list_answer(call, &list, false, store_reg_keys_list(call->api->store, call->caller.user, row, &list));
}

void reg_keys_get(struct call *call)
{
    struct store_reg_key key;
    if (access_reg_key(call, call->params.values[0], &key))
        key_answer(call, 200, &key);
}

/* Members that are given replace what is in *key. */
static bool settings_read(struct call *call, struct store_reg_key *key)
{
    const struct json_value *const settings = json_member(call->body, "settings");
    struct json_out text = {.max = sizeof(key->settings) - 1};
    if (settings == NULL)
        return true;
    if (settings->type == JSON_NULL) {
        key->settings[0] = '\0';
        return true;
    }
    if (settings->type != JSON_OBJECT)
        return field_refuse(call, "settings", "an object is needed");
    json_value_write(&text, settings);
    const bool fits = !text.failed;
    if (fits) {
        memcpy(key->settings, text.data, text.length);
        key->settings[text.length] = '\0';
    }
    json_out_free(&text);
    return fits || field_refuse(call, "settings", "too large");
}

static bool values_read(struct call *call, struct store_reg_key *key)
{
    static struct store_security_group unused; /* large */
    char group[STORE_ID_MAX];
    const char *description;
    if (!field_text(call, call->body, "description", sizeof(key->description), &description) ||
        !field_id(call, call->body, "security_group_id", group) || !settings_read(call, key))
        return false;
    if (description)
        memcpy(key->description, description, strlen(description) + 1);
    if (json_member(call->body, "expires_at") && !field_time(call, call->body, "expires_at", &key->expires_s))
        return false;
    if (group[0] == '\0')
        return true;
    memcpy(key->security_group_id, group, sizeof(group));
    return access_security_group(call, group, "security_group_id", &unused);
}

void reg_keys_create(struct call *call)
{
    struct store_reg_key key = {0};
    struct store_error error = {0};
    struct store_vpc vpc;
    bool given, single_use;
    if (!field_id(call, call->body, "vpc_id", key.vpc_id) ||
        !field_bool(call, call->body, "single_use", &given, &single_use))
        return;
    if (key.vpc_id[0] == '\0') {
        answer_error(call->request, 400, "field not present", "vpc_id, service_network_id", NULL);
        return;
    }
    if (!access_vpc(call, key.vpc_id, "vpc", &vpc) || !values_read(call, &key))
        return;
    memcpy(key.owner_id, call->caller.user, sizeof(key.owner_id));
    const int err = store_reg_key_create(call->api->store, single_use, &key, &error);
    if (err)
        access_answer(call, err, &error, "vpc");
    else
        key_answer(call, 201, &key);
}

void reg_keys_update(struct call *call)
{
    struct store_reg_key key;
    struct store_error error = {0};
    if (!access_reg_key(call, call->params.values[0], &key) || !values_read(call, &key))
        return;
    const int err = store_reg_key_update(call->api->store, &key, &error);
    if (err)
        access_answer(call, err, &error, "reg key");
    else
        key_answer(call, 200, &key);
}

void reg_keys_delete(struct call *call)
{
    struct store_reg_key key;
    if (!access_reg_key(call, call->params.values[0], &key))
        return;
    const int err = store_reg_key_delete(call->api->store, key.id);
    if (err)
        access_answer(call, err, NULL, "reg key");
    else
        key_answer(call, 200, &key);
}
