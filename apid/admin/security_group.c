/* apid security-group … A group is some hundred kilobytes large in the store's form, hence the places. */
#include "apid/admin/commands.h"

#include "apid/admin/input.h"
#include "apid/admin/output.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <stdlib.h>
#include <string.h>

enum { RULE_TEXT_MAX = 16 + STORE_RANGES_MAX * STORE_RANGE_MAX };

static struct store_security_group place;

static int group_print(const struct admin *admin, const struct store_security_group *group)
{
    struct json_out json = {0};
    if (!admin->arguments.json) {
        puts(group->id);
        return fflush(stdout) ? NX_ESYS : NX_OK;
    }
    model_security_group(&json, group);
    return output_object(&json);
}

struct listing {
    struct admin *admin;
    struct output out;
};

static const char *count_text(unsigned count, char out[16])
{
    snprintf(out, 16, "%u", count);
    return count ? out : "all";
}

static int row(void *arg, const struct store_security_group *group)
{
    struct listing *list = arg;
    char inbound[16], outbound[16];
    if (list->out.is_json) {
        model_security_group(&list->out.json, group);
        return NX_OK;
    }
    return output_row(
        &list->out, (const char *const[]){group->id, group->vpc_id, count_text(group->inbound_count, inbound),
                                          count_text(group->outbound_count, outbound), group->description});
}

int security_group_list(struct admin *admin)
{
    static const char *const titles[] = {"ID", "VPC", "INBOUND", "OUTBOUND", "DESCRIPTION", NULL};
    struct listing list = {.admin = admin};
    struct store_filter filter;
    int err = admin_filter(admin, &filter);
    if (err)
        return err;
    output_begin(&list.out, admin->arguments.json, titles);
    err = output_end(&list.out, store_security_groups_list(admin->store, &filter, row, &list));
    return err ? admin_fail_store(admin, err, "security groups", NULL) : NX_OK;
}

static void rules_print(const char *direction, const struct store_rule *rules, unsigned count)
{
    char text[RULE_TEXT_MAX];
    for (unsigned i = 0; i < count; i++)
        printf("%s %s\n", direction, input_rule_text(&rules[i], text, sizeof text));
    if (count == 0)
        printf("%s all\n", direction);
}

int security_group_show(struct admin *admin)
{
    int err = store_security_group_get(admin->store, admin->arguments.operand, &place);
    if (err)
        return admin_fail_store(admin, err, "security group of that id", NULL);
    if (admin->arguments.json)
        return group_print(admin, &place);
    rules_print("inbound", place.inbound, place.inbound_count);
    rules_print("outbound", place.outbound, place.outbound_count);
    return fflush(stdout) ? NX_ESYS : NX_OK;
}

static int flags_to_rules(struct admin *admin, const char *flag, const char *const *texts, unsigned count,
                          struct store_rule *out)
{
    char error[INPUT_ERROR_MAX];
    for (unsigned i = 0; i < count; i++)
        if (input_rule(texts[i], &out[i], error))
            return admin_fail(admin, NX_EINVAL, "--%s: %s", flag, error);
    return NX_OK;
}

static int file_to_rules(struct admin *admin, struct store_security_group *group, unsigned *changes)
{
    const char *path = admin->arguments.values[ADMIN_RULES];
    char error[INPUT_ERROR_MAX];
    char *text = NULL;
    size_t length;
    if (!path)
        return NX_OK;
    int err = input_file(path, &text, &length, error);
    if (err)
        return admin_fail(admin, err, "--rules %s", error);
    err = input_rules(text, length, group, changes, error);
    free(text);
    return err ? admin_fail(admin, err, "--rules %.200s: %s", path, error) : NX_OK;
}

/* Two ways to say one thing are a mistake. */
static int conflicts_check(struct admin *admin)
{
    const char *const *given = admin->arguments.values;
    if (given[ADMIN_RULES] && (given[ADMIN_INBOUND] || given[ADMIN_OUTBOUND] || given[ADMIN_NO_INBOUND] ||
                               given[ADMIN_NO_OUTBOUND]))
        return admin_fail(admin, NX_EINVAL,
                          "--rules does not go with rules on the command line; leave one out");
    if ((given[ADMIN_INBOUND] && given[ADMIN_NO_INBOUND]) ||
        (given[ADMIN_OUTBOUND] && given[ADMIN_NO_OUTBOUND]))
        return admin_fail(admin, NX_EINVAL, "rules, and --no-… of the same direction: leave one out");
    return NX_OK;
}

/* What the flags say goes to `group`, and what they speak of to *changes. */
static int group_read(struct admin *admin, struct store_security_group *group, unsigned *changes)
{
    const struct admin_arguments *given = &admin->arguments;
    const char *description = admin_value(admin, ADMIN_DESCRIPTION);
    *changes = 0;
    int err = conflicts_check(admin);
    if (!err)
        err = file_to_rules(admin, group, changes);
    if (!err)
        err = flags_to_rules(admin, "inbound", given->inbound, given->inbound_count, group->inbound);
    if (!err)
        err = flags_to_rules(admin, "outbound", given->outbound, given->outbound_count, group->outbound);
    if (err)
        return err;
    if (given->values[ADMIN_INBOUND] || given->values[ADMIN_NO_INBOUND]) {
        group->inbound_count = given->inbound_count;
        *changes |= STORE_GROUP_INBOUND;
    }
    if (given->values[ADMIN_OUTBOUND] || given->values[ADMIN_NO_OUTBOUND]) {
        group->outbound_count = given->outbound_count;
        *changes |= STORE_GROUP_OUTBOUND;
    }
    if (given->values[ADMIN_DESCRIPTION])
        *changes |= STORE_GROUP_DESCRIPTION;
    if (strlen(description) >= sizeof group->description)
        return admin_fail(admin, NX_EINVAL, "--description: at most %zu bytes",
                          sizeof group->description - 1);
    memcpy(group->description, description, strlen(description) + 1);
    return NX_OK;
}

int security_group_create(struct admin *admin)
{
    struct store_error error;
    struct store_vpc vpc;
    unsigned changes;
    memset(&place, 0, sizeof place);
    int err = group_read(admin, &place, &changes);
    if (!err)
        err = admin_vpc(admin, &vpc);
    if (err)
        return err;
    memcpy(place.vpc_id, vpc.id, sizeof place.vpc_id);
    err = store_security_group_create(admin->store, &place, &error);
    return err ? admin_fail_store(admin, err, "security group", &error) : group_print(admin, &place);
}

int security_group_update(struct admin *admin)
{
    struct store_error error;
    unsigned changes;
    memset(&place, 0, sizeof place);
    int err = group_read(admin, &place, &changes);
    if (err)
        return err;
    if (!changes)
        return admin_fail(admin, NX_EINVAL,
                          "nothing is to be changed; give --description, --inbound, --outbound, "
                          "--no-inbound, --no-outbound or --rules");
    if (strlen(admin->arguments.operand) < sizeof place.id)
        memcpy(place.id, admin->arguments.operand, strlen(admin->arguments.operand) + 1);
    err = store_security_group_update(admin->store, changes, &place, &error);
    return err ? admin_fail_store(admin, err, "security group of that id", &error)
               : group_print(admin, &place);
}

int security_group_delete(struct admin *admin)
{
    struct store_error error;
    int err = store_security_group_delete(admin->store, admin->arguments.operand, &place, &error);
    return err ? admin_fail_store(admin, err, "security group of that id", &error)
               : group_print(admin, &place);
}
