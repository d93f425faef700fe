/* The whole source between a tunneld and a proxyd that the test plays: STUN at the start, own addresses,
 * peers once the tunnel is configured, reports that decide on the next way, names. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/peering/mesh.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>

enum { TUNNEL_MAX = 8, PENDING_MAX = 32, WALL_S = 1700000000 };
#define START_NS (5000 * NS_PER_S)

static struct peers *peers;
static struct mesh *mesh;
static uint64_t now_ns;
static unsigned own_told, published;

static struct pending {
    enum ipc_type type;
    uint32_t request;
    struct netsock server;
    char host[IPC_NAME_MAX + 1];
} pending[PENDING_MAX];
static size_t pending_count;

static struct tunnel_peer {
    bool there, up;
    uint8_t key[KEY_BYTES];
    struct netsock endpoint;
    size_t allowed_count;
    uint64_t handshake_unix_s, rx;
} tunnel[TUNNEL_MAX];
static char names[8][300];
static size_t name_count;
static bool stun_dead;

static uint64_t wall_s(void)
{
    return WALL_S + (now_ns - START_NS) / NS_PER_S;
}

static struct tunnel_peer *tunnel_find(const uint8_t *key, bool make)
{
    for (size_t i = 0; i < TUNNEL_MAX; i++)
        if (tunnel[i].there && memcmp(tunnel[i].key, key, KEY_BYTES) == 0)
            return &tunnel[i];
    for (size_t i = 0; make && i < TUNNEL_MAX; i++) {
        if (tunnel[i].there)
            continue;
        tunnel[i] = (struct tunnel_peer){.there = true};
        memcpy(tunnel[i].key, key, KEY_BYTES);
        return &tunnel[i];
    }
    return NULL;
}

static void tunnel_set(const struct ipc_peer_set *set)
{
    struct tunnel_peer *peer = tunnel_find(set->public_key, true);
    ck_assert_ptr_nonnull(peer);
    ck_assert_uint_eq(set->keepalive_s, 20);
    peer->allowed_count = set->allowed.count + (set->append ? peer->allowed_count : 0);
    if (set->endpoint.addr.family != NETADDR_NONE)
        peer->endpoint = set->endpoint;
}

static int to_tunneld(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    ck_assert_uint_lt(pending_count, PENDING_MAX);
    ck_assert_msg((type == IPC_MSG_STUN_SEND) == ((request & MESH_REQUEST_BIT) != 0),
                  "ids must tell them apart");
    if (type == IPC_MSG_PEER_SET)
        tunnel_set(body);
    else if (type == IPC_MSG_PEER_REMOVE)
        tunnel_find(((const struct ipc_peer_remove *)body)->public_key, true)->there = false;
    else if (type == IPC_MSG_STUN_SEND)
        pending[pending_count++] = (struct pending){
            .type = type, .request = request, .server = ((const struct ipc_stun_send *)body)->server};
    else if (type == IPC_MSG_PEERS_QUERY)
        pending[pending_count++] = (struct pending){.type = type, .request = request};
    return NX_OK;
}

static int to_proxyd(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    ck_assert_uint_lt(pending_count, PENDING_MAX);
    if (type == IPC_MSG_RESOLVE) {
        ck_assert(request & MESH_REQUEST_BIT);
        pending[pending_count] = (struct pending){.type = type, .request = request};
        strcpy(pending[pending_count++].host, ((const struct ipc_resolve *)body)->host);
    } else if (type == IPC_MSG_MESH_NAME && name_count < 8) {
        strcpy(names[name_count++], ((const struct ipc_mesh_name *)body)->name);
    }
    return NX_OK;
}

static uint32_t on_random(void *arg)
{
    (void)arg;
    return 4;
}

static void on_own(void *arg, const struct netaddr *v4, const struct netaddr *v6)
{
    (void)arg, (void)v4, (void)v6;
    own_told++;
}

static void on_published(void *arg)
{
    (void)arg;
    published++;
}

static void on_status(void *arg, const struct peer *peer, uint64_t at_ns)
{
    (void)arg, (void)at_ns;
    mesh_status(mesh, peer);
}

static void on_synced(void *arg)
{
    (void)arg;
}

static const struct peers_ops peers_ops = {
    .send = to_tunneld, .on_status = on_status, .on_synced = on_synced};
static const struct mesh_ops mesh_ops = {.to_tunneld = to_tunneld,
                                         .to_proxyd = to_proxyd,
                                         .random = on_random,
                                         .own_addresses = on_own,
                                         .published_changed = on_published};

static void status_answer(uint32_t request)
{
    for (size_t i = 0; i < TUNNEL_MAX; i++) {
        struct tunnel_peer *peer = &tunnel[i];
        if (!peer->there)
            continue;
        if (peer->up && wall_s() >= peer->handshake_unix_s + 120)
            peer->handshake_unix_s = wall_s();
        peer->rx += peer->up ? 32 : 0;
        struct ipc_message message = {.header = {.type = IPC_MSG_PEER_STATUS, .request = request}};
        memcpy(message.body.peer_status.public_key, peer->key, KEY_BYTES);
        message.body.peer_status.endpoint = peer->endpoint;
        message.body.peer_status.handshake_unix_s = peer->handshake_unix_s;
        message.body.peer_status.rx_bytes = peer->rx;
        peers_message(peers, &message, now_ns, wall_s());
    }
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = request}};
    peers_message(peers, &message, now_ns, wall_s());
}

static void pending_answer(const struct pending *one)
{
    struct ipc_message message = {.header = {.request = one->request}};
    if (one->type == IPC_MSG_PEERS_QUERY) {
        status_answer(one->request);
        return;
    }
    if (one->type == IPC_MSG_RESOLVE && strcmp(one->host, "missing") == 0) {
        message.header.type = IPC_MSG_RESULT;
        message.body.result.result = IPC_NOT_FOUND;
    } else if (one->type == IPC_MSG_RESOLVE) {
        message.header.type = IPC_MSG_RESOLVED;
        message.body.resolved.addresses.count = 1;
        message.body.resolved.addresses.item[0] =
            (struct netaddr){NETADDR_V4, {192, 0, 2, (uint8_t)one->host[0]}};
    } else if (stun_dead) {
        message.header.type = IPC_MSG_RESULT;
        message.body.result.result = IPC_REFUSED;
    } else {
        message.header.type = IPC_MSG_STUN_ANSWER;
        message.body.stun_answer.server = one->server;
        message.body.stun_answer.mapped =
            (struct netsock){.addr = {NETADDR_V4, {198, 51, 100, 1}}, .port = 4000};
    }
    mesh_message(mesh, &message, now_ns);
}

static void settle(void)
{
    for (unsigned turn = 0; turn < 100; turn++) {
        mesh_run(mesh, now_ns);
        peers_run(peers, now_ns);
        peers_pump(peers, now_ns);
        if (pending_count == 0)
            return;
        const struct pending one = pending[0];
        memmove(pending, pending + 1, --pending_count * sizeof *pending);
        pending_answer(&one);
    }
    ck_abort_msg("it never settles");
}

static void pass_s(unsigned seconds)
{
    const uint64_t end_ns = now_ns + seconds * NS_PER_S;
    for (unsigned turns = 0; now_ns < end_ns; turns++) {
        uint64_t next_ns = mesh_next_ns(mesh, now_ns), other_ns = peers_next_ns(peers);
        next_ns = other_ns < next_ns ? other_ns : next_ns;
        ck_assert_msg(next_ns > now_ns, "it does not sleep");
        ck_assert_uint_lt(turns, 10000);
        now_ns = next_ns < end_ns ? next_ns : end_ns;
        settle();
    }
}

static void start(bool relay_only, const char *second_server)
{
    const char *const servers[] = {"a", second_server};
    struct mesh_config config = {
        .public_key = {1}, .stun_servers = servers, .stun_server_count = 2, .relay_only = relay_only};
    struct netsock local;
    memset(tunnel, 0, sizeof tunnel);
    now_ns = START_NS;
    own_told = published = 0;
    pending_count = name_count = 0;
    peers = peers_new(&peers_ops, NULL);
    mesh = mesh_new(peers, &config, &mesh_ops, NULL);
    ck_assert(peers && mesh);
    ck_assert_int_eq(netsock_parse("10.0.0.1:5", &local), NX_OK);
    mesh_set_local(mesh, &local);
    peers_link_up(peers, now_ns);
    mesh_proxyd_up(mesh);
}

static void set_up(void)
{
    stun_dead = false;
    start(false, "b");
}

static void tear_down(void)
{
    mesh_free(mesh);
    peers_free(peers);
}

static void device_put(const char *id, uint8_t first_key_byte, const char *name, const char *address,
                       const char *local, const char *reflexive)
{
    const struct peering_endpoint endpoints[] = {{"local", local}, {"stun:", reflexive}};
    const uint8_t key[KEY_BYTES] = {first_key_byte};
    char text[KEY_TEXT_MAX];
    const struct peering_device device = {.id = id,
                                          .public_key = key_format(key, text),
                                          .hostname = name,
                                          .tunnel_ipv4 = {&address, 1},
                                          .allowed_ips = {&address, 1},
                                          .endpoints = endpoints,
                                          .endpoint_count = 2};
    ck_assert_int_eq(peering_put(mesh_peering(mesh), &device), NX_OK);
}

static void join(void)
{
    mesh_set_id(mesh, "me");
    ck_assert_int_eq(peering_set_vpc(mesh_peering(mesh), "100.64.0.0/10", "200::/64"), NX_OK);
    peering_list_begin(mesh_peering(mesh));
    device_put("me", 1, "mine", "100.64.0.1", "10.0.0.1:5", "198.51.100.1:4000");
    device_put("other", 2, "db", "100.64.0.2", "10.0.0.2:5", "198.51.100.1:4001");
    peering_list_end(mesh_peering(mesh));
    settle();
}

static struct tunnel_peer *other(void)
{
    return tunnel_find((const uint8_t[KEY_BYTES]){2}, false);
}

START_TEST(a_device_joins)
{
    struct stun_published out[2];
    settle();
    ck_assert(mesh_stun(mesh).settled);
    ck_assert_uint_ge(published, 1);
    ck_assert_int_eq(mesh_publish(mesh, out), NX_OK);
    ck_assert_str_eq(out[0].address, "10.0.0.1:5");
    ck_assert_str_eq(out[1].address, "198.51.100.1:4000");
    join();
    ck_assert_uint_eq(own_told, 1);
    ck_assert_msg(!other(), "the tunnel has no configuration yet");
    mesh_tunnel_ready(mesh);
    settle();
    ck_assert_ptr_nonnull(other());
    ck_assert_uint_eq(other()->allowed_count, 1);
    ck_assert_uint_eq(other()->endpoint.addr.bytes[0], 10); /* behind the same NAT */
    ck_assert(peers_synced(peers));
    ck_assert_uint_eq(name_count, 2);
    ck_assert_str_eq(names[0], "db");
}
END_TEST

START_TEST(reports_of_the_tunnel_decide)
{
    settle();
    join();
    mesh_tunnel_ready(mesh);
    settle();
    pass_s(36); /* nothing comes: the outer address */
    ck_assert_uint_eq(other()->endpoint.port, 4001);
    other()->up = true;
    pass_s(600);
    ck_assert_uint_eq(other()->endpoint.port, 4001);
    other()->up = false;
    pass_s(120 + 210 + 180 + 10);
    ck_assert_uint_eq(other()->endpoint.port, 5);
    peering_remove(mesh_peering(mesh), "other");
    settle();
    ck_assert_ptr_null(other());
    ck_assert_str_eq(names[name_count - 1], "db"); /* it has no addresses any more */
}
END_TEST

START_TEST(a_start_without_stun_goes_on)
{
    struct stun_published out[2];
    stun_dead = true;
    settle();
    ck_assert(!mesh_stun(mesh).settled);
    pass_s(5);
    ck_assert(mesh_stun(mesh).settled);
    ck_assert_int_eq(mesh_publish(mesh, out), NX_OK);
    ck_assert_str_eq(out[1].source, "stun:");
    ck_assert_str_eq(out[1].address, "10.0.0.1:5");
    join();
    mesh_tunnel_ready(mesh);
    settle();
    ck_assert_uint_eq(other()->endpoint.port, 4001);
    pass_s(36); /* the local endpoint, though nobody knows whether it is of this network */
    ck_assert_uint_eq(other()->endpoint.port, 5);
}
END_TEST

START_TEST(a_server_without_an_address_is_one_that_does_not_answer)
{
    tear_down();
    start(true, "missing");
    settle();
    pass_s(5);
    ck_assert(mesh_stun(mesh).settled && mesh_stun(mesh).symmetric);
    join();
    mesh_tunnel_ready(mesh);
    settle();
    ck_assert_msg(!other(), "--relay-only, and no relay");
    ck_assert(peering_relay_required(mesh_peering(mesh)));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_device_joins);
    tcase_add_test(tcase, reports_of_the_tunnel_decide);
    tcase_add_test(tcase, a_start_without_stun_goes_on);
    tcase_add_test(tcase, a_server_without_an_address_is_one_that_does_not_answer);
}

int main(void)
{
    return unit_run("mesh", fill);
}
