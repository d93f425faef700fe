/* Keeps what the control plane says of our endpoints true: when they change, the device is updated. ctld
 * only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_PUBLISH_H
#define NEXD_CTLD_NEXODUS_SESSION_PUBLISH_H

#include "ctld/nexodus/session/enrol.h"

enum { PUBLISH_AGAIN_MS = 20000, PUBLISH_HOPELESS_MS = 600000, PUBLISH_GATHER_MS = 50 };

struct publish_ops {
    void (*published)(void *arg, struct session_published *out);
    /* The control plane has these; `device_revision` as it told it, 0 = it did not. */
    void (*done)(void *arg, uint64_t device_revision);
    /* OUTCOME_AUTH or OUTCOME_GONE. */
    void (*refused)(void *arg, enum outcome outcome, const char *text);
};

struct publish {
    struct session_env *env;
    const struct publish_ops *ops;
    void *arg;
    struct call call;
    struct json_writer *writer;
    const char *bearer;
    enum outcome_credential credential;
    char device_id[UUID_TEXT_LENGTH + 1];
    bool running;
    struct session_published sent, on_the_way;
    uint64_t next_ns;
};

/* NX_ENOMEM. */
int publish_init(struct publish *publish, struct session_env *env, const struct publish_ops *ops, void *arg);
void publish_destroy(struct publish *publish);
/* `sent`: what the control plane has. `bearer` is borrowed until publish_stop(). */
void publish_start(struct publish *publish, const char *device_id, const char *bearer,
                   enum outcome_credential credential, const struct session_published *sent);
void publish_stop(struct publish *publish);
/* `published` may have changed. */
void publish_changed(struct publish *publish);
void publish_run(struct publish *publish, uint64_t now_ns);
uint64_t publish_next_ns(const struct publish *publish);

#endif
