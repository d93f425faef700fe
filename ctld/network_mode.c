/* Who tells whom what, until packets flow:
 *
 *   parent: NETWORK, CREDENTIAL…, STUN_SERVER…, STORED…, NETWORK_DONE
 *     ──► session: what was stored last, then the control plane ──► devices ──► peering
 *     ──► peering: own_addresses ──► MESH_ADDRESSES ──► parent ──► RESULT: tunneld has them
 *     ──► peers are given to tunneld
 *
 * tunneld takes peers only once it has its addresses. So each time there is a new tunneld, the parent is
 * asked for the addresses again, and its answer is what opens the way for peers. Another key pair (KEY_RENEW,
 * then DEVICE) makes another node of us: peering begins anew. */
#include "ctld/network_mode_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- Life -- */

struct network_mode *network_mode_new(struct http *http, struct peers *peers, struct device *device,
                                      const struct network_mode_ops *ops, void *arg)
{
    struct network_mode *mode = sodium_init() < 0 ? NULL : calloc(1, sizeof *mode);
    if (mode) {
        mode->http = http;
        mode->peers = peers;
        mode->device = device;
        mode->ops = ops;
        mode->arg = arg;
    }
    return mode;
}

static void credentials_wipe(struct network_mode *mode)
{
    for (size_t kind = 0; kind <= IPC_CREDENTIAL_LAST; kind++) {
        if (mode->credentials[kind])
            sodium_memzero(mode->credentials[kind], sizeof **mode->credentials);
        free(mode->credentials[kind]);
        mode->credentials[kind] = NULL;
    }
}

void network_mode_free(struct network_mode *mode)
{
    if (!mode)
        return;
    session_free(mode->session);
    mesh_free(mode->mesh);
    documents_free(&mode->documents);
    credentials_wipe(mode);
    free(mode);
}

bool network_mode_active(const struct network_mode *mode)
{
    return mode->active;
}

/* -- What the parent tells -- */

static void credential_take(struct network_mode *mode, const struct ipc_credential *credential)
{
    struct ipc_credential **place = &mode->credentials[credential->kind];
    if (!*place)
        *place = calloc(1, sizeof **place);
    if (*place)
        **place = *credential;
}

/* Terminated, in memory of the caller's. */
static const char *credential_text(const struct network_mode *mode, enum ipc_credential_kind kind, char *out)
{
    const struct ipc_credential *credential = mode->credentials[kind];
    const size_t length = credential ? credential->value.length : 0;
    if (length > 0)
        memcpy(out, credential->value.data, length);
    out[length] = '\0';
    return out;
}

static void stun_server_take(struct network_mode *mode, const struct ipc_stun_server *server)
{
    const bool literal6 = strchr(server->host, ':') != NULL;
    if (mode->stun_server_count < STUN_SERVERS_MAX)
        snprintf(mode->stun_servers[mode->stun_server_count++], STUN_SERVER_TEXT_MAX,
                 literal6 ? "[%s]:%u" : "%s:%u", server->host, server->port);
}

static bool mesh_make(struct network_mode *mode)
{
    const char *servers[STUN_SERVERS_MAX];
    for (size_t i = 0; i < mode->stun_server_count; i++)
        servers[i] = mode->stun_servers[i];
    struct mesh_config config = {.stun_servers = servers,
                                 .stun_server_count = mode->stun_server_count,
                                 .relay_only = mode->network.relay_only};
    memcpy(config.public_key, mode->device->public.public_key, KEY_BYTES);
    memcpy(mode->public_key, config.public_key, KEY_BYTES);
    mesh_free(mode->mesh);
    mode->mesh = mesh_new(mode->peers, &config, &network_mesh_ops, mode);
    if (!mode->mesh)
        return false;
    const struct netsock local = {.addr = mode->network.local_endpoint,
                                  .port = mode->device->public.listen_port};
    if (local.addr.family != NETADDR_NONE)
        mesh_set_local(mode->mesh, &local);
    mesh_proxyd_up(mode->mesh);
    return true;
}

static bool session_make(struct network_mode *mode)
{
    char text[IPC_CREDENTIAL_LAST + 1][IPC_CREDENTIAL_MAX + 1], request_ip[NETADDR_TEXT_MAX] = "";
    const struct ipc_network *network = &mode->network;
    if (network->request_ip.family != NETADDR_NONE)
        netaddr_format(&network->request_ip, request_ip);
    struct session_config config = {
        .http = mode->http,
        .service_url = network->service_url,
        .hostname = network->hostname,
        .vpc_id = network->vpc_id,
        .security_group_id = network->security_group_id,
        .request_ip = request_ip,
        .reg_key = credential_text(mode, IPC_CREDENTIAL_REG_KEY, text[IPC_CREDENTIAL_REG_KEY]),
        .username = credential_text(mode, IPC_CREDENTIAL_USERNAME, text[IPC_CREDENTIAL_USERNAME]),
        .password = credential_text(mode, IPC_CREDENTIAL_PASSWORD, text[IPC_CREDENTIAL_PASSWORD])};
    const struct http_route route = {
        .skip_verify = network->skip_tls_verify,
        .proxy_url = credential_text(mode, IPC_CREDENTIAL_PROXY, text[IPC_CREDENTIAL_PROXY]),
        .no_proxy = network->no_proxy};
    memcpy(config.public_key, mode->public_key, KEY_BYTES);
    bool made = mode->ops->route(mode->arg, &route) == NX_OK;
    if (!made)
        log_error("the HTTP proxy's URL cannot be used: check HTTPS_PROXY");
    if (made)
        mode->session = session_new(&config, &network_session_ops, mode);
    sodium_memzero(text, sizeof text);
    credentials_wipe(mode);
    return mode->session != NULL;
}

static void begin(struct network_mode *mode)
{
    if (mode->started)
        return;
    if (!mesh_make(mode) || !session_make(mode)) {
        network_give_up(mode, "joining the network cannot begin: see the log's line before this one");
        return;
    }
    mode->started = true;
    for (int slot = 1; slot <= IPC_SLOT_LAST; slot++) {
        size_t length;
        const char *text = documents_text(&mode->documents, (enum ipc_slot)slot, &length);
        session_load(mode->session, (enum ipc_slot)slot, text, length);
        documents_forget(&mode->documents, (enum ipc_slot)slot);
    }
    session_start(mode->session);
}

/* Another key pair: the peers that there are know us no more. */
static void device_changed(struct network_mode *mode)
{
    if (!mode->started || memcmp(mode->public_key, mode->device->public.public_key, KEY_BYTES) == 0)
        return;
    for (size_t i = peers_count(mode->peers); i-- > 0;) {
        uint8_t key[KEY_BYTES];
        memcpy(key, peers_at(mode->peers, i)->public_key, KEY_BYTES);
        peers_remove(mode->peers, key);
    }
    mode->addresses.addresses.count = 0;
    mode->addresses_unsent = false;
    mode->addresses_request = 0;
    if (!mesh_make(mode))
        log_error("out of memory: nexd has to be started anew");
}

static void addresses_answered(struct network_mode *mode, const struct ipc_result *result)
{
    mode->addresses_request = 0;
    if (result->result != IPC_OK) {
        log_warn("the tunnel does not have its addresses: %s", result->text);
        return;
    }
    mode->device->public.addresses.count = mode->addresses.addresses.count;
    memcpy(mode->device->public.addresses.item, mode->addresses.addresses.item,
           sizeof mode->addresses.addresses.item);
    mesh_tunnel_ready(mode->mesh);
    if (mode->tunneld_link)
        mode->ops->tunnel_up(mode->arg);
}

static void key_answered(struct network_mode *mode, const struct ipc_result *result)
{
    device_changed(mode);
    mode->key_request = 0;
    mode->key_wanted = false;
    if (result->result != IPC_OK)
        log_warn("the key pair is not replaced: %s", result->text);
    session_key_renewed(mode->session, result->result == IPC_OK ? mode->public_key : NULL);
}

static void issuer_answered(struct network_mode *mode, const struct ipc_result *result)
{
    mode->issuer_request = 0;
    session_issuer_admitted(mode->session, result->result == IPC_OK              ? NX_OK
                                           : result->result == IPC_NOT_PERMITTED ? NX_EPERM
                                                                                 : NX_EAGAIN);
}

static void answered(struct network_mode *mode, uint32_t request, const struct ipc_result *result)
{
    if (request == mode->addresses_request)
        addresses_answered(mode, result);
    else if (request == mode->key_request)
        key_answered(mode, result);
    else if (request == mode->issuer_request)
        issuer_answered(mode, result);
}

static bool from_parent(struct network_mode *mode, struct ipc_message *message)
{
    const union ipc_body *body = &message->body;
    switch (message->header.type) {
    case IPC_MSG_NETWORK:
        mode->network = body->network;
        mode->active = true;
        return true;
    case IPC_MSG_CREDENTIAL:
        credential_take(mode, &body->credential);
        return true;
    case IPC_MSG_STUN_SERVER:
        stun_server_take(mode, &body->stun_server);
        return true;
    case IPC_MSG_STORED:
        documents_take(&mode->documents, &body->stored);
        return true;
    case IPC_MSG_NETWORK_DONE:
        begin(mode);
        return true;
    default:
        return false;
    }
}

bool network_mode_message(struct network_mode *mode, enum ipc_role from, struct ipc_message *message,
                          uint64_t now_ns)
{
    const uint32_t request = message->header.request;
    if (from == IPC_PARENT && from_parent(mode, message))
        return true;
    if (!mode->started)
        return false;
    if (message->header.type == IPC_MSG_RESULT && (request & NETWORK_REQUEST_MASK) == NETWORK_REQUEST) {
        answered(mode, request, &message->body.result);
        return true;
    }
    if (from == IPC_PARENT || (request & ~(MESH_REQUEST_BIT - 1)) != MESH_REQUEST_BIT)
        return false;
    mesh_message(mode->mesh, message, now_ns);
    return true;
}

/* -- Links -- */

void network_mode_link_up(struct network_mode *mode, enum ipc_role role)
{
    if (role == IPC_TUNNELD) {
        mode->tunneld_link = true;
        mode->addresses_unsent = mode->addresses.addresses.count > 0;
    } else if (role == IPC_PROXYD && mode->mesh) {
        mesh_proxyd_up(mode->mesh);
    }
}

void network_mode_link_down(struct network_mode *mode, enum ipc_role role)
{
    if (role == IPC_TUNNELD) {
        mode->tunneld_link = false;
        return;
    }
    if (mode->mesh)
        mesh_proxyd_down(mode->mesh);
    if (mode->issuer_request) {
        mode->issuer_request = 0;
        session_issuer_admitted(mode->session, NX_EAGAIN);
    }
}

void network_mode_peer_status(struct network_mode *mode, const struct peer *peer)
{
    if (mode->mesh)
        mesh_status(mode->mesh, peer);
}

/* -- Turns -- */

static void addresses_send(struct network_mode *mode)
{
    const uint32_t request = network_request_new(mode, ASKED_ADDRESSES);
    if (mode->ops->send(mode->arg, IPC_PARENT, IPC_MSG_MESH_ADDRESSES, request, &mode->addresses) != NX_OK)
        return;
    mode->addresses_request = request;
    mode->addresses_unsent = false;
}

static void key_send(struct network_mode *mode)
{
    struct ipc_key_renew body;
    const uint32_t request = network_request_new(mode, ASKED_KEY);
    memcpy(body.public_key, mode->public_key, KEY_BYTES);
    if (mode->ops->send(mode->arg, IPC_PARENT, IPC_MSG_KEY_RENEW, request, &body) != NX_OK)
        return;
    mode->key_request = request;
    mode->key_unsent = false;
}

static void documents_send(struct network_mode *mode)
{
    struct ipc_stored piece;
    while (mode->ops->room(mode->arg) && documents_next(&mode->documents, &piece)) {
        if (mode->ops->send(mode->arg, IPC_PARENT, IPC_MSG_STORED, 0, &piece) != NX_OK)
            break;
        documents_sent(&mode->documents, &piece);
    }
    sodium_memzero(&piece, sizeof piece);
}

void network_mode_run(struct network_mode *mode, uint64_t now_ns)
{
    if (!mode->started)
        return;
    device_changed(mode);
    session_run(mode->session, now_ns);
    mesh_run(mode->mesh, now_ns);
    if (mode->addresses_unsent)
        addresses_send(mode);
    if (mode->key_unsent)
        key_send(mode);
    documents_send(mode);
}

bool network_mode_flush(struct network_mode *mode)
{
    struct ipc_stored piece;
    if (!mode->started)
        return true;
    session_flush(mode->session);
    documents_send(mode);
    const bool more = documents_next(&mode->documents, &piece);
    sodium_memzero(&piece, sizeof piece);
    return !more;
}

uint64_t network_mode_next_ns(const struct network_mode *mode, uint64_t now_ns)
{
    if (!mode->started)
        return UINT64_MAX;
    const uint64_t session_ns = session_next_ns(mode->session), mesh_ns = mesh_next_ns(mode->mesh, now_ns);
    return session_ns < mesh_ns ? session_ns : mesh_ns;
}
