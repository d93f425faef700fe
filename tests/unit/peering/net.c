#include "tests/unit/peering/net.h"

#include "common/err.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct net net;

static struct net_peer *tunnel_find(const uint8_t *key)
{
    for (size_t i = 0; i < NET_TUNNEL_MAX; i++)
        if (net.peers[i].there && memcmp(net.peers[i].key, key, KEY_BYTES) == 0)
            return &net.peers[i];
    return NULL;
}

static int on_set(void *arg, const struct peering_peer *peer)
{
    (void)arg;
    struct net_peer *mine = tunnel_find(peer->public_key);
    if (net.short_of_memory)
        return NX_ENOMEM;
    for (size_t i = 0; i < NET_TUNNEL_MAX && !mine; i++) {
        if (!net.peers[i].there) {
            mine = &net.peers[i];
            *mine = (struct net_peer){.there = true};
            memcpy(mine->key, peer->public_key, KEY_BYTES);
        }
    }
    ck_assert_ptr_nonnull(mine);
    ck_assert_uint_eq(peer->keepalive_s, 20);
    ck_assert_uint_le(peer->allowed_count, NET_TEXTS_MAX);
    if (peer->endpoint.addr.family != NETADDR_NONE)
        mine->endpoint = peer->endpoint;
    mine->via_derp = peer->via_derp;
    mine->allowed_count = peer->allowed_count;
    if (peer->allowed_count)
        memcpy(mine->allowed, peer->allowed, peer->allowed_count * sizeof *peer->allowed);
    net.sets++;
    return NX_OK;
}

static void on_remove(void *arg, const uint8_t key[KEY_BYTES])
{
    (void)arg;
    struct net_peer *mine = tunnel_find(key);
    ck_assert_msg(mine != NULL, "removal of a peer that is not there");
    mine->there = false;
    net.removes++;
}

static void on_own(void *arg, const struct netaddr *v4, const struct netaddr *v6)
{
    (void)arg;
    net.own_v4 = *v4;
    net.own_v6 = *v6;
    net.own_told++;
}

static const struct peering_ops ops = {.set = on_set, .remove = on_remove, .own_addresses = on_own};

static void key_make(unsigned n, uint8_t key[KEY_BYTES])
{
    memset(key, 0x5a, KEY_BYTES);
    key[0] = (uint8_t)(n + 1);
    key[1] = (uint8_t)((n + 1) >> 8);
}

void net_start(void)
{
    net = (struct net){.now_ns = NET_START_NS};
    net.peering = peering_new(&ops, NULL);
    ck_assert_ptr_nonnull(net.peering);
    net.self.id = "00000000-0000-4000-8000-000000000000";
    key_make(OWN, net.self.public_key);
    ck_assert_int_eq(netsock_parse("10.0.0.1:51820", &net.self.facts.local), NX_OK);
    ck_assert_int_eq(netsock_parse("198.51.100.1:51820", &net.self.facts.reflexive), NX_OK);
    peering_set_self(net.peering, &net.self);
    ck_assert_int_eq(peering_set_vpc(net.peering, "100.64.0.0/10", "200::/64"), NX_OK);
}

void net_stop(void)
{
    peering_free(net.peering);
}

void net_endpoints(struct net_device *device, const char *local, const char *reflexive)
{
    size_t count = 0;
    if (local) {
        snprintf(device->local, sizeof device->local, "%s", local);
        device->endpoints[count++] = (struct peering_endpoint){"local", device->local};
    }
    if (reflexive) {
        snprintf(device->reflexive, sizeof device->reflexive, "%s", reflexive);
        device->endpoints[count++] = (struct peering_endpoint){"stun:", device->reflexive};
    }
    device->device.endpoints = device->endpoints;
    device->device.endpoint_count = count;
}

struct net_device *net_device(struct net_device *device, unsigned n)
{
    uint8_t key[KEY_BYTES];
    char local[32], reflexive[32];
    *device = (struct net_device){0};
    key_make(n, key);
    key_format(key, device->key);
    snprintf(device->id, sizeof device->id, "00000000-0000-4000-8000-%012u", n);
    snprintf(device->name, sizeof device->name, "host%u", n);
    snprintf(device->v4, sizeof device->v4, "100.64.%u.%u", (n + 1) >> 8, (n + 1) & 255);
    snprintf(device->v6, sizeof device->v6, "200::%x", n + 1);
    snprintf(device->allowed_text[0], sizeof device->allowed_text[0], "%s/32", device->v4);
    snprintf(device->allowed_text[1], sizeof device->allowed_text[1], "%s/128", device->v6);
    snprintf(local, sizeof local, "10.0.%u.%u:51820", (n + 1) >> 8, (n + 1) & 255);
    snprintf(reflexive, sizeof reflexive, "198.51.%u.%u:51820", 100 + ((n + 1) >> 8), (n + 1) & 255);
    device->tunnel4[0] = device->v4;
    device->tunnel6[0] = device->v6;
    device->allowed[0] = device->allowed_text[0];
    device->allowed[1] = device->allowed_text[1];
    device->device = (struct peering_device){.id = device->id,
                                             .public_key = device->key,
                                             .hostname = device->name,
                                             .tunnel_ipv4 = {device->tunnel4, 1},
                                             .tunnel_ipv6 = {device->tunnel6, 1},
                                             .allowed_ips = {device->allowed, 2},
                                             .advertise_cidrs = {device->advertised, 0}};
    net_endpoints(device, local, reflexive);
    return device;
}

void net_advertise(struct net_device *device, const char *prefix)
{
    device->advertised[device->device.advertise_cidrs.count++] = prefix;
}

int net_put(struct net_device *device)
{
    return peering_put(net.peering, &device->device);
}

void net_list(struct net_device *const *devices, size_t count)
{
    struct net_device own;
    peering_list_begin(net.peering);
    ck_assert_int_eq(net_put(net_device(&own, OWN)), NX_OK);
    for (size_t i = 0; i < count; i++)
        net_put(devices[i]);
    peering_list_end(net.peering);
    net_run();
}

/* Running twice at one time must change nothing: everything is handed out at once. */
void net_run(void)
{
    peering_run(net.peering, net.now_ns);
    const unsigned sets = net.sets, removes = net.removes;
    peering_run(net.peering, net.now_ns);
    ck_assert_msg(sets == net.sets && removes == net.removes, "a second run hands out more");
}

void net_up(const char *endpoint)
{
    net.up[net.up_count++] = endpoint;
}

void net_down(const char *endpoint)
{
    for (size_t i = 0; i < net.up_count; i++)
        if (strcmp(net.up[i], endpoint) == 0)
            net.up[i] = net.up[--net.up_count];
}

static bool answers(const struct netsock *endpoint)
{
    char text[NETSOCK_TEXT_MAX];
    if (endpoint->addr.family == NETADDR_NONE)
        return false;
    netsock_format(endpoint, text);
    for (size_t i = 0; i < net.up_count; i++)
        if (strcmp(net.up[i], text) == 0)
            return true;
    return false;
}

/* A handshake when there is none or when it is two minutes old, and a keepalive at least every 20 s. */
static void tunnel_live(struct net_peer *peer)
{
    if (!answers(&peer->endpoint))
        return;
    if (peer->handshake_ns == 0 || net.now_ns - peer->handshake_ns >= 120 * NS_PER_S)
        peer->handshake_ns = net.now_ns;
    peer->rx_bytes += 32;
}

void net_pass_s(unsigned seconds)
{
    const uint64_t end_ns = net.now_ns + seconds * NS_PER_S;
    while (net.now_ns < end_ns) {
        uint64_t step_ns = PEERING_POLL_MS * NS_PER_MS;
        if (end_ns - net.now_ns < step_ns)
            step_ns = end_ns - net.now_ns;
        net.now_ns += step_ns;
        for (size_t i = 0; i < NET_TUNNEL_MAX; i++) {
            struct net_peer *peer = &net.peers[i];
            if (!peer->there)
                continue;
            tunnel_live(peer);
            peering_report(net.peering, peer->key, peer->handshake_ns, peer->rx_bytes, &peer->endpoint);
        }
        net_run();
    }
}

struct net_peer *net_peer(unsigned n)
{
    uint8_t key[KEY_BYTES];
    key_make(n, key);
    return tunnel_find(key);
}

const char *net_endpoint(unsigned n)
{
    static char text[NETSOCK_TEXT_MAX];
    const struct net_peer *peer = net_peer(n);
    if (!peer || peer->endpoint.addr.family == NETADDR_NONE)
        return "";
    return netsock_format(&peer->endpoint, text);
}

const char *net_allowed(unsigned n)
{
    static char text[NET_TEXTS_MAX * NETPREFIX_TEXT_MAX];
    const struct net_peer *peer = net_peer(n);
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; peer && i < peer->allowed_count; i++) {
        char prefix[NETPREFIX_TEXT_MAX];
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "",
                                   netprefix_format(&peer->allowed[i], prefix));
    }
    return text;
}

struct status_find {
    uint8_t key[KEY_BYTES];
    struct peering_status found;
};

static void status_each(void *arg, const struct peering_status *status)
{
    struct status_find *find = arg;
    if (memcmp(status->public_key, find->key, KEY_BYTES) == 0)
        find->found = *status;
}

static struct peering_status status_of(unsigned n)
{
    struct status_find find = {.found.method = "absent"};
    key_make(n, find.key);
    peering_each(net.peering, net.now_ns, status_each, &find);
    /* Asked for by its key, a peer is the same; ours is none. */
    struct peering_status alone;
    const bool is_peer = strcmp(find.found.method, "absent") != 0 && !find.found.own;
    ck_assert_int_eq(peering_find(net.peering, find.key, net.now_ns, &alone), is_peer);
    if (is_peer) {
        ck_assert_str_eq(alone.id, find.found.id);
        ck_assert_str_eq(alone.hostname, find.found.hostname);
        ck_assert_str_eq(alone.method, find.found.method);
        ck_assert(alone.served == find.found.served && alone.healthy == find.found.healthy);
    }
    return find.found;
}

const char *net_method(unsigned n)
{
    return status_of(n).method;
}

bool net_healthy(unsigned n)
{
    return status_of(n).healthy;
}

bool net_served(unsigned n)
{
    return status_of(n).served;
}
