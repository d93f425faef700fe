/* What session and mesh ask for becomes messages to the other processes, and what session tells of the
 * network becomes peering's. */
#include "ctld/network_mode_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <sodium.h>
#include <stdio.h>

uint32_t network_request_new(struct network_mode *mode, enum asked what)
{
    mode->round = (mode->round + 1) & 0xffffff;
    return NETWORK_REQUEST | mode->round << 2 | what;
}

/* -- What session asks for -- */

static uint64_t on_now_ns(void *arg)
{
    (void)arg;
    return clock_now_ns();
}

static uint64_t on_wall_ms(void *arg)
{
    (void)arg;
    return clock_wall_ns() / NS_PER_MS;
}

static uint64_t on_random(void *arg)
{
    (void)arg;
    uint64_t random;
    randombytes_buf(&random, sizeof random);
    return random;
}

static void on_store(void *arg, enum ipc_slot slot, const char *text, size_t length)
{
    struct network_mode *mode = arg;
    if (documents_store(&mode->documents, slot, text, length) != NX_OK)
        log_warn("what the network needs after a restart is not stored: out of memory");
}

static void on_phase(void *arg, enum ipc_join_phase phase, const char *text)
{
    struct network_mode *mode = arg;
    struct ipc_phase body = {.phase = (uint8_t)phase};
    snprintf(body.text, sizeof body.text, "%s", text);
    mode->ops->send(mode->arg, IPC_PARENT, IPC_MSG_PHASE, 0, &body);
}

static void on_prompt(void *arg, const char *url, const char *complete_url, const char *code)
{
    struct network_mode *mode = arg;
    struct ipc_login_prompt body = {0};
    if (!url)
        return; /* the next phase says so */
    if (snprintf(body.url, sizeof body.url, "%s", url) >= (int)sizeof body.url ||
        snprintf(body.code, sizeof body.code, "%s", code) >= (int)sizeof body.code) {
        log_error("the login server's address or code is too long to be shown");
        return;
    }
    if (snprintf(body.complete_url, sizeof body.complete_url, "%s", complete_url) >=
        (int)sizeof body.complete_url)
        body.complete_url[0] = '\0';
    mode->ops->send(mode->arg, IPC_PARENT, IPC_MSG_LOGIN_PROMPT, 0, &body);
}

void network_give_up(struct network_mode *mode, const char *text)
{
    struct ipc_give_up body = {0};
    snprintf(body.text, sizeof body.text, "%s", text);
    mode->ops->send(mode->arg, IPC_PARENT, IPC_MSG_GIVE_UP, 0, &body);
}

static void on_give_up(void *arg, const char *text)
{
    network_give_up(arg, text);
}

static int on_admit(void *arg, const char *host, uint16_t port)
{
    struct network_mode *mode = arg;
    struct ipc_outlet_issuer body = {.port = port};
    if (snprintf(body.host, sizeof body.host, "%s", host) >= (int)sizeof body.host)
        return NX_EINVAL;
    const uint32_t request = network_request_new(mode, ASKED_ISSUER);
    const int err = mode->ops->send(mode->arg, IPC_PROXYD, IPC_MSG_OUTLET_ISSUER, request, &body);
    mode->issuer_request = err ? 0 : request;
    return err;
}

static int on_renew_key(void *arg)
{
    struct network_mode *mode = arg;
    mode->key_wanted = mode->key_unsent = true;
    return NX_OK;
}

/* Others must be told some address: without a local one, the one that STUN saw stands in for it; without
 * either, one that leads nowhere, and it is we who reach the others. */
static void on_published(void *arg, struct session_published *out)
{
    struct network_mode *mode = arg;
    const struct stun_result stun = mesh_stun(mode->mesh);
    const uint16_t port = mode->device->public.listen_port;
    *out = (struct session_published){
        .local = {.addr = mode->network.local_endpoint, .port = port},
        .reflexive = stun.reflexive,
        .symmetric = stun.symmetric,
        .settled = stun.settled,
    };
    snprintf(out->stun_server, sizeof out->stun_server, "%s", stun.server ? stun.server : "");
    if (out->local.addr.family == NETADDR_NONE)
        out->local = out->reflexive;
    if (out->local.addr.family == NETADDR_NONE) {
        netaddr_parse("127.0.0.1", &out->local.addr);
        out->local.port = port;
    }
}

/* -- The network, on to peering -- */

static void on_identity(void *arg, const char *device_id)
{
    struct network_mode *mode = arg;
    mesh_set_id(mode->mesh, device_id);
}

static int on_vpc(void *arg, const char *ipv4_cidr, const char *ipv6_cidr)
{
    struct network_mode *mode = arg;
    return peering_set_vpc(mesh_peering(mode->mesh), ipv4_cidr, ipv6_cidr);
}

static void on_list_begin(void *arg)
{
    struct network_mode *mode = arg;
    peering_list_begin(mesh_peering(mode->mesh));
}

static void on_device(void *arg, const struct peering_device *device)
{
    struct network_mode *mode = arg;
    if (peering_put(mesh_peering(mode->mesh), device) == NX_ENOMEM)
        log_warn("device %s is left out: out of memory", device->id);
}

static void on_removed(void *arg, const char *id)
{
    struct network_mode *mode = arg;
    peering_remove(mesh_peering(mode->mesh), id);
}

static void on_list_end(void *arg)
{
    struct network_mode *mode = arg;
    peering_list_end(mesh_peering(mode->mesh));
}

/* The packet filter's place: until it takes security groups, they are shown only. */
static void on_security_group(void *arg, const struct api_security_group *group)
{
    (void)arg;
    if (group && group->inbound_count + group->outbound_count > 0)
        log_debug("our security group %s has %zu inbound and %zu outbound rules", group->id,
                  group->inbound_count, group->outbound_count);
}

const struct session_ops network_session_ops = {.now_ns = on_now_ns,
                                                .wall_ms = on_wall_ms,
                                                .random = on_random,
                                                .store = on_store,
                                                .phase = on_phase,
                                                .prompt = on_prompt,
                                                .give_up = on_give_up,
                                                .admit = on_admit,
                                                .renew_key = on_renew_key,
                                                .published = on_published,
                                                .identity = on_identity,
                                                .vpc = on_vpc,
                                                .list_begin = on_list_begin,
                                                .device = on_device,
                                                .removed = on_removed,
                                                .list_end = on_list_end,
                                                .security_group = on_security_group};

/* -- What the mesh asks for -- */

static int mesh_to_tunneld(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    struct network_mode *mode = arg;
    return mode->ops->send(mode->arg, IPC_TUNNELD, type, request, body);
}

static int to_proxyd(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    struct network_mode *mode = arg;
    return mode->ops->send(mode->arg, IPC_PROXYD, type, request, body);
}

static uint32_t mesh_random(void *arg)
{
    return (uint32_t)on_random(arg);
}

static void on_own_addresses(void *arg, const struct netaddr *v4, const struct netaddr *v6)
{
    struct network_mode *mode = arg;
    mode->addresses.addresses.count = 0;
    if (v4->family != NETADDR_NONE)
        mode->addresses.addresses.item[mode->addresses.addresses.count++] = *v4;
    if (v6->family != NETADDR_NONE)
        mode->addresses.addresses.item[mode->addresses.addresses.count++] = *v6;
    mode->addresses_unsent = mode->addresses.addresses.count > 0;
}

static void on_published_changed(void *arg)
{
    struct network_mode *mode = arg;
    if (mode->started)
        session_published_changed(mode->session);
}

const struct mesh_ops network_mesh_ops = {.to_tunneld = mesh_to_tunneld,
                                          .to_proxyd = to_proxyd,
                                          .random = mesh_random,
                                          .own_addresses = on_own_addresses,
                                          .published_changed = on_published_changed};
