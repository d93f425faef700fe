/* The reader is used for the error object first and for the body's tree afterwards, so that both are there
 * for whoever needs the one or the other. */
#include "ctld/nexodus/session/call.h"

#include "common/err.h"
#include "ctld/nexodus/retry.h"

#include <stdio.h>
#include <string.h>

int call_init(struct call *call, struct session_env *env)
{
    *call = (struct call){.env = env, .reader = json_reader_new(&json_limits_answer)};
    return call->reader ? NX_OK : NX_ENOMEM;
}

void call_cancel(struct call *call)
{
    if (call->exchange)
        call->env->http->cancel(call->env->http, call->exchange);
    call->exchange = NULL;
}

void call_destroy(struct call *call)
{
    call_cancel(call);
    json_reader_free(call->reader);
    call->reader = NULL;
}

uint64_t call_times(struct session_env *env, const struct http_answer *answer, uint64_t sent_ms)
{
    const uint64_t now_ms = env_wall_ms(env);
    if (answer->date_unix_s > 0)
        server_clock_observe(&env->clock, (uint64_t)answer->date_unix_s * 1000, sent_ms, now_ms, 1000);
    if (answer->retry_after[0] == '\0')
        return 0;
    /* A date in it is one of the server's clock. */
    return retry_after_parse(answer->retry_after, strlen(answer->retry_after), NULL, 0,
                             server_clock_now_ms(&env->clock, now_ms));
}

static void body_read(struct call *call, const struct http_answer *answer, struct call_answer *out)
{
    char error[JSON_ERROR_MAX];
    if (answer->status < 200 || answer->status > 299)
        api_error_decode(call->reader, answer->body, answer->body_bytes, &out->error);
    if (answer->body_bytes == 0)
        snprintf(out->text, sizeof out->text, "there is nothing in it");
    else if (json_read(call->reader, answer->body, answer->body_bytes, &out->root, error) != NX_OK)
        snprintf(out->text, sizeof out->text, "%s", error);
}

static void on_end(void *arg, const struct http_answer *answer)
{
    struct call *const call = arg;
    struct call_answer out = {.failure = answer->failure};
    call->exchange = NULL;
    if (answer->failure == HTTP_DONE)
        out.status = answer->status;
    if (answer->status > 0)
        out.retry_after_ms = call_times(call->env, answer, call->sent_ms);
    if (out.status > 0)
        body_read(call, answer, &out);
    else
        json_text_printable(answer->error, strlen(answer->error), out.text, sizeof out.text);
    call->done(call->arg, &out);
}

int call_send(struct call *call, const struct http_request *request,
              void (*done)(void *arg, const struct call_answer *answer), void *arg)
{
    static const struct http_events events = {.on_end = on_end};
    struct http_request whole = *request;
    char url[sizeof call->env->api_base + 128];
    call_cancel(call);
    if (request->url[0] == '/') {
        snprintf(url, sizeof url, "%s%s", call->env->api_base, request->url);
        whole.url = url;
    }
    whole.answer_max_bytes = CALL_ANSWER_MAX;
    whole.timeout_ms = CALL_TIMEOUT_MS;
    call->done = done;
    call->arg = arg;
    call->sent_ms = env_wall_ms(call->env);
    call->exchange = call->env->http->submit(call->env->http, &whole, &events, call);
    return call->exchange ? NX_OK : NX_ENOMEM;
}

enum outcome call_outcome(const struct call_answer *answer, enum outcome_request request,
                          enum outcome_credential credential, char *text)
{
    struct api_error error = answer->error;
    if (answer->status == 0)
        snprintf(error.error, sizeof error.error, "%.*s", (int)sizeof error.error - 1, answer->text);
    const enum outcome outcome = outcome_classify(request, credential, (int)answer->status, &error, text);
    if (answer->status == 0 && answer->text[0]) /* that sentence says it all */
        snprintf(text, CALL_TEXT_MAX, "the control plane cannot be asked: %.*s", CALL_TEXT_MAX - 64,
                 answer->text);
    if (outcome == OUTCOME_OK && !answer->root)
        return call_unusable("the control plane's answer", answer->text, text);
    return outcome;
}

enum outcome call_unusable(const char *what, const char *error, char *text)
{
    snprintf(text, CALL_TEXT_MAX, "%s cannot be used: %s", what, error);
    return OUTCOME_TRANSIENT;
}
