/* Devices, ranges and reports from arbitrary bytes: whatever a control plane says, no prefix is at two peers,
 * we are nobody's peer, and nothing is sent to where no peer is.
 *
 * The input is lines. "D" begins a device (its texts follow, separated by tabs: id, key, name, address,
 * allowed, advertised, local, reflexive, flags), "R" removes one by id, "V" sets the ranges, "T" lets seconds
 * pass, "L" makes what follows, up to the next "L", a whole list. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/peering/peering.h"
#include "tests/fuzz/fuzz_input.h"

enum { PEERS_MAX = 64, FIELDS = 9 };

struct peer {
    bool there;
    uint8_t key[KEY_BYTES];
    struct netprefix allowed[128];
    size_t allowed_count;
};

static struct peer peers[PEERS_MAX];
static const uint8_t own_key[KEY_BYTES] = {1, 2, 3};

static struct peer *find(const uint8_t *key, bool make)
{
    struct peer *free_place = NULL;
    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (peers[i].there && memcmp(peers[i].key, key, KEY_BYTES) == 0)
            return &peers[i];
        if (!peers[i].there)
            free_place = &peers[i];
    }
    return make ? free_place : NULL;
}

static int on_set(void *arg, const struct peering_peer *wanted)
{
    (void)arg;
    struct peer *peer = find(wanted->public_key, true);
    fuzz_require(memcmp(wanted->public_key, own_key, KEY_BYTES) != 0);
    fuzz_require(wanted->endpoint.addr.family == NETADDR_NONE || wanted->endpoint.port != 0);
    fuzz_require(wanted->endpoint.addr.family != NETADDR_V4 ||
                 (wanted->endpoint.addr.bytes[0] != 127 && wanted->endpoint.addr.bytes[0] < 224));
    if (!peer || wanted->allowed_count > 128)
        return NX_OK;
    peer->there = true;
    memcpy(peer->key, wanted->public_key, KEY_BYTES);
    peer->allowed_count = wanted->allowed_count;
    if (wanted->allowed_count > 0)
        memcpy(peer->allowed, wanted->allowed, wanted->allowed_count * sizeof *wanted->allowed);
    return NX_OK;
}

static void on_remove(void *arg, const uint8_t key[KEY_BYTES])
{
    (void)arg;
    struct peer *peer = find(key, false);
    if (peer)
        peer->there = false;
}

static void on_own(void *arg, const struct netaddr *v4, const struct netaddr *v6)
{
    (void)arg, (void)v4, (void)v6;
}

static const struct peering_ops ops = {.set = on_set, .remove = on_remove, .own_addresses = on_own};

static void rules_hold(void)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        for (size_t p = 0; peers[i].there && p < peers[i].allowed_count; p++) {
            fuzz_require(peers[i].allowed[p].length > 0);
            for (size_t j = i; j < PEERS_MAX; j++)
                for (size_t q = i == j ? p + 1 : 0; peers[j].there && q < peers[j].allowed_count; q++)
                    fuzz_require(!prefix_equal(&peers[i].allowed[p], &peers[j].allowed[q]));
        }
}

static void device_put(struct peering *peering, char *line)
{
    const char *field[FIELDS] = {"", "", "", "", "", "", "", "", ""};
    for (size_t i = 0; i < FIELDS && line; i++)
        field[i] = strsep(&line, "\t");
    const struct peering_endpoint endpoints[] = {{"local", field[6]}, {"stun:", field[7]}};
    const struct peering_device device = {
        .id = field[0],
        .public_key = field[1],
        .hostname = field[2],
        .tunnel_ipv4 = {&field[3], 1},
        .tunnel_ipv6 = {&field[3], 1},
        .allowed_ips = {&field[4], 2}, /* the second is advertised as well */
        .advertise_cidrs = {&field[5], 1},
        .endpoints = endpoints,
        .endpoint_count = 2,
        .relay = strchr(field[8], 'r') != NULL,
        .symmetric_nat = strchr(field[8], 's') != NULL,
        .relay_type = strchr(field[8], 'd') ? RELAY_DERP : RELAY_WIREGUARD};
    peering_put(peering, &device);
}

static void report(struct peering *peering, const char *text, uint64_t now_ns)
{
    const struct netsock nowhere = {.port = 0};
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (peers[i].there && strchr(text, '0' + (int)(i % 10)))
            peering_report(peering, peers[i].key, now_ns, now_ns, &nowhere);
}

static void line_do(struct peering *peering, char *line, bool *in_list, uint64_t *now_ns)
{
    char *second;
    switch (line[0]) {
    case 'D':
        device_put(peering, line + 1);
        break;
    case 'R':
        peering_remove(peering, line + 1);
        break;
    case 'V':
        second = line + 1;
        strsep(&second, "\t");
        peering_set_vpc(peering, line + 1, second);
        break;
    case 'L':
        if (*in_list)
            peering_list_end(peering);
        else
            peering_list_begin(peering);
        *in_list = !*in_list;
        break;
    default:
        *now_ns += 10 * NS_PER_S;
        report(peering, line, *now_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length), *rest = text;
    struct peering *peering = peering_new(&ops, NULL);
    struct peering_self self = {.id = "self"};
    uint64_t now_ns = 1000 * NS_PER_S;
    bool in_list = false;
    fuzz_require(peering != NULL);
    memset(peers, 0, sizeof peers);
    memcpy(self.public_key, own_key, KEY_BYTES);
    peering_set_self(peering, &self);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        line_do(peering, line, &in_list, &now_ns);
        peering_run(peering, now_ns);
        rules_hold();
        fuzz_require(peering_next_ns(peering, now_ns) > now_ns);
    }
    peering_free(peering);
    free(text);
    return 0;
}
