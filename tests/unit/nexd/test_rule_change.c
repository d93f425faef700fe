/* Changes of rules at run time: first story by story, then with children that die, refuse, fall silent and
 * come back at every moment, and a disk that fails. Whatever happens, when all is quiet again proxyd,
 * tunneld, ctld and the disk agree with each other and with what the operators were told. */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "nexd/rule_change.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN_MAX = 128, MAIL_MAX = 512, ANSWERS_MAX = 4096 };

struct mail {
    enum ipc_type type;
    uint32_t request;
    struct ipc_rule_add add; /* RULE_REMOVE: only the id */
    bool kill_flows;
};

/* A child: what it has been told and not yet read, and the rules that it knows. */
struct fake {
    bool up;
    struct mail mail[MAIL_MAX];
    size_t mail_count;
    uint32_t known[KNOWN_MAX];
    size_t known_count;
};

static struct {
    struct rulebook book;
    struct rule_change change;
    struct fake children[SUPERVISOR_CHILDREN]; /* tunneld, proxyd, ctld */
    uint64_t now_ns;
    bool disk_fails;
    struct rule stored[KNOWN_MAX];
    size_t stored_count, stores, ports_freed, stuck;
    struct {
        uint32_t request;
        enum ipc_outcome outcome;
        char text[IPC_TEXT_MAX + 1];
    } answers[ANSWERS_MAX];
    size_t answer_count;
} w;

static struct fake *child(enum ipc_role role)
{
    return &w.children[role - IPC_TUNNELD];
}

/* -- Operations -- */

static int op_send(void *arg, enum ipc_role role, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    struct fake *to = child(role);
    if (!to->up)
        return NX_ECLOSED;
    ck_assert_uint_lt(to->mail_count, MAIL_MAX);
    struct mail *mail = &to->mail[to->mail_count++];
    *mail = (struct mail){.type = type, .request = request};
    if (type == IPC_MSG_RULE_ADD)
        mail->add = *(const struct ipc_rule_add *)body;
    else
        mail->add.rule_id = ((const struct ipc_rule_remove *)body)->rule_id;
    mail->kill_flows = type == IPC_MSG_RULE_REMOVE && ((const struct ipc_rule_remove *)body)->kill_flows;
    return NX_OK;
}

static int op_store(void *arg, char *error)
{
    (void)arg;
    w.stores++;
    if (w.disk_fails) {
        snprintf(error, RULE_CHANGE_ERROR_MAX,
                 "/state/state.json.new: cannot be written: No space left on device");
        return NX_ESYS;
    }
    struct rule *rules;
    ck_assert_int_eq(rulebook_stored(&w.book, &rules, &w.stored_count), NX_OK);
    ck_assert_uint_le(w.stored_count, KNOWN_MAX);
    memcpy(w.stored, rules, w.stored_count * sizeof *rules);
    free(rules);
    return NX_OK;
}

static void op_answer(void *arg, uint32_t request, enum ipc_outcome outcome, const char *text)
{
    (void)arg;
    ck_assert_uint_lt(w.answer_count, ANSWERS_MAX);
    for (size_t i = 0; i < w.answer_count; i++)
        ck_assert_msg(w.answers[i].request != request, "request %u is answered twice", request);
    w.answers[w.answer_count].request = request;
    w.answers[w.answer_count].outcome = outcome;
    snprintf(w.answers[w.answer_count++].text, IPC_TEXT_MAX, "%s", text);
}

static void op_port_free(void *arg, enum rule_protocol protocol, uint16_t port)
{
    (void)arg, (void)protocol, (void)port;
    w.ports_freed++;
}

static void child_end(enum ipc_role role);

static void op_stuck(void *arg, enum ipc_role role, const char *why)
{
    (void)arg, (void)why;
    w.stuck++;
    child(role)->up = false; /* its end is reported later, as SIGCHLD would */
}

/* The policy: destination port 666 is refused, and every other rule is granted what its port says. */
static int op_judge(void *arg, const struct rule *rule, struct policy_rule_limits *limits, char *error)
{
    (void)arg;
    *limits = (struct policy_rule_limits){.flows = {.value = rule->dest_port, .line = 3},
                                          .bandwidth = {.value = rule->listen_port, .line = 4}};
    snprintf(error, RULE_CHANGE_ERROR_MAX, "policy:7 denies it");
    return rule->dest_port == 666 ? NX_EPERM : NX_OK;
}

static const struct rule_change_ops ops = {.send = op_send,
                                           .store = op_store,
                                           .judge = op_judge,
                                           .answer = op_answer,
                                           .port_free = op_port_free,
                                           .stuck = op_stuck};

/* -- What children do -- */

static bool knows(const struct fake *fake, uint32_t id)
{
    for (size_t i = 0; i < fake->known_count; i++)
        if (fake->known[i] == id)
            return true;
    return false;
}

static void known_add(struct fake *fake, uint32_t id)
{
    ck_assert_uint_lt(fake->known_count, KNOWN_MAX);
    fake->known[fake->known_count++] = id;
}

/* As provision.c does it: everything, in place of what an earlier process knew. */
static void child_start(enum ipc_role role)
{
    struct fake *fake = child(role);
    *fake = (struct fake){.up = true};
    for (size_t i = 0; i < w.book.count; i++) {
        const struct rulebook_entry *entry = &w.book.entries[i];
        if (entry->state == RULEBOOK_GOING || (role == IPC_CTLD && entry->state == RULEBOOK_COMING))
            continue;
        struct ipc_rule_add add;
        rule_change_add_fill(entry, &add);
        op_send(NULL, role, IPC_MSG_RULE_ADD, entry->id, &add);
    }
    rule_change_child_up(&w.change, role, w.now_ns);
}

static void child_end(enum ipc_role role)
{
    *child(role) = (struct fake){0};
    rule_change_child_gone(&w.change, role, w.now_ns);
}

/* Reads one message and answers it. False: there is none. */
static bool child_work(enum ipc_role role, bool refuse)
{
    struct fake *fake = child(role);
    if (!fake->up || fake->mail_count == 0)
        return false;
    struct mail mail = fake->mail[0];
    memmove(fake->mail, fake->mail + 1, --fake->mail_count * sizeof mail);
    struct ipc_result result = {.result = IPC_OK};
    if (mail.type == IPC_MSG_RULE_ADD && refuse) {
        result.result = IPC_IN_USE;
        snprintf(result.text, sizeof result.text, "the port is taken");
    } else if (mail.type == IPC_MSG_RULE_ADD) {
        /* proxyd may be asked again for a rule that it could not have; it says that it has it by now. */
        ck_assert_msg(role == IPC_PROXYD || !knows(fake, mail.add.rule_id), "%s is given rule %u twice",
                      ipc_role_name(role), mail.add.rule_id);
        if (!knows(fake, mail.add.rule_id))
            known_add(fake, mail.add.rule_id);
    } else {
        size_t left = 0;
        for (size_t i = 0; i < fake->known_count; i++)
            if (fake->known[i] != mail.add.rule_id)
                fake->known[left++] = fake->known[i];
        result.result = left == fake->known_count ? IPC_NOT_FOUND : IPC_OK;
        fake->known_count = left;
    }
    if (mail.request == 0)
        return true;
    bool of_change = rule_change_result(&w.change, role, mail.request, &result, w.now_ns);
    struct rulebook_entry *entry = rulebook_find(&w.book, mail.request);
    if (!of_change && mail.request <= RULEBOOK_ID_MAX) {
        ck_assert_msg(entry, "%s answers about a rule that nobody knows", ipc_role_name(role));
        if (role == IPC_PROXYD && result.result != IPC_OK)
            rule_change_failed(&w.change, entry, w.now_ns);
        else if (role == IPC_PROXYD)
            entry->failed = false;
    }
    return true;
}

static void all_work(void)
{
    while (child_work(IPC_PROXYD, false) || child_work(IPC_TUNNELD, false) || child_work(IPC_CTLD, false))
        ;
}

static uint32_t last_request;

static bool wish_kills;

static uint32_t wish(bool remove, const char *text)
{
    char error[RULE_ERROR_MAX];
    struct rule rule;
    ck_assert_int_eq(rule_parse(RULE_EGRESS, text, &rule, error), NX_OK);
    struct ipc_rule_request message = {.remove = remove,
                                       .kill_flows = wish_kills,
                                       .direction = (uint8_t)rule.direction,
                                       .protocol = (uint8_t)rule.protocol,
                                       .listen_port = rule.listen_port,
                                       .dest_port = rule.dest_port};
    memcpy(message.host, rule.host, sizeof rule.host);
    rule_change_request(&w.change, ++last_request, &message, w.now_ns);
    return last_request;
}

static void expect_answer(uint32_t request, enum ipc_outcome outcome, const char *text)
{
    for (size_t i = 0; i < w.answer_count; i++) {
        if (w.answers[i].request != request)
            continue;
        ck_assert_msg(w.answers[i].outcome == outcome, "%u: outcome %d: %s", request,
                      (int)w.answers[i].outcome, w.answers[i].text);
        ck_assert_str_eq(w.answers[i].text, text);
        return;
    }
    ck_abort_msg("request %u was not answered", request);
}

static bool answered(uint32_t request)
{
    for (size_t i = 0; i < w.answer_count; i++)
        if (w.answers[i].request == request)
            return true;
    return false;
}

/* Everybody knows the same, and the disk what it should. */
static void expect_agreement(void)
{
    size_t at_run_time = 0;
    ck_assert_int_eq(w.change.phase, RULE_CHANGE_IDLE);
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        ck_assert_uint_eq(child(role)->known_count, w.book.count);
    for (size_t i = 0; i < w.book.count; i++) {
        const struct rulebook_entry *entry = &w.book.entries[i];
        ck_assert_int_eq(entry->state, RULEBOOK_STANDING);
        for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
            ck_assert(knows(child(role), entry->id));
        if (entry->at_run_time)
            ck_assert(rule_equal(&w.stored[at_run_time++], &entry->rule));
    }
    ck_assert_uint_eq(at_run_time, w.stored_count);
}

static void set_up(void)
{
    memset(&w, 0, sizeof w);
    w.now_ns = NS_PER_S;
    struct rule flag;
    char error[RULE_ERROR_MAX];
    ck_assert_int_eq(rule_parse(RULE_EGRESS, "tcp:80:h:1", &flag, error), NX_OK);
    ck_assert_ptr_nonnull(rulebook_add(&w.book, &flag, false, RULEBOOK_STANDING));
    rule_change_init(&w.change, &w.book, &ops, NULL);
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        child_start(role);
    all_work();
    rule_change_open(&w.change, w.now_ns);
}

static void tear_down(void)
{
    rulebook_free(&w.book);
}

/* -- Stories -- */

START_TEST(an_added_rule_is_everywhere_before_the_answer)
{
    uint32_t request = wish(false, "tcp:81:h:1");
    ck_assert_uint_eq(child(IPC_TUNNELD)->mail_count, 0); /* proxyd first */
    child_work(IPC_PROXYD, false);
    ck_assert_uint_eq(w.stores, 0);
    ck_assert(!answered(request));
    child_work(IPC_TUNNELD, false);
    ck_assert_uint_eq(w.stored_count, 1);
    ck_assert_uint_eq(child(IPC_CTLD)->mail_count, 1); /* it lists the rule before it hears the answer */
    expect_answer(request, IPC_OK, "");
    all_work();
    expect_agreement();
    /* Only an equal rule that was added at run time is in its way. */
    expect_answer(wish(false, "TCP:081:H:1"), IPC_IN_USE, "port already in use by another proxy rule");
    request = wish(false, "tcp:80:h:1");
    uint32_t other = wish(false, "tcp:81:h:2");
    all_work();
    expect_answer(request, IPC_OK, "");
    expect_answer(other, IPC_OK, "");
    ck_assert_uint_eq(w.book.count, 4);
    expect_agreement();
}
END_TEST

START_TEST(only_rules_of_run_time_can_be_removed)
{
    expect_answer(wish(true, "tcp:80:[h]:01"), IPC_NOT_FOUND,
                  "no matching egress proxy rule found: tcp:80:h:1");
    wish(false, "tcp:80:h:1");
    wish(false, "tcp:90:h:1");
    all_work();
    uint32_t first = wish(true, "tcp:80:h:1"), second = wish(true, "tcp:90:h:1");
    ck_assert_uint_eq(w.ports_freed, 0); /* the flag's rule holds it */
    all_work();
    ck_assert_uint_eq(w.ports_freed, 1);
    expect_answer(first, IPC_OK, "");
    expect_answer(second, IPC_OK, "");
    ck_assert_uint_eq(w.book.count, 1);
    expect_agreement();
    expect_answer(wish(true, "tcp:90:h:1"), IPC_NOT_FOUND, "no matching egress proxy rule found: tcp:90:h:1");
}
END_TEST

START_TEST(flows_are_killed_only_where_that_is_wished)
{
    for (int kill = 0; kill < 2; kill++) {
        wish_kills = false;
        wish(false, "tcp:91:h:1");
        all_work();
        wish_kills = kill;
        wish(true, "tcp:91:h:1");
        wish_kills = false;
        struct fake *tunneld = child(IPC_TUNNELD);
        ck_assert_uint_eq(tunneld->mail_count, 1);
        ck_assert_int_eq(tunneld->mail[0].type, IPC_MSG_RULE_REMOVE);
        ck_assert_int_eq(tunneld->mail[0].kill_flows, kill);
        all_work();
    }
    wish_kills = true; /* it belongs to removing alone: a rule that could not be added has no flows */
    wish(false, "tcp:91:h:1");
    wish_kills = false;
    child_work(IPC_PROXYD, false);
    child_work(IPC_TUNNELD, true);
    ck_assert(!child(IPC_PROXYD)->mail[0].kill_flows);
    all_work();
}
END_TEST

START_TEST(a_refusal_undoes_all_and_is_the_answer)
{
    uint32_t request = wish(false, "tcp:81:h:1");
    child_work(IPC_PROXYD, true);
    expect_answer(request, IPC_IN_USE, "the port is taken");
    ck_assert_uint_eq(w.stores, 0);
    expect_agreement();
    request = wish(false, "tcp:81:h:1");
    child_work(IPC_PROXYD, false);
    child_work(IPC_TUNNELD, true);
    ck_assert(!answered(request)); /* proxyd still has the port */
    all_work();
    expect_answer(request, IPC_IN_USE, "the port is taken");
    ck_assert_uint_eq(w.ports_freed, 2);
    expect_agreement();
}
END_TEST

START_TEST(a_full_disk_undoes_all_and_is_the_answer)
{
    static const char full[] = "/state/state.json.new: cannot be written: No space left on device";
    w.disk_fails = true;
    uint32_t request = wish(false, "tcp:81:h:1");
    all_work();
    expect_answer(request, IPC_FAILED, full);
    expect_agreement();
    w.disk_fails = false;
    wish(false, "tcp:81:h:1");
    all_work();
    w.disk_fails = true;
    request = wish(true, "tcp:81:h:1");
    expect_answer(request, IPC_FAILED, full);
    ck_assert_uint_eq(w.book.count, 2); /* it is still in force */
    expect_agreement();
}
END_TEST

START_TEST(a_child_that_dies_in_the_middle_neither_loses_nor_doubles_the_rule)
{
    uint32_t request = wish(false, "tcp:81:h:1");
    child_end(IPC_PROXYD); /* before it read it */
    child_start(IPC_PROXYD);
    child_work(IPC_PROXYD, false);
    child_work(IPC_PROXYD, false);
    child_end(IPC_PROXYD); /* after it answered */
    child_end(IPC_TUNNELD);
    child_start(IPC_TUNNELD); /* which gives it the rule before its turn */
    child_work(IPC_TUNNELD, false);
    ck_assert(!answered(request));
    child_start(IPC_PROXYD);
    all_work();
    expect_answer(request, IPC_OK, "");
    expect_agreement();
    request = wish(true, "tcp:81:h:1");
    child_end(IPC_PROXYD);
    child_work(IPC_TUNNELD, false);
    expect_answer(request, IPC_OK, "");
    child_start(IPC_PROXYD);
    all_work();
    expect_agreement();
}
END_TEST

START_TEST(a_ctld_that_dies_gets_no_answer_but_the_change_is_whole)
{
    uint32_t request = wish(false, "tcp:81:h:1"), waiting = wish(false, "tcp:82:h:1");
    child_end(IPC_CTLD);
    child_start(IPC_CTLD);
    all_work();
    ck_assert(!answered(request) && !answered(waiting));
    ck_assert_uint_eq(w.book.count, 2);
    expect_agreement();
}
END_TEST

START_TEST(silence_ends_a_change)
{
    uint32_t request = wish(false, "tcp:81:h:1"), second = wish(false, "tcp:82:h:1");
    ck_assert_uint_eq(rule_change_next_ns(&w.change), w.now_ns + RULE_CHANGE_TIMEOUT_MS * NS_PER_MS);
    w.now_ns = rule_change_next_ns(&w.change);
    rule_change_run(&w.change, w.now_ns);
    expect_answer(second, IPC_TIMED_OUT, "another change of the proxy rules takes too long");
    ck_assert(!answered(request)); /* proxyd must forget it first */
    w.now_ns = rule_change_next_ns(&w.change);
    rule_change_run(&w.change, w.now_ns);
    ck_assert_uint_eq(w.stuck, 1);
    child_end(IPC_PROXYD);
    expect_answer(request, IPC_TIMED_OUT, "proxyd did not answer within 10 s; the rule was not added");
    child_start(IPC_PROXYD);
    all_work();
    expect_agreement();
    ck_assert_uint_eq(rule_change_next_ns(&w.change), UINT64_MAX);
}
END_TEST

START_TEST(changes_wait_for_the_start)
{
    w.change.open = false;
    uint32_t request = wish(false, "tcp:81:h:1");
    all_work();
    ck_assert(!answered(request));
    rule_change_open(&w.change, w.now_ns);
    all_work();
    expect_answer(request, IPC_OK, "");
    w.change.open = false;
    request = wish(false, "tcp:82:h:1");
    w.now_ns = rule_change_next_ns(&w.change);
    rule_change_run(&w.change, w.now_ns);
    expect_answer(request, IPC_TIMED_OUT, "nexd is still starting");
}
END_TEST

START_TEST(the_line_is_bounded)
{
    for (int i = 0; i <= RULE_CHANGE_QUEUE_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "tcp:%d:h:1", 1000 + i);
        wish(false, text);
    }
    ck_assert_uint_eq(w.answer_count, 0);
    expect_answer(wish(false, "tcp:81:h:1"), IPC_LIMIT, "too many changes of proxy rules at once");
    all_work();
    ck_assert_uint_eq(w.book.count, RULE_CHANGE_QUEUE_MAX + 2);
    expect_agreement();
}
END_TEST

START_TEST(a_rule_that_the_policy_refuses_reaches_nobody)
{
    const size_t before = w.book.count;
    expect_answer(wish(false, "tcp:81:h:666"), IPC_POLICY, "policy:7 denies it");
    ck_assert_uint_eq(w.book.count, before);
    all_work();
    expect_agreement();
}
END_TEST

START_TEST(a_rule_carries_what_the_policy_grants_it)
{
    struct ipc_rule_add add;
    const uint32_t request = wish(false, "tcp:81:h:9");
    all_work();
    expect_answer(request, IPC_OK, "");
    rule_change_add_fill(&w.book.entries[w.book.count - 1], &add);
    ck_assert_uint_eq(add.flows_max, 9);
    ck_assert_uint_eq(add.flows_line, 3);
    ck_assert_uint_eq(add.bytes_per_s_max, 81);
}
END_TEST

START_TEST(tcp_ingress_rules_of_the_ports_named_introduce_their_clients)
{
    static const struct {
        enum rule_direction direction;
        const char *text;
        bool told;
    } rules[] = {{RULE_INGRESS, "tcp:81:h:1", true},
                 {RULE_INGRESS, "tcp:82:h:1", false},
                 {RULE_INGRESS, "udp:81:h:1", false},
                 {RULE_EGRESS, "tcp:81:h:1", false}};
    struct port_set ports = {0};
    struct rulebook book = {.proxy_protocol = &ports};
    port_set_add(&ports, 81);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct rule rule;
        struct ipc_rule_add add;
        char error[RULE_ERROR_MAX];
        ck_assert_int_eq(rule_parse(rules[i].direction, rules[i].text, &rule, error), 0);
        rule_change_add_fill(rulebook_add(&book, &rule, i % 2 != 0, RULEBOOK_STANDING), &add);
        ck_assert_int_eq(add.proxy_protocol, rules[i].told);
    }
    rulebook_free(&book);
}
END_TEST

START_TEST(a_message_that_is_no_rule_is_refused)
{
    struct ipc_rule_request message = {.direction = RULE_EGRESS,
                                       .protocol = RULE_TCP,
                                       .listen_port = 1,
                                       .dest_port = 1,
                                       .host = "999.1.1.1"};
    rule_change_request(&w.change, ++last_request, &message, w.now_ns);
    ck_assert_uint_eq(w.answer_count, 1);
    ck_assert_int_eq(w.answers[0].outcome, IPC_FAILED);
    ck_assert_ptr_nonnull(strstr(w.answers[0].text, "999.1.1.1"));
}
END_TEST

START_TEST(a_rule_whose_port_is_taken_is_tried_again)
{
    wish(false, "tcp:81:h:1");
    all_work();
    child_end(IPC_PROXYD);
    child_start(IPC_PROXYD);
    child_work(IPC_PROXYD, false);
    child_work(IPC_PROXYD, true); /* somebody else has taken the port */
    ck_assert_uint_eq(rule_change_next_ns(&w.change), w.now_ns + RULE_CHANGE_RETRY_MS * NS_PER_MS);
    for (int i = 0; i < 2; i++) {
        w.now_ns = rule_change_next_ns(&w.change);
        rule_change_run(&w.change, w.now_ns);
        ck_assert(child_work(IPC_PROXYD, i == 0));
    }
    expect_agreement();
    w.now_ns = rule_change_next_ns(&w.change);
    rule_change_run(&w.change, w.now_ns);
    ck_assert_uint_eq(rule_change_next_ns(&w.change), UINT64_MAX);
    ck_assert_uint_eq(child(IPC_PROXYD)->mail_count, 0);
}
END_TEST

START_TEST(answers_to_nothing_are_told_apart)
{
    const struct ipc_result ok = {.result = IPC_OK};
    ck_assert(!rule_change_result(&w.change, IPC_PROXYD, 77, &ok, w.now_ns));
    wish(false, "tcp:81:h:1");
    uint32_t id = w.change.rule_id;
    ck_assert(!rule_change_result(&w.change, IPC_PROXYD, RULE_CHANGE_REMOVE | id, &ok, w.now_ns));
    ck_assert(!rule_change_result(&w.change, IPC_CTLD, id, &ok, w.now_ns));
}
END_TEST

/* -- Anything may happen at any moment -- */

static uint32_t seed;

static uint32_t random_below(uint32_t bound)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed >> 8) * bound >> 24);
}

static void something_happens(void)
{
    static const enum ipc_role roles[] = {IPC_PROXYD, IPC_TUNNELD, IPC_CTLD};
    enum ipc_role role = roles[random_below(3)];
    char text[32];
    switch (random_below(12)) {
    case 0:
        if (child(role)->up || w.change.configured[role - IPC_TUNNELD])
            child_end(role);
        break;
    case 1:
        w.disk_fails = random_below(4) == 0;
        break;
    case 2:
        w.now_ns += random_below(8000) * NS_PER_MS;
        rule_change_run(&w.change, w.now_ns);
        break;
    case 3:
    case 4:
        snprintf(text, sizeof text, "tcp:%u:h:%u", 100 + random_below(3), 1 + random_below(2));
        /* ctld serves operators only when it has read what it was configured with. */
        if (child(IPC_CTLD)->up && child(IPC_CTLD)->mail_count == 0)
            wish(random_below(2), text);
        break;
    case 5:
    case 6:
        if (!child(role)->up && !w.change.configured[role - IPC_TUNNELD])
            child_start(role);
        break;
    default:
        child_work(role, random_below(8) == 0 && role != IPC_CTLD);
        break;
    }
}

static void quiet_down(void)
{
    w.disk_fails = false;
    for (int round = 0; round < 20; round++) {
        for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++) {
            if (!child(role)->up && w.change.configured[role - IPC_TUNNELD])
                child_end(role);
            if (!child(role)->up)
                child_start(role);
        }
        all_work();
        w.now_ns += RULE_CHANGE_TIMEOUT_MS * NS_PER_MS;
        rule_change_run(&w.change, w.now_ns);
    }
    /* tunneld is not asked again for what it refused, short of a restart. */
    child_end(IPC_TUNNELD);
    child_start(IPC_TUNNELD);
    all_work();
}

START_TEST(whatever_happens_all_agree_in_the_end)
{
    seed = (uint32_t)_i * 2654435761u + 1;
    for (int i = 0; i < 2000; i++)
        something_happens();
    quiet_down();
    expect_agreement();
    /* And the operators' last word counts. */
    uint32_t request = wish(false, "tcp:999:h:9");
    all_work();
    expect_answer(request, IPC_OK, "");
    expect_agreement();
}
END_TEST

int main(void)
{
    log_init("test", LOG_LEVEL_FATAL);
    Suite *suite = suite_create("rule_change");
    TCase *tests = tcase_create("rule_change");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_added_rule_is_everywhere_before_the_answer);
    tcase_add_test(tests, only_rules_of_run_time_can_be_removed);
    tcase_add_test(tests, flows_are_killed_only_where_that_is_wished);
    tcase_add_test(tests, a_refusal_undoes_all_and_is_the_answer);
    tcase_add_test(tests, a_full_disk_undoes_all_and_is_the_answer);
    tcase_add_test(tests, a_child_that_dies_in_the_middle_neither_loses_nor_doubles_the_rule);
    tcase_add_test(tests, a_ctld_that_dies_gets_no_answer_but_the_change_is_whole);
    tcase_add_test(tests, silence_ends_a_change);
    tcase_add_test(tests, changes_wait_for_the_start);
    tcase_add_test(tests, the_line_is_bounded);
    tcase_add_test(tests, tcp_ingress_rules_of_the_ports_named_introduce_their_clients);
    tcase_add_test(tests, a_message_that_is_no_rule_is_refused);
    tcase_add_test(tests, a_rule_that_the_policy_refuses_reaches_nobody);
    tcase_add_test(tests, a_rule_carries_what_the_policy_grants_it);
    tcase_add_test(tests, a_rule_whose_port_is_taken_is_tried_again);
    tcase_add_test(tests, answers_to_nothing_are_told_apart);
    tcase_add_loop_test(tests, whatever_happens_all_agree_in_the_end, 0, 200);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
