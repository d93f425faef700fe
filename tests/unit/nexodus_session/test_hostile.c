/* A control plane, or somebody in its place, that means harm: no answer costs more than itself, what cannot
 * be true changes nothing, and once the answers are good again all is well. */
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus_session/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 200 << 10 };

static char *body; /* what tampering answers with */
static const char *where;

static const char *tamper(const struct sim_request *request)
{
    return strncmp(request->path, where, strlen(where)) == 0 ? body : NULL;
}

static char *repeated(const char *head, const char *middle, size_t times, const char *tail)
{
    const size_t length = strlen(middle);
    char *text = malloc(strlen(head) + times * length + strlen(tail) + 1), *at = text;
    ck_assert_ptr_nonnull(text);
    at = stpcpy(at, head);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, middle);
    stpcpy(at, tail);
    return text;
}

static char *bad_body(int number)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"id\":17}",
        "<html>Sign in to the hotel's network</html>",
        "{\"id\":\"not-a-uuid\",\"vpc_id\":\"../../etc/passwd\"}",
        "{\"id\":\"\xff\xfe\"}",
        "{\"id\":\"" PLANE_VPC "\",\"ipv4_cidr\":\"0.0.0.0/0\"}",
        "{\"id\":\"" PLANE_VPC "\",\"ipv4_cidr\":\"127.0.0.0/8\",\"ipv6_cidr\":\"::/0\"}",
        "{\"id\":\"" PLANE_VPC "\",\"bearer_token\":\"djE=:AAAA:AAAA\"}",
        "{\"id\":\"" PLANE_VPC "\",\"revision\":-1,\"endpoints\":{}}",
    };
    const int count = (int)(sizeof texts / sizeof *texts);
    if (number < count)
        return strdup(texts[number]);
    if (number == count)
        return repeated("", "[", BIG, "");
    if (number == count + 1)
        return repeated("{\"id\":\"", "A", BIG, "\"}");
    return repeated("[", "0,", BIG / 2, "0]");
}
enum { BAD_BODIES = 15 };

static const char *const paths[] = {"/api/reg-keys/me", "/api/vpcs/", "/api/devices"};

START_TEST(bad_answers_at_the_first_start)
{
    body = bad_body(_i / 3);
    where = paths[_i % 3];
    plane.tamper = tamper;
    node_start();
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_gentle(0, 16);
    ck_assert_uint_le(sim_count(&sim, NULL, 0), 500);
    ck_assert_uint_eq(sim.peer_count, 0);
    ck_assert_str_ne(sim_phase_text(&sim), "");
    const bool given_up = sim.given_up[0] != '\0';
    plane.tamper = NULL;
    sim_run_for(&sim, 15 * MINUTE_MS);
    if (!given_up)
        ck_joined();
    free(body);
}
END_TEST

START_TEST(bad_answers_at_a_restart_leave_what_is_known_in_force)
{
    node_join();
    sim_run_for(&sim, 3000);
    body = bad_body(_i / 3);
    where = paths[_i % 3];
    plane.tamper = tamper;
    node_restart();
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_assert_str_eq(sim.given_up, "");
    ck_assert_uint_eq(sim.peer_count, 2);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_gentle(0, 20);
    plane.tamper = NULL;
    sim_run_for(&sim, 30 * MINUTE_MS);
    ck_joined();
    free(body);
}
END_TEST

/* A device with this id, key, addresses and so on, as an event. */
#define DEVICE(id, key, allowed, more)                                                                       \
    "{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"id\":\"" id "\",\"vpc_id\":\"" PLANE_VPC          \
    "\",\"public_key\":\"" key "\",\"allowed_ips\":[" allowed "],\"endpoints\":[{\"source\":\"local\","      \
    "\"address\":\"192.0.2.66:1\"},{\"source\":\"stun:\",\"address\":\"192.0.2.66:1\"}],\"revision\":"       \
    "900" more "}}\n\n"
#define ID  "dddddddd-0000-4000-8000-000000000001"
#define ID2 "dddddddd-0000-4000-8000-000000000002"
#define KEY "uqWAUfpdJPHNmNMQgnqbZM/lsHIyGW6sgUaNGy/ZC18="

static const struct {
    const char *event;
    size_t peers; /* that there are afterwards */
} events[] = {
    {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{}}\n\n", 2},
    {"{\"kind\":\"device\",\"type\":\"change\",\"value\":{\"id\":\"x\"}}\n\n", 2},
    {"{\"kind\":\"device\",\"type\":\"delete\",\"value\":{\"id\":\"x\",\"revision\":900}}\n\n", 2},
    {"{\"kind\":\"device\",\"type\":\"delete\",\"value\":{\"revision\":900}}\n\n", 2},
    {"{\"kind\":\"nonsense\",\"type\":\"change\",\"value\":{}}\n\n", 2},
    {"{\"kind\":\"device\",\"type\":\"nonsense\"}\n\n", 2},
    {"{\"kind\":\"security-group\",\"type\":\"change\",\"value\":{\"id\":\"" PLANE_VPC
     "\",\"inbound_rules\":[{\"ip_protocol\":\"bad\"}],\"revision\":900}}\n\n",
     2},
    {"{\"kind\":\"device-metadata\",\"type\":\"change\",\"value\":{\"device_id\":1}}\n\n", 2},
    {"{\"type\":\"bookmark\"}\n\n", 2},
    {"{}\n\n", 2},
    /* Takes everything; takes others' addresses; takes the host's own; of another VPC; no key; bad key. */
    {DEVICE(ID, KEY, "\"0.0.0.0/0\",\"::/0\"", ""), 2},
    {DEVICE(ID, KEY, "\"100.64.0.2/32\"", ""), 2},
    {DEVICE(ID, KEY, "\"127.0.0.1/32\"", ""), 2},
    {DEVICE(ID, KEY, "\"100.64.0.77/32\"", ",\"vpc_id\":\"" PLANE_OTHER "\""), 2},
    {DEVICE(ID, "", "\"100.64.0.77/32\"", ""), 2},
    {DEVICE(ID, "xyz", "\"100.64.0.77/32\"", ""), 2},
    {DEVICE(ID, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "\"100.64.0.77/32\"", ""), 2},
    /* Our own key under another id. */
    {DEVICE(ID, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "\"100.64.0.77/32\"", ""), 2},
    /* One key twice; the same device again and again. */
    {DEVICE(ID, KEY, "\"100.64.0.77/32\"", "") DEVICE(ID2, KEY, "\"100.64.0.78/32\"", ""), 3},
    {DEVICE(ID, KEY, "\"100.64.0.77/32\"", "") DEVICE(ID, KEY, "\"100.64.0.77/32\"", ""), 3},
};
enum { EVENTS = sizeof events / sizeof *events };

/* In tunnels, a peer without addresses may stand: what counts is that it takes none. */
static size_t peers_beside(const char *key_text)
{
    uint8_t key[KEY_BYTES];
    size_t count = 0;
    ck_assert_int_eq(key_parse(key_text, key), NX_OK);
    for (size_t i = 0; i < sim.peer_count; i++)
        count += memcmp(sim.peers[i].key, key, KEY_BYTES) != 0;
    return count;
}

START_TEST(bad_events_change_nothing_else)
{
    node_join();
    plane_event(&plane, events[_i].event);
    sim_run_for(&sim, 1000);
    ck_assert_uint_eq(peers_beside(KEY), 2);
    ck_assert_uint_ge(sim.peer_count, 2);
    ck_assert_uint_le(sim.peer_count, 3);
    if (events[_i].peers == 3)
        ck_assert_uint_eq(sim.peer_count, 3);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_JOINED);
    /* The stream goes on behind it. */
    plane.revision = 1000;
    plane_delete(&plane, third);
    sim_run_for(&sim, 1000);
    ck_assert_uint_eq(peers_beside(KEY), 1);
}
END_TEST

START_TEST(bad_events_in_a_list_change_nothing_else)
{
    plane.stream_extra = events[_i].event;
    plane.revision = 1000;
    node_start();
    sim_run_for(&sim, 5000);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_JOINED);
    ck_assert_uint_eq(peers_beside(KEY), 2);
}
END_TEST

static const char *const endings[] = {
    "{\"type\":\"error\",\"value\":{\"error\":\"internal server error\"}}\n\n",
    "not json at all",
    "{\"kind\":\"device\",\"type\":\"change\",\"value\":\"\xc3\x28\"}\n\n",
    "17",
    NULL, /* deep */
    NULL, /* long */
};

START_TEST(streams_that_break_are_opened_again_slowly)
{
    node_join();
    body = _i == 4   ? repeated("", "{\"a\":", 1000, "")
           : _i == 5 ? repeated("{\"kind\":\"device\",\"x\":\"", "A", BIG, "\"}")
                     : strdup(endings[_i]);
    plane.stream_extra = body;
    plane_event(&plane, body);
    const uint64_t from_ns = sim.now_ns;
    sim_run_for(&sim, HOUR_MS);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_uint_eq(sim.peer_count, 2);
    ck_assert_int_eq(sim_phase(&sim), IPC_PHASE_CACHED);
    ck_assert_uint_le(sim_count(&sim, NULL, from_ns), 320);
    plane.stream_extra = NULL;
    sim_run_for(&sim, 80000);
    ck_joined();
    free(body);
}
END_TEST

START_TEST(a_list_without_ourselves_is_not_believed_but_looked_into)
{
    node_join();
    struct plane_device *ours = plane_ours(&plane), *ghost = &plane.devices[plane.count++];
    *ghost = (struct plane_device){.there = true, .number = 99, .revision = 1};
    memcpy(ghost->token, ours->token, sizeof ghost->token);
    memcpy(ghost->id, PLANE_OTHER, sizeof PLANE_OTHER);
    memcpy(ghost->endpoints, "[]", 3);
    ours->there = false; /* not in lists any more, and yet its token is good */
    plane_cut(&plane, HTTP_CUT);
    sim_run_for(&sim, 1500);
    ck_assert_uint_eq(sim.peer_count, 2);
    ck_assert_uint_eq(sim.renewals, 0);
    sim_run_for(&sim, 10 * MINUTE_MS);
    ck_assert_uint_eq(sim.peers_removed, 0);
    ck_assert_uint_eq(sim.renewals, 1);
    ck_joined();
}
END_TEST

START_TEST(stored_documents_that_are_damaged_are_ignored)
{
    static const char *const damaged[] = {"",
                                          "{",
                                          "[]",
                                          "{}",
                                          "{\"version\":2}",
                                          "{\"version\":1,\"service\":7}",
                                          "{\"version\":1,\"service\":\"https://api.elsewhere.test\"}"};
    for (int slot = 1; slot <= IPC_SLOT_LAST; slot++)
        sim.slots[slot] = damaged[_i][0] ? strdup(damaged[_i]) : NULL;
    node_join();
}
END_TEST

START_TEST(a_stored_network_is_checked_like_a_told_one)
{
    node_join();
    sim_run_for(&sim, 3000);
    char *kept = sim.slots[IPC_SLOT_NETWORK];
    char *wide = strstr(kept, "100.64.0.0/10");
    ck_assert_ptr_nonnull(wide);
    memcpy(wide, "0.0.0.0/0\",\"x", 13);
    wide[9] = '"';
    memcpy(wide + 10, "   ", 3);
    plane.refuses = true;
    node_restart();
    sim_run_for(&sim, 1000);
    ck_assert_uint_eq(sim.peer_count, 0);
}
END_TEST

START_TEST(a_network_of_any_size_has_bounded_memory)
{
    node_join();
    char event[512];
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(
            event, sizeof event,
            "{\"kind\":\"security-group\",\"type\":\"change\",\"value\":{\"id\":\"aaaaaaaa-0000-4000-8000-"
            "%012u\",\"description\":\"%0200u\",\"revision\":%u}}\n\n",
            i, i, 1000 + i);
        plane_event(&plane, event);
        if (i % 100 == 99)
            sim_run_for(&sim, 10);
    }
    sim_run_for(&sim, 15000);
    ck_assert_uint_lt(strlen(sim.slots[IPC_SLOT_NETWORK]), 1 << 20);
    ck_joined();
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, world_begin, world_end);
    tcase_add_loop_test(tcase, bad_answers_at_the_first_start, 0, BAD_BODIES * 3);
    tcase_add_loop_test(tcase, bad_answers_at_a_restart_leave_what_is_known_in_force, 0, BAD_BODIES * 3);
    tcase_add_loop_test(tcase, bad_events_change_nothing_else, 0, EVENTS);
    tcase_add_loop_test(tcase, bad_events_in_a_list_change_nothing_else, 0, EVENTS);
    tcase_add_loop_test(tcase, streams_that_break_are_opened_again_slowly, 0, 6);
    tcase_add_test(tcase, a_list_without_ourselves_is_not_believed_but_looked_into);
    tcase_add_loop_test(tcase, stored_documents_that_are_damaged_are_ignored, 0, 7);
    tcase_add_test(tcase, a_stored_network_is_checked_like_a_told_one);
    tcase_add_test(tcase, a_network_of_any_size_has_bounded_memory);
}

int main(void)
{
    return unit_run("session_hostile", fill);
}
