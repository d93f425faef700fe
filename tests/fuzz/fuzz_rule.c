/* Rules from arbitrary text: what is refused gets a harmless message, what is accepted has a canonical form
 * that reads back as the same rule and is its own canonical form. */
#include "common/err.h"
#include "common/rule.h"
#include "tests/fuzz/fuzz_input.h"

static void check_round_trip(const struct rule *rule)
{
    struct rule again;
    char first[RULE_TEXT_MAX], second[RULE_TEXT_MAX], error[RULE_ERROR_MAX];
    rule_format(rule, first);
    fuzz_require(rule_parse(rule->direction, first, &again, error) == NX_OK);
    fuzz_require(rule_equal(rule, &again) && rule_same_listener(rule, &again));
    fuzz_require(strcmp(first, rule_format(&again, second)) == 0);
    fuzz_require(rule->listen_port != 0 && rule->dest_port != 0 && rule->host[0] != '\0');
    fuzz_require(rule->addr.family != NETADDR_NONE || hostname_valid(rule->host));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length);
    char error[RULE_ERROR_MAX];
    for (int direction = RULE_INGRESS; direction <= RULE_EGRESS; direction++) {
        struct rule rule;
        const int err = rule_parse((enum rule_direction)direction, text, &rule, error);
        if (err == NX_OK)
            check_round_trip(&rule);
        else
            fuzz_require_message(error, sizeof(error));
    }
    free(text);
    return 0;
}
