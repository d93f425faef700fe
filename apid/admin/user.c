/* apid user … */
#include "apid/admin/commands.h"

#include "apid/admin/input.h"
#include "apid/admin/output.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <sodium.h>
#include <string.h>

enum { PASSWORD_MAX_BYTES = 1100 }; /* a bit more than the store takes, which tells of its limit */

static int password_read(struct admin *admin, char password[PASSWORD_MAX_BYTES])
{
    char error[INPUT_ERROR_MAX];
    int err = input_secret(admin_value(admin, ADMIN_PASSWORD_FILE), password, PASSWORD_MAX_BYTES, error);
    return err ? admin_fail(admin, err, "--password-file %s", error) : NX_OK;
}

static int user_print(const struct admin *admin, const struct store_user *user)
{
    struct json_out json = {0};
    if (!admin->arguments.json) {
        puts(user->id);
        return fflush(stdout) ? NX_ESYS : NX_OK;
    }
    model_user(&json, user);
    return output_object(&json);
}

int user_add(struct admin *admin)
{
    struct store_user user;
    struct store_error error;
    char password[PASSWORD_MAX_BYTES];
    int err = password_read(admin, password);
    if (err)
        return err;
    err = store_user_create(admin->store, admin->arguments.operand, password, &user, &error);
    sodium_memzero(password, sizeof password);
    return err ? admin_fail_store(admin, err, "user", &error) : user_print(admin, &user);
}

struct listing {
    struct admin *admin;
    struct output out;
};

static int row(void *arg, const struct store_user *user)
{
    struct listing *list = arg;
    struct store_filter his = {0};
    uint64_t devices = 0;
    char count[24];
    if (list->out.is_json) {
        model_user(&list->out.json, user);
        return NX_OK;
    }
    memcpy(his.owner_id, user->id, sizeof his.owner_id);
    int err = store_devices_count(list->admin->store, &his, &devices);
    snprintf(count, sizeof count, "%llu", (unsigned long long)devices);
    return err ? err : output_row(&list->out, (const char *const[]){user->id, user->username, count});
}

int user_list(struct admin *admin)
{
    static const char *const titles[] = {"ID", "NAME", "DEVICES", NULL};
    struct listing list = {.admin = admin};
    output_begin(&list.out, admin->arguments.json, titles);
    int err = output_end(&list.out, store_users_list(admin->store, row, &list));
    return err ? admin_fail_store(admin, err, "users", NULL) : NX_OK;
}

int user_password(struct admin *admin)
{
    struct store_user user;
    struct store_error error;
    char password[PASSWORD_MAX_BYTES];
    int err = admin_user_find(admin, admin->arguments.operand, &user);
    if (!err)
        err = password_read(admin, password);
    if (err)
        return err;
    err = store_user_set_password(admin->store, user.id, password, &error);
    sodium_memzero(password, sizeof password);
    return err ? admin_fail_store(admin, err, "user", &error) : user_print(admin, &user);
}

int user_delete(struct admin *admin)
{
    struct store_user user;
    int err = admin_user_find(admin, admin->arguments.operand, &user);
    if (err)
        return err;
    err = store_user_delete(admin->store, user.id);
    return err ? admin_fail_store(admin, err, "user", NULL) : user_print(admin, &user);
}
