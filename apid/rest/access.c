#include "apid/rest/access.h"

#include "apid/oidc/form.h"
#include "apid/rest/answer.h"
#include "common/err.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void access_answer(struct call *call, int err, const struct store_error *error, const char *resource)
{
    static const struct store_error none;
    const struct store_error *const told = error ? error : &none;
    const char *const field = told->field[0] ? told->field : NULL, *const reason =
                                                                       told->reason[0] ? told->reason : NULL;
    switch (err) {
    case NX_EINVAL:
        answer_error(call->request, told->unprocessable ? 422 : 400,
                     told->error[0] ? told->error : "invalid data in field", field, reason);
        break;
    case NX_ENOENT:
        answer_not_found(call->request, told->resource[0] ? told->resource : resource);
        break;
    case NX_EEXIST:
        answer_conflict(call->request, told->id);
        break;
    case NX_EPERM:
        answer_error(call->request, 400, told->error[0] ? told->error : "operation not allowed", field,
                     reason);
        break;
    case NX_EAGAIN:
        http_reply_header(call->request, "Retry-After", "1");
        answer_error(call->request, 503, "the database is busy", NULL, NULL);
        break;
    case NX_ERANGE:
        answer_internal(call->request,
                        told->error[0] ? told->error : "no address is left in the VPC's range");
        break;
    default:
        answer_internal(call->request, nx_strerror(err));
        break;
    }
}

/* An object that was looked for, and whether it is the caller's. */
static bool found(struct call *call, int err, const char *owner, const char *resource)
{
    if (err == NX_OK && strcmp(owner, call->caller.user) == 0)
        return true;
    if (err == NX_OK || err == NX_ENOENT) {
        if (resource)
            answer_not_found(call->request, resource);
        else
            answer_empty(call->request, 404);
    } else {
        access_answer(call, err, NULL, resource);
    }
    return false;
}

bool access_vpc(struct call *call, const char *id, const char *resource, struct store_vpc *out)
{
    const int err = store_vpc_get(call->api->store, id, out);
    return found(call, err, out->owner_id, resource);
}

bool access_device(struct call *call, const char *id, const char *resource, struct store_device *out)
{
    const int err = store_device_get(call->api->store, id, out);
    return found(call, err, out->owner_id, resource);
}

bool access_organization(struct call *call, const char *id, const char *resource,
                         struct store_organization *out)
{
    const int err = store_organization_get(call->api->store, id, out);
    return found(call, err, out->owner_id, resource);
}

bool access_reg_key(struct call *call, const char *id, struct store_reg_key *out)
{
    const int err = store_reg_key_get(call->api->store, id, out);
    return found(call, err, out->owner_id, "reg key");
}

bool access_security_group(struct call *call, const char *id, const char *resource,
                           struct store_security_group *out)
{
    struct store_organization organization;
    int err = store_security_group_get(call->api->store, id, out);
    if (err == NX_OK)
        err = store_organization_get(call->api->store, out->organization_id, &organization);
    return found(call, err, organization.owner_id, resource);
}

bool list_begin(struct call *call, struct list *list)
{
    struct form query;
    *list = (struct list){.last = UINT64_MAX};
    if (form_parse(call->request->query, strlen(call->request->query), &query)) {
        answer_error(call->request, 400, "query parameter invalid", NULL, NULL);
        return false;
    }
    const char *const range = form_get(&query, "range");
    bool good = true;
    if (range) {
        char error[JSON_ERROR_MAX];
        struct json_document *document = NULL;
        good = json_parse(range, strlen(range), &document, error) == NX_OK;
        const struct json_value *const root = good ? json_root(document) : NULL;
        const struct json_value *const first = root && root->type == JSON_ARRAY ? root->child : NULL;
        good = first && first->next && first->next->next == NULL &&
               json_to_u64(first, INT64_MAX, &list->first) == NX_OK &&
               json_to_u64(first->next, INT64_MAX, &list->last) == NX_OK;
        json_free(document);
    }
    form_free(&query);
    if (good)
        json_array_begin(&list->out);
    else
        answer_error(call->request, 400, "query parameter invalid", "range", NULL);
    return good;
}

bool list_wants(struct list *list)
{
    const uint64_t index = list->count++;
    return index >= list->first && index <= list->last;
}

void list_answer(struct call *call, struct list *list, bool total, int err)
{
    char text[24];
    if (err) {
        json_out_free(&list->out);
        access_answer(call, err, NULL, "list");
        return;
    }
    json_array_end(&list->out);
    if (total) {
        snprintf(text, sizeof(text), "%" PRIu64, list->count);
        http_reply_header(call->request, "Access-Control-Expose-Headers", "X-Total-Count");
        http_reply_header(call->request, "X-Total-Count", text);
    }
    answer_json(call->request, 200, &list->out);
}
