/* What handlers of the API have at hand, and a call on its way through them. apid only. */
#ifndef NEXD_APID_API_H
#define NEXD_APID_API_H

#include "apid/http/server.h"
#include "apid/json/json.h"
#include "apid/oidc/issuer.h"
#include "apid/rest/path.h"

struct hub;
struct online;
struct store;
struct watchers;

struct api {
    struct store *store; /* not owned, as the others */
    struct issuer *issuer;
    struct hub *hub;       /* event streams */
    struct online *online; /* devices that have one */
    struct watchers *watchers;
    char authority[300]; /* "api.HOST:PORT" */
};

enum caller_kind { CALLER_USER = 1 << 0, CALLER_REG_KEY = 1 << 1, CALLER_DEVICE = 1 << 2 };

/* Who asks. */
struct caller {
    enum caller_kind kind;
    char user[37];                /* the user; of keys and devices, their owner */
    char scope[DEVICE_SCOPE_MAX]; /* CALLER_USER: blank-separated */
    char reg_key[37];             /* CALLER_REG_KEY: its id */
    char security_group[37];      /* CALLER_REG_KEY: for its devices; "" = the VPC's default */
    char device[37];              /* CALLER_DEVICE: its id */
    char vpc[37];                 /* CALLER_REG_KEY, CALLER_DEVICE */
};

struct call {
    struct api *api;
    struct http_request *request;
    struct caller caller;
    struct path_params params;     /* {id} are UUIDs in lower case */
    const struct json_value *body; /* where the route takes one; else NULL */
};

/* Answers a request to the API's host. */
void api_handle(struct api *api, struct http_request *request);

#endif
