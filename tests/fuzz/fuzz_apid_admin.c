/* What administrators write: command lines, rules as text and as JSON, times. A rule that is understood comes
 * back from its text and, if it is sound, from the store's column as it was. */
#include "apid/admin/command.h"
#include "apid/admin/input.h"
#include "apid/store/internal.h"
#include "common/err.h"
#include "fuzz_input.h"

#include <stdio.h>

enum { NOW_S = 1800000000, TEXT_MAX = 16 + STORE_RANGES_MAX * STORE_RANGE_MAX, WORDS_MAX = 200 };

static char error[ADMIN_ERROR_MAX];

static bool same(const struct store_rule *a, const struct store_rule *b)
{
    bool equal = strcmp(a->ip_protocol, b->ip_protocol) == 0 && a->from_port == b->from_port &&
                 a->to_port == b->to_port && a->range_count == b->range_count;
    for (unsigned i = 0; equal && i < a->range_count; i++)
        equal = strcmp(a->ranges[i], b->ranges[i]) == 0;
    return equal;
}

static void column_keeps(const struct store_rule *rule)
{
    static struct store_rule back[STORE_RULES_MAX];
    struct store_error problem;
    unsigned count;
    if (rules_check(&problem, rule, 1) != NX_OK) {
        fuzz_require(problem.unprocessable && problem.field[0]);
        return;
    }
    char *column = rules_write(rule, 1);
    fuzz_require(column != NULL && rules_read(column, back, &count) == NX_OK && count == 1 &&
                 same(rule, back));
    free(column);
}

static void rule_text(const char *text)
{
    static char written[TEXT_MAX];
    struct store_rule rule, again;
    if (input_rule(text, &rule, error) != NX_OK) {
        fuzz_require_message(error, INPUT_ERROR_MAX);
        return;
    }
    fuzz_require(input_rule(input_rule_text(&rule, written, sizeof written), &again, error) == NX_OK);
    fuzz_require(same(&rule, &again));
    column_keeps(&rule);
}

static void rule_file(const char *text, size_t length)
{
    static struct store_security_group group;
    unsigned changes;
    memset(&group, 0, sizeof group);
    if (input_rules(text, length, &group, &changes, error) != NX_OK) {
        fuzz_require(error[0]);
        return;
    }
    fuzz_require(changes != 0 && group.inbound_count <= STORE_RULES_MAX &&
                 group.outbound_count <= STORE_RULES_MAX);
    for (unsigned i = 0; i < group.inbound_count; i++)
        column_keeps(&group.inbound[i]);
}

static void expiry(const char *text)
{
    uint64_t out = 0;
    if (input_expiry(text, NOW_S, &out, error) == NX_OK)
        fuzz_require(out > NOW_S && out <= NOW_S + UINT64_C(10) * 366 * 24 * 3600);
    else
        fuzz_require_message(error, INPUT_ERROR_MAX);
}

/* A word a line. */
static void command_line(char *text)
{
    static char *argv[WORDS_MAX + 2] = {"apid"};
    struct admin_arguments out;
    int argc = 1;
    for (char *word; argc <= WORDS_MAX && (word = strsep(&text, "\n")) != NULL;)
        argv[argc++] = word;
    argv[argc] = NULL;
    if (admin_parse(argc, argv, &out, error) != NX_OK) {
        fuzz_require_message(error, sizeof error);
        return;
    }
    fuzz_require(out.help ||
                 (out.command && out.values[ADMIN_DATA][0] && !out.command->operand == !out.operand));
    fuzz_require(out.inbound_count <= ADMIN_RULES_MAX && out.outbound_count <= ADMIN_RULES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return 0;
    char *text = fuzz_string(bytes + 1, length - 1);
    switch (bytes[0]) {
    case 'r':
        rule_text(text);
        break;
    case 'j':
        rule_file(text, length - 1);
        break;
    case 'e':
        expiry(text);
        break;
    default:
        command_line(text);
    }
    free(text);
    return 0;
}
