/* The operator's policy: no text crashes the reader, what it has read is handed on as lines that read alike
 * and judge alike, and whatever a policy says, no name leads to a special address without a prefix that lies
 * within the special range. */
#include "common/err.h"
#include "policy/policy.h"
#include "policy/special.h"
#include "tests/fuzz/fuzz_input.h"

static struct policy *copy_of(const struct policy *policy)
{
    char error[POLICY_ERROR_MAX];
    struct policy *copy = policy_new("fuzz");
    fuzz_require(copy != NULL);
    for (size_t i = 0; i < policy_line_count(policy); i++) {
        unsigned number;
        const char *line = policy_line(policy, i, &number);
        fuzz_require(strlen(line) <= POLICY_LINE_BYTES_MAX);
        for (const char *c = line; *c; c++)
            fuzz_require(*c >= ' ' && *c <= '~');
        fuzz_require(policy_read_line(copy, number, line, strlen(line), error) == NX_OK);
    }
    return copy;
}

static bool same(struct policy_verdict a, struct policy_verdict b)
{
    return a.reason == b.reason && a.line == b.line;
}

static void rules_judge(const struct policy *policy, const struct policy *copy)
{
    static const char *const texts[] = {"tcp:80:127.0.0.1:80", "tcp:8080:10.1.2.3:443", "udp:53:[fd00::1]:53",
                                        "tcp:443:db.internal:1", "udp:1:localhost.:65535"};
    char error[RULE_ERROR_MAX], why[POLICY_WHY_MAX];
    for (size_t i = 0; i < 2 * sizeof texts / sizeof *texts; i++) {
        struct rule rule;
        fuzz_require(rule_parse(i % 2 ? RULE_INGRESS : RULE_EGRESS, texts[i / 2], &rule, error) == NX_OK);
        const struct policy_verdict verdict = policy_rule(policy, &rule);
        fuzz_require(same(verdict, policy_rule(copy, &rule)));
        fuzz_require(verdict.reason != POLICY_INSIDE_ADDRESS);
        fuzz_require(strlen(policy_why(policy, verdict, why)) < POLICY_WHY_MAX);
        const struct policy_rule_limits limits = policy_rule_limits(policy, &rule);
        fuzz_require(verdict.reason == POLICY_ADMITTED || limits.flows.value == 0);
    }
}

/* "in" stands in the line that admits, when the address is one of the special. */
static bool line_has_in(const struct policy *policy, unsigned line)
{
    for (size_t i = 0; i < policy_line_count(policy); i++) {
        unsigned number;
        const char *text = policy_line(policy, i, &number);
        if (number == line)
            return strstr(text, " in ") != NULL;
    }
    return false;
}

static void addresses_judge(const struct policy *policy, const struct policy *copy)
{
    static const char *const texts[] = {
        "127.0.0.1",       "::1",      "169.254.169.254", "fd00:ec2::254", "::ffff:127.0.0.1",
        "64:ff9b::7f00:1", "10.0.0.1", "2001:db8::1"};
    const struct rule rule = {.direction = RULE_INGRESS,
                              .protocol = RULE_TCP,
                              .listen_port = 80,
                              .host = "db.internal",
                              .dest_port = 80};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct netaddr address;
        fuzz_require(netaddr_parse(texts[i], &address) == NX_OK);
        const struct policy_verdict verdict = policy_address(policy, &rule, &address, false);
        fuzz_require(same(verdict, policy_address(copy, &rule, &address, false)));
        if (verdict.reason == POLICY_ADMITTED && special_range(&address, false) != NULL)
            fuzz_require(line_has_in(policy, verdict.line));
        /* What may go to an address may be a rule. */
        if (verdict.reason == POLICY_ADMITTED)
            fuzz_require(policy_rule(policy, &rule).reason == POLICY_ADMITTED ||
                         policy_rule(policy, &rule).reason == POLICY_DENIED);
    }
}

static void rest_ask(const struct policy *policy, const struct policy *copy)
{
    static const gid_t groups[] = {0, 1000};
    const struct policy_caller caller = {.uid = 1000, .groups = groups, .group_count = 2};
    unsigned line, other;
    for (size_t i = 0; policy_methods[i]; i++)
        fuzz_require(policy_control(policy, &caller, policy_methods[i]) ==
                     policy_control(copy, &caller, policy_methods[i]));
    fuzz_require(policy_run_time_rules(policy, &line) == policy_run_time_rules(copy, &other) &&
                 line == other);
    const struct netaddr at = policy_listen(policy, RULE_TCP, 80, &line);
    const struct netaddr copy_at = policy_listen(copy, RULE_TCP, 80, &other);
    fuzz_require(netaddr_equal(&at, &copy_at) && line == other);
    fuzz_require(policy_limits(policy).flows.value == policy_limits(copy).flows.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char error[POLICY_ERROR_MAX] = "";
    struct policy *policy = policy_new("fuzz");
    fuzz_require(policy != NULL);
    if (policy_read(policy, (const char *)bytes, length, error) == NX_OK) {
        struct policy *copy = copy_of(policy);
        rules_judge(policy, copy);
        addresses_judge(policy, copy);
        rest_ask(policy, copy);
        policy_free(copy);
    } else {
        fuzz_require(error[0] != '\0' && strlen(error) < POLICY_ERROR_MAX);
        for (const char *c = error; *c; c++)
            fuzz_require(*c >= ' ' && *c <= '~');
    }
    policy_free(policy);
    return 0;
}
