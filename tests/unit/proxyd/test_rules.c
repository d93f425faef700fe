/* The rule table: what it takes in, finds and refuses. */
#include "common/clock.h"
#include "common/err.h"
#include "proxyd/rules.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct rule_table table;

static void set_up(void)
{
    rule_table_init(&table);
}

static void tear_down(void)
{
    rule_table_destroy(&table);
}

static struct ipc_rule_add message_of(uint32_t id, enum rule_direction direction, uint16_t port,
                                      const char *host)
{
    struct ipc_rule_add message = {.rule_id = id,
                                   .direction = (uint8_t)direction,
                                   .protocol = RULE_TCP,
                                   .listen_port = port,
                                   .dest_port = 80};
    snprintf(message.host, sizeof(message.host), "%s", host);
    return message;
}

static struct rule_entry *add_ok(uint32_t id, enum rule_direction direction, uint16_t port, const char *host)
{
    const struct ipc_rule_add message = message_of(id, direction, port, host);
    struct failure failure = {0};
    struct rule_entry *entry = NULL;
    const int err = rule_table_add(&table, &message, &entry, &failure);
    ck_assert_msg(err == NX_OK, "%s", failure.text);
    return entry;
}

static void add_fails(uint32_t id, enum rule_direction direction, const char *host, enum ipc_outcome wanted,
                      const char *part)
{
    const struct ipc_rule_add message = message_of(id, direction, 80, host);
    struct failure failure = {0};
    struct rule_entry *entry = NULL;
    const size_t before = table.count;
    ck_assert_int_lt(rule_table_add(&table, &message, &entry, &failure), 0);
    ck_assert_int_eq(failure.result, wanted);
    ck_assert_msg(strstr(failure.text, part) != NULL, "%s", failure.text);
    ck_assert_uint_eq(table.count, before);
}

START_TEST(rules_of_one_port_form_a_set)
{
    add_ok(1, RULE_INGRESS, 80, "127.0.0.1");
    add_ok(2, RULE_INGRESS, 80, "web.example");
    add_ok(3, RULE_EGRESS, 80, "100.64.0.7");
    add_ok(4, RULE_INGRESS, 81, "127.0.0.1");
    const struct rule_set *const set = rule_table_set(&table, RULE_INGRESS, RULE_TCP, 80);
    ck_assert_ptr_nonnull(set);
    ck_assert_uint_eq(set->count, 2);
    ck_assert_uint_eq(rule_table_set(&table, RULE_EGRESS, RULE_TCP, 80)->count, 1);
    ck_assert_ptr_null(rule_table_set(&table, RULE_EGRESS, RULE_UDP, 80));
    ck_assert_ptr_null(rule_table_find(&table, 5));
}
END_TEST

START_TEST(last_rule_of_a_set_takes_it_along)
{
    struct rule_entry *const first = add_ok(1, RULE_EGRESS, 80, "100.64.0.7");
    struct rule_entry *const second = add_ok(2, RULE_EGRESS, 80, "100.64.0.8");
    balance_failed(rule_entry_health(second), 5);
    rule_table_remove(&table, first);
    ck_assert_uint_eq(rule_entry_health(second)->backoff_ms, BALANCE_BACKOFF_MIN_MS);
    ck_assert_ptr_nonnull(rule_table_set(&table, RULE_EGRESS, RULE_TCP, 80));
    rule_table_remove(&table, second);
    ck_assert_ptr_null(rule_table_set(&table, RULE_EGRESS, RULE_TCP, 80));
    ck_assert_uint_eq(table.count, 0);
}
END_TEST

START_TEST(same_rule_again_changes_nothing_another_is_refused)
{
    struct rule_entry *const entry = add_ok(1, RULE_INGRESS, 80, "127.0.0.1"), *again = NULL;
    struct ipc_rule_add message = message_of(1, RULE_INGRESS, 80, "127.0.0.1");
    struct failure failure;
    ck_assert_int_eq(rule_table_add(&table, &message, &again, &failure), NX_EEXIST);
    ck_assert_ptr_eq(again, entry);
    add_fails(1, RULE_INGRESS, "127.0.0.2", IPC_FAILED, "rule id 1");
    add_ok(2, RULE_INGRESS, 80, "127.0.0.1"); /* equal under another id: a second destination */
    ck_assert_uint_eq(entry->set->count, 2);
}
END_TEST

START_TEST(hosts_are_checked)
{
    add_fails(1, RULE_INGRESS, "a..b", IPC_FAILED, "neither an address nor a possible name");
    add_fails(1, RULE_INGRESS, "1.2.3.999", IPC_FAILED, "neither");
    add_fails(1, RULE_INGRESS, "1.2.3.4%lo", IPC_FAILED, "neither");
    add_fails(1, RULE_INGRESS, "fe80::1%", IPC_NOT_FOUND, "no network interface");
    add_fails(1, RULE_INGRESS, "fe80::1%nosuchif", IPC_NOT_FOUND, "no network interface nosuchif");
    add_fails(1, RULE_INGRESS, "fe80::1%averyveryverylongname", IPC_NOT_FOUND, "no network interface");
    add_fails(1, RULE_EGRESS, "fe80::1%1", IPC_FAILED, "has no zone");
}
END_TEST

START_TEST(zones_become_interface_numbers)
{
    ck_assert_uint_eq(rule_entry_literal(add_ok(1, RULE_INGRESS, 80, "fe80::1%7")).scope_id, 7);
    ck_assert_uint_ne(rule_entry_literal(add_ok(2, RULE_INGRESS, 80, "fe80::1%lo")).scope_id, 0);
    ck_assert_int_eq(add_ok(3, RULE_INGRESS, 80, "::ffff:127.0.0.1")->rule.addr.family, NETADDR_V4);
    ck_assert_int_eq(add_ok(4, RULE_INGRESS, 80, "name.example")->rule.addr.family, NETADDR_NONE);
}
END_TEST

START_TEST(a_port_holds_a_bounded_number_of_rules)
{
    for (uint32_t id = 1; id <= RULES_PER_PORT_MAX; id++)
        add_ok(id, RULE_INGRESS, 80, "127.0.0.1");
    add_fails(RULES_PER_PORT_MAX + 1, RULE_INGRESS, "127.0.0.1", IPC_LIMIT, "no room");
    add_ok(RULES_PER_PORT_MAX + 1, RULE_INGRESS, 81, "127.0.0.1");
}
END_TEST

START_TEST(walk_skips_rules_that_were_removed_meanwhile)
{
    add_ok(10, RULE_INGRESS, 80, "127.0.0.1");
    struct rule_entry *const second = add_ok(11, RULE_INGRESS, 80, "127.0.0.2");
    add_ok(12, RULE_INGRESS, 80, "127.0.0.3");
    struct rule_walk *const walk = rule_walk_new(second->set, clock_now_ns());
    ck_assert_uint_eq(walk->count, 3);
    rule_table_remove(&table, second);
    ck_assert_uint_eq(rule_walk_next(walk, &table)->id, 12);
    ck_assert_uint_eq(rule_walk_next(walk, &table)->id, 10);
    ck_assert_ptr_null(rule_walk_next(walk, &table));
    free(walk);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, rules_of_one_port_form_a_set);
    tcase_add_test(tcase, last_rule_of_a_set_takes_it_along);
    tcase_add_test(tcase, same_rule_again_changes_nothing_another_is_refused);
    tcase_add_test(tcase, hosts_are_checked);
    tcase_add_test(tcase, zones_become_interface_numbers);
    tcase_add_test(tcase, a_port_holds_a_bounded_number_of_rules);
    tcase_add_test(tcase, walk_skips_rules_that_were_removed_meanwhile);
}

int main(void)
{
    return unit_run("rules", add, 10);
}
