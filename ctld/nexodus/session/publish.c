/* One update at a time, of what is true when it is sent; what changes meanwhile is seen when it has ended. An
 * update that failed is sent again after 20 s, as upstream's programs do. */
#include "ctld/nexodus/session/publish.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <string.h>

int publish_init(struct publish *publish, struct session_env *env, const struct publish_ops *ops, void *arg)
{
    *publish = (struct publish){.env = env, .ops = ops, .arg = arg, .next_ns = UINT64_MAX};
    publish->writer = json_writer_new(REQUEST_BYTES_MAX);
    if (publish->writer && call_init(&publish->call, env) == NX_OK)
        return NX_OK;
    publish_destroy(publish);
    return NX_ENOMEM;
}

void publish_destroy(struct publish *publish)
{
    call_destroy(&publish->call);
    json_writer_free(publish->writer);
    *publish = (struct publish){0};
}

/* Who told of the address is no news. */
static bool same(const struct session_published *a, const struct session_published *b)
{
    return netsock_equal(&a->local, &b->local) && netsock_equal(&a->reflexive, &b->reflexive) &&
           a->symmetric == b->symmetric;
}

static void again_in(struct publish *publish, uint64_t pause_ms)
{
    publish->next_ns = env_now_ns(publish->env) + pause_ms * NS_PER_MS;
}

static void on_update(void *arg, const struct call_answer *answer)
{
    struct publish *publish = arg;
    struct api_device device;
    char text[CALL_TEXT_MAX], error[JSON_ERROR_MAX];
    const enum outcome outcome = call_outcome(answer, OUTCOME_UPDATE, publish->credential, text);
    switch (outcome) {
    case OUTCOME_OK:
        publish->sent = publish->on_the_way;
        if (api_device_decode(answer->root, API_DEVICE_ANY, &device, error) != NX_OK)
            device.revision = 0;
        publish_changed(publish);
        publish->ops->done(publish->arg, device.revision);
        break;
    case OUTCOME_AUTH:
    case OUTCOME_GONE:
        publish->ops->refused(publish->arg, outcome, text);
        break;
    case OUTCOME_TRANSIENT:
    case OUTCOME_CONFLICT:
    case OUTCOME_HOPELESS:
        log_warn("our endpoints are not published: %s", text);
        again_in(publish, outcome == OUTCOME_HOPELESS                 ? PUBLISH_HOPELESS_MS
                          : answer->retry_after_ms > PUBLISH_AGAIN_MS ? answer->retry_after_ms
                                                                      : PUBLISH_AGAIN_MS);
        break;
    }
}

static void update_send(struct publish *publish)
{
    char path[REQUEST_PATH_MAX];
    const char *text;
    size_t length;
    publish->ops->published(publish->arg, &publish->on_the_way);
    if (same(&publish->on_the_way, &publish->sent))
        return;
    const struct request_endpoints endpoints = session_endpoints(&publish->on_the_way);
    json_writer_reset(publish->writer);
    if (request_path(path, "/api/devices/", publish->device_id) == NX_OK &&
        request_endpoints_update(publish->writer, &endpoints, publish->on_the_way.symmetric, &text,
                                 &length) == NX_OK) {
        const struct http_request request = {.method = HTTP_PATCH,
                                             .url = path,
                                             .bearer = publish->bearer,
                                             .content_type = "application/json",
                                             .body = text,
                                             .body_bytes = length};
        if (call_send(&publish->call, &request, on_update, publish) == NX_OK)
            return;
    }
    again_in(publish, PUBLISH_AGAIN_MS);
}

void publish_start(struct publish *publish, const char *device_id, const char *bearer,
                   enum outcome_credential credential, const struct session_published *sent)
{
    publish_stop(publish);
    memcpy(publish->device_id, device_id, UUID_TEXT_LENGTH + 1);
    publish->bearer = bearer;
    publish->credential = credential;
    publish->sent = *sent;
    publish->running = true;
    publish_changed(publish);
}

void publish_stop(struct publish *publish)
{
    call_cancel(&publish->call);
    publish->running = false;
    publish->next_ns = UINT64_MAX;
    publish->bearer = NULL;
}

/* A moment later, as local and reflexive address change together. A failure's pause is not cut short. */
void publish_changed(struct publish *publish)
{
    struct session_published now;
    if (!publish->running || publish->call.exchange || publish->next_ns != UINT64_MAX)
        return;
    publish->ops->published(publish->arg, &now);
    if (!same(&now, &publish->sent))
        again_in(publish, PUBLISH_GATHER_MS);
}

void publish_run(struct publish *publish, uint64_t now_ns)
{
    if (now_ns < publish->next_ns)
        return;
    publish->next_ns = UINT64_MAX;
    update_send(publish);
}

uint64_t publish_next_ns(const struct publish *publish)
{
    return publish->next_ns;
}
