/* The routes: which token may call what, and with which body. A user's token needs the scope of its route;
 * what registration keys and device tokens may do is marked by route. What no route takes, Nexodus answers
 * with 404 whatever the method. */
#include "apid/rest/answer.h"
#include "apid/rest/caller.h"
#include "apid/rest/handlers.h"
#include "common/err.h"

#include <stdio.h>
#include <string.h>

enum { REG_KEY = CALLER_REG_KEY, DEVICE = CALLER_DEVICE };
enum body { BODY_NONE = 0, BODY_OBJECT, BODY_ARRAY, BODY_ANY };

#define ORGANIZATIONS "organizations"
#define DEVICES       "devices"
#define USERS         "users"

static const struct route {
    enum http_method method;
    const char *pattern;
    const char *scope; /* of a user's token, after "read:" or "write:"; NULL = any user */
    unsigned other;    /* further callers */
    enum body body;
    void (*handle)(struct call *call);
} routes[] = {
    {HTTP_GET, "/api/users/me", USERS, 0, BODY_NONE, users_me},
    {HTTP_GET, "/api/users", USERS, 0, BODY_NONE, users_list},
    {HTTP_GET, "/api/users/{id}", USERS, 0, BODY_NONE, users_get},
    {HTTP_GET, "/api/organizations", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE, organizations_list},
    {HTTP_POST, "/api/organizations", ORGANIZATIONS, 0, BODY_OBJECT, organizations_create},
    {HTTP_GET, "/api/organizations/{id}", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE, organizations_get},
    {HTTP_DELETE, "/api/organizations/{id}", ORGANIZATIONS, 0, BODY_NONE, organizations_delete},
    {HTTP_GET, "/api/organizations/{id}/users", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE,
     organization_users_list},
    {HTTP_GET, "/api/vpcs", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE, vpcs_list},
    {HTTP_POST, "/api/vpcs", ORGANIZATIONS, 0, BODY_OBJECT, vpcs_create},
    {HTTP_GET, "/api/vpcs/{id}", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE, vpcs_get},
    {HTTP_PATCH, "/api/vpcs/{id}", ORGANIZATIONS, 0, BODY_OBJECT, vpcs_update},
    {HTTP_DELETE, "/api/vpcs/{id}", ORGANIZATIONS, 0, BODY_NONE, vpcs_delete},
    {HTTP_GET, "/api/vpcs/{id}/devices", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE, vpc_devices_list},
    {HTTP_GET, "/api/vpcs/{id}/metadata", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE, vpc_metadata_list},
    {HTTP_GET, "/api/vpcs/{id}/security-groups", ORGANIZATIONS, REG_KEY | DEVICE, BODY_NONE,
     vpc_security_groups_list},
    {HTTP_POST, "/api/vpcs/{id}/events", ORGANIZATIONS, DEVICE, BODY_ARRAY, vpc_events_watch},
    {HTTP_POST, "/api/events", NULL, DEVICE, BODY_ARRAY, events_watch},
    {HTTP_GET, "/api/devices", DEVICES, REG_KEY | DEVICE, BODY_NONE, devices_list},
    {HTTP_POST, "/api/devices", DEVICES, REG_KEY, BODY_OBJECT, devices_create},
    {HTTP_GET, "/api/devices/{id}", DEVICES, REG_KEY | DEVICE, BODY_NONE, devices_get},
    {HTTP_PATCH, "/api/devices/{id}", DEVICES, REG_KEY | DEVICE, BODY_OBJECT, devices_update},
    {HTTP_DELETE, "/api/devices/{id}", DEVICES, 0, BODY_NONE, devices_delete},
    {HTTP_GET, "/api/devices/{id}/metadata", DEVICES, REG_KEY | DEVICE, BODY_NONE, metadata_list},
    {HTTP_DELETE, "/api/devices/{id}/metadata", DEVICES, 0, BODY_NONE, metadata_clear},
    {HTTP_GET, "/api/devices/{id}/metadata/{key}", DEVICES, REG_KEY | DEVICE, BODY_NONE, metadata_get},
    {HTTP_PUT, "/api/devices/{id}/metadata/{key}", DEVICES, REG_KEY, BODY_ANY, metadata_put},
    {HTTP_DELETE, "/api/devices/{id}/metadata/{key}", DEVICES, 0, BODY_NONE, metadata_delete},
    {HTTP_GET, "/api/reg-keys/me", ORGANIZATIONS, REG_KEY, BODY_NONE, reg_keys_me},
    {HTTP_GET, "/api/reg-keys", ORGANIZATIONS, 0, BODY_NONE, reg_keys_list},
    {HTTP_POST, "/api/reg-keys", ORGANIZATIONS, 0, BODY_OBJECT, reg_keys_create},
    {HTTP_GET, "/api/reg-keys/{id}", ORGANIZATIONS, 0, BODY_NONE, reg_keys_get},
    {HTTP_PATCH, "/api/reg-keys/{id}", ORGANIZATIONS, 0, BODY_OBJECT, reg_keys_update},
    {HTTP_DELETE, "/api/reg-keys/{id}", ORGANIZATIONS, 0, BODY_NONE, reg_keys_delete},
    {HTTP_GET, "/api/security-groups", ORGANIZATIONS, 0, BODY_NONE, security_groups_list},
    {HTTP_POST, "/api/security-groups", ORGANIZATIONS, 0, BODY_OBJECT, security_groups_create},
    {HTTP_GET, "/api/security-groups/{id}", ORGANIZATIONS, 0, BODY_NONE, security_groups_get},
    {HTTP_PATCH, "/api/security-groups/{id}", ORGANIZATIONS, 0, BODY_OBJECT, security_groups_update},
    {HTTP_DELETE, "/api/security-groups/{id}", ORGANIZATIONS, 0, BODY_NONE, security_groups_delete},
    {HTTP_GET, "/api/invitations", ORGANIZATIONS, 0, BODY_NONE, nothing_list},
    {HTTP_GET, "/api/fflags", NULL, 0, BODY_NONE, features_list},
    {HTTP_GET, "/api/fflags/{name}", NULL, 0, BODY_NONE, features_get},
};

/* The routes stand in order: "/api/users/me" before "/api/users/{id}". */
static const struct route *route_find(const struct http_request *request, struct path_params *params)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (routes[i].method == request->method && path_match(routes[i].pattern, request->path, params))
            return &routes[i];
    return NULL;
}

static bool allowed(const struct route *route, const struct caller *caller)
{
    char scope[64];
    if (caller->kind != CALLER_USER)
        return (route->other & caller->kind) != 0;
    snprintf(scope, sizeof(scope), "%s:%s", route->method == HTTP_GET ? "read" : "write",
             route->scope ? route->scope : "");
    return route->scope == NULL || caller_has_scope(caller, scope);
}

/* Ids in paths are UUIDs. False: answered. */
static bool ids_check(struct call *call, const struct route *route)
{
    unsigned index = 0;
    for (const char *at = strchr(route->pattern, '{'); at; at = strchr(at + 1, '{'), index++) {
        char id[37];
        if (strncmp(at, "{id}", 4) != 0)
            continue;
        if (!path_uuid(call->params.values[index], id)) {
            answer_error(call->request, 400, "path parameter invalid", "id", NULL);
            return false;
        }
        memcpy(call->params.values[index], id, sizeof(id));
    }
    return true;
}

/* Parses what the route expects. False: answered. */
static bool body_read(struct call *call, const struct route *route, struct json_document **document)
{
    char error[JSON_ERROR_MAX], text[JSON_ERROR_MAX + 64];
    const struct http_request *const request = call->request;
    if (route->body == BODY_NONE)
        return true;
    const int err = json_parse(request->body, request->body_length, document, error);
    if (err == NX_OK) {
        const enum json_type wanted = route->body == BODY_ARRAY ? JSON_ARRAY : JSON_OBJECT;
        call->body = json_root(*document);
        if (route->body == BODY_ANY || call->body->type == wanted)
            return true;
        snprintf(error, sizeof(error), "cannot take %s for %s", json_type_name(call->body->type),
                 json_type_name(wanted));
    }
    snprintf(text, sizeof(text), "request json is invalid: %s", error);
    answer_error(call->request, 400, text, NULL, NULL);
    return false;
}

static void route_run(const struct route *route, struct call *call)
{
    struct json_document *document = NULL;
    if (!caller_identify(call->api, call->request, &call->caller))
        return;
    if (!allowed(route, &call->caller))
        answer_empty(call->request, 403);
    else if (ids_check(call, route) && body_read(call, route, &document))
        route->handle(call);
    json_free(document);
}

static void keys(struct api *api, struct http_request *request)
{
    struct json_out out = {0};
    jwt_key_set_write(api->issuer->key, &out);
    answer_json(request, 200, &out);
}

/* Outside /api: login start, keys, and a sign of life for health checks. */
static void public_handle(struct api *api, struct http_request *request)
{
    if (request->method == HTTP_POST && strcmp(request->path, "/device/login/start") == 0)
        issuer_login_start(api->issuer, request);
    else if (request->method == HTTP_GET && strcmp(request->path, "/device/certs") == 0)
        keys(api, request);
    else
        answer_empty(request, 404);
}

void api_handle(struct api *api, struct http_request *request)
{
    struct call call = {.api = api, .request = request};
    if (strncmp(request->path, "/api/", 5) != 0) {
        public_handle(api, request);
        return;
    }
    const struct route *const route = route_find(request, &call.params);
    struct caller caller;
    if (route)
        route_run(route, &call);
    else if (caller_identify(api, request, &caller)) /* strangers learn nothing about paths */
        answer_text(request, 404, "404 page not found");
}
