/* What a control plane can do to a session by being away, slow, wrong or gone back in time; in each case what
 * is known stays in force, requests are few, and the session is back by itself. */
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus_session/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_join_is_kept_for_the_next_start)
{
    node_join();
    ck_assert_uint_eq(sim_count(&sim, NULL, 0), 4);
    sim_run_for(&sim, 2000);
    ck_assert_ptr_nonnull(strstr(sim.slots[IPC_SLOT_DEVICE], plane_ours(&plane)->token));
    ck_assert_ptr_nonnull(strstr(sim.slots[IPC_SLOT_NETWORK], other->id));
    ck_assert_ptr_null(strstr(sim.slots[IPC_SLOT_NETWORK], "poison"));
    ck_assert_ptr_null(sim.slots[IPC_SLOT_AUTH_TOKEN]);
    ck_assert_str_eq(sim.group_id, PLANE_VPC);
}
END_TEST

START_TEST(a_change_without_meaning_is_not_stored)
{
    node_join();
    sim_run_for(&sim, 30000);
    const unsigned stores = sim.stores[IPC_SLOT_NETWORK];
    for (int i = 0; i < 600; i++) { /* revision and online change, and nothing else */
        plane_change(&plane, other, "198.51.100.2:41000");
        sim_run_for(&sim, 1000);
    }
    ck_assert_uint_le(sim.stores[IPC_SLOT_NETWORK], stores + 1);
}
END_TEST

START_TEST(changes_are_stored_seldom)
{
    node_join();
    char endpoint[64];
    for (unsigned i = 0; i < 600; i++) {
        snprintf(endpoint, sizeof endpoint, "198.51.100.2:%u", 1000 + i);
        plane_change(&plane, other, endpoint);
        sim_run_for(&sim, 100);
    }
    ck_assert_uint_le(sim.stores[IPC_SLOT_NETWORK], 8);
    sim_run_for(&sim, 15000);
    ck_assert_ptr_nonnull(strstr(sim.slots[IPC_SLOT_NETWORK], endpoint));
}
END_TEST

START_TEST(an_hour_without_a_control_plane)
{
    node_join();
    plane.refuses = true;
    plane_cut(&plane, HTTP_CUT);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_CACHED);
    ck_assert_ptr_nonnull(strstr(sim_phase_text(&sim), "refused"));
    ck_assert_uint_eq(sim.peer_count, 2);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 300);
    ck_assert_uint_ge(sim_count(&sim, NULL, from_ns), 50);
    ck_gentle(from_ns, 8);
    plane_delete(&plane, third);
    plane_add(&plane, 4);
    plane.refuses = false;
    sim_run_for(&sim, 70000);
    ck_joined();
    ck_assert_uint_eq(sim.peers_removed, 1);
}
END_TEST

START_TEST(no_control_plane_at_the_first_start)
{
    plane.refuses = true;
    node_start();
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_JOINING);
    ck_assert_ptr_nonnull(strstr(sim_phase_text(&sim), "refused"));
    ck_assert_str_eq(sim.given_up, "");
    ck_gentle(0, 8);
    plane.refuses = false;
    sim_run_for(&sim, 70000);
    ck_joined();
}
END_TEST

START_TEST(a_restart_without_a_control_plane_has_its_peers_at_once)
{
    node_join();
    sim_run_for(&sim, 5000);
    plane.refuses = true;
    node_restart();
    sim_run_for(&sim, 1);
    ck_assert_uint_eq(sim.peer_count, 2);
    ck_assert_int_eq(sim.own_v4.family, NETADDR_V4);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_CACHED);
    sim_run_for(&sim, 10 * MINUTE_MS);
    ck_assert_uint_eq(sim.peer_count, 2);
    plane.refuses = false;
    sim_run_for(&sim, 70000);
    ck_joined();
    ck_assert_uint_eq(plane.registrations, 1);
}
END_TEST

START_TEST(a_revoked_key_locks_no_running_device_out)
{
    node_join();
    sim_run_for(&sim, 5000);
    plane.key_dead = true;
    sim_run_for(&sim, 10 * MINUTE_MS);
    ck_joined();
    const uint64_t from_ns = sim.now_ns;
    node_restart();
    sim_run_for(&sim, 1000);
    ck_joined();
    ck_assert_uint_eq(sim_count(&sim, "/api/reg-keys/me", from_ns), 0);
    ck_assert_uint_eq(plane.registrations, 1);
}
END_TEST

START_TEST(another_key_registers_anew)
{
    node_join();
    sim_run_for(&sim, 5000);
    sim_end(&sim);
    struct session_config config = {.reg_key = "RK:another"};
    const uint64_t from_ns = sim.now_ns;
    sim_begin(&sim, &config);
    sim_run_for(&sim, 1000);
    ck_assert_uint_eq(sim_count(&sim, "/api/reg-keys/me", from_ns), 1);
}
END_TEST

START_TEST(a_deleted_device_comes_back_with_another_key)
{
    node_join();
    uint8_t before[KEY_BYTES];
    memcpy(before, sim.public_key, KEY_BYTES);
    const uint64_t from_ns = sim.now_ns;
    plane_delete(&plane, plane_ours(&plane));
    if (_i == 1)
        plane_cut(&plane, HTTP_CUT); /* told by 401 only */
    sim_run_for(&sim, 10000);
    ck_joined();
    ck_assert_uint_eq(sim.renewals, 1);
    ck_assert_int_ne(memcmp(before, sim.public_key, KEY_BYTES), 0);
    ck_assert_uint_eq(plane.registrations, 2);
    ck_assert_ptr_nonnull(strstr(sim.slots[IPC_SLOT_DEVICE], plane_ours(&plane)->token));
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 14);
}
END_TEST

START_TEST(a_deleted_device_without_credentials_says_what_to_do)
{
    node_join();
    plane.key_dead = true;
    plane_delete(&plane, plane_ours(&plane));
    plane_cut(&plane, HTTP_CUT);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_eq(sim.renewals, 0);
    ck_assert_str_eq(sim.given_up, "");
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_CACHED);
    ck_assert_ptr_nonnull(strstr(sim_phase_text(&sim), "create a new key"));
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 60);
    plane.key_dead = false;
    sim_run_for(&sim, 20 * MINUTE_MS);
    ck_joined();
}
END_TEST

START_TEST(a_restored_backup_is_noticed)
{
    node_join();
    for (unsigned i = 0; i < 50; i++) {
        plane_change(&plane, other, i % 2 ? "198.51.100.2:1" : "198.51.100.2:2");
        sim_run_for(&sim, 100);
    }
    /* Streams are cut as always, and what comes up again knows less, and one device more. */
    sim_run_for(&sim, 20000);
    plane.revision = 20;
    for (unsigned i = 0; i < plane.count; i++)
        plane.devices[i].revision = 12 + i;
    plane_cut(&plane, HTTP_CUT);
    sim_run_for(&sim, 100);
    plane_add(&plane, 9);
    if (_i == 0) /* an answer about our own device tells */
        sim_published(&sim, "192.0.2.7:41000", "203.0.113.7:5555", true);
    else if (_i == 1) /* or a change */
        plane_change(&plane, third, "198.51.100.3:7");
    sim_run_for(&sim, _i == 2 ? 13 * MINUTE_MS : 5000); /* or nothing: a whole list comes now and then */
    ck_assert_uint_eq(sim.peer_count, 3);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_JOINED);
}
END_TEST

START_TEST(clocks_may_differ)
{
    sim.server_skew_ms = _i ? 600000 : -600000;
    node_join();
    sim_run_for(&sim, 20 * MINUTE_MS);
    ck_joined();
}
END_TEST

START_TEST(streams_that_are_cut_cost_nothing)
{
    static const uint64_t lives_ms[] = {10000, 31000};
    plane.stream_life_ms = lives_ms[_i];
    node_join();
    const uint64_t from_ns = sim.now_ns;
    for (unsigned i = 0; i < 60; i++) {
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "198.51.100.2:%u", 2000 + i);
        plane_change(&plane, other, endpoint);
        sim_run_for(&sim, 10000);
        bool found = false;
        struct netsock wanted;
        ck_assert_int_eq(netsock_parse(endpoint, &wanted), NX_OK);
        for (size_t p = 0; p < sim.peer_count; p++)
            found |= netsock_equal(&sim.peers[p].endpoint, &wanted);
        ck_assert_msg(found, "change %u did not arrive", i);
    }
    for (size_t i = 0; i < sim.phase_count; i++)
        ck_assert_str_eq(sim.phases[i].text, "");
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 600000 / lives_ms[_i] + 5);
    ck_gentle(from_ns, 3);
}
END_TEST

START_TEST(streams_that_end_at_once_are_trouble)
{
    node_join();
    plane.stream_life_ms = 20;
    plane_cut(&plane, HTTP_CUT);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_CACHED);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 300);
    ck_assert_uint_eq(sim.peer_count, 2);
    plane.stream_life_ms = 0;
    sim_run_for(&sim, 80000);
    ck_joined();
}
END_TEST

START_TEST(answers_that_ask_for_patience_get_it)
{
    node_join();
    plane.status = _i ? 503 : 429;
    plane.retry_after = "120";
    plane_cut(&plane, HTTP_CUT);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 32);
    plane.status = 0;
    sim_run_for(&sim, 200000);
    ck_joined();
}
END_TEST

START_TEST(errors_of_every_kind_are_asked_about_seldom)
{
    static const unsigned statuses[] = {302, 400, 403, 405, 409, 418, 422, 500, 502, 599};
    node_join();
    plane.status = statuses[_i];
    plane_cut(&plane, HTTP_CUT);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 320);
    ck_gentle(from_ns, 10);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_str_eq(sim.given_up, "");
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_CACHED);
    plane.status = 0;
    sim_run_for(&sim, 20 * MINUTE_MS);
    ck_joined();
}
END_TEST

START_TEST(a_key_pair_of_somebody_elses_is_replaced)
{
    plane.conflict_foreign = true;
    node_start();
    sim_run_for(&sim, 2000);
    ck_joined();
    ck_assert_uint_eq(sim.renewals, 1);
}
END_TEST

static const char *always_conflict(const struct sim_request *request)
{
    if (strcmp(request->path, "/api/devices") == 0)
        plane.conflict_foreign = true;
    return NULL;
}

START_TEST(a_key_pair_is_not_replaced_again_and_again)
{
    plane.tamper = always_conflict;
    node_start();
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_le(sim.renewals, 7);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 60);
}
END_TEST

START_TEST(a_key_pair_that_cannot_be_stored_is_asked_for_again)
{
    node_join();
    sim.renew_fails = true;
    plane_delete(&plane, plane_ours(&plane));
    sim_run_for(&sim, 25 * MINUTE_MS);
    ck_assert_uint_le(sim.renewals, 4);
    ck_assert_ptr_nonnull(strstr(sim_phase_text(&sim), "key pair"));
    sim.renew_fails = false;
    sim_run_for(&sim, 25 * MINUTE_MS);
    ck_joined();
}
END_TEST

START_TEST(a_token_that_is_never_good_leads_to_no_storm)
{
    node_join();
    plane.tokens_dead = true; /* and yet the device is there */
    plane_cut(&plane, HTTP_CUT);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_ge(sim_count(&sim, "/api/events", from_ns), 10);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 200);
    ck_gentle(from_ns, 24);
    ck_assert_uint_eq(sim.renewals, 0);
    ck_assert_uint_eq(sim.peers_removed, 0);
    plane.tokens_dead = false;
    sim_run_for(&sim, 16 * MINUTE_MS);
    ck_joined();
}
END_TEST

START_TEST(without_a_device_token_the_key_goes_on)
{
    plane.no_token = true;
    node_join();
    ck_assert_ptr_null(sim.slots[IPC_SLOT_DEVICE]);
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_joined();
}
END_TEST

START_TEST(an_update_of_endpoints_is_sent_until_it_is_taken)
{
    node_join();
    plane.status = 503;
    const uint64_t from_ns = sim.now_ns;
    sim_published(&sim, "192.0.2.7:41000", "203.0.113.8:41000", true);
    sim_run_for(&sim, 65000);
    ck_assert_uint_eq(sim_count(&sim, "/api/devices/", from_ns), 4);
    plane.status = 0;
    sim_run_for(&sim, 21000);
    ck_assert_uint_eq(sim_count(&sim, "/api/devices/", from_ns), 5);
    ck_assert_ptr_nonnull(strstr(plane_ours(&plane)->endpoints, "203.0.113.8:41000"));
    sim_run_for(&sim, MINUTE_MS);
    ck_assert_uint_eq(sim_count(&sim, "/api/devices/", from_ns), 5);
}
END_TEST

START_TEST(registration_waits_for_stun_a_moment_only)
{
    sim_published(&sim, "192.0.2.7:41000", "", false);
    node_start();
    if (_i == 1) {
        sim_run_for(&sim, 100);
        ck_assert_uint_eq(plane.registrations, 0);
        sim_published(&sim, "192.0.2.7:41000", "203.0.113.7:41000", true);
        sim_run_for(&sim, 100);
        ck_assert_uint_eq(plane.registrations, 1);
        ck_assert_ptr_nonnull(strstr(plane_ours(&plane)->endpoints, "203.0.113.7:41000"));
        return;
    }
    sim_run_for(&sim, ENROL_ENDPOINTS_WAIT_MS + 100);
    ck_assert_uint_eq(plane.registrations, 1);
    sim_run_for(&sim, 2000);
    ck_joined();
    sim_published(&sim, "192.0.2.7:41000", "203.0.113.7:41000", true);
    sim_run_for(&sim, 1000);
    ck_assert_ptr_nonnull(strstr(plane_ours(&plane)->endpoints, "203.0.113.7:41000"));
}
END_TEST

START_TEST(our_security_group_is_told_when_it_changes)
{
    plane.group_rules = "[{\"ip_protocol\":\"tcp\",\"from_port\":80,\"to_port\":80}]";
    node_join();
    ck_assert_uint_eq(sim.group_inbound, 1);
    plane_event(&plane, "{\"kind\":\"security-group\",\"type\":\"change\",\"value\":{\"id\":\"" PLANE_VPC
                        "\",\"vpc_id\":\"" PLANE_VPC "\",\"revision\":900}}\n\n");
    sim_run_for(&sim, 100);
    ck_assert_uint_eq(sim.group_inbound, 0);
    ck_assert_str_eq(sim.group_id, PLANE_VPC);
    plane_event(&plane, "{\"kind\":\"security-group\",\"type\":\"delete\",\"value\":{\"id\":\"" PLANE_VPC
                        "\",\"revision\":901}}\n\n");
    sim_run_for(&sim, 100);
    ck_assert_str_eq(sim.group_id, "");
}
END_TEST

START_TEST(status_says_how_it_is)
{
    node_join();
    const struct session_status status = session_status(sim.session);
    ck_assert_int_eq(status.phase, IPC_PHASE_JOINED);
    ck_assert_uint_eq(status.devices, 3);
    ck_assert_str_eq(status.device_id, plane_ours(&plane)->id);
    ck_assert_str_eq(status.vpc_id, PLANE_VPC);
    ck_assert_str_eq(status.security_group_id, PLANE_VPC);
    ck_assert(!status.cached);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, world_begin, world_end);
    tcase_add_test(tcase, a_join_is_kept_for_the_next_start);
    tcase_add_test(tcase, a_change_without_meaning_is_not_stored);
    tcase_add_test(tcase, changes_are_stored_seldom);
    tcase_add_test(tcase, an_hour_without_a_control_plane);
    tcase_add_test(tcase, no_control_plane_at_the_first_start);
    tcase_add_test(tcase, a_restart_without_a_control_plane_has_its_peers_at_once);
    tcase_add_test(tcase, a_revoked_key_locks_no_running_device_out);
    tcase_add_test(tcase, another_key_registers_anew);
    tcase_add_loop_test(tcase, a_deleted_device_comes_back_with_another_key, 0, 2);
    tcase_add_test(tcase, a_deleted_device_without_credentials_says_what_to_do);
    tcase_add_loop_test(tcase, a_restored_backup_is_noticed, 0, 3);
    tcase_add_loop_test(tcase, clocks_may_differ, 0, 2);
    tcase_add_loop_test(tcase, streams_that_are_cut_cost_nothing, 0, 2);
    tcase_add_test(tcase, streams_that_end_at_once_are_trouble);
    tcase_add_loop_test(tcase, answers_that_ask_for_patience_get_it, 0, 2);
    tcase_add_loop_test(tcase, errors_of_every_kind_are_asked_about_seldom, 0, 10);
    tcase_add_test(tcase, a_key_pair_of_somebody_elses_is_replaced);
    tcase_add_test(tcase, a_key_pair_is_not_replaced_again_and_again);
    tcase_add_test(tcase, a_key_pair_that_cannot_be_stored_is_asked_for_again);
    tcase_add_test(tcase, a_token_that_is_never_good_leads_to_no_storm);
    tcase_add_test(tcase, without_a_device_token_the_key_goes_on);
    tcase_add_test(tcase, an_update_of_endpoints_is_sent_until_it_is_taken);
    tcase_add_loop_test(tcase, registration_waits_for_stun_a_moment_only, 0, 2);
    tcase_add_test(tcase, our_security_group_is_told_when_it_changes);
    tcase_add_test(tcase, status_says_how_it_is);
}

int main(void)
{
    return unit_run("session_faults", fill);
}
