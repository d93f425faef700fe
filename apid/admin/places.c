/* Whose a thing is and where: --user and --vpc. */
#include "apid/admin/commands.h"

#include "common/err.h"
#include "common/text.h"

#include <string.h>

struct only {
    struct store_user user;
    unsigned count;
};

static int count_user(void *arg, const struct store_user *user)
{
    struct only *only = arg;
    only->user = *user;
    only->count++;
    return NX_OK;
}

int admin_user_find(struct admin *admin, const char *name, struct store_user *out)
{
    char quoted[TEXT_QUOTE_MAX];
    int err = store_user_find(admin->store, name, out);
    if (err == NX_ENOENT)
        err = store_user_get(admin->store, name, out);
    if (err == NX_ENOENT)
        return admin_fail(admin, err, "there is no user %s; apid --data %s user list shows those that are",
                          text_quote(name, quoted, sizeof quoted), admin_value(admin, ADMIN_DATA));
    return err ? admin_fail_store(admin, err, "users", NULL) : NX_OK;
}

int admin_user(struct admin *admin, struct store_user *out)
{
    struct only only = {.count = 0};
    if (admin->arguments.values[ADMIN_USER])
        return admin_user_find(admin, admin->arguments.values[ADMIN_USER], out);
    int err = store_users_list(admin->store, count_user, &only);
    if (err)
        return admin_fail_store(admin, err, "users", NULL);
    if (only.count == 0)
        return admin_fail(admin, NX_ENOENT,
                          "there is no user yet; apid --data %s user add NAME --password-file FILE "
                          "makes one",
                          admin_value(admin, ADMIN_DATA));
    if (only.count > 1)
        return admin_fail(admin, NX_EINVAL, "--user NAME is needed, as there are %u users", only.count);
    *out = only.user;
    return NX_OK;
}

/* That of --vpc. */
static int vpc_named(struct admin *admin, struct store_vpc *out)
{
    char quoted[TEXT_QUOTE_MAX];
    const char *id = admin_value(admin, ADMIN_VPC);
    int err = store_vpc_get(admin->store, id, out);
    if (err == NX_ENOENT)
        return admin_fail(admin, err, "there is no VPC %s; apid --data %s vpc list shows those that are",
                          text_quote(id, quoted, sizeof quoted), admin_value(admin, ADMIN_DATA));
    return err ? admin_fail_store(admin, err, "VPCs", NULL) : NX_OK;
}

int admin_vpc(struct admin *admin, struct store_vpc *out)
{
    struct store_user user, owner;
    int err;
    if (!admin->arguments.values[ADMIN_VPC]) {
        err = admin_user(admin, &user);
        if (!err && (err = store_vpc_get(admin->store, user.id, out)) != NX_OK)
            err = admin_fail(admin, err, "user %s has no default VPC; --vpc ID is needed", user.username);
        return err;
    }
    err = vpc_named(admin, out);
    if (err || !admin->arguments.values[ADMIN_USER])
        return err;
    err = admin_user(admin, &user);
    if (err || strcmp(user.id, out->owner_id) == 0)
        return err;
    err = admin_user_find(admin, out->owner_id, &owner);
    return err ? err
               : admin_fail(admin, NX_EINVAL, "the VPC %s is %s's, not %s's: use --user %s, or another VPC",
                            out->id, owner.username, user.username, owner.username);
}

int admin_filter(struct admin *admin, struct store_filter *out)
{
    struct store_user user;
    struct store_vpc vpc;
    int err = NX_OK;
    *out = (struct store_filter){0};
    if (admin->arguments.values[ADMIN_VPC]) {
        err = vpc_named(admin, &vpc);
        memcpy(out->vpc_id, err ? "" : vpc.id, err ? 1 : sizeof vpc.id);
    }
    if (!err && admin->arguments.values[ADMIN_USER]) {
        err = admin_user(admin, &user);
        memcpy(out->owner_id, err ? "" : user.id, err ? 1 : sizeof user.id);
    }
    return err;
}
