/* Peering on a simulated clock: which way is chosen, when it is given up, what the tunnel is told. The
 * numbers are those of the network's other programs, with which both sides have to agree. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/peering/net.h"

#include <string.h>

static struct net_device a, b, c;

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

static void self_changed(void)
{
    peering_set_self(net.peering, &net.self);
    net_run();
}

START_TEST(nothing_is_handed_out_of_half_a_list)
{
    peering_list_begin(net.peering);
    net_put(net_device(&a, 1));
    net_run();
    ck_assert_uint_eq(net.sets, 0);
    ck_assert_uint_eq(peering_next_ns(net.peering, net.now_ns), UINT64_MAX);
    peering_list_end(net.peering);
    net_run();
    ck_assert_uint_eq(net.sets, 1);
}
END_TEST

START_TEST(a_peer_elsewhere_is_reached_at_its_reflexive_address)
{
    net_device(&a, 1);
    list_a();
    ck_assert_str_eq(net_method(1), "reflexive");
    ck_assert_str_eq(net_endpoint(1), "198.51.100.2:51820");
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    ck_assert(!net_healthy(1) && net_served(1));
    net_up("198.51.100.2:51820");
    net_pass_s(30);
    ck_assert(net_healthy(1));
    net_pass_s(3600);
    ck_assert(net_healthy(1));
    ck_assert_uint_eq(net.sets, 1);
    ck_assert_uint_eq(net.removes, 0);
}
END_TEST

START_TEST(a_peer_behind_the_same_nat_is_reached_at_its_local_address)
{
    net_device(&a, 1);
    net_endpoints(&a, "10.0.0.2:51820", "198.51.100.1:51999");
    list_a();
    ck_assert_str_eq(net_method(1), "direct-local");
    ck_assert_str_eq(net_endpoint(1), "10.0.0.2:51820");
    /* A NAT that keeps its clients apart: after 30 s the outer address is tried, after 30 s more the inner
     * one. */
    net_pass_s(25);
    ck_assert_str_eq(net_method(1), "direct-local");
    net_pass_s(5);
    ck_assert_str_eq(net_method(1), "reflexive");
    ck_assert_str_eq(net_endpoint(1), "198.51.100.1:51999");
    net_pass_s(30);
    ck_assert_str_eq(net_method(1), "direct-local");
    net_up("198.51.100.1:51999");
    net_pass_s(35);
    ck_assert_str_eq(net_method(1), "reflexive");
    ck_assert(net_healthy(1));
    /* What works is kept, though the other would be preferred. */
    net_up("10.0.0.2:51820");
    net_pass_s(3600);
    ck_assert_str_eq(net_method(1), "reflexive");
}
END_TEST

START_TEST(what_has_worked_has_210_and_180_seconds)
{
    net_device(&a, 1);
    net_endpoints(&a, "10.0.0.2:51820", "198.51.100.1:51999");
    net_up("10.0.0.2:51820");
    list_a();
    net_pass_s(5);
    ck_assert(net_healthy(1));
    net_down("10.0.0.2:51820"); /* the one handshake was now */
    net_pass_s(210);
    ck_assert(net_healthy(1));
    ck_assert_uint_eq(peering_next_ns(net.peering, net.now_ns), net.now_ns + 1);
    net_pass_s(5);
    ck_assert(!net_healthy(1));
    ck_assert_uint_eq(peering_next_ns(net.peering, net.now_ns), net.now_ns + 175 * NS_PER_S);
    net_pass_s(170);
    ck_assert_str_eq(net_method(1), "direct-local");
    net_pass_s(5);
    ck_assert_str_eq(net_method(1), "reflexive");
}
END_TEST

START_TEST(symmetric_nat_and_relay_only_leave_no_direct_way)
{
    net_device(&a, 1)->device.symmetric_nat = true;
    list_a();
    ck_assert_str_eq(net_method(1), "via-derp-relay");
    ck_assert(!net_served(1) && !net_healthy(1));
    ck_assert_msg(!net_peer(1), "a peer that nothing can be sent to");
    a.device.symmetric_nat = false;
    net.self.facts.relay_only = true;
    peering_set_self(net.peering, &net.self);
    list_a();
    ck_assert_str_eq(net_method(1), "via-derp-relay");
    ck_assert(peering_relay_required(net.peering));
    /* The same NAT helps with the first, not with the second. */
    net_endpoints(&a, "10.0.0.2:51820", "198.51.100.1:51999");
    list_a();
    ck_assert_str_eq(net_method(1), "via-derp-relay");
    net.self.facts.relay_only = false;
    net.self.facts.symmetric_nat = true;
    self_changed();
    ck_assert_str_eq(net_method(1), "direct-local");
    /* Where there is something that speaks DERP, it is tried in its turn. */
    net_pass_s(120);
    ck_assert_str_eq(net_method(1), "direct-local");
    net.self.facts.derp_available = true;
    self_changed();
    net_pass_s(30);
    ck_assert_str_eq(net_method(1), "via-derp-relay");
    ck_assert(net_served(1) && net_peer(1)->via_derp);
}
END_TEST

START_TEST(a_relay_carries_what_has_no_other_way)
{
    net_device(&a, 1)->device.relay = true;
    net_device(&b, 2)->device.symmetric_nat = true;
    net_advertise(&b, "192.168.7.0/24");
    a.allowed[0] = a.v4; /* as relays have them: without a length */
    a.allowed[1] = a.v6;
    list_ab();
    ck_assert_str_eq(net_method(1), "relay-node-peer");
    ck_assert_str_eq(net_allowed(1), "100.64.0.0/10 200::/64");
    ck_assert_str_eq(net_method(2), "none");
    ck_assert(!peering_relay_present(net.peering, net.now_ns));
    net_up("198.51.100.2:51820");
    net_pass_s(5);
    ck_assert(peering_relay_present(net.peering, net.now_ns));
    ck_assert_str_eq(net_method(2), "via-relay");
    ck_assert(net_healthy(2) && net_served(2) && !net_peer(2));
    ck_assert_str_eq(net_allowed(1), "100.64.0.0/10 200::/64 192.168.7.0/24");
    /* The relay fails: the way through it with it, at once. */
    net_down("198.51.100.2:51820");
    net_pass_s(220);
    ck_assert_str_eq(net_method(2), "none");
    ck_assert_str_eq(net_allowed(1), "100.64.0.0/10 200::/64");
}
END_TEST

START_TEST(a_direct_way_that_fails_leads_through_the_relay)
{
    net_device(&a, 1)->device.relay = true;
    net_device(&b, 2);
    net_up("198.51.100.2:51820");
    list_ab();
    net_pass_s(30);
    ck_assert_str_eq(net_method(2), "via-relay");
    ck_assert_msg(!net_peer(2), "the relay's ranges must take its addresses");
    net_pass_s(3600); /* it stays there as long as the relay is well */
    ck_assert_str_eq(net_method(2), "via-relay");
    net_endpoints(&b, "10.0.0.9:51820", "198.51.100.77:7"); /* until there is news of it */
    net_put(&b);
    net_run();
    ck_assert_str_eq(net_method(2), "reflexive");
    ck_assert_str_eq(net_endpoint(2), "198.51.100.77:7");
}
END_TEST

START_TEST(relay_only_still_reaches_the_relay)
{
    net.self.facts.relay_only = true;
    peering_set_self(net.peering, &net.self);
    net_device(&a, 1)->device.relay = true;
    net_endpoints(&a, "10.0.0.2:51820", "198.51.100.1:51999");
    net_device(&b, 2);
    net_up("10.0.0.2:51820");
    list_ab();
    ck_assert_str_eq(net_method(1), "relay-node-peer-direct-local");
    ck_assert_str_eq(net_method(2), "none");
    net_pass_s(10);
    ck_assert_str_eq(net_method(2), "via-relay");
}
END_TEST

START_TEST(one_relay_serves_and_a_derp_relay_does_not)
{
    net_device(&a, 1)->device.relay = true;
    net_device(&b, 2)->device.relay = true;
    net_device(&c, 3)->device.relay = true;
    c.device.relay_type = RELAY_DERP;
    net_advertise(&c, "10.9.0.0/16"); /* relays have no networks behind them */
    struct net_device *const all[] = {&b, &c}, *const later[] = {&a, &b, &c};
    net_list(all, 2);
    ck_assert_str_eq(net_allowed(2), "100.64.0.0/10 200::/64");
    ck_assert_str_eq(net_allowed(3), "100.64.0.4/32 200::4/128");
    net_list(later, 3); /* a lower id, but it comes too late */
    ck_assert_str_eq(net_allowed(2), "100.64.0.0/10 200::/64");
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    peering_remove(net.peering, b.id);
    net_run();
    ck_assert_str_eq(net_allowed(1), "100.64.0.0/10 200::/64");
    ck_assert(!net_peer(2));
}
END_TEST

START_TEST(a_derp_relay_keeps_derp_open)
{
    net_device(&a, 1)->device.relay = true;
    a.device.relay_type = RELAY_DERP;
    net_device(&b, 2)->device.symmetric_nat = true;
    net_up("198.51.100.2:51820");
    list_ab();
    net_pass_s(20);
    ck_assert_str_eq(net_method(2), "via-derp-relay");
    ck_assert(!peering_relay_present(net.peering, net.now_ns));
}
END_TEST

START_TEST(news_moves_the_endpoint_and_keeps_the_peer)
{
    net_device(&a, 1);
    net_up("198.51.100.2:51820");
    list_a();
    net_pass_s(40); /* its handshake will be good for another 80 s */
    net_endpoints(&a, "10.0.0.2:51820", "203.0.113.5:7");
    net_up("203.0.113.5:7");
    net_down("198.51.100.2:51820");
    net_put(&a);
    net_run();
    ck_assert_str_eq(net_endpoint(1), "203.0.113.5:7");
    ck_assert_uint_eq(net.sets, 2);
    ck_assert_msg(net.removes == 0, "the session would be lost");
    net_pass_s(30); /* the handshake is old, but bytes come in */
    ck_assert(net_healthy(1));
    net_pass_s(600);
    ck_assert_str_eq(net_method(1), "reflexive");
    ck_assert_uint_eq(net.sets, 2);
}
END_TEST

START_TEST(an_old_handshake_does_not_vouch_for_a_new_endpoint)
{
    net_device(&a, 1);
    net_endpoints(&a, "10.0.0.2:51820", "198.51.100.1:51999");
    net_up("10.0.0.2:51820");
    list_a();
    net_pass_s(60);
    ck_assert(net_healthy(1));
    net_down("10.0.0.2:51820");
    net_peer(1)->rx_bytes += 32; /* the last that came the old way, not reported yet */
    net_endpoints(&a, "10.0.0.3:51820", "198.51.100.1:51999");
    net_put(&a);
    net_run();
    ck_assert_str_eq(net_endpoint(1), "10.0.0.3:51820");
    net_pass_s(30);
    ck_assert_str_eq(net_method(1), "reflexive");
}
END_TEST

START_TEST(what_does_not_bear_on_the_path_changes_nothing)
{
    net_device(&a, 1);
    net_endpoints(&a, "10.0.0.2:51820", "198.51.100.1:51999");
    list_a();
    net_pass_s(30);
    ck_assert_str_eq(net_method(1), "reflexive");
    a.device.hostname = "renamed";
    net_put(&a);
    net_run();
    ck_assert_str_eq(net_method(1), "reflexive");
    list_a(); /* nor does the same list again */
    ck_assert_str_eq(net_method(1), "reflexive");
}
END_TEST

START_TEST(a_roamed_peer_whose_news_says_so_is_known_to_be_well)
{
    net_device(&a, 1);
    net_up("198.51.100.2:51820");
    list_a();
    net_pass_s(60);
    struct net_peer *peer = net_peer(1);
    ck_assert_int_eq(netsock_parse("203.0.113.5:7", &peer->endpoint), NX_OK);
    net_up("203.0.113.5:7");
    net_pass_s(5);
    net_endpoints(&a, "10.0.0.2:51820", "203.0.113.5:7");
    net_put(&a);
    net_run();
    ck_assert_msg(net_healthy(1), "it is where it says that it is");
}
END_TEST

START_TEST(without_stun_local_endpoints_are_tried)
{
    static const char *const nothing[] = {NULL, "invalid AddrPort", "", "0.0.0.0:1", "198.51.100.2:0"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        net_endpoints(net_device(&a, 1), "10.0.0.2:51820", nothing[i]);
        list_a();
        ck_assert_str_eq(net_method(1), "local-unproven");
        ck_assert_str_eq(net_endpoint(1), "10.0.0.2:51820");
    }
    /* Ours has failed, the peer's has not: first the table's way, then the local one, then the first again.
     */
    net.self.facts.reflexive = (struct netsock){0};
    peering_set_self(net.peering, &net.self);
    net_device(&a, 1);
    list_a();
    ck_assert_str_eq(net_method(1), "reflexive");
    net_pass_s(30);
    ck_assert_str_eq(net_method(1), "local-unproven");
    net_pass_s(30);
    ck_assert_str_eq(net_method(1), "reflexive");
    net_pass_s(30);
    net_up("10.0.0.2:51820");
    net_pass_s(600);
    ck_assert_str_eq(net_method(1), "local-unproven");
    ck_assert(net_healthy(1));
    /* A peer that publishes its local address twice, as ours do, needs no guess. */
    net_endpoints(net_device(&a, 1), "10.0.0.2:51820", "10.0.0.2:51820");
    list_a();
    ck_assert_str_eq(net_method(1), "reflexive");
    ck_assert_str_eq(net_endpoint(1), "10.0.0.2:51820");
    /* A relay likewise. */
    net_endpoints(net_device(&a, 1), "10.0.0.2:51820", "invalid AddrPort");
    a.device.relay = true;
    list_a();
    ck_assert_str_eq(net_method(1), "relay-node-peer-local-unproven");
}
END_TEST

START_TEST(a_peer_without_any_endpoint_may_come_to_us)
{
    net_endpoints(net_device(&a, 1), NULL, NULL);
    list_a();
    ck_assert_str_eq(net_method(1), "reflexive");
    ck_assert_str_eq(net_endpoint(1), "");
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    struct net_peer *peer = net_peer(1);
    ck_assert_int_eq(netsock_parse("203.0.113.5:7", &peer->endpoint), NX_OK); /* it came */
    net_up("203.0.113.5:7");
    net_pass_s(600);
    ck_assert(net_healthy(1));
    ck_assert_str_eq(net_endpoint(1), "203.0.113.5:7");
    ck_assert_uint_eq(net.sets, 1);
}
END_TEST

START_TEST(our_own_addresses_come_from_the_list)
{
    net_device(&a, 1);
    list_a();
    char text[NETADDR_TEXT_MAX];
    ck_assert_uint_eq(net.own_told, 1);
    ck_assert_str_eq(netaddr_format(&net.own_v4, text), "100.64.0.1");
    ck_assert_str_eq(netaddr_format(&net.own_v6, text), "200::1");
    ck_assert(!net_peer(OWN));
    net_pass_s(60);
    ck_assert_uint_eq(net.own_told, 1);
    struct net_device own;
    net_device(&own, OWN);
    own.tunnel4[0] = "100.64.9.9";
    own.allowed[0] = "100.64.9.9/32";
    net_put(&own);
    net_run();
    ck_assert_uint_eq(net.own_told, 2);
    ck_assert_str_eq(netaddr_format(&net.own_v4, text), "100.64.9.9");
}
END_TEST

START_TEST(a_device_that_registers_anew_with_its_key_keeps_its_session)
{
    struct net_device again;
    net_device(&a, 1);
    net_up("198.51.100.2:51820");
    list_a();
    net_pass_s(60);
    peering_remove(net.peering, a.id);
    net_device(&again, 1);
    strcpy(again.id, "00000000-0000-4000-8000-999999999999");
    net_put(&again);
    net_run();
    ck_assert_uint_eq(net.removes, 0);
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    /* With another key, it is another peer. */
    struct net_device changed;
    net_device(&changed, 5);
    strcpy(changed.id, again.id);
    net_put(&changed);
    net_run();
    ck_assert(!net_peer(1) && net_peer(5));
    peering_remove(net.peering, again.id);
    peering_remove(net.peering, "nobody");
    net_run();
    ck_assert(!net_peer(5));
}
END_TEST

START_TEST(what_did_not_fit_into_memory_is_tried_again)
{
    net.short_of_memory = true;
    net_device(&a, 1);
    list_a();
    ck_assert(!net_peer(1));
    net.short_of_memory = false;
    net_run();
    ck_assert_str_eq(net_allowed(1), "100.64.0.2/32 200::2/128");
    ck_assert_uint_eq(net.sets, 1);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, net_start, net_stop);
    tcase_add_test(tcase, nothing_is_handed_out_of_half_a_list);
    tcase_add_test(tcase, a_peer_elsewhere_is_reached_at_its_reflexive_address);
    tcase_add_test(tcase, a_peer_behind_the_same_nat_is_reached_at_its_local_address);
    tcase_add_test(tcase, what_has_worked_has_210_and_180_seconds);
    tcase_add_test(tcase, symmetric_nat_and_relay_only_leave_no_direct_way);
    tcase_add_test(tcase, a_relay_carries_what_has_no_other_way);
    tcase_add_test(tcase, a_direct_way_that_fails_leads_through_the_relay);
    tcase_add_test(tcase, relay_only_still_reaches_the_relay);
    tcase_add_test(tcase, one_relay_serves_and_a_derp_relay_does_not);
    tcase_add_test(tcase, a_derp_relay_keeps_derp_open);
    tcase_add_test(tcase, news_moves_the_endpoint_and_keeps_the_peer);
    tcase_add_test(tcase, an_old_handshake_does_not_vouch_for_a_new_endpoint);
    tcase_add_test(tcase, what_does_not_bear_on_the_path_changes_nothing);
    tcase_add_test(tcase, a_roamed_peer_whose_news_says_so_is_known_to_be_well);
    tcase_add_test(tcase, without_stun_local_endpoints_are_tried);
    tcase_add_test(tcase, a_peer_without_any_endpoint_may_come_to_us);
    tcase_add_test(tcase, our_own_addresses_come_from_the_list);
    tcase_add_test(tcase, what_did_not_fit_into_memory_is_tried_again);
    tcase_add_test(tcase, a_device_that_registers_anew_with_its_key_keeps_its_session);
}

int main(void)
{
    return unit_run("peering", fill);
}
