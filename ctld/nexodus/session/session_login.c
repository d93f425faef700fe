/* What the end of a login, and of a registration, means for what is done next. */
#include "common/err.h"
#include "common/log.h"
#include "ctld/nexodus/session/session_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- Login -- */

static void token_store(void *arg, const char *text, size_t length)
{
    struct session *session = arg;
    session->ops->store(session->arg, IPC_SLOT_AUTH_TOKEN, text, length);
}

static int admit(void *arg, const char *host, uint16_t port)
{
    struct session *session = arg;
    return session->ops->admit(session->arg, host, port);
}

static void prompt(void *arg, const struct oidc_device_authorization *authorization)
{
    struct session *session = arg;
    struct session_prompt *shown = &session->prompt;
    if (!authorization) {
        *shown = (struct session_prompt){0};
        session->ops->prompt(session->arg, NULL, NULL, NULL);
    } else {
        snprintf(shown->url, sizeof shown->url, "%s", authorization->verification_uri);
        snprintf(shown->complete_url, sizeof shown->complete_url, "%s",
                 authorization->verification_uri_complete);
        snprintf(shown->code, sizeof shown->code, "%s", authorization->user_code);
        session->ops->prompt(session->arg, shown->url, shown->complete_url, shown->code);
    }
    session_phase_tell(session);
}

static bool bearer_set(struct session *session, const char *bearer, enum outcome_credential kind)
{
    char *const copy = strdup(bearer);
    if (!copy)
        return false;
    login_secret_free(&session->bearer);
    session->bearer = copy;
    session->bearer_kind = kind;
    return true;
}

/* While following: the next requests go out with the new token. */
static void login_renewed(struct session *session, const struct login_outcome *outcome)
{
    session->renewing_login = false;
    if (outcome->end == LOGIN_DONE) {
        const char *token = login_token(session->login);
        if (token && bearer_set(session, token, OUTCOME_USER_TOKEN)) {
            session->follow.bearer = session->bearer;
            session->publish.bearer = session->bearer;
        }
        return;
    }
    log_warn("the login is not renewed: %s", outcome->text);
    session->login_again_ns =
        env_now_ns(&session->env) +
        retry_failed(&session->retry, env_random(&session->env), outcome->retry_after_ms) * UINT64_C(1000000);
}

static void login_denied(struct session *session, const struct login_outcome *outcome)
{
    if (++session->denied >= SESSION_DENIED_MAX) {
        char text[CALL_TEXT_MAX];
        snprintf(text, sizeof text, "%.*s: start again when somebody can confirm the code, or use --reg-key",
                 CALL_TEXT_MAX - 80, outcome->text);
        session_hopeless(session, session->plan, text);
        return;
    }
    session_again(session, session->plan, SESSION_DENIED_MS, outcome->text);
}

static void login_ended(void *arg, const struct login_outcome *outcome)
{
    struct session *session = arg;
    if (session->state == SESSION_FOLLOW) {
        login_renewed(session, outcome);
        return;
    }
    switch (outcome->end) {
    case LOGIN_DONE:
        session->denied = 0;
        session_enrol_begin(session, login_token(session->login), OUTCOME_USER_TOKEN);
        session_phase_tell(session);
        break;
    case LOGIN_DENIED:
        login_denied(session, outcome);
        break;
    case LOGIN_TRANSIENT:
        session_again(session, session->plan, outcome->retry_after_ms, outcome->text);
        break;
    case LOGIN_HOPELESS:
        session_hopeless(session, session->plan, outcome->text);
        break;
    }
}

const struct login_ops session_login_ops = {
    .store = token_store, .admit = admit, .prompt = prompt, .ended = login_ended};

/* -- Registration -- */

void session_enrol_begin(struct session *session, const char *bearer, enum outcome_credential credential)
{
    const bool resume = credential == OUTCOME_DEVICE_TOKEN;
    const bool known = session->plan == PLAN_RESUME || session->plan == PLAN_CHECK;
    session->state = SESSION_ENROL;
    if (!bearer || !bearer_set(session, bearer, credential)) {
        session_again(session, session->plan, 0, "the token is gone already");
        return;
    }
    const struct enrol_task task = {.bearer = session->bearer,
                                    .credential = credential,
                                    .vpc_id = resume ? session->record.vpc_id : session->vpc_id,
                                    .security_group_id = session->security_group_id,
                                    .hostname = session->hostname,
                                    .request_ip = session->request_ip,
                                    .public_key = session->public_key,
                                    .device_id = known ? session->record.device_id : "",
                                    .check = session->plan == PLAN_CHECK};
    enrol_start(&session->enrol, &task);
}

static void record_store(struct session *session)
{
    struct json_writer *writer = json_writer_new(DEVICE_RECORD_BYTES_MAX);
    const char *text;
    size_t length;
    if (writer && device_record_encode(&session->record, writer, &text, &length) == NX_OK)
        session->ops->store(session->arg, IPC_SLOT_DEVICE, text, length);
    else
        log_warn("the device's token is not kept: out of memory");
    json_writer_free(writer);
}

/* The device's own token is the one to go on with, and to keep. */
static void record_take(struct session *session)
{
    struct enrol *enrol = &session->enrol;
    struct device_record record = session->record;
    if (enrol->device_token[0] == '\0')
        return;
    snprintf(record.service, sizeof record.service, "%s", session->env.api_base);
    key_format(session->public_key, record.public_key);
    if (session->plan != PLAN_RESUME)
        memcpy(record.credential, session->credential, sizeof record.credential);
    memcpy(record.device_id, enrol->device_id, sizeof record.device_id);
    memcpy(record.vpc_id, enrol->vpc.id, sizeof record.vpc_id);
    memcpy(record.token, enrol->device_token, sizeof record.token);
    if (memcmp(&record, &session->record, sizeof record) != 0) {
        session->record = record;
        record_store(session);
    }
    device_record_clear(&record);
    bearer_set(session, session->record.token, OUTCOME_DEVICE_TOKEN);
}

static void joined(struct session *session)
{
    struct enrol *enrol = &session->enrol;
    if (session->ops->vpc(session->arg, enrol->vpc.ipv4_cidr, enrol->vpc.ipv6_cidr) != NX_OK) {
        session_hopeless(
            session, session->plan,
            "the VPC has address ranges that no VPC can have: ask whoever runs the control plane");
        return;
    }
    record_take(session);
    if (sync_set_self(&session->follow.sync, enrol->device_id, enrol->vpc.id) != NX_OK) {
        session_again(session, session->plan, 0, "out of memory");
        return;
    }
    if (session->plan != PLAN_RESUME)
        log_info("registered as device %s in VPC %s", enrol->device_id, enrol->vpc.id);
    session->vpc = enrol->vpc;
    session->ever_worked = true;
    session->state = SESSION_FOLLOW; /* whether that is the end of trouble, the stream will tell */
    session->ops->identity(session->arg, enrol->device_id);
    follow_start(&session->follow, session->bearer, session->bearer_kind);
    publish_start(&session->publish, enrol->device_id, session->bearer, session->bearer_kind, &enrol->sent);
    session_phase_tell(session);
}

/* The device that we are is not there, or is not ours. Who asked with credentials and found it so knows it;
 * who asked with its token has to ask again. */
static void gone(struct session *session, const struct enrol_outcome *outcome)
{
    if (session->plan == PLAN_RESUME) {
        session_refused(session, outcome->text);
        return;
    }
    log_warn("%s", outcome->text);
    snprintf(session->trouble, sizeof session->trouble, "%s", outcome->text);
    session_begin(session, PLAN_RENEW);
}

void session_enrolled(void *arg, const struct enrol_outcome *outcome)
{
    struct session *session = arg;
    switch (outcome->outcome) {
    case OUTCOME_OK:
        joined(session);
        break;
    case OUTCOME_TRANSIENT:
    case OUTCOME_CONFLICT:
        session_again(session, session->plan, outcome->retry_after_ms, outcome->text);
        break;
    case OUTCOME_AUTH:
        session_refused(session, outcome->text);
        break;
    case OUTCOME_GONE:
        gone(session, outcome);
        break;
    case OUTCOME_HOPELESS:
        /* What the device's token cannot do, the credentials perhaps can. */
        session_hopeless(session, session->plan == PLAN_RESUME ? PLAN_CHECK : session->plan, outcome->text);
        break;
    }
}
