/* A child's frame: see child.h. The order matters: the sandbox's first stage before anything else, all set-up
 * before its second stage, and not one byte of input before that. */
#include "child/child.h"
#include "common/err.h"
#include "common/log.h"
#include "sandbox/sandbox.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { LINK_QUEUE_MAX = 1024, LAST_WORDS_MS = 100 };

struct child {
    const struct child_ops *ops;
    void *arg;
    struct event_base *base;
    struct ipc_link *links[IPC_CTLD + 1]; /* by role */
    uint32_t generations[IPC_CTLD + 1];   /* of siblings' links: the latest one heard of, dead or alive */
    struct event grace;
    int status;
    bool leaving;
};

static const struct ipc_link_ops link_ops;

struct event_base *child_base(struct child *child)
{
    return child->base;
}

struct ipc_link *child_link(struct child *child, enum ipc_role peer)
{
    return child->links[peer];
}

void child_exit(struct child *child, int status)
{
    if (child->leaving)
        return;
    child->leaving = true;
    child->status = status;
    (void)event_base_loopbreak(child->base);
}

static void sibling_down(struct child *child, enum ipc_role peer)
{
    struct ipc_link *old = child->links[peer];
    if (old == NULL)
        return;
    child->links[peer] = NULL;
    ipc_link_free(old);
    if (child->ops->on_link_down != NULL)
        child->ops->on_link_down(child, peer, child->arg);
}

static void link_replace(struct child *child, struct ipc_message *message)
{
    enum ipc_role peer = (enum ipc_role)message->body.sibling.peer;
    if (peer == child->ops->role || message->body.sibling.generation <= child->generations[peer]) {
        log_warn("ignored a link to %s of an older generation", ipc_role_name(peer));
        return;
    }
    child->generations[peer] = message->body.sibling.generation;
    sibling_down(child, peer);
    int fd = message->body.sibling.fd;
    message->body.sibling.fd = -1;
    child->links[peer] = ipc_link_new(child->base, fd, child->ops->role, peer,
                                      message->body.sibling.generation, LINK_QUEUE_MAX, &link_ops, child);
    if (child->links[peer] == NULL)
        log_error("no memory for the link to %s", ipc_role_name(peer));
    else if (child->ops->on_link_up != NULL)
        child->ops->on_link_up(child, peer, child->links[peer], child->arg);
}

/* The sibling that had this link is dead, so older ones are too; a newer one may have come already. */
static void link_down(struct child *child, const struct ipc_link_down *down)
{
    if (down->generation < child->generations[down->peer])
        return;
    child->generations[down->peer] = down->generation;
    sibling_down(child, (enum ipc_role)down->peer);
}

static void on_grace_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    child_exit(arg, 0);
}

static void shutdown_begin(struct child *child, uint32_t grace_ms)
{
    struct timeval wait = {.tv_sec = grace_ms / 1000, .tv_usec = (suseconds_t)(grace_ms % 1000) * 1000};
    if (child->ops->on_shutdown == NULL || event_add(&child->grace, &wait) != 0)
        child_exit(child, 0);
    else
        child->ops->on_shutdown(child, grace_ms, child->arg);
}

static void parent_message(struct child *child, struct ipc_link *link, struct ipc_message *message)
{
    switch (message->header.type) {
    case IPC_MSG_LINK:
        link_replace(child, message);
        break;
    case IPC_MSG_LINK_DOWN:
        link_down(child, &message->body.link_down);
        break;
    case IPC_MSG_LOG_LEVEL:
        log_set_level((enum log_level)message->body.log_level.level);
        break;
    case IPC_MSG_ALIVE_QUERY: {
        const struct ipc_alive alive = {.number = message->body.alive_query.number};
        (void)ipc_send(link, IPC_MSG_ALIVE, 0,
                       &alive); /* where it gets lost, the next one will be answered */
        break;
    }
    case IPC_MSG_SHUTDOWN:
        shutdown_begin(child, message->body.shutdown.grace_ms);
        break;
    default:
        child->ops->on_message(child, IPC_PARENT, link, message, child->arg);
    }
}

static void on_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    struct child *child = arg;
    if (log_get_level() == LOG_LEVEL_DEBUG) {
        char text[LOG_LINE_MAX / 2];
        log_debug("from %s: %s", ipc_role_name(ipc_link_peer(link)), ipc_print(message, text, sizeof text));
    }
    if (ipc_link_peer(link) == IPC_PARENT)
        parent_message(child, link, message);
    else
        child->ops->on_message(child, ipc_link_peer(link), link, message, child->arg);
}

static void on_close(struct ipc_link *link, int err, const char *why, void *arg)
{
    struct child *child = arg;
    enum ipc_role peer = ipc_link_peer(link);
    if (err != NX_ECLOSED)
        log_error("link to %s ended: %s", ipc_role_name(peer), why);
    if (peer == IPC_PARENT) {
        child_exit(child, 1); /* nothing runs unsupervised */
        return;
    }
    if (err == NX_EPROTO) {
        struct ipc_link_broken broken = {.peer = (uint8_t)peer, .generation = ipc_link_generation(link)};
        (void)ipc_send(child->links[IPC_PARENT], IPC_MSG_LINK_BROKEN, 0, &broken);
    }
    if (child->links[peer] == link)
        sibling_down(child, peer);
    else
        ipc_link_free(link);
}

static void on_writable(struct ipc_link *link, void *arg)
{
    struct child *child = arg;
    if (child->ops->on_link_writable != NULL)
        child->ops->on_link_writable(child, ipc_link_peer(link), link, child->arg);
}

static const struct ipc_link_ops link_ops = {
    .on_message = on_message, .on_close = on_close, .on_writable = on_writable};

static struct event_base *base_new(void)
{
    struct event_base *base = NULL;
    struct event_config *config = event_config_new();
    if (config != NULL &&
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
        event_config_require_features(config, EV_FEATURE_ET) == 0)
        base = event_base_new_with_config(config);
    if (config != NULL)
        event_config_free(config);
    return base;
}

static bool value_of(const char *argument, const char *option, const char **value)
{
    size_t length = strlen(option);
    if (strncmp(argument, option, length) != 0)
        return false;
    *value = argument + length;
    return true;
}

static enum sandbox_mode arguments_read(int argc, char **argv, const char *name, bool *no_network)
{
    enum sandbox_mode mode = SANDBOX_STRICT;
    enum log_level level = LOG_LEVEL_INFO;
    const char *value;
    for (int i = 1; i < argc; i++) {
        if (value_of(argv[i], "--log-level=", &value) && value[0] >= '0' && value[0] <= '4' &&
            value[1] == '\0')
            level = (enum log_level)(value[0] - '0');
        else if (value_of(argv[i], "--log-format=", &value))
            log_set_format(strncmp(value, "json", 4) == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
                           strstr(value, ",journal") != NULL);
        else if (value_of(argv[i], "--sandbox=", &value) && strcmp(value, "best-effort") == 0)
            mode = SANDBOX_BEST_EFFORT;
        else if (strcmp(argv[i], "--network=none") == 0)
            *no_network = true;
    }
    log_init(name, level);
    return mode;
}

/* The parent decides when to end; Ctrl-C on a terminal reaches the whole group. */
static void signals_ignore(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void loop_run(struct child *child)
{
    bool more = false;
    while (!child->leaving) {
        if (event_base_loop(child->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0)) < 0) {
            log_error("the event loop failed: %s", strerror(errno));
            child->status = 1;
            return;
        }
        more = child->ops->on_turn != NULL && child->ops->on_turn(child, child->arg);
    }
}

/* What is in force, for the operator's report: nobody can read all of it from outside. */
static void facts_fill(struct ipc_hello *hello)
{
    const struct sandbox_facts *facts = sandbox_facts();
    hello->strict = facts->mode == SANDBOX_STRICT;
    hello->missing = facts->missing;
    hello->landlock_abi = facts->landlock_abi;
    hello->fs = facts->fs;
    hello->net = facts->net;
    hello->scoped = facts->scoped;
}

int child_run(int argc, char **argv, const struct child_ops *ops, void *arg)
{
    struct child child = {.ops = ops, .arg = arg, .status = 1};
    bool set_up = false, no_network = false;
    enum sandbox_mode mode = arguments_read(argc, argv, ops->name, &no_network);
    tzset(); /* else the C library opens a file when it first converts a time, whenever that is */
    if (no_network && !sandbox_leave_network())
        log_debug("no network of its own: %s", strerror(errno));
    (void)sandbox_start(ops->sandbox, mode);
    (void)prctl(PR_SET_NAME, ops->name);
    signals_ignore();

    child.base = base_new();
    if (child.base == NULL || event_assign(&child.grace, child.base, -1, 0, on_grace_over, &child) != 0) {
        log_error("cannot make an event loop");
        goto out;
    }
    child.links[IPC_PARENT] = ipc_link_new(child.base, CHILD_PARENT_FD, ops->role, IPC_PARENT, 1,
                                           LINK_QUEUE_MAX, &link_ops, &child);
    if (child.links[IPC_PARENT] == NULL) {
        log_error("descriptor %d is no link to a parent: this program is started by nexd", CHILD_PARENT_FD);
        goto out;
    }
    set_up = true;
    if (ops->setup != NULL && ops->setup(&child, arg) != 0)
        goto out;
    struct ipc_hello hello = {.version = IPC_VERSION, .role = (uint8_t)ops->role, .pid = (uint32_t)getpid()};
    (void)sandbox_enter(ops->sandbox, mode);
    facts_fill(&hello);

    if (!child.leaving) /* set-up may have ended it */
        child.status = 0;
    if (ipc_send(child.links[IPC_PARENT], IPC_MSG_HELLO, 0, &hello) != NX_OK) {
        log_error("descriptor %d leads to no parent: this program is started by nexd", CHILD_PARENT_FD);
        child.status = 1;
    } else {
        loop_run(&child);
    }
    (void)ipc_link_flush(child.links[IPC_PARENT], LAST_WORDS_MS);
out:
    if (set_up && ops->teardown != NULL)
        ops->teardown(&child, arg);
    for (int role = IPC_PARENT; role <= IPC_CTLD; role++) {
        ipc_link_free(child.links[role]);
        child.links[role] = NULL;
    }
    if (child.base != NULL) {
        (void)event_del(&child.grace);
        event_base_free(child.base);
    }
    return child.status;
}
