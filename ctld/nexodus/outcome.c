/* First what holds for every request, then by status, and there by request and token. What the server said
 * stands at the end of the advice, in brackets. */
#include "ctld/nexodus/outcome.h"

#include <stdio.h>
#include <string.h>

struct answer {
    enum outcome_request request;
    enum outcome_credential credential;
    int status;
    const struct api_error *error;
};

/* An outcome and its sentence. */
struct verdict {
    enum outcome outcome;
    const char *advice;
};

static const char *const requests[] = {[OUTCOME_REG_KEY] = "reading the registration key's settings",
                                       [OUTCOME_USER] = "reading the user",
                                       [OUTCOME_VPC] = "reading the VPC",
                                       [OUTCOME_CREATE] = "registering the device",
                                       [OUTCOME_UPDATE] = "updating the device",
                                       [OUTCOME_EVENTS] = "following events",
                                       [OUTCOME_LOGIN_START] = "starting the login",
                                       [OUTCOME_DISCOVERY] = "finding the identity provider"};

static bool said(const struct answer *answer, const char *words)
{
    return strstr(answer->error->error, words) != NULL;
}

static bool resource_is(const struct answer *answer, const char *name)
{
    return strcmp(answer->error->resource, name) == 0;
}

static struct verdict unauthorized(const struct answer *answer)
{
    switch (answer->credential) {
    case OUTCOME_REG_TOKEN:
        if (said(answer, "expired"))
            return (struct verdict){OUTCOME_HOPELESS,
                                    "the registration key has expired: create a new one and start "
                                    "again with it"};
        return (struct verdict){OUTCOME_HOPELESS,
                                "the registration key is not known to the service: check --reg-key "
                                "and --service-url, or create a new key"};
    case OUTCOME_USER_TOKEN:
        return (struct verdict){OUTCOME_AUTH, "the login is not valid any more: it is renewed"};
    case OUTCOME_DEVICE_TOKEN:
        return (struct verdict){OUTCOME_AUTH,
                                "the device's token is not valid: its owner has probably deleted the "
                                "device, and it has to be registered again"};
    case OUTCOME_NO_TOKEN:
        break;
    }
    return (struct verdict){OUTCOME_HOPELESS,
                            "the service wants a login where none is usual: check --service-url"};
}

static struct verdict forbidden(const struct answer *answer)
{
    if (answer->request == OUTCOME_EVENTS && answer->credential == OUTCOME_REG_TOKEN)
        return (struct verdict){OUTCOME_HOPELESS,
                                "the service gave the device no token of its own, and registration "
                                "keys may not follow events: ask its operator"};
    if (answer->credential == OUTCOME_DEVICE_TOKEN)
        return (struct verdict){OUTCOME_AUTH,
                                "the device's token does not allow this any more: the device has to be "
                                "registered again"};
    if (answer->request == OUTCOME_UPDATE)
        return (struct verdict){OUTCOME_GONE,
                                "this device's key pair belongs to a device that was registered in "
                                "another way: a new key pair is needed"};
    if (answer->credential == OUTCOME_REG_TOKEN)
        return (struct verdict){OUTCOME_HOPELESS,
                                "the registration key does not allow this: create a new one"};
    return (struct verdict){OUTCOME_HOPELESS,
                            "the user has no right to do this: ask the operator of the service"};
}

static struct verdict not_found(const struct answer *answer)
{
    if (resource_is(answer, "security_group_id"))
        return (struct verdict){OUTCOME_HOPELESS,
                                "the security group does not exist: check --security-group-id"};
    if (resource_is(answer, "vpc_id"))
        return (struct verdict){OUTCOME_HOPELESS, "the VPC does not exist, or is not yours: check --vpc-id"};
    switch (answer->request) {
    case OUTCOME_UPDATE:
        return (struct verdict){OUTCOME_GONE,
                                "the device does not exist any more, or its key pair belongs to somebody "
                                "else's device"};
    case OUTCOME_EVENTS:
        return (struct verdict){OUTCOME_GONE, "the VPC does not exist any more"};
    case OUTCOME_VPC:
    case OUTCOME_CREATE:
        if (answer->credential == OUTCOME_REG_TOKEN)
            return (struct verdict){OUTCOME_HOPELESS,
                                    "the registration key's VPC does not exist any more: create a "
                                    "key for another one"};
        return (struct verdict){OUTCOME_HOPELESS, "the VPC does not exist, or is not yours: check --vpc-id"};
    default:
        return (struct verdict){OUTCOME_HOPELESS,
                                "this is not the address of a Nexodus service: check --service-url"};
    }
}

static struct verdict conflict(const struct answer *answer)
{
    if (answer->request == OUTCOME_CREATE && answer->error->id[0] != '\0')
        return (struct verdict){OUTCOME_CONFLICT, "the device is registered already: it is updated"};
    return (struct verdict){OUTCOME_HOPELESS,
                            "the service says that this exists already, but not which it is"};
}

static struct verdict refused(const struct answer *answer)
{
    if (said(answer, "single use reg key exhausted"))
        return (struct verdict){OUTCOME_HOPELESS,
                                "the registration key was good for one device, and another one has "
                                "used it: create a new key"};
    if (answer->status == 405)
        return (struct verdict){OUTCOME_HOPELESS, "the service does not offer this: ask its operator"};
    return (struct verdict){OUTCOME_HOPELESS, "the service refuses the request, and would again"};
}

static struct verdict server_error(const struct answer *answer)
{
    /* What the API itself reports (gateways have no trace), on the first thing that is done with a key: it
     * does not tell expired keys otherwise. */
    if (answer->status == 500 && answer->request == OUTCOME_REG_KEY && answer->error->trace_id[0] != '\0')
        return (struct verdict){OUTCOME_HOPELESS,
                                "the registration key has most likely expired, which the service "
                                "reports as an error of its own: create a new key and start again "
                                "with it"};
    if (answer->status == 500 && answer->request == OUTCOME_CREATE && answer->credential == OUTCOME_REG_TOKEN)
        return (struct verdict){OUTCOME_TRANSIENT,
                                "the service failed; if it does so for long: a single-use key whose "
                                "device was deleted works again after a day only, a new key at "
                                "once"};
    return (struct verdict){OUTCOME_TRANSIENT, "the service has a problem"};
}

static struct verdict judge(const struct answer *answer)
{
    const int status = answer->status;
    if (status >= 200 && status <= 299)
        return (struct verdict){OUTCOME_OK, ""};
    if (status >= 500 && status <= 599)
        return server_error(answer);
    if (status >= 300 && status <= 399)
        return (struct verdict){OUTCOME_HOPELESS,
                                "the service sends its clients elsewhere, which is not followed: check "
                                "--service-url"};
    switch (status) {
    case 0:
        return (struct verdict){OUTCOME_TRANSIENT, "no answer"};
    case 401:
        return unauthorized(answer);
    case 403:
        return forbidden(answer);
    case 404:
    case 410:
        return not_found(answer);
    case 409:
        return conflict(answer);
    case 408:
    case 425:
        return (struct verdict){OUTCOME_TRANSIENT, "the service asks to try again"};
    case 429:
        return (struct verdict){OUTCOME_TRANSIENT, "too many requests at once"};
    default:
        return status >= 400 && status <= 499 ? refused(answer)
                                              : (struct verdict){OUTCOME_TRANSIENT, "not an answer of HTTP"};
    }
}

enum outcome outcome_classify(enum outcome_request request, enum outcome_credential credential, int status,
                              const struct api_error *error, char *advice)
{
    static const struct api_error silence;
    const struct answer answer = {request, credential, status, error ? error : &silence};
    const struct verdict verdict = judge(&answer);
    const struct api_error *const e = answer.error;
    char code[32] = "";
    if (verdict.outcome == OUTCOME_OK) {
        advice[0] = '\0';
        return OUTCOME_OK;
    }
    if (status != 0)
        snprintf(code, sizeof code, " (%d%s", status, e->error[0] ? ": " : ")");
    snprintf(advice, OUTCOME_ADVICE_MAX, "%s: %s%s%s%s%s%s", requests[request], verdict.advice, code,
             e->error, e->field[0] ? ", field " : "", e->field, e->error[0] && status != 0 ? ")" : "");
    return verdict.outcome;
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = {
        [OUTCOME_OK] = "ok",     [OUTCOME_TRANSIENT] = "transient", [OUTCOME_AUTH] = "auth",
        [OUTCOME_GONE] = "gone", [OUTCOME_CONFLICT] = "conflict",   [OUTCOME_HOPELESS] = "hopeless"};
    return names[outcome];
}
