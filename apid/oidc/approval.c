/* The person's side of device authorization: the form, and what is posted from it. */
#include "apid/oidc/endpoints.h"
#include "apid/oidc/form.h"
#include "apid/oidc/page.h"
#include "apid/store/store.h"
#include "common/clock.h"
#include "common/err.h"

#include <string.h>

static const char action[] = ISSUER_REALM PATH_APPROVAL;

void approval_show(struct issuer *issuer, struct http_request *request)
{
    struct form query;
    (void)issuer;
    if (form_parse(request->query, strlen(request->query), &query)) {
        page_message_reply(request, 400, "That address is not right",
                           "Start again from the device's message.");
        return;
    }
    page_form_reply(request, 200, action, form_get(&query, "user_code"), NULL);
    form_free(&query);
}

/* Why the form is shown again; NULL if the decision was taken. */
static const char *decide(struct issuer *issuer, struct http_request *request, const struct form *form,
                          bool *approved)
{
    const uint64_t now_ns = clock_now_ns();
    const char *const code = form_get(form, "user_code"), *const name = form_get(form, "username");
    const char *const password = form_get(form, "password"), *const decision = form_get(form, "decision");
    char user_id[STORE_ID_MAX];
    if (code == NULL || name == NULL || password == NULL || decision == NULL)
        return "Please fill in everything.";
    if (!limiter_allows(&issuer->codes, request->client, now_ns))
        return "Too many attempts; please wait a minute.";
    struct device_grant *const grant = device_grant_find(&issuer->grants, code, now_ns);
    if (grant == NULL) {
        limiter_take(&issuer->codes, request->client, now_ns);
        return "This code is not known, or its time is over.";
    }
    switch (credentials_check(issuer, request->client, name, password, user_id)) {
    case NX_OK:
        break;
    case NX_EAGAIN:
        return "Too many attempts; please wait a minute.";
    case NX_EPERM:
        return "User name or password is wrong.";
    default:
        return "This does not work now; please try again later.";
    }
    *approved = strcmp(decision, "approve") == 0;
    if (*approved)
        device_grant_approve(grant, user_id);
    else
        device_grant_deny(grant);
    return NULL;
}

void approval_take(struct issuer *issuer, struct http_request *request)
{
    struct form form;
    bool approved = false;
    if (form_parse(request->body, request->body_length, &form)) {
        page_message_reply(request, 400, "That did not work", "The form could not be read.");
        return;
    }
    if (!page_token_check(request, form_get(&form, "token"))) {
        page_form_reply(request, 403, action, form_get(&form, "user_code"),
                        "Your browser did not send this form's cookie; please try once more.");
    } else {
        const char *const problem = decide(issuer, request, &form, &approved);
        if (problem)
            page_form_reply(request, 400, action, form_get(&form, "user_code"), problem);
        else if (approved)
            page_message_reply(request, 200, "Device approved", "You can close this page.");
        else
            page_message_reply(request, 200, "Device denied", "You can close this page.");
    }
    form_free(&form);
}
