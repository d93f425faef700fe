/* The network as it becomes known, handed on to peering and kept for the next start. */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/nexodus/session/session_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- Handing on -- */

static void device_put(void *arg, const struct peering_device *device)
{
    struct session *session = arg;
    session->ops->device(session->arg, device);
}

/* Our own group as it is now. */
static void group_tell(struct session *session)
{
    const struct catalog *live = &session->follow.sync.live;
    const struct json_value *root;
    struct api_security_group group;
    char error[JSON_ERROR_MAX];
    catalog_group_of(live, session->follow.sync.device_id, session->reader, session->own_group);
    const struct catalog_entry *entry =
        session->own_group[0] ? catalog_find(live, CATALOG_GROUPS, session->own_group) : NULL;
    if (!entry || json_read(session->reader, entry->text, entry->length, &root, error) != NX_OK ||
        api_security_group_decode(root, &group, error) != NX_OK) {
        session->ops->security_group(session->arg, NULL);
        return;
    }
    session->ops->security_group(session->arg, &group);
    api_security_group_free(&group);
}

static void list_hand_on(struct session *session)
{
    session->ops->list_begin(session->arg);
    catalog_devices(&session->follow.sync.live, session->reader, device_put, session);
    session->ops->list_end(session->arg);
    group_tell(session);
}

static void unsaved(struct session *session)
{
    const uint64_t soon_ns = env_now_ns(&session->env) + SESSION_SAVE_DELAY_MS * NS_PER_MS;
    const uint64_t earliest_ns = session->saved_ns + SESSION_SAVE_INTERVAL_MS * NS_PER_MS;
    if (session->unsaved)
        return;
    session->unsaved = true;
    session->save_ns = session->saved_ns && earliest_ns > soon_ns ? earliest_ns : soon_ns;
}

/* -- Events -- */

static void on_list(void *arg)
{
    struct session *session = arg;
    session->cached = false;
    session->listed = true;
    if (!session->follow.troubled)
        session->trouble[0] = '\0';
    list_hand_on(session);
    unsaved(session);
    session_phase_tell(session);
}

static void on_device(void *arg, const char *id)
{
    struct session *session = arg;
    if (!catalog_device(&session->follow.sync.live, id, session->reader, device_put, session))
        return;
    if (strcmp(id, session->follow.sync.device_id) == 0)
        group_tell(session);
    unsaved(session);
}

static void on_removed(void *arg, const char *id)
{
    struct session *session = arg;
    session->ops->removed(session->arg, id);
    unsaved(session);
}

static void on_group(void *arg, const char *id)
{
    struct session *session = arg;
    if (strcmp(id, session->own_group) == 0)
        group_tell(session);
    unsaved(session);
}

static void on_trouble(void *arg, const char *text)
{
    struct session *session = arg;
    snprintf(session->trouble, sizeof session->trouble, "%s", text ? text : "");
    session_phase_tell(session);
}

static void on_steady(void *arg)
{
    struct session *session = arg;
    retry_succeeded(&session->retry);
    retry_succeeded(&session->slow);
}

static void on_refused(void *arg, enum outcome outcome, const char *text)
{
    (void)outcome;
    session_refused(arg, text);
}

const struct follow_ops session_follow_ops = {.list = on_list,
                                              .device = on_device,
                                              .removed = on_removed,
                                              .group = on_group,
                                              .trouble = on_trouble,
                                              .steady = on_steady,
                                              .refused = on_refused};

/* -- Our own endpoints -- */

static void published(void *arg, struct session_published *out)
{
    const struct session *session = arg;
    session->ops->published(session->arg, out);
}

static void on_published(void *arg, uint64_t device_revision)
{
    struct session *session = arg;
    if (sync_contradicted(&session->follow.sync, device_revision))
        follow_resync(&session->follow);
}

const struct publish_ops session_publish_ops = {
    .published = published, .done = on_published, .refused = on_refused};

/* -- Keeping -- */

static struct catalog_owner owner_of(const struct session *session, char *key)
{
    key_format(session->public_key, key);
    return (struct catalog_owner){
        .api_base = session->env.api_base, .public_key = key, .device_id = session->follow.sync.device_id};
}

void session_cache_load(struct session *session, const char *text, size_t length)
{
    struct catalog catalog;
    struct session_vpc vpc;
    char key[KEY_TEXT_MAX], device_id[UUID_TEXT_LENGTH + 1], error[JSON_ERROR_MAX];
    const struct catalog_owner owner = owner_of(session, key);
    if (catalog_init(&catalog) != NX_OK)
        return;
    const int err = catalog_document_read(text, length, &owner, &catalog, &vpc, device_id, error);
    if (err || sync_set_self(&session->follow.sync, device_id, vpc.id) != NX_OK) {
        log_write(err == NX_ENOENT ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                  "what is kept of the network cannot be used, and is ignored: %s", error);
        catalog_destroy(&catalog);
        return;
    }
    catalog_destroy(&session->follow.sync.live);
    session->follow.sync.live = catalog;
    session->vpc = vpc;
    session->cached = true;
}

void session_cache_hand_out(struct session *session)
{
    if (!session->cached)
        return;
    if (session->ops->vpc(session->arg, session->vpc.ipv4_cidr, session->vpc.ipv6_cidr) != NX_OK) {
        session_network_forget(session);
        return;
    }
    session->ops->identity(session->arg, session->follow.sync.device_id);
    list_hand_on(session);
}

void session_network_forget(struct session *session)
{
    sync_destroy(&session->follow.sync);
    if (sync_init(&session->follow.sync) != NX_OK)
        log_error("out of memory");
    session->vpc = (struct session_vpc){0};
    session->own_group[0] = '\0';
    session->cached = session->listed = session->unsaved = false;
    session->save_ns = UINT64_MAX;
    session->ops->store(session->arg, IPC_SLOT_NETWORK, NULL, 0);
}

void session_save_run(struct session *session, uint64_t now_ns)
{
    char key[KEY_TEXT_MAX];
    size_t length;
    if (!session->unsaved || now_ns < session->save_ns)
        return;
    const struct catalog_owner owner = owner_of(session, key);
    char *text = catalog_document_write(&session->follow.sync.live, &session->vpc, &owner, &length);
    session->unsaved = false;
    session->save_ns = UINT64_MAX;
    session->saved_ns = now_ns;
    if (!text) {
        log_warn("the network is not kept for the next start: out of memory");
        return;
    }
    session->ops->store(session->arg, IPC_SLOT_NETWORK, text, length);
    free(text);
}

void session_flush(struct session *session)
{
    session->save_ns = 0;
    session_save_run(session, env_now_ns(&session->env));
}

uint64_t session_save_next_ns(const struct session *session)
{
    return session->save_ns;
}
