/* apid vpc … */
#include "apid/admin/commands.h"

#include "apid/admin/output.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <string.h>

static int vpc_print(const struct admin *admin, const struct store_vpc *vpc)
{
    struct json_out json = {0};
    if (!admin->arguments.json) {
        puts(vpc->id);
        return fflush(stdout) ? NX_ESYS : NX_OK;
    }
    model_vpc(&json, vpc);
    return output_object(&json);
}

struct listing {
    struct admin *admin;
    struct output out;
};

static int row(void *arg, const struct store_vpc *vpc)
{
    struct listing *list = arg;
    struct store_filter inside = {0};
    struct store_user owner;
    uint64_t devices = 0;
    char count[24];
    if (list->out.is_json) {
        model_vpc(&list->out.json, vpc);
        return NX_OK;
    }
    memcpy(inside.vpc_id, vpc->id, sizeof inside.vpc_id);
    int err = store_devices_count(list->admin->store, &inside, &devices);
    if (!err)
        err = store_user_get(list->admin->store, vpc->owner_id, &owner);
    snprintf(count, sizeof count, "%llu", (unsigned long long)devices);
    return err ? err
               : output_row(&list->out, (const char *const[]){
                                            vpc->id, owner.username, vpc->ipv4_cidr, vpc->ipv6_cidr,
                                            vpc->private_cidr ? "own" : "shared", count, vpc->description});
}

int vpc_list(struct admin *admin)
{
    static const char *const titles[] = {"ID",        "USER",    "IPV4",        "IPV6",
                                         "ADDRESSES", "DEVICES", "DESCRIPTION", NULL};
    struct listing list = {.admin = admin};
    struct store_filter filter;
    int err = admin_filter(admin, &filter);
    if (err)
        return err;
    output_begin(&list.out, admin->arguments.json, titles);
    err = output_end(&list.out, store_vpcs_list(admin->store, &filter, row, &list));
    return err ? admin_fail_store(admin, err, "VPCs", NULL) : NX_OK;
}

/* A flag's text into a member of `size` bytes. */
static int text_take(struct admin *admin, enum admin_flag flag, char *out, size_t size)
{
    const char *text = admin_value(admin, flag);
    if (strlen(text) >= size)
        return admin_fail(admin, NX_EINVAL, "--%s: at most %zu bytes", admin_flags[flag].name, size - 1);
    memcpy(out, text, strlen(text) + 1);
    return NX_OK;
}

int vpc_create(struct admin *admin)
{
    struct store_vpc vpc = {0};
    struct store_error error;
    struct store_user user;
    int err = admin_user(admin, &user);
    if (!err)
        err = text_take(admin, ADMIN_DESCRIPTION, vpc.description, sizeof vpc.description);
    if (!err)
        err = text_take(admin, ADMIN_IPV4_CIDR, vpc.ipv4_cidr, sizeof vpc.ipv4_cidr);
    if (!err)
        err = text_take(admin, ADMIN_IPV6_CIDR, vpc.ipv6_cidr, sizeof vpc.ipv6_cidr);
    if (err)
        return err;
    memcpy(vpc.organization_id, user.id, sizeof vpc.organization_id);
    vpc.private_cidr = admin->arguments.values[ADMIN_PRIVATE] || vpc.ipv4_cidr[0] || vpc.ipv6_cidr[0];
    err = store_vpc_create(admin->store, &vpc, &error);
    return err ? admin_fail_store(admin, err, "VPC", &error) : vpc_print(admin, &vpc);
}

int vpc_update(struct admin *admin)
{
    struct store_vpc vpc;
    char description[STORE_TEXT_MAX];
    int err = text_take(admin, ADMIN_DESCRIPTION, description, sizeof description);
    if (err)
        return err;
    err = store_vpc_set_description(admin->store, admin->arguments.operand, description, &vpc);
    if (err == NX_EINVAL)
        return admin_fail(admin, err, "--description: a control character, or no UTF-8");
    return err ? admin_fail_store(admin, err, "VPC of that id", NULL) : vpc_print(admin, &vpc);
}

int vpc_delete(struct admin *admin)
{
    struct store_vpc vpc;
    struct store_error error;
    int err = store_vpc_delete(admin->store, admin->arguments.operand, &vpc, &error);
    return err ? admin_fail_store(admin, err, "VPC of that id", &error) : vpc_print(admin, &vpc);
}
