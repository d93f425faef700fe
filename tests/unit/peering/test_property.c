/* Random VPCs: devices come, go, change and lie, endpoints answer and fall silent, time passes. After every
 * step the tunnel keeps the rules: no prefix at two peers, none that nobody may have, never ourselves. The
 * seed is printed; NEXD_TEST_SEED repeats a run. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/peering/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DEVICES = 12, STEPS = 4000 };

static uint64_t random_state;

static unsigned pick(unsigned below) /* xorshift64* */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)((random_state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static const char *const claims[] = {"100.64.0.2",    "100.64.0.3/32", "100.64.0.4",    "200::2",
                                     "200::3/128",    "0.0.0.0/0",     "100.64.0.0/10", "10.0.0.0/8",
                                     "100.64.0.1",    "200::1",        "10.1.0.0/16",   "192.168.0.0/24",
                                     "2001:db8::/32", "100.64.0.0/24", "rubbish"};
static const char *const endpoints[] = {"10.0.0.2:1",  "10.0.0.3:1",       "198.51.100.1:7", "198.51.100.9:9",
                                        "127.0.0.1:1", "invalid AddrPort", "[2001:db8::9]:9"};

static const char *any(const char *const *texts, size_t count)
{
    return texts[pick((unsigned)count)];
}
#define ANY(texts) any(texts, sizeof(texts) / sizeof *(texts))

static void device_random(struct net_device *device, unsigned n)
{
    net_device(device, n);
    if (pick(8) == 0) { /* somebody else's key, ours perhaps */
        struct net_device other;
        memcpy(device->key, net_device(&other, pick(DEVICES))->key, sizeof device->key);
    }
    for (size_t i = 0; i < 2; i++)
        if (pick(4) == 0)
            device->allowed[i] = ANY(claims);
    for (unsigned i = pick(3); i > 0; i--)
        net_advertise(device, ANY(claims));
    net_endpoints(device, ANY(endpoints), ANY(endpoints));
    device->device.relay = pick(8) == 0;
    device->device.relay_type = pick(3) == 0 ? RELAY_DERP : RELAY_WIREGUARD;
    device->device.symmetric_nat = pick(5) == 0;
}

static void step(void)
{
    struct net_device device;
    switch (pick(8)) {
    case 0:
        peering_remove(net.peering, net_device(&device, 1 + pick(DEVICES - 1))->id);
        net_run();
        break;
    case 1: {
        peering_list_begin(net.peering);
        net_put(net_device(&device, OWN)); /* in every list that counts; without it, we are no member */
        for (unsigned n = 1; n < DEVICES; n++) {
            device_random(&device, n);
            if (pick(3) != 0)
                net_put(&device);
        }
        peering_list_end(net.peering);
        net_run();
        break;
    }
    case 2:
        net.up_count = 0;
        for (unsigned i = pick(4); i > 0; i--)
            net_up(ANY(endpoints));
        break;
    case 3:
        net.self.facts.relay_only = pick(6) == 0;
        net.self.facts.symmetric_nat = pick(4) == 0;
        net.self.facts.derp_available = pick(2) == 0;
        if (netsock_parse(ANY(endpoints), &net.self.facts.reflexive) != NX_OK)
            net.self.facts.reflexive = (struct netsock){0};
        peering_set_self(net.peering, &net.self);
        net_run();
        break;
    case 4:
    case 5:
        device_random(&device, 1 + pick(DEVICES - 1));
        net_put(&device);
        net_run();
        break;
    default:
        net_pass_s(1 + pick(100));
    }
}

static bool prefix_allowed(const struct netprefix *prefix)
{
    char text[NETPREFIX_TEXT_MAX];
    netprefix_format(prefix, text);
    static const char *const never[] = {"0.0.0.0/0", "100.64.0.0/24", "100.64.0.1/32"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strcmp(text, never[i]) == 0)
            return false;
    return true;
}

/* Also of what WireGuard would do: a prefix that two peers have would move to the one set later. */
static void rules_hold(void)
{
    size_t relays = 0, wrong = 0;
    for (size_t i = 0; i < NET_TUNNEL_MAX; i++) {
        const struct net_peer *peer = &net.peers[i];
        if (!peer->there)
            continue;
        wrong += memcmp(peer->key, net.self.public_key, KEY_BYTES) == 0;
        wrong += peer->via_derp && !net.self.facts.derp_available;
        for (size_t p = 0; p < peer->allowed_count; p++) {
            wrong += !prefix_allowed(&peer->allowed[p]);
            relays += peer->allowed[p].length == 10;
            for (size_t j = 0; j < NET_TUNNEL_MAX; j++)
                for (size_t q = 0; net.peers[j].there && q < net.peers[j].allowed_count; q++)
                    wrong += (i != j || p != q) && prefix_equal(&peer->allowed[p], &net.peers[j].allowed[q]);
        }
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_le(relays, 1);
}

START_TEST(no_vpc_breaks_the_rules)
{
    const char *given = getenv("NEXD_TEST_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 "\n", seed);
    random_state = seed * 2 + 1;
    net_list(NULL, 0);
    for (unsigned i = 0; i < STEPS; i++) {
        step();
        rules_hold();
        ck_assert_uint_gt(peering_next_ns(net.peering, net.now_ns), net.now_ns);
    }
    ck_assert_uint_gt(net.sets, STEPS / 10); /* it was no empty VPC all the time */
    ck_assert_uint_gt(net.removes, STEPS / 20);
}
END_TEST

/* In whatever order devices are told, the outcome is the same. */
START_TEST(order_does_not_matter)
{
    static struct net_device devices[DEVICES];
    char allowed[2][DEVICES][256];
    random_state = (uint64_t)time(NULL) | 1;
    for (unsigned n = 1; n < DEVICES; n++)
        device_random(&devices[n], n);
    for (unsigned round = 0; round < 2; round++) {
        struct net_device *order[DEVICES - 1];
        for (unsigned i = 0; i < DEVICES - 1; i++)
            order[i] = &devices[round == 0 ? i + 1 : DEVICES - 1 - i];
        if (round == 1) {
            net_stop();
            net_start();
        }
        net_list(order, DEVICES - 1);
        for (unsigned n = 1; n < DEVICES; n++)
            snprintf(allowed[round][n], sizeof allowed[round][n], "%s", net_allowed(n));
    }
    for (unsigned n = 1; n < DEVICES; n++)
        ck_assert_str_eq(allowed[0][n], allowed[1][n]);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, net_start, net_stop);
    tcase_add_test(tcase, no_vpc_breaks_the_rules);
    tcase_add_test(tcase, order_does_not_matter);
}

int main(void)
{
    return unit_run("peering_property", fill);
}
