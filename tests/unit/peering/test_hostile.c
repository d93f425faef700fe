/* A control plane, or a device of the VPC, that lies: who may have which address, whose key is whose, and
 * what cannot be read. Whatever is claimed, no peer gets what belongs to another, and what was right before
 * stays. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/peering/net.h"

#include <stdio.h>
#include <string.h>

static struct net_device a, b;

static void list_a(void)
{
    struct net_device *const devices[] = {&a};
    net_list(devices, 1);
}

static void list_ab(void)
{
    struct net_device *const devices[] = {&a, &b};
    net_list(devices, 2);
}

START_TEST(only_single_addresses_inside_the_vpc_are_tunnel_addresses)
{
    static const char *const wrong[] = {
        "0.0.0.0/0",      "::/0",    "100.64.0.0/10", "100.64.0.0/31", "200::/64",   "200::/127",
        "10.0.0.5/32",    "8.8.8.8", "200:1::1",      "127.0.0.1",     "fe80::1",    "224.0.0.1/32",
        "not one",        "",        "1.2.3.4/33",    "100.64.0.9/-1", "100.64.0.9", "100.64.0.9/32",
        "100.128.0.1/32", NULL};
    net_device(&a, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        a.allowed[0] = wrong[i];
        list_a();
        const bool fine = wrong[i] && strncmp(wrong[i], "100.64.0.9", 10) == 0 && !strchr(wrong[i], '-');
        ck_assert_str_eq(net_allowed(1), fine ? "100.64.0.9/32 200::2/128" : "200::2/128");
    }
}
END_TEST

START_TEST(advertised_networks_lie_outside_the_vpc_and_are_no_default_route)
{
    static const char *const wrong[] = {
        "0.0.0.0/0",      "::/0",          "0.0.0.0/1",    "128.0.0.0/1", "::/1",       "8000::/1",
        "100.0.0.0/8",    "100.64.0.3/32", "100.64.0.0/9", "200::/7",     "200::3/128", "127.0.0.0/8",
        "169.254.0.0/16", "224.0.0.0/4",   "240.0.0.0/4",  "192.0.0.0/2", "fe80::/64",  "ff00::/8",
        "::1/128",        "::ffff:0:0/96", "0.0.0.0/8",    "x",           NULL};
    net_device(&a, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        a.device.advertise_cidrs.count = 0;
        net_advertise(&a, wrong[i]);
        net_advertise(&a, "192.168.7.1/24");
        net_advertise(&a, "2001:db8:7::/48");
        list_a();
        ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128 192.168.7.0/24 2001:db8:7::/48");
    }
}
END_TEST

START_TEST(who_has_an_address_keeps_it)
{
    net_device(&b, 2);
    net_advertise(&b, "10.1.0.0/16");
    struct net_device *const first[] = {&b};
    net_list(first, 1);
    net_device(&a, 1); /* a lower id, which would win if both came at once */
    a.allowed[0] = "100.64.0.3";
    net_advertise(&a, "10.1.0.0/16");
    net_advertise(&a, "10.1.2.0/24");
    list_ab();
    ck_assert_str_eq(net_allowed(2), "100.64.0.3/32 200::3/128 10.1.0.0/16");
    ck_assert_str_eq(net_allowed(1), "200::2/128 10.1.2.0/24");
    /* News of the holder changes nothing; once it gives the network up, the other gets it. */
    net_endpoints(&b, "10.0.0.3:51820", "203.0.113.9:9");
    list_ab();
    ck_assert_str_eq(net_allowed(2), "100.64.0.3/32 200::3/128 10.1.0.0/16");
    b.device.advertise_cidrs.count = 0;
    list_ab();
    ck_assert_str_eq(net_allowed(1), "200::2/128 10.1.0.0/16 10.1.2.0/24");
    peering_remove(net.peering, b.id);
    net_run();
    ck_assert_str_eq(net_allowed(1), "100.64.0.3/32 200::2/128 10.1.0.0/16 10.1.2.0/24");
}
END_TEST

START_TEST(of_two_that_come_at_once_the_lower_id_has_it)
{
    net_device(&a, 1);
    net_device(&b, 2);
    b.allowed[0] = a.allowed[0];
    struct net_device *const backwards[] = {&b, &a};
    net_list(backwards, 2);
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    ck_assert_str_eq(net_allowed(2), "200::3/128");
}
END_TEST

START_TEST(our_own_addresses_and_key_are_ours)
{
    net_device(&a, 1);
    a.allowed[0] = "100.64.0.1/32";
    net_device(&b, 2);
    memset(b.key, 0, sizeof b.key);
    key_format(net.self.public_key, b.key);
    list_ab();
    ck_assert_str_eq(net_allowed(1), "200::2/128");
    ck_assert_str_eq(net_method(OWN), "none");
    ck_assert(!net_peer(OWN));
    ck_assert_uint_eq(net.own_told, 1);
    char text[NETADDR_TEXT_MAX];
    ck_assert_str_eq(netaddr_format(&net.own_v4, text), "100.64.0.1");
    /* Our key at another device alone: no peer, and not ourselves either. */
    peering_list_begin(net.peering);
    net_put(&b);
    peering_list_end(net.peering);
    net_run();
    ck_assert(!net_peer(OWN) && !net_peer(1));
    ck_assert_uint_eq(net.own_told, 1);
}
END_TEST

START_TEST(two_devices_with_one_key)
{
    net_device(&a, 1);
    net_device(&b, 2);
    memcpy(b.key, a.key, sizeof b.key);
    struct net_device *const first[] = {&b};
    net_list(first, 1);
    ck_assert_str_eq(net_allowed(1), "100.64.0.3/32 200::3/128");
    list_ab();
    ck_assert_str_eq(net_allowed(1), "100.64.0.3/32 200::3/128");
    peering_remove(net.peering, b.id);
    net_run();
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    ck_assert_uint_eq(net.removes, 0);
}
END_TEST

START_TEST(devices_that_cannot_be_peers_are_left_out)
{
    static const char *const keys[] = {"",
                                       "xyz",
                                       NULL,
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                       "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ",
                                       "\xff\xfe",
                                       "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=AQEB"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        net_device(&a, 1)->device.public_key = keys[i];
        ck_assert_int_eq(net_put(&a), NX_EINVAL);
    }
    char long_id[300];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    static const char *const none = NULL;
    const char *const ids[] = {"", none, long_id};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        net_device(&a, 1)->device.id = ids[i];
        ck_assert_int_eq(net_put(&a), NX_EINVAL);
    }
    net_list(NULL, 0);
    ck_assert_uint_eq(net.sets, 0);
}
END_TEST

START_TEST(an_update_that_cannot_be_read_leaves_what_was)
{
    net_device(&a, 1);
    list_a();
    a.device.public_key = "xyz";
    ck_assert_int_eq(net_put(&a), NX_EINVAL);
    net_run();
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    list_a(); /* also in a whole list */
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    static const char *const ranges[][2] = {{"0.0.0.0/0", "200::/64"},
                                            {"100.64.0.0/10", "::/0"},
                                            {"x", "200::/64"},
                                            {"200::/64", "100.64.0.0/10"},
                                            {"127.0.0.0/8", ""},
                                            {"", ""},
                                            {NULL, NULL},
                                            {"100.0.0.0/7", ""},
                                            {"", "200::/7"},
                                            {"224.0.0.0/8", ""}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        ck_assert_int_eq(peering_set_vpc(net.peering, ranges[i][0], ranges[i][1]), NX_EINVAL);
    net_run();
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    ck_assert_uint_eq(net.sets, 1);
}
END_TEST

START_TEST(a_vpc_of_one_family_grants_none_of_the_other)
{
    ck_assert_int_eq(peering_set_vpc(net.peering, "100.64.0.0/10", NULL), NX_OK);
    net_device(&a, 1)->device.relay = true;
    net_device(&b, 2);
    list_ab();
    ck_assert_str_eq(net_allowed(1), "100.64.0.0/10");
    ck_assert_str_eq(net_allowed(2), "100.64.0.3/32");
}
END_TEST

START_TEST(endpoints_that_no_peer_has_are_not_sent_to)
{
    static const char *const wrong[] = {"127.0.0.1:22",      "[::1]:22",           "0.0.0.0:1",
                                        "255.255.255.255:1", "224.0.0.1:1",        "[ff02::1]:1",
                                        "[fe80::1]:1",       "[fe80::1%1]:1",      "[::]:1",
                                        "10.0.0.1:51820",    "198.51.100.1:51820", "[::ffff:127.0.0.1]:1"};
    net_device(&a, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        net_endpoints(&a, wrong[i], wrong[i]);
        list_a();
        ck_assert_str_eq(net_endpoint(1), "");
    }
    /* Where we are on loopback ourselves, as in a demonstration, so may others be. */
    ck_assert_int_eq(netsock_parse("127.0.0.1:5", &net.self.facts.local), NX_OK);
    net.self.facts.reflexive = (struct netsock){0};
    peering_set_self(net.peering, &net.self);
    net_endpoints(&a, "127.0.0.1:6", "127.0.0.1:6");
    list_a();
    ck_assert_str_eq(net_endpoint(1), "127.0.0.1:6");
}
END_TEST

START_TEST(odd_endpoint_lists_are_survived)
{
    const struct peering_endpoint odd[] = {{NULL, "10.0.0.7:1"},
                                           {"local", NULL},
                                           {"local", "nonsense"},
                                           {"local", "10.0.0.8:8"},
                                           {"local", "10.0.0.9:9"},
                                           {"stun:a", "203.0.113.1:1"},
                                           {"", "invalid AddrPort"},
                                           {"stun:b:1", "[2001:db8::5]:5"},
                                           {"stun:", ""}};
    net_device(&a, 1);
    a.device.endpoints = odd;
    a.device.endpoint_count = sizeof odd / sizeof *odd;
    list_a();
    ck_assert_str_eq(net_endpoint(1), "[2001:db8::5]:5"); /* the last that can be read */
    net_pass_s(30);
    ck_assert_str_eq(net_endpoint(1), "[2001:db8::5]:5");
}
END_TEST

START_TEST(there_is_an_end_to_devices_and_claims)
{
    enum { MANY = 400 };
    const char *texts[MANY];
    char text[MANY][24];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "10.%u.%u.0/24", i >> 8, i & 255);
        texts[i] = text[i];
    }
    net_device(&a, 1);
    a.device.advertise_cidrs = (struct peering_texts){texts, MANY};
    list_a();
    ck_assert_uint_eq(net_peer(1)->allowed_count, 2 + MEMBER_ADVERTISED_MAX);
    for (unsigned n = 2; n < PEERING_DEVICES_MAX; n++)
        ck_assert_msg(net_put(net_device(&b, n)) == NX_OK, "device %u", n);
    ck_assert_int_eq(net_put(net_device(&b, PEERING_DEVICES_MAX)), NX_ENOMEM);
    ck_assert_int_eq(net_put(net_device(&b, 7)), NX_OK); /* one that is known may still change */
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, net_start, net_stop);
    tcase_add_test(tcase, only_single_addresses_inside_the_vpc_are_tunnel_addresses);
    tcase_add_test(tcase, advertised_networks_lie_outside_the_vpc_and_are_no_default_route);
    tcase_add_test(tcase, who_has_an_address_keeps_it);
    tcase_add_test(tcase, of_two_that_come_at_once_the_lower_id_has_it);
    tcase_add_test(tcase, our_own_addresses_and_key_are_ours);
    tcase_add_test(tcase, two_devices_with_one_key);
    tcase_add_test(tcase, devices_that_cannot_be_peers_are_left_out);
    tcase_add_test(tcase, an_update_that_cannot_be_read_leaves_what_was);
    tcase_add_test(tcase, a_vpc_of_one_family_grants_none_of_the_other);
    tcase_add_test(tcase, endpoints_that_no_peer_has_are_not_sent_to);
    tcase_add_test(tcase, odd_endpoint_lists_are_survived);
    tcase_add_test(tcase, there_is_an_end_to_devices_and_claims);
}

int main(void)
{
    return unit_run("peering_hostile", fill);
}
