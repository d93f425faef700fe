/* VPCs: networks with address ranges. */
#include "apid/events/hub.h"
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/field.h"
#include "apid/rest/handlers.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <string.h>

static void vpc_answer(struct call *call, int status, const struct store_vpc *vpc)
{
    struct json_out out = {0};
    model_vpc(&out, vpc);
    answer_json(call->request, status, &out);
}

static int row(void *arg, const struct store_vpc *vpc)
{
    struct list *const list = arg;
    if (list_wants(list))
        model_vpc(&list->out, vpc);
    return NX_OK;
}

void vpcs_list(struct call *call)
{
    struct store_filter filter = {0};
    struct list list;
    memcpy(filter.owner_id, call->caller.user, sizeof(filter.owner_id));
    if (list_begin(call, &list))
        list_answer(call, &list, false, store_vpcs_list(call->api->store, &filter, row, &list));
}

void vpcs_get(struct call *call)
{
    struct store_vpc vpc;
    if (access_vpc(call, call->params.values[0], "vpc", &vpc))
        vpc_answer(call, 200, &vpc);
}

void vpcs_create(struct call *call)
{
    struct store_vpc vpc = {0};
    struct store_error error = {0};
    struct store_organization organization;
    bool given;
    if (!field_id(call, call->body, "organization_id", vpc.organization_id) ||
        !field_copy(call, call->body, "description", vpc.description, sizeof(vpc.description)) ||
        !field_bool(call, call->body, "private_cidr", &given, &vpc.private_cidr) ||
        !field_copy(call, call->body, "ipv4_cidr", vpc.ipv4_cidr, sizeof(vpc.ipv4_cidr)) ||
        !field_copy(call, call->body, "ipv6_cidr", vpc.ipv6_cidr, sizeof(vpc.ipv6_cidr)))
        return;
    if (vpc.organization_id[0] == '\0') {
        answer_error(call->request, 400, "field not present", "organization_id", NULL);
        return;
    }
    if (!access_organization(call, vpc.organization_id, "organization", &organization))
        return;
    const int err = store_vpc_create(call->api->store, &vpc, &error);
    if (err) {
        access_answer(call, err, &error, "vpc");
        return;
    }
    hub_changed(call->api->hub);
    vpc_answer(call, 201, &vpc);
}

void vpcs_update(struct call *call)
{
    const char *description;
    struct store_vpc vpc;
    if (!access_vpc(call, call->params.values[0], "vpc", &vpc) ||
        !field_text(call, call->body, "description", STORE_TEXT_MAX, &description))
        return;
    if (description) {
        const int err =
            store_vpc_set_description(call->api->store, call->params.values[0], description, &vpc);
        if (err) {
            access_answer(call, err, NULL, "vpc");
            return;
        }
        hub_changed(call->api->hub);
    }
    vpc_answer(call, 200, &vpc);
}

void vpcs_delete(struct call *call)
{
    struct store_vpc vpc;
    struct store_error error = {0};
    if (!access_vpc(call, call->params.values[0], "vpc", &vpc))
        return;
    const int err = store_vpc_delete(call->api->store, call->params.values[0], &vpc, &error);
    if (err) {
        access_answer(call, err, &error, "vpc");
        return;
    }
    hub_changed(call->api->hub);
    vpc_answer(call, 200, &vpc);
}
