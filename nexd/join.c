/* See join.h. ctld is no authority: it can ask for addresses, for a key pair and for documents to be kept,
 * and each wish is checked here; it can end nexd only before the tunnel has ever worked. */
#include "nexd/join.h"

#include "common/clock.h"
#include "common/err.h"
#include "nexd/parent.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- Operations of network.c -- */

static void configure(void *arg, const struct ipc_mesh_addresses *addresses)
{
    struct parent *parent = arg;
    provision_tunnel_addresses(parent_child_of(parent, IPC_TUNNELD), addresses);
}

static void restart(void *arg, const char *why)
{
    struct parent *parent = arg;
    log_info("the tunnel is started anew: %s", why);
    parent_child_of(parent, IPC_TUNNELD)->anew = true;
    supervisor_misbehaved(&parent->supervisor, IPC_TUNNELD, clock_now_ns());
}

static void answer(void *arg, uint32_t request, enum ipc_outcome outcome, const char *text)
{
    struct parent_child *ctld = parent_child_of(arg, IPC_CTLD);
    struct ipc_result result = {.result = (uint8_t)outcome};
    snprintf(result.text, sizeof result.text, "%s", text);
    int err = ipc_send(ctld->link, IPC_MSG_RESULT, request, &result);
    if (err && err != NX_ECLOSED)
        parent_misbehaved(ctld, nx_strerror(err));
}

/* Stored before it is used: a key that the control plane knows and the disk does not would be lost. */
static int renew(void *arg, char *error)
{
    const struct parent *parent = arg;
    uint8_t private_key[KEY_BYTES], public_key[KEY_BYTES];
    char why[STATE_ERROR_MAX] = "there is no state folder";
    int err = parent->config->state ? NX_OK : NX_EPERM;
    vault_key_make(private_key, public_key);
    if (!err)
        err = state_store_keys(parent->config->state, private_key, public_key, why);
    if (!err)
        vault_key_replace(parent->config->vault, private_key);
    sodium_memzero(private_key, sizeof private_key);
    if (err)
        log_error("the device's key pair is not replaced: %s", why);
    else
        log_info("the device has another key pair");
    snprintf(error, NETWORK_TEXT_MAX, "%s", err ? why : "");
    return err;
}

static void announce(void *arg)
{
    struct parent *parent = arg;
    provision_device(parent_child_of(parent, IPC_CTLD));
}

static const struct network_ops network_ops = {
    .configure = configure, .restart = restart, .answer = answer, .renew = renew, .announce = announce};

void join_open(struct parent *parent)
{
    struct join *join = &parent->join;
    network_init(&join->network, &network_ops, parent);
    feed_init(&parent->feed);
    for (size_t i = 0; i < SLOT_COUNT; i++)
        slot_writer_init(&join->writers[i], (enum ipc_slot)(i + 1));
}

static void documents_drop(struct parent *parent)
{
    for (size_t i = 0; i < SLOT_COUNT; i++)
        slot_write_drop(parent->config->state, &parent->join.writers[i]);
}

void join_close(struct parent *parent)
{
    documents_drop(parent);
    feed_stop(&parent->feed);
}

/* -- The tunnel's port -- */

uint16_t join_port(struct parent *parent)
{
    const struct network_config *network = parent->config->network;
    struct join *join = &parent->join;
    if (!network)
        return parent->config->wgconf->listen_port;
    if (network->listen_port || !parent->config->state || join->port_refused)
        return network->listen_port;
    uint16_t port = state_port(parent->config->state);
    join->port_remembered = port != 0;
    return port;
}

bool join_port_refused(struct parent *parent, const char *why)
{
    struct join *join = &parent->join;
    if (!join->port_remembered || join->port_refused)
        return false;
    log_info("%s; the tunnel takes another port", why);
    join->port_refused = true;
    return true;
}

void join_port_bound(struct parent *parent, uint16_t port)
{
    const struct parent_config *config = parent->config;
    char error[STATE_ERROR_MAX];
    if (!config->network || config->network->listen_port || !config->state ||
        state_port(config->state) == port)
        return;
    if (state_store_port(config->state, port, error))
        log_warn("the tunnel's port is not remembered: %s", error);
}

/* -- Children -- */

void join_tunnel_up(struct parent *parent)
{
    network_tunnel_up(&parent->join.network);
}

void join_tunnel_result(struct parent_child *tunneld, const struct ipc_result *result)
{
    const char *failure = result->result == IPC_OK ? NULL
                          : result->text[0]        ? result->text
                                                   : "refused without a reason";
    if (failure)
        log_error("the tunnel cannot be configured: %s", failure);
    if (!network_tunnel_result(&tunneld->parent->join.network, failure))
        parent_misbehaved(tunneld, "RESULT of a request that was not made");
}

void join_child_gone(struct parent_child *child)
{
    struct parent *parent = child->parent;
    if (child->role == IPC_TUNNELD)
        network_tunnel_gone(&parent->join.network);
    if (child->role != IPC_CTLD)
        return;
    network_ctld_gone(&parent->join.network);
    documents_drop(parent);
    feed_stop(&parent->feed);
}

/* -- Documents -- */

static enum ipc_outcome outcome_of(int err)
{
    switch (err) {
    case NX_OK:
        return IPC_OK;
    case NX_EPERM:
        return IPC_NOT_PERMITTED;
    case NX_ERANGE:
        return IPC_LIMIT;
    default:
        return IPC_FAILED;
    }
}

/* A disk that is full stays so for a while: said once. */
static void store_report(struct join *join, int err, const char *why)
{
    if (err && !join->store_failed)
        log_error("what the network needs after a restart is not stored: %s", why);
    else if (!err && join->store_failed)
        log_info("what the network needs after a restart is stored again");
    join->store_failed = err != NX_OK;
}

static void stored(struct parent_child *ctld, uint32_t request, const struct ipc_stored *piece)
{
    struct parent *parent = ctld->parent;
    struct slot_writer *writer = &parent->join.writers[piece->slot - 1];
    int err = slot_write_piece(parent->config->state, writer, piece->first, piece->last, piece->data.data,
                               piece->data.length);
    if (err == NX_EPROTO) {
        parent_misbehaved(ctld, "STORED that continues nothing");
        return;
    }
    if (!piece->last)
        return;
    store_report(&parent->join, err, writer->error);
    if (request)
        answer(parent, request, outcome_of(err), err ? writer->error : "");
}

/* -- For people -- */

/* Not through stdio, which asks a terminal for its attributes: the sandbox knows no such call. */
static void say(const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t put = write(STDOUT_FILENO, text, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return; /* nobody listens */
        text += put;
        length -= (size_t)put;
    }
}

/* The texts of the Nexodus agent: scripts read them. */
static void login_prompt(struct parent *parent, const struct ipc_login_prompt *prompt)
{
    const char *url = prompt->complete_url[0] ? prompt->complete_url : prompt->url;
    char text[sizeof *prompt + 256];
    snprintf(text, sizeof text,
             "Your device must be registered with Nexodus.\n"
             "Your one-time code is: %s\n"
             "Please open the following URL in your browser to sign in:\n"
             "%s\n",
             prompt->code, url);
    say(text);
    parent->join.prompted = true;
}

static const char *phase_name(uint8_t phase)
{
    static const char *const names[] = {[0] = "Starting",
                                        [IPC_PHASE_STARTING] = "Starting",
                                        [IPC_PHASE_LOGIN] = "Waiting for a login",
                                        [IPC_PHASE_JOINING] = "Joining the network",
                                        [IPC_PHASE_CACHED] = "Running with what was known last",
                                        [IPC_PHASE_JOINED] = "Running"};
    return names[phase];
}

void join_status(const struct parent *parent)
{
    const struct join *join = &parent->join;
    char status[IPC_TEXT_MAX + 64];
    if (parent->drain.wanted)
        return;
    snprintf(status, sizeof status, "STATUS=%s%s%s", phase_name(join->phase), join->phase_text[0] ? ": " : "",
             join->phase_text);
    notify_send(parent->config->notify, status);
}

static void phase(struct parent *parent, const struct ipc_phase *message)
{
    static struct log_ratelimit often = {.per_second = 2, .burst = 10};
    struct join *join = &parent->join;
    if (join->phase == message->phase && strcmp(join->phase_text, message->text) == 0)
        return;
    bool past_login = message->phase == IPC_PHASE_JOINING || message->phase == IPC_PHASE_JOINED;
    if (join->prompted && past_login) {
        say("Authentication succeeded.\n");
        join->prompted = false;
    }
    join->phase = message->phase;
    memcpy(join->phase_text, message->text, sizeof join->phase_text);
    if (log_ratelimit_ok(&often))
        log_write(message->phase == IPC_PHASE_CACHED && message->text[0] ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                  "%s%s%s", phase_name(join->phase), join->phase_text[0] ? ": " : "", join->phase_text);
    join_status(parent);
}

/* What works is not ended by a process that reads what strangers send. */
static void give_up(struct parent_child *ctld, const struct ipc_give_up *message)
{
    log_error("%s", message->text[0] ? message->text : "the network cannot be joined");
    if (ctld->parent->readiness.reached)
        parent_misbehaved(ctld, "GIVE_UP although the tunnel works");
    else
        parent_fail(ctld->parent);
}

bool join_message(struct parent_child *ctld, struct ipc_message *message)
{
    struct parent *parent = ctld->parent;
    struct network *network = &parent->join.network;
    union ipc_body *body = &message->body;
    uint32_t request = message->header.request;
    if (!parent->config->network)
        return false;
    switch (message->header.type) {
    case IPC_MSG_MESH_ADDRESSES:
        network_addresses(network, request, &body->mesh_addresses);
        return true;
    case IPC_MSG_KEY_RENEW:
        network_key_renew(
            network, request,
            memcmp(body->key_renew.public_key, vault_public_key(parent->config->vault), KEY_BYTES) == 0);
        return true;
    case IPC_MSG_STORED:
        stored(ctld, request, &body->stored);
        return true;
    case IPC_MSG_LOGIN_PROMPT:
        login_prompt(parent, &body->login_prompt);
        return true;
    case IPC_MSG_PHASE:
        phase(parent, &body->phase);
        return true;
    case IPC_MSG_GIVE_UP:
        give_up(ctld, &body->give_up);
        return true;
    default:
        return false;
    }
}
