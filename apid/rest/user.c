/* Users and organizations. A user sees itself. */
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/field.h"
#include "apid/rest/handlers.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <string.h>

static bool self_get(struct call *call, struct store_user *user)
{
    const int err = store_user_get(call->api->store, call->caller.user, user);
    if (err)
        access_answer(call, err, NULL, "user");
    return err == NX_OK;
}

static void user_answer(struct call *call, const struct store_user *user)
{
    struct json_out out = {0};
    model_user(&out, user);
    answer_json(call->request, 200, &out);
}

void users_me(struct call *call)
{
    struct store_user user;
    if (self_get(call, &user))
        user_answer(call, &user);
}

static void self_list(struct call *call)
{
    struct store_user user;
    struct list list;
    if (!self_get(call, &user) || !list_begin(call, &list))
        return;
    if (list_wants(&list))
        model_user(&list.out, &user);
    list_answer(call, &list, false, NX_OK);
}

void users_list(struct call *call)
{
    self_list(call);
}

void users_get(struct call *call)
{
    if (strcmp(call->params.values[0], call->caller.user) != 0)
        answer_not_found(call->request, "user");
    else
        users_me(call);
}

static int organization_row(void *arg, const struct store_organization *organization)
{
    struct list *const list = arg;
    if (list_wants(list))
        model_organization(&list->out, organization);
    return NX_OK;
}

void organizations_list(struct call *call)
{
    struct list list;
    if (list_begin(call, &list))
        list_answer(call, &list, false,
                    store_organizations_list(call->api->store, call->caller.user, organization_row, &list));
}

static void organization_answer(struct call *call, int status, const struct store_organization *organization)
{
    struct json_out out = {0};
    model_organization(&out, organization);
    answer_json(call->request, status, &out);
}

void organizations_get(struct call *call)
{
    struct store_organization organization;
    if (access_organization(call, call->params.values[0], "organization", &organization))
        organization_answer(call, 200, &organization);
}

void organizations_create(struct call *call)
{
    struct store_organization organization;
    struct store_error error = {0};
    const char *name, *description;
    if (!field_text(call, call->body, "name", STORE_NAME_MAX, &name) ||
        !field_text(call, call->body, "description", STORE_TEXT_MAX, &description))
        return;
    if (name == NULL || *name == '\0') {
        answer_error(call->request, 400, "field not present", "name", NULL);
        return;
    }
    const int err = store_organization_create(call->api->store, call->caller.user, name,
                                              description ? description : "", &organization, &error);
    if (err)
        access_answer(call, err, &error, "organization");
    else
        organization_answer(call, 201, &organization);
}

void organizations_delete(struct call *call)
{
    struct store_organization organization;
    struct store_error error = {0};
    if (!access_organization(call, call->params.values[0], "organization", &organization))
        return;
    const int err = store_organization_delete(call->api->store, organization.id, &error);
    if (err)
        access_answer(call, err, &error, "organization");
    else
        organization_answer(call, 200, &organization);
}

/* An organization has its owner and nobody else. */
void organization_users_list(struct call *call)
{
    struct store_organization organization;
    if (access_organization(call, call->params.values[0], "organization", &organization))
        self_list(call);
}
