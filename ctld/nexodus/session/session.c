/* States:
 *
 *          ┌───────────────┬──────────────┬── begin(plan) ──────────────┐
 *          │ user          │ key, token   │ renew                       │
 *          ▼               ▼              ▼                             │
 *        LOGIN ─────────► ENROL      RENEWING (key pair)                │
 *          │               │ │            │                             │
 *          │ fails         │ └─ device ─► FOLLOW ── token refused ─►────┤
 *          └──► PAUSE ◄────┘              (stream, endpoints)           │
 *                 └─────────────────── time ───────────────────────────►┘
 *
 * Plans: RESUME goes on as the device that we were, with its kept token, and needs no credential. A refused
 * device token alone proves little: CHECK asks with the credentials whether the device is there; if it is, it
 * gets its token anew; if it is not, RENEW replaces the key pair before JOIN registers another device,
 * because peers that knew the old one would not take it up again under the same key.
 *
 * Nothing here ends what the tunnel does: what is known of the network stays in force until something better
 * is known. And nothing is tried without a pause but the first time after a quiet minute. */
#include "ctld/nexodus/session/session_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- Life -- */

static uint64_t env_now(void *arg)
{
    const struct session *session = arg;
    return session->ops->now_ns(session->arg);
}
static uint64_t env_wall(void *arg)
{
    const struct session *session = arg;
    return session->ops->wall_ms(session->arg);
}
static uint64_t env_rand(void *arg)
{
    const struct session *session = arg;
    return session->ops->random(session->arg);
}

static void enrol_published(void *arg, struct session_published *out)
{
    const struct session *session = arg;
    session->ops->published(session->arg, out);
}

static void text_take(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
}

static int configure(struct session *session, const struct session_config *config)
{
    const struct reg_key_options options = {.service_url = config->service_url};
    struct reg_key_service service;
    char error[REG_KEY_ERROR_MAX];
    if (reg_key_resolve(&options, &service, error) != NX_OK) {
        log_error("the service URL cannot be used: %s", error);
        return NX_EINVAL;
    }
    text_take(session->env.api_base, sizeof session->env.api_base, service.api_base);
    reg_key_clear(&service);
    text_take(session->hostname, sizeof session->hostname, config->hostname);
    text_take(session->vpc_id, sizeof session->vpc_id, config->vpc_id);
    text_take(session->security_group_id, sizeof session->security_group_id, config->security_group_id);
    text_take(session->request_ip, sizeof session->request_ip, config->request_ip);
    text_take(session->reg_key, sizeof session->reg_key, config->reg_key);
    memcpy(session->public_key, config->public_key, KEY_BYTES);
    const char *username = config->username ? config->username : "";
    if (session->reg_key[0])
        device_record_mark("reg-key", session->reg_key, session->credential);
    else
        device_record_mark("user", username, session->credential);
    session->explicit_credential = session->reg_key[0] || username[0];
    return NX_OK;
}

struct session *session_new(const struct session_config *config, const struct session_ops *ops, void *arg)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->env = (struct session_env){
        .http = config->http, .now_ns = env_now, .wall_ms = env_wall, .random = env_rand, .arg = session};
    session->ops = ops;
    session->arg = arg;
    session->next_ns = session->save_ns = session->login_again_ns = UINT64_MAX;
    retry_init(&session->retry, 0, 0);
    retry_init(&session->slow, SESSION_HOPELESS_BASE_MS, SESSION_HOPELESS_CAP_MS);
    session->reader = json_reader_new(&event_stream_limits);
    session->login =
        login_new(&session->env, config->username, config->password, &session_login_ops, session);
    if (configure(session, config) == NX_OK && session->reader && session->login &&
        enrol_init(&session->enrol, &session->env, enrol_published, session_enrolled, session) == NX_OK &&
        follow_init(&session->follow, &session->env, &session_follow_ops, session) == NX_OK &&
        publish_init(&session->publish, &session->env, &session_publish_ops, session) == NX_OK)
        return session;
    session_free(session);
    return NULL;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    login_free(session->login);
    enrol_destroy(&session->enrol);
    publish_destroy(&session->publish);
    follow_destroy(&session->follow);
    json_reader_free(session->reader);
    login_secret_free(&session->bearer);
    sodium_memzero(session, sizeof *session);
    free(session);
}

/* -- What was kept -- */

static void record_load(struct session *session, const char *text, size_t length)
{
    struct device_record record;
    char error[JSON_ERROR_MAX], key[KEY_TEXT_MAX];
    key_format(session->public_key, key);
    if (device_record_decode(text, length, &record, error) != NX_OK)
        log_warn("what is kept of our device cannot be used, and is ignored: %s", error);
    else if (strcmp(record.service, session->env.api_base) != 0 || strcmp(record.public_key, key) != 0)
        log_info("what is kept of our device belongs to another control plane or key pair");
    else if ((session->explicit_credential && strcmp(record.credential, session->credential) != 0) ||
             (session->vpc_id[0] && strcmp(record.vpc_id, session->vpc_id) != 0))
        log_info("the device is registered anew: its credentials or its VPC are others than last time");
    else
        session->record = record;
    device_record_clear(&record);
}

void session_load(struct session *session, enum ipc_slot slot, const char *text, size_t length)
{
    char error[JSON_ERROR_MAX];
    if (length == 0)
        return;
    switch (slot) {
    case IPC_SLOT_AUTH_TOKEN:
        if (login_load(session->login, text, length, error) != NX_OK)
            log_warn("the kept login cannot be used, and is ignored: %s", error);
        break;
    case IPC_SLOT_DEVICE:
        record_load(session, text, length);
        break;
    case IPC_SLOT_NETWORK:
        session_cache_load(session, text, length);
        break;
    }
}

/* -- Plans -- */

static bool by_user(const struct session *session)
{
    return session->reg_key[0] == '\0';
}

static void renew_begin(struct session *session)
{
    const uint64_t now_ns = env_now_ns(&session->env);
    if (session->renewed_before && now_ns - session->renewed_ns < SESSION_RENEW_S * NS_PER_S) {
        session->state = SESSION_PAUSE;
        session->next_ns = session->renewed_ns + SESSION_RENEW_S * NS_PER_S;
        return;
    }
    session->renewed_before = true;
    session->renewed_ns = now_ns;
    session->state = SESSION_RENEWING;
    if (session->ops->renew_key(session->arg) != NX_OK)
        session_again(session, PLAN_RENEW, 0, "a new key pair cannot be had now");
}

void session_begin(struct session *session, enum session_plan plan)
{
    session->plan = plan;
    session->next_ns = UINT64_MAX;
    if (plan == PLAN_RENEW) {
        renew_begin(session);
    } else if (plan == PLAN_RESUME) {
        session_enrol_begin(session, session->record.token, OUTCOME_DEVICE_TOKEN);
    } else if (by_user(session)) {
        session->state = SESSION_LOGIN;
        login_start(session->login);
    } else {
        session_enrol_begin(session, session->reg_key, OUTCOME_REG_TOKEN);
    }
    session_phase_tell(session);
}

static void pause_for(struct session *session, enum session_plan plan, uint64_t pause_ms, const char *text)
{
    session->state = SESSION_PAUSE;
    session->plan = plan;
    session->next_ns = env_now_ns(&session->env) + pause_ms * NS_PER_MS;
    if (text != session->trouble)
        snprintf(session->trouble, sizeof session->trouble, "%s", text);
    session_phase_tell(session);
}

void session_again(struct session *session, enum session_plan plan, uint64_t retry_after_ms, const char *text)
{
    pause_for(session, plan, retry_failed(&session->retry, env_random(&session->env), retry_after_ms), text);
}

void session_hopeless(struct session *session, enum session_plan plan, const char *text)
{
    if (session->ever_worked) {
        pause_for(session, plan, retry_failed(&session->slow, env_random(&session->env), 0), text);
        return;
    }
    session->state = SESSION_GIVEN_UP;
    snprintf(session->trouble, sizeof session->trouble, "%s", text);
    session_phase_tell(session);
    session->ops->give_up(session->arg, text);
}

void session_refused(struct session *session, const char *text)
{
    const uint64_t now_ns = env_now_ns(&session->env);
    const bool quiet = !session->refused_before || now_ns - session->refused_ns >= SESSION_QUIET_S * NS_PER_S;
    const enum session_plan plan = session->bearer_kind == OUTCOME_DEVICE_TOKEN ? PLAN_CHECK : session->plan;
    follow_stop(&session->follow);
    login_cancel(session->login);
    session->renewing_login = false;
    publish_stop(&session->publish);
    session->refused_before = true;
    session->refused_ns = now_ns;
    snprintf(session->trouble, sizeof session->trouble, "%s", text);
    log_warn("%s", text);
    if (session->bearer_kind == OUTCOME_USER_TOKEN)
        login_token_refused(session->login);
    if (quiet)
        session_begin(session, plan);
    else if (session->retry.failures < SESSION_REFUSALS)
        session_again(session, plan, 0, text);
    else
        pause_for(session, plan, retry_failed(&session->slow, env_random(&session->env), 0), text);
}

/* -- Telling -- */

static enum ipc_join_phase phase_of(const struct session *session)
{
    if (session->prompt.url[0])
        return IPC_PHASE_LOGIN;
    if (session->state == SESSION_FOLLOW && session->listed && !session->trouble[0])
        return IPC_PHASE_JOINED;
    if (session->cached || session->listed)
        return IPC_PHASE_CACHED;
    return session->state == SESSION_IDLE ? IPC_PHASE_STARTING : IPC_PHASE_JOINING;
}

void session_phase_tell(struct session *session)
{
    const enum ipc_join_phase phase = phase_of(session);
    const char *text = phase == IPC_PHASE_JOINED ? "" : session->trouble;
    if (phase == session->told_phase && strcmp(text, session->told_text) == 0)
        return;
    session->told_phase = phase;
    snprintf(session->told_text, sizeof session->told_text, "%s", text);
    session->ops->phase(session->arg, phase, session->told_text);
}

struct session_status session_status(const struct session *session)
{
    return (struct session_status){
        .phase = session->told_phase ? session->told_phase : IPC_PHASE_STARTING,
        .text = session->told_text,
        .prompt_url = session->prompt.url,
        .prompt_complete_url = session->prompt.complete_url,
        .prompt_code = session->prompt.code,
        .device_id = session->follow.sync.device_id,
        .vpc_id = session->vpc.id,
        .security_group_id = session->own_group,
        .devices = session->follow.sync.live.shelves[CATALOG_DEVICES].count,
        .cached = session->cached,
    };
}

/* -- What is told -- */

void session_start(struct session *session)
{
    const bool resume = session->record.device_id[0] != '\0';
    session->ever_worked = resume || session->cached;
    session_cache_hand_out(session);
    session_begin(session, resume ? PLAN_RESUME : PLAN_JOIN);
}

void session_published_changed(struct session *session)
{
    enrol_published_changed(&session->enrol);
    publish_changed(&session->publish);
}

void session_issuer_admitted(struct session *session, int err)
{
    login_admitted(session->login, err);
}

void session_key_renewed(struct session *session, const uint8_t *public_key)
{
    if (session->state != SESSION_RENEWING)
        return;
    if (!public_key) {
        session_again(session, PLAN_RENEW, 0, "a new key pair is needed, and cannot be stored");
        return;
    }
    memcpy(session->public_key, public_key, KEY_BYTES);
    device_record_clear(&session->record);
    session->ops->store(session->arg, IPC_SLOT_DEVICE, NULL, 0);
    session_network_forget(session);
    session_begin(session, PLAN_JOIN);
}

/* -- Time -- */

/* Without a device token, the user's goes on: it is renewed before it ends. */
static void login_renew_run(struct session *session, uint64_t now_ns)
{
    const uint64_t wall_ms = env_wall_ms(&session->env), at_ms = login_renew_at_ms(session->login);
    if (session->state != SESSION_FOLLOW || session->bearer_kind != OUTCOME_USER_TOKEN ||
        session->renewing_login || at_ms == 0) {
        session->login_again_ns = UINT64_MAX;
        return;
    }
    if (wall_ms < at_ms) {
        session->login_again_ns = now_ns + (at_ms - wall_ms) * NS_PER_MS;
    } else if (session->login_again_ns == UINT64_MAX || now_ns >= session->login_again_ns) {
        session->renewing_login = true;
        session->login_again_ns = UINT64_MAX;
        login_start(session->login);
    }
}

void session_run(struct session *session, uint64_t now_ns)
{
    if (session->state == SESSION_IDLE)
        return;
    login_run(session->login, now_ns);
    enrol_run(&session->enrol, now_ns);
    follow_run(&session->follow, now_ns);
    publish_run(&session->publish, now_ns);
    login_renew_run(session, now_ns);
    session_save_run(session, now_ns);
    if (session->state == SESSION_PAUSE && now_ns >= session->next_ns)
        session_begin(session, session->plan);
}

uint64_t session_next_ns(const struct session *session)
{
    const uint64_t times[] = {session->state == SESSION_PAUSE ? session->next_ns : UINT64_MAX,
                              login_next_ns(session->login),
                              enrol_next_ns(&session->enrol),
                              follow_next_ns(&session->follow),
                              publish_next_ns(&session->publish),
                              session_save_next_ns(session),
                              session->login_again_ns};
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        next_ns = times[i] < next_ns ? times[i] : next_ns;
    return next_ns;
}
