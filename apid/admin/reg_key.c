/* apid reg-key … The key itself is told once, when it is made. */
#include "apid/admin/commands.h"

#include "apid/admin/input.h"
#include "apid/admin/output.h"
#include "apid/rest/model.h"
#include "common/clock.h"
#include "common/err.h"

#include <sodium.h>
#include <string.h>

static uint64_t now_s(void)
{
    return clock_wall_ns() / NS_PER_S;
}

static int key_print(const struct admin *admin, const struct store_reg_key *key, const char *text)
{
    struct json_out json = {0};
    if (!admin->arguments.json) {
        puts(text);
        return fflush(stdout) ? NX_ESYS : NX_OK;
    }
    model_reg_key(&json, key);
    return output_object(&json);
}

/* What the flags say. */
static int key_read(struct admin *admin, struct store_reg_key *key)
{
    char error[INPUT_ERROR_MAX];
    struct store_vpc vpc;
    const char *description = admin_value(admin, ADMIN_DESCRIPTION);
    const char *group = admin_value(admin, ADMIN_SECURITY_GROUP);
    const char *expires = admin->arguments.values[ADMIN_EXPIRES];
    *key = (struct store_reg_key){0};
    int err = admin_vpc(admin, &vpc);
    if (err)
        return err;
    memcpy(key->owner_id, vpc.owner_id, sizeof key->owner_id);
    memcpy(key->vpc_id, vpc.id, sizeof key->vpc_id);
    if (strlen(description) >= sizeof key->description)
        return admin_fail(admin, NX_EINVAL, "--description: at most %zu bytes", sizeof key->description - 1);
    memcpy(key->description, description, strlen(description) + 1);
    if (strlen(group) >= sizeof key->security_group_id)
        return admin_fail(admin, NX_EINVAL,
                          "--security-group: an id is needed; security-group list shows them");
    memcpy(key->security_group_id, group, strlen(group) + 1);
    return expires && input_expiry(expires, now_s(), &key->expires_s, error)
               ? admin_fail(admin, NX_EINVAL, "%s", error)
               : NX_OK;
}

static int key_refused(struct admin *admin, int err, const struct store_error *error)
{
    if (err == NX_ENOENT && strcmp(error->resource, "security_group_id") == 0)
        return admin_fail(
            admin, err,
            "there is no security group %s for that VPC; apid --data %s security-group list shows those "
            "that are",
            admin_value(admin, ADMIN_SECURITY_GROUP), admin_value(admin, ADMIN_DATA));
    return admin_fail_store(admin, err, "registration key", error);
}

int reg_key_create(struct admin *admin)
{
    struct store_reg_key key;
    struct store_error error;
    int err = key_read(admin, &key);
    if (err)
        return err;
    err = store_reg_key_create(admin->store, admin->arguments.values[ADMIN_SINGLE_USE] != NULL, &key, &error);
    err = err ? key_refused(admin, err, &error) : key_print(admin, &key, key.token);
    sodium_memzero(&key, sizeof key);
    return err;
}

struct listing {
    struct admin *admin;
    struct output out;
    uint64_t now_s;
};

static int row(void *arg, const struct store_reg_key *key)
{
    struct listing *list = arg;
    char expires[MODEL_TIME_MAX + 16] = "never", time[MODEL_TIME_MAX];
    struct store_reg_key shown = *key;
    struct store_user owner;
    sodium_memzero(shown.token, sizeof shown.token);
    if (list->out.is_json) {
        model_reg_key(&list->out.json, &shown);
        return NX_OK;
    }
    if (key->expires_s)
        snprintf(expires, sizeof expires, "%s%s", model_time(key->expires_s, time),
                 key->expires_s <= list->now_s ? " (over)" : "");
    int err = store_user_get(list->admin->store, key->owner_id, &owner);
    return err ? err
               : output_row(&list->out, (const char *const[]){key->id, owner.username, key->vpc_id,
                                                              key->device_id[0] ? "one" : "many", expires,
                                                              key->description});
}

int reg_key_list(struct admin *admin)
{
    static const char *const titles[] = {"ID", "USER", "VPC", "DEVICES", "EXPIRES", "DESCRIPTION", NULL};
    struct listing list = {.admin = admin, .now_s = now_s()};
    struct store_filter filter;
    int err = admin_filter(admin, &filter);
    if (err)
        return err;
    output_begin(&list.out, admin->arguments.json, titles);
    err = output_end(&list.out, store_reg_keys_list(admin->store, filter.owner_id, row, &list));
    return err ? admin_fail_store(admin, err, "registration keys", NULL) : NX_OK;
}

int reg_key_delete(struct admin *admin)
{
    struct store_reg_key key;
    int err = store_reg_key_get(admin->store, admin->arguments.operand, &key);
    if (!err)
        err = store_reg_key_delete(admin->store, key.id);
    sodium_memzero(key.token, sizeof key.token);
    return err ? admin_fail_store(admin, err, "registration key of that id", NULL)
               : key_print(admin, &key, key.id);
}
