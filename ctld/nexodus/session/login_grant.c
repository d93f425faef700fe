/* The grant in a browser (RFC 8628): a code is asked for and shown, and the token endpoint polled until the
 * user has answered. When to poll is device_flow.c's decision. */
#include "common/err.h"
#include "ctld/nexodus/session/login_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_poll(void *arg, const struct call_answer *answer)
{
    struct login *login = arg;
    struct oidc_failure failure;
    const uint64_t now_ns = env_now_ns(login->env);
    if (login_answered(answer)) {
        device_flow_granted(&login->flow);
        login_tokens_take(login, answer);
        return;
    }
    oidc_failure_decode(answer->root, &failure);
    if (answer->status == 0 || answer->status >= 500 || (answer->status == 429 && !failure.text[0]))
        device_flow_unanswered(&login->flow, answer->retry_after_ms / 1000, now_ns);
    else
        device_flow_refused(&login->flow, failure.code, now_ns);
    login->next_ns = device_flow_next_ns(&login->flow);
    if (login->next_ns == UINT64_MAX)
        login->next_ns = now_ns;
}

static void poll_send(struct login *login)
{
    char *const form = calloc(1, OIDC_FORM_MAX);
    if (!form || oidc_form_device_token(login->client_id, login->device_code, form, OIDC_FORM_MAX) != NX_OK ||
        call_send(&login->call,
                  &(struct http_request){.method = HTTP_POST,
                                         .url = login->token_endpoint,
                                         .content_type = "application/x-www-form-urlencoded",
                                         .body = form,
                                         .body_bytes = strlen(form)},
                  on_poll, login) != NX_OK)
        device_flow_unanswered(&login->flow, 0, env_now_ns(login->env));
    if (form)
        sodium_memzero(form, OIDC_FORM_MAX);
    free(form);
}

void login_poll(struct login *login, uint64_t now_ns)
{
    switch (device_flow_step(&login->flow, now_ns)) {
    case DEVICE_FLOW_POLL:
        poll_send(login);
        break;
    case DEVICE_FLOW_DENIED:
        login_finish(login, LOGIN_DENIED, 0, "the login was refused in the browser");
        return;
    case DEVICE_FLOW_EXPIRED:
        login_finish(login, LOGIN_DENIED, 0, "nobody entered the code in time");
        return;
    case DEVICE_FLOW_FAILED:
        login_finish(
            login, LOGIN_HOPELESS, 0,
            "the login server does not let this client log in with a code: use --reg-key, or --username");
        return;
    case DEVICE_FLOW_WAIT:
    case DEVICE_FLOW_ASKING:
    case DEVICE_FLOW_GRANTED:
        break;
    }
    login->next_ns = device_flow_next_ns(&login->flow);
}

static void on_code(void *arg, const struct call_answer *answer)
{
    struct login *login = arg;
    struct oidc_device_authorization authorization;
    char error[JSON_ERROR_MAX];
    if (!login_answered(answer)) {
        login_finish_by_answer(login, answer, OUTCOME_DISCOVERY);
        return;
    }
    if (oidc_device_authorization_decode(answer->root, &authorization, error) != NX_OK) {
        login_unusable(login, "the login server's answer", error);
        return;
    }
    snprintf(login->device_code, sizeof login->device_code, "%s", authorization.device_code);
    device_flow_start(&login->flow, &authorization, env_now_ns(login->env));
    login->step = LOGIN_GRANT;
    login->next_ns = device_flow_next_ns(&login->flow);
    login->ops->prompt(login->arg, &authorization);
}

void login_code_send(struct login *login)
{
    char form[OIDC_BASIC_MAX + sizeof OIDC_SCOPES * 3 + 64];
    login->step = LOGIN_CODE;
    if (oidc_form_device_authorization(login->client_id, form, sizeof form) != NX_OK) {
        login_finish_soon(login, LOGIN_TRANSIENT, "the login cannot go on: out of memory");
        return;
    }
    login_send(login,
               &(struct http_request){.method = HTTP_POST,
                                      .url = login->code_endpoint,
                                      .content_type = "application/x-www-form-urlencoded",
                                      .body = form,
                                      .body_bytes = strlen(form)},
               on_code);
}
