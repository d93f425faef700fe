/* Steps:
 *
 *   registration key, user:  WHO ─► VPC ─┬─ check ─► CHECK ─┐
 *   device token:                   VPC ─┴──────────────────┴► ENDPOINTS ─┬─ id not known ─► CREATE ─┬► done
 *                                                                         │             conflict     │
 *                                                                         └─ id known ──► UPDATE ◄───┘
 *                                                                                            └───────► done
 * ENDPOINTS waits a moment for STUN; what it tells later goes out as an update. So a device is in the network
 * in the time of a few round trips whether or not there is a STUN server that answers. */
#include "ctld/nexodus/session/enrol.h"

#include "common/clock.h"
#include "common/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static void vpc_send(struct enrol *enrol);
static void endpoints_wait(struct enrol *enrol);
static void update_send(struct enrol *enrol);

int enrol_init(struct enrol *enrol, struct session_env *env,
               void (*published)(void *arg, struct session_published *out),
               void (*ended)(void *arg, const struct enrol_outcome *outcome), void *arg)
{
    *enrol =
        (struct enrol){.env = env, .published = published, .ended = ended, .arg = arg, .next_ns = UINT64_MAX};
    enrol->writer = json_writer_new(REQUEST_BYTES_MAX);
    if (enrol->writer && call_init(&enrol->call, env) == NX_OK)
        return NX_OK;
    enrol_destroy(enrol);
    return NX_ENOMEM;
}

void enrol_destroy(struct enrol *enrol)
{
    call_destroy(&enrol->call);
    json_writer_free(enrol->writer);
    sodium_memzero(enrol, sizeof *enrol);
}

/* -- Ends -- */

static void end(struct enrol *enrol, enum outcome outcome, uint64_t retry_after_ms, const char *text)
{
    struct enrol_outcome told = {.outcome = outcome, .step = enrol->step, .retry_after_ms = retry_after_ms};
    snprintf(told.text, sizeof told.text, "%s", text);
    enrol->step = ENROL_IDLE;
    enrol->next_ns = UINT64_MAX;
    enrol->ended(enrol->arg, &told);
}

/* With the next turn, as the owner may not be called from within its own call. */
static void end_soon(struct enrol *enrol, enum outcome outcome, const char *text)
{
    enrol->soon = (struct enrol_outcome){.outcome = outcome, .step = enrol->step};
    snprintf(enrol->soon.text, sizeof enrol->soon.text, "%s", text);
    enrol->step = ENROL_ENDING;
    enrol->next_ns = env_now_ns(enrol->env);
}

static void unusable(struct enrol *enrol, const char *what, const char *error)
{
    char text[CALL_TEXT_MAX];
    end(enrol, call_unusable(what, error, text), 0, text);
}

/* True: the answer is good, and the next step may be taken. */
static bool accepted(struct enrol *enrol, const struct call_answer *answer, enum outcome_request request)
{
    char text[CALL_TEXT_MAX];
    const enum outcome outcome = call_outcome(answer, request, enrol->task.credential, text);
    if (outcome != OUTCOME_OK)
        end(enrol, outcome, answer->retry_after_ms, text);
    return outcome == OUTCOME_OK;
}

static void get(struct enrol *enrol, const char *path, void (*done)(void *, const struct call_answer *))
{
    const struct http_request request = {.method = HTTP_GET, .url = path, .bearer = enrol->task.bearer};
    if (call_send(&enrol->call, &request, done, enrol) != NX_OK)
        end_soon(enrol, OUTCOME_TRANSIENT, "the control plane cannot be asked: out of memory");
}

/* -- The device -- */

struct request_endpoints session_endpoints(const struct session_published *published)
{
    return (struct request_endpoints){
        .local = published->local, .reflexive = published->reflexive, .stun_server = published->stun_server};
}

static void device_take(struct enrol *enrol, const struct call_answer *answer)
{
    struct api_device device;
    char error[JSON_ERROR_MAX], key[KEY_TEXT_MAX];
    if (api_device_decode(answer->root, API_DEVICE_OWN, &device, error) != NX_OK) {
        unusable(enrol, "what the control plane says of our device", error);
        return;
    }
    key_format(enrol->task.public_key, key);
    if (strcmp(device.public_key, key) != 0 ||
        (enrol->step == ENROL_UPDATE && strcmp(device.id, enrol->device_id) != 0)) {
        unusable(enrol, "what the control plane says of our device", "it is about another one");
        return;
    }
    if (device.sealed_token[0] != '\0') {
        const int err = sealed_token_open(device.sealed_token, strlen(device.sealed_token),
                                          enrol->task.public_key, enrol->device_token);
        if (err) {
            unusable(enrol, "the device's token", sealed_token_strerror(err));
            return;
        }
    }
    memcpy(enrol->device_id, device.id, UUID_TEXT_LENGTH + 1);
    enrol->device_revision = device.revision;
    /* The VPC that the device is in, whatever was wished. */
    if (device.vpc_id[0] != '\0' && strcmp(device.vpc_id, enrol->vpc.id) != 0) {
        unusable(enrol, "what the control plane says of our device", "it is in another VPC");
        return;
    }
    end(enrol, OUTCOME_OK, 0, "");
}

static void on_update(void *arg, const struct call_answer *answer)
{
    struct enrol *enrol = arg;
    if (accepted(enrol, answer, OUTCOME_UPDATE))
        device_take(enrol, answer);
}

static void on_create(void *arg, const struct call_answer *answer)
{
    struct enrol *enrol = arg;
    char text[CALL_TEXT_MAX];
    if (call_outcome(answer, OUTCOME_CREATE, enrol->task.credential, text) == OUTCOME_CONFLICT) {
        memcpy(enrol->device_id, answer->error.id, UUID_TEXT_LENGTH + 1);
        update_send(enrol);
    } else if (accepted(enrol, answer, OUTCOME_CREATE)) {
        device_take(enrol, answer);
    }
}

static struct request_device device_describe(struct enrol *enrol, char *key)
{
    json_writer_reset(enrol->writer);
    key_format(enrol->task.public_key, key);
    return (struct request_device){.vpc_id = enrol->vpc.id,
                                   .hostname = enrol->task.hostname,
                                   .public_key = key,
                                   .security_group_id = enrol->security_group_id,
                                   .endpoints = session_endpoints(&enrol->sent),
                                   .symmetric_nat = enrol->sent.symmetric,
                                   .request_ip = enrol->task.request_ip,
                                   .request_ip_cidr = enrol->vpc.ipv4_cidr};
}

static void device_send(struct enrol *enrol, enum http_method method, const char *path, int err,
                        const char *text, size_t length, void (*done)(void *, const struct call_answer *))
{
    const struct http_request request = {.method = method,
                                         .url = path,
                                         .bearer = enrol->task.bearer,
                                         .content_type = "application/json",
                                         .body = text,
                                         .body_bytes = length};
    if (err == NX_EINVAL)
        end_soon(enrol, OUTCOME_TRANSIENT, "this host has no address yet under which others could reach it");
    else if (err || call_send(&enrol->call, &request, done, enrol) != NX_OK)
        end_soon(enrol, OUTCOME_TRANSIENT, "the control plane cannot be asked: out of memory");
}

static void update_send(struct enrol *enrol)
{
    char key[KEY_TEXT_MAX], path[REQUEST_PATH_MAX];
    const char *text = NULL;
    size_t length = 0;
    enrol->step = ENROL_UPDATE;
    enrol->published(enrol->arg, &enrol->sent);
    enrol->sent.stun_server[0] = '\0'; /* at registration the source is the bare "stun:" */
    const struct request_device device = device_describe(enrol, key);
    int err = request_path(path, "/api/devices/", enrol->device_id);
    if (!err)
        err = request_device_update(enrol->writer, &device, &text, &length);
    device_send(enrol, HTTP_PATCH, path, err, text, length, on_update);
}

static void create_send(struct enrol *enrol)
{
    char key[KEY_TEXT_MAX];
    const char *text = NULL;
    size_t length = 0;
    enrol->step = ENROL_CREATE;
    enrol->published(enrol->arg, &enrol->sent);
    enrol->sent.stun_server[0] = '\0';
    const struct request_device device = device_describe(enrol, key);
    const int err = request_device_create(enrol->writer, &device, &text, &length);
    device_send(enrol, HTTP_POST, "/api/devices", err, text, length, on_create);
}

/* -- What comes before -- */

static void device_go(struct enrol *enrol)
{
    if (enrol->device_id[0] != '\0')
        update_send(enrol);
    else
        create_send(enrol);
}

static void endpoints_wait(struct enrol *enrol)
{
    struct session_published now;
    enrol->step = ENROL_ENDPOINTS;
    enrol->published(enrol->arg, &now);
    const uint64_t deadline_ns = enrol->started_ns + ENROL_ENDPOINTS_WAIT_MS * NS_PER_MS;
    if (now.settled || env_now_ns(enrol->env) >= deadline_ns)
        device_go(enrol);
    else
        enrol->next_ns = deadline_ns;
}

static void on_check(void *arg, const struct call_answer *answer)
{
    struct enrol *enrol = arg;
    struct api_device device;
    char error[JSON_ERROR_MAX], key[KEY_TEXT_MAX];
    if (!accepted(enrol, answer, OUTCOME_UPDATE))
        return;
    key_format(enrol->task.public_key, key);
    if (api_device_decode(answer->root, API_DEVICE_ANY, &device, error) != NX_OK)
        unusable(enrol, "what the control plane says of our device", error);
    else if (strcmp(device.public_key, key) != 0)
        end(enrol, OUTCOME_GONE, 0, "the device has another public key than ours");
    else
        endpoints_wait(enrol);
}

static void check_send(struct enrol *enrol)
{
    char path[REQUEST_PATH_MAX];
    enrol->step = ENROL_CHECK;
    if (request_path(path, "/api/devices/", enrol->device_id) != NX_OK)
        end_soon(enrol, OUTCOME_GONE, "the device's id cannot be used");
    else
        get(enrol, path, on_check);
}

static void on_vpc(void *arg, const struct call_answer *answer)
{
    struct enrol *enrol = arg;
    struct api_vpc vpc;
    char error[JSON_ERROR_MAX];
    if (!accepted(enrol, answer, OUTCOME_VPC))
        return;
    if (api_vpc_decode(answer->root, &vpc, error) != NX_OK) {
        unusable(enrol, "what the control plane says of the VPC", error);
        return;
    }
    session_vpc_set(&enrol->vpc, &vpc);
    if (enrol->task.check)
        check_send(enrol);
    else
        endpoints_wait(enrol);
}

static void vpc_send(struct enrol *enrol)
{
    char path[REQUEST_PATH_MAX];
    enrol->step = ENROL_VPC;
    if (request_path(path, "/api/vpcs/", enrol->vpc.id) != NX_OK)
        end_soon(enrol, OUTCOME_HOPELESS, "the VPC's id cannot be used: check --vpc-id");
    else
        get(enrol, path, on_vpc);
}

static void on_reg_key(void *arg, const struct call_answer *answer)
{
    struct enrol *enrol = arg;
    struct api_reg_key key;
    char error[JSON_ERROR_MAX];
    if (!accepted(enrol, answer, OUTCOME_REG_KEY))
        return;
    if (api_reg_key_decode(answer->root, &key, error) != NX_OK) {
        unusable(enrol, "what the control plane says of the registration key", error);
        return;
    }
    if (key.vpc_id[0] == '\0') {
        end(enrol, OUTCOME_HOPELESS, 0, "the registration key is for no VPC: create one for a VPC");
        return;
    }
    memcpy(enrol->vpc.id, key.vpc_id, UUID_TEXT_LENGTH + 1);
    if (enrol->security_group_id[0] == '\0' && key.security_group_id[0] != '\0')
        memcpy(enrol->security_group_id, key.security_group_id, UUID_TEXT_LENGTH + 1);
    vpc_send(enrol);
}

/* A user's default VPC has the user's id. */
static void on_user(void *arg, const struct call_answer *answer)
{
    struct enrol *enrol = arg;
    struct api_user user;
    char error[JSON_ERROR_MAX];
    if (!accepted(enrol, answer, OUTCOME_USER))
        return;
    if (api_user_decode(answer->root, &user, error) != NX_OK) {
        unusable(enrol, "what the control plane says of the user", error);
        return;
    }
    if (enrol->vpc.id[0] == '\0')
        memcpy(enrol->vpc.id, user.id, UUID_TEXT_LENGTH + 1);
    vpc_send(enrol);
}

void enrol_start(struct enrol *enrol, const struct enrol_task *task)
{
    enrol_cancel(enrol);
    sodium_memzero(enrol->device_token, sizeof enrol->device_token);
    memset(&enrol->vpc, 0, sizeof enrol->vpc);
    enrol->task = *task;
    enrol->started_ns = env_now_ns(enrol->env);
    snprintf(enrol->vpc.id, sizeof enrol->vpc.id, "%s", task->vpc_id);
    snprintf(enrol->device_id, sizeof enrol->device_id, "%s", task->device_id);
    snprintf(enrol->security_group_id, sizeof enrol->security_group_id, "%s", task->security_group_id);
    if (task->credential == OUTCOME_DEVICE_TOKEN) {
        vpc_send(enrol);
        return;
    }
    enrol->step = ENROL_WHO;
    if (task->credential == OUTCOME_REG_TOKEN)
        get(enrol, "/api/reg-keys/me", on_reg_key);
    else
        get(enrol, "/api/users/me", on_user);
}

void enrol_cancel(struct enrol *enrol)
{
    call_cancel(&enrol->call);
    enrol->step = ENROL_IDLE;
    enrol->next_ns = UINT64_MAX;
}

void enrol_published_changed(struct enrol *enrol)
{
    struct session_published now;
    if (enrol->step != ENROL_ENDPOINTS)
        return;
    enrol->published(enrol->arg, &now);
    if (now.settled)
        enrol->next_ns = env_now_ns(enrol->env);
}

void enrol_run(struct enrol *enrol, uint64_t now_ns)
{
    if (now_ns < enrol->next_ns)
        return;
    enrol->next_ns = UINT64_MAX;
    if (enrol->step == ENROL_ENDPOINTS) {
        device_go(enrol);
    } else if (enrol->step == ENROL_ENDING) {
        const struct enrol_outcome soon = enrol->soon;
        enrol->step = soon.step;
        end(enrol, soon.outcome, soon.retry_after_ms, soon.text);
    }
}

uint64_t enrol_next_ns(const struct enrol *enrol)
{
    return enrol->next_ns;
}
