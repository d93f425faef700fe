/* What an answer of the API means for what is done next. Pure. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_OUTCOME_H
#define NEXD_CTLD_NEXODUS_OUTCOME_H

#include "ctld/nexodus/models.h"

enum outcome_request {
    OUTCOME_REG_KEY,     /* GET /api/reg-keys/me */
    OUTCOME_USER,        /* GET /api/users/me */
    OUTCOME_VPC,         /* GET /api/vpcs/{id} */
    OUTCOME_CREATE,      /* POST /api/devices */
    OUTCOME_UPDATE,      /* PATCH /api/devices/{id} */
    OUTCOME_EVENTS,      /* POST /api/events */
    OUTCOME_LOGIN_START, /* POST /device/login/start */
    OUTCOME_DISCOVERY,   /* GET {issuer}/.well-known/openid-configuration, and its keys */
};
enum outcome_credential { OUTCOME_NO_TOKEN, OUTCOME_REG_TOKEN, OUTCOME_USER_TOKEN, OUTCOME_DEVICE_TOKEN };

enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_TRANSIENT, /* again after a pause: no connection, 408, 425, 429, 5xx */
    OUTCOME_AUTH, /* the token is not (or no more) good: a user's is refreshed or logged in anew; a device's
                   * means that the device is gone or its key was */
    OUTCOME_GONE, /* what was asked for does not exist (any more), or is not ours: of an own device, create it
                   * anew; with a key pair that another user holds, take a new pair */
    OUTCOME_CONFLICT, /* exists already; api_error.id says which: update that one */
    OUTCOME_HOPELESS, /* will be refused as often as it is tried: `advice` says what the operator can do */
};
enum { OUTCOME_ADVICE_MAX = 384 };

/* `status` is the HTTP status, 0 for no answer (then `error` may be NULL). `advice` (OUTCOME_ADVICE_MAX
 * bytes) becomes one printable line that says what happened, and what to do where somebody must do something;
 * "" for OUTCOME_OK. */
enum outcome outcome_classify(enum outcome_request request, enum outcome_credential credential, int status,
                              const struct api_error *error, char *advice);
const char *outcome_name(enum outcome outcome);

#endif
