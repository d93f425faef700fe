/* A control plane cuts streams as a rule: after half a minute, and after changes. So the end of a stream that
 * has lived for a while is no error, and the next one is opened at once, from the last revision on. Whatever
 * else ends a stream (a refusal, no connection, an error event, nonsense, a short life) is trouble: then
 * there are growing, random pauses, and the next stream begins with a whole list, since the control plane may
 * come back with another memory than it had. What is known stays in force all the while.
 *
 *   OPENING ──► OPEN ──► (end) ──► OPENING, or PAUSE ──► OPENING */
#include "ctld/nexodus/session/follow.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

static const struct json_limits error_limits = {
    .bytes_max = 16 << 10, .string_max = 4096, .values_max = 64, .depth_max = 8};

static void stream_open(struct follow *follow);

int follow_init(struct follow *follow, struct session_env *env, const struct follow_ops *ops, void *arg)
{
    *follow = (struct follow){.env = env, .ops = ops, .arg = arg, .next_ns = UINT64_MAX};
    retry_init(&follow->retry, 0, 0);
    follow->stream = event_stream_new();
    follow->writer = json_writer_new(REQUEST_BYTES_MAX);
    follow->reader = json_reader_new(&error_limits);
    if (follow->stream && follow->writer && follow->reader && sync_init(&follow->sync) == NX_OK)
        return NX_OK;
    follow_destroy(follow);
    return NX_ENOMEM;
}

static void stream_close(struct follow *follow)
{
    if (follow->exchange)
        follow->env->http->cancel(follow->env->http, follow->exchange);
    follow->exchange = NULL;
    sync_cut(&follow->sync);
}

void follow_destroy(struct follow *follow)
{
    if (!follow->env)
        return;
    stream_close(follow);
    sync_destroy(&follow->sync);
    event_stream_free(follow->stream);
    json_writer_free(follow->writer);
    json_reader_free(follow->reader);
    *follow = (struct follow){0};
}

/* -- Ends -- */

static void proven(struct follow *follow)
{
    retry_succeeded(&follow->retry);
    if (follow->troubled)
        follow->ops->trouble(follow->arg, NULL);
    follow->troubled = false;
    follow->ops->steady(follow->arg);
}

static void pause_for(struct follow *follow, uint64_t pause_ms)
{
    follow->state = FOLLOW_PAUSE;
    follow->next_ns = env_now_ns(follow->env) + pause_ms * NS_PER_MS;
}

static void failed(struct follow *follow, const char *text, uint64_t retry_after_ms, uint64_t least_ms)
{
    uint64_t pause_ms = retry_failed(&follow->retry, env_random(follow->env), retry_after_ms);
    if (pause_ms < least_ms)
        pause_ms = least_ms;
    follow->full = true;
    log_debug("events: %s; again in %llu ms", text, (unsigned long long)pause_ms);
    pause_for(follow, pause_ms);
    if (follow->retry.failures >= FOLLOW_PATIENCE) {
        follow->troubled = true;
        follow->ops->trouble(follow->arg, text);
    }
}

static void refused(struct follow *follow, enum outcome outcome, const char *text)
{
    follow->state = FOLLOW_IDLE;
    follow->next_ns = UINT64_MAX;
    follow->full = true;
    follow->ops->refused(follow->arg, outcome, text);
}

/* A stream that was open has ended in the way that streams do. */
static void cut(struct follow *follow)
{
    const uint64_t lived_ns = env_now_ns(follow->env) - follow->opened_ns;
    const bool whole = !follow->sync.staged;
    sync_cut(&follow->sync);
    if (!whole || lived_ns < FOLLOW_LIVED_MS * NS_PER_MS) {
        failed(follow, "the stream of events ended at once", 0, 0);
        return;
    }
    log_debug("events: the stream was cut after %llu ms", (unsigned long long)(lived_ns / NS_PER_MS));
    proven(follow);
    stream_open(follow);
}

static void on_end(void *arg, const struct http_answer *answer)
{
    struct follow *follow = arg;
    struct api_error error = {0};
    char text[CALL_TEXT_MAX];
    uint64_t retry_after_ms = 0;
    follow->exchange = NULL;
    if (answer->status > 0)
        retry_after_ms = call_times(follow->env, answer, follow->sent_ms);
    if (follow->ended)
        return; /* the next turn sees to it */
    if (follow->state == FOLLOW_OPEN && answer->failure != HTTP_OUT_OF_MEMORY &&
        answer->failure != HTTP_PROTOCOL) {
        cut(follow);
        return;
    }
    sync_cut(&follow->sync);
    if (answer->failure != HTTP_DONE) {
        json_text_printable(answer->error, strlen(answer->error), text, sizeof text);
        failed(follow, text, retry_after_ms, 0);
        return;
    }
    api_error_decode(follow->reader, answer->body, answer->body_bytes, &error);
    const enum outcome outcome =
        outcome_classify(OUTCOME_EVENTS, follow->credential, (int)answer->status, &error, text);
    if (outcome == OUTCOME_AUTH || outcome == OUTCOME_GONE)
        refused(follow, outcome, text);
    else
        failed(follow, text, retry_after_ms, outcome == OUTCOME_HOPELESS ? FOLLOW_HOPELESS_MS : 0);
}

/* The stream is closed with the next turn: it may not be from within its own data. */
static void end_soon(struct follow *follow, const char *text)
{
    follow->ended = true;
    snprintf(follow->ended_text, sizeof follow->ended_text, "%s", text);
    follow->next_ns = env_now_ns(follow->env);
}

/* -- Events -- */

static void list_taken(struct follow *follow)
{
    const uint64_t jitter_ms = env_random(follow->env) % FOLLOW_RESYNC_JITTER_MS;
    follow->full = false;
    follow->resync_ns = env_now_ns(follow->env) + (FOLLOW_RESYNC_MS + jitter_ms) * NS_PER_MS;
    follow->own_missing = 0;
    follow->ops->list(follow->arg);
}

static void event_take(struct follow *follow, const struct event *event)
{
    char id[UUID_TEXT_LENGTH + 1], text[CALL_TEXT_MAX];
    if (event->type == EVENT_ERROR) {
        snprintf(text, sizeof text, "the control plane ends the stream of events: %s", event->error);
        end_soon(follow, text);
        return;
    }
    switch (sync_event(&follow->sync, event, id)) {
    case SYNC_NOTHING:
        break;
    case SYNC_LIST:
        list_taken(follow);
        break;
    case SYNC_DEVICE:
        follow->ops->device(follow->arg, id);
        break;
    case SYNC_REMOVED:
        follow->ops->removed(follow->arg, id);
        break;
    case SYNC_GROUP:
        follow->ops->group(follow->arg, id);
        break;
    case SYNC_BACK:
        follow_resync(follow);
        break;
    case SYNC_OWN_GONE:
        follow->own_gone = true;
        end_soon(follow, "the device was deleted at the control plane");
        break;
    case SYNC_REFUSED:
        follow->own_gone = ++follow->own_missing >= FOLLOW_PATIENCE;
        end_soon(follow, "the control plane's list of devices is without our own: it changes nothing");
        break;
    }
}

static void on_data(void *arg, const char *data, size_t bytes)
{
    struct follow *follow = arg;
    struct event event;
    char error[JSON_ERROR_MAX], text[CALL_TEXT_MAX];
    while (bytes > 0 && !follow->ended) {
        size_t consumed;
        const int err = event_stream_feed(follow->stream, data, bytes, &consumed, &event, error);
        data += consumed;
        bytes -= consumed;
        if (err == NX_OK) {
            event_take(follow, &event);
        } else if (err == NX_EINVAL) {
            log_warn("the control plane sent an event that cannot be used: %s", error);
        } else if (err != NX_EAGAIN) {
            call_unusable("the stream of events", error, text);
            end_soon(follow, text);
        }
    }
}

static void on_open(void *arg, const struct http_answer *answer)
{
    struct follow *follow = arg;
    (void)call_times(follow->env, answer, follow->sent_ms);
    follow->state = FOLLOW_OPEN;
    follow->opened_ns = env_now_ns(follow->env);
    follow->next_ns = follow->opened_ns + FOLLOW_LIVED_MS * NS_PER_MS;
}

/* -- Opening -- */

static void stream_open(struct follow *follow)
{
    static const struct http_events events = {.on_data = on_data, .on_open = on_open, .on_end = on_end};
    struct request_events watches;
    const char *text;
    size_t length;
    stream_close(follow);
    event_stream_reset(follow->stream);
    json_writer_reset(follow->writer);
    follow->ended = follow->own_gone = false;
    follow->state = FOLLOW_OPENING;
    follow->next_ns = UINT64_MAX;
    follow->sent_ms = env_wall_ms(follow->env);
    if (sync_begin(&follow->sync, follow->full, &watches) == NX_OK &&
        request_events(follow->writer, &watches, &text, &length) == NX_OK) {
        char url[sizeof follow->env->api_base + 16];
        snprintf(url, sizeof url, "%s/api/events", follow->env->api_base);
        const struct http_request request = {.method = HTTP_POST,
                                             .url = url,
                                             .bearer = follow->bearer,
                                             .content_type = "application/json",
                                             .body = text,
                                             .body_bytes = length,
                                             .answer_max_bytes = error_limits.bytes_max,
                                             .timeout_ms = CALL_TIMEOUT_MS,
                                             .silence_ms = FOLLOW_SILENCE_MS,
                                             .stream = true};
        follow->exchange = follow->env->http->submit(follow->env->http, &request, &events, follow);
    }
    if (!follow->exchange) {
        sync_cut(&follow->sync);
        pause_for(follow, retry_failed(&follow->retry, env_random(follow->env), 0));
    }
}

void follow_start(struct follow *follow, const char *bearer, enum outcome_credential credential)
{
    follow_stop(follow);
    follow->bearer = bearer;
    follow->credential = credential;
    follow->own_missing = 0;
    follow->full = true;
    retry_succeeded(&follow->retry);
    stream_open(follow);
}

void follow_stop(struct follow *follow)
{
    stream_close(follow);
    follow->state = FOLLOW_IDLE;
    follow->ended = follow->own_gone = false;
    follow->next_ns = UINT64_MAX;
    follow->bearer = NULL;
}

void follow_resync(struct follow *follow)
{
    const uint64_t now_ns = env_now_ns(follow->env);
    if (follow->full || now_ns < follow->back_ns)
        return;
    log_info("the control plane's memory has gone back: everything is read anew");
    follow->back_ns = now_ns + FOLLOW_BACK_MS * NS_PER_MS;
    follow->resync_ns = now_ns;
}

/* -- Time -- */

static void ended_settle(struct follow *follow)
{
    char text[CALL_TEXT_MAX];
    const bool own_gone = follow->own_gone;
    memcpy(text, follow->ended_text, sizeof text);
    stream_close(follow);
    follow->ended = follow->own_gone = false;
    if (own_gone)
        refused(follow, OUTCOME_AUTH, text);
    else
        failed(follow, text, 0, 0);
}

void follow_run(struct follow *follow, uint64_t now_ns)
{
    if (follow->state == FOLLOW_IDLE)
        return;
    if (follow->ended) {
        ended_settle(follow);
    } else if (follow->state == FOLLOW_PAUSE && now_ns >= follow->next_ns) {
        stream_open(follow);
    } else if (follow->state == FOLLOW_OPEN) {
        if (now_ns >= follow->next_ns) {
            follow->next_ns = UINT64_MAX;
            proven(follow);
        }
        if (!follow->sync.staged && now_ns >= follow->resync_ns) {
            follow->full = true;
            stream_open(follow);
        }
    }
}

uint64_t follow_next_ns(const struct follow *follow)
{
    if (follow->state == FOLLOW_OPEN && !follow->sync.staged && follow->resync_ns < follow->next_ns)
        return follow->resync_ns;
    return follow->next_ns;
}
