/* The first word of a line says what it is about; each kind of line has its reader. A line is read into a
 * statement of its own, which joins the policy only when it is right as a whole. */
#include "policy/internal.h"

#include "common/array.h"
#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOWS_MAX = 1000000 };

/* -- allow and deny -- */

static int direction_read(struct words *words, struct statement *out)
{
    const struct text_span word = word_next(words);
    if (word_is(word, "ingress"))
        out->directions = 1u << RULE_INGRESS;
    else if (word_is(word, "egress"))
        out->directions = 1u << RULE_EGRESS;
    else if (word_is(word, "any"))
        out->directions = 1u << RULE_INGRESS | 1u << RULE_EGRESS;
    else
        return word_fail(words, word, "ingress, egress or any must follow, not",
                         "allow ingress tcp 8080 to 127.0.0.1 80");
    return NX_OK;
}

static int protocol_read(struct words *words, struct statement *out)
{
    const struct text_span word = word_next(words);
    if (word_is(word, "tcp"))
        out->protocols = 1u << RULE_TCP;
    else if (word_is(word, "udp"))
        out->protocols = 1u << RULE_UDP;
    else if (word_is(word, "any"))
        out->protocols = 1u << RULE_TCP | 1u << RULE_UDP;
    else
        return word_fail(words, word, "the protocol must be tcp, udp or any, not", NULL);
    return NX_OK;
}

static int names_read(struct words *words, struct statement *out)
{
    out->target = TARGET_NAMES;
    int err = word_names(words, word_next(words), &out->names);
    struct words ahead = *words;
    if (err != NX_OK || !word_is(word_next(&ahead), "in"))
        return err;
    *words = ahead;
    return word_prefixes(words, word_next(words), &out->prefixes);
}

static int target_read(struct words *words, struct statement *out)
{
    struct text_span word = word_next(words);
    if (!word_is(word, "to"))
        return word_fail(words, word, "the word to must stand before the destination, not",
                         "allow egress tcp 8443 to 100.64.0.0/10 443");
    word = word_next(words);
    if (word_is(word, "any"))
        return NX_OK;
    if (word_is(word, "name"))
        return names_read(words, out);
    out->target = TARGET_PREFIXES;
    return word_prefixes(words, word, &out->prefixes);
}

/* "flows 100 new-flows 10 bandwidth 10Mbit", in any order. */
static int options_read(struct words *words, struct statement *out)
{
    for (;;) {
        const struct text_span word = word_next(words);
        uint64_t *const place = word_is(word, "flows")       ? &out->flows
                                : word_is(word, "new-flows") ? &out->new_flows
                                : word_is(word, "bandwidth") ? &out->bandwidth
                                                             : NULL;
        if (word.length == 0)
            return NX_OK;
        if (place == NULL)
            return word_fail(words, word, "flows, new-flows or bandwidth may follow, not", NULL);
        if (out->deny)
            return word_fail(words, word, "a line that denies has no limits:", NULL);
        if (*place != 0)
            return word_fail(words, word, "given twice:", NULL);
        const struct text_span value = word_next(words);
        int err = place == &out->bandwidth ? word_bandwidth(words, value, place)
                                           : word_number(words, value, FLOWS_MAX, place);
        if (err != NX_OK)
            return err;
    }
}

static int rule_read(struct words *words, struct statement *out)
{
    out->kind = STATEMENT_RULE;
    int err = direction_read(words, out);
    if (err == NX_OK)
        err = protocol_read(words, out);
    if (err == NX_OK)
        err = word_ports(words, word_next(words), &out->listen_ports);
    if (err == NX_OK)
        err = target_read(words, out);
    if (err == NX_OK)
        err = word_ports(words, word_next(words), &out->dest_ports);
    return err == NX_OK ? options_read(words, out) : err;
}

/* -- The others -- */

static int end_expect(struct words *words)
{
    const struct text_span word = word_next(words);
    return word.length == 0 ? NX_OK : word_fail(words, word, "nothing may follow, but there is", NULL);
}

static int listen_read(struct words *words, struct statement *out)
{
    out->kind = STATEMENT_LISTEN;
    int err = protocol_read(words, out);
    if (err == NX_OK)
        err = word_ports(words, word_next(words), &out->listen_ports);
    if (err != NX_OK)
        return err;
    const struct text_span word = word_next(words);
    if (!word_is(word, "any"))
        err = word_address(words, word, &out->listen_address);
    return err == NX_OK ? end_expect(words) : err;
}

static int control_read(struct words *words, struct statement *out)
{
    out->kind = STATEMENT_CONTROL;
    const struct text_span word = word_next(words);
    if (word_is(word, "uid"))
        out->who = CONTROL_UID;
    else if (word_is(word, "gid"))
        out->who = CONTROL_GID;
    else if (!word_is(word, "any"))
        return word_fail(words, word, "uid and a number, gid and a number, or any must follow, not",
                         "control uid 1000 Status,List*");
    if (out->who != CONTROL_ANY) {
        uint64_t id;
        const struct text_span number = word_next(words);
        if (text_to_u64(number.start, number.length, 0, UINT32_MAX - 1, &id) != NX_OK)
            return word_fail(words, number, "a user or group is given by its number, not",
                             "control uid 1000 Status,List*");
        out->who_id = (uint32_t)id;
    }
    int err = word_methods(words, word_next(words), &out->methods);
    return err == NX_OK ? end_expect(words) : err;
}

static int limit_read(struct words *words, struct policy *policy, struct statement *out)
{
    const struct {
        const char *name;
        struct policy_bound *bound;
    } limits[] = {{"flows", &policy->limits.flows},
                  {"flows-per-peer", &policy->limits.flows_per_peer},
                  {"new-flows", &policy->limits.new_flows},
                  {"rule-flows", &policy->rule_limits.flows},
                  {"rule-new-flows", &policy->rule_limits.new_flows},
                  {"rule-bandwidth", &policy->rule_limits.bandwidth}};
    out->kind = STATEMENT_LIMIT;
    const struct text_span word = word_next(words);
    struct policy_bound *bound = NULL;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (word_is(word, limits[i].name))
            bound = limits[i].bound;
    if (bound == NULL)
        return word_fail(words, word,
                         "limits are flows, flows-per-peer, new-flows, rule-flows, rule-new-flows and "
                         "rule-bandwidth, not",
                         "limit flows-per-peer 500");
    if (bound->line != 0)
        return word_fail(words, word, "this limit is given twice:", NULL);
    uint64_t value;
    const struct text_span number = word_next(words);
    int err = bound == &policy->rule_limits.bandwidth ? word_bandwidth(words, number, &value)
                                                      : word_number(words, number, FLOWS_MAX, &value);
    if (err == NX_OK)
        err = end_expect(words);
    if (err == NX_OK)
        *bound = (struct policy_bound){.value = value, .line = words->line};
    return err;
}

static int run_time_read(struct words *words, struct policy *policy, struct statement *out)
{
    out->kind = STATEMENT_RUN_TIME;
    const struct text_span word = word_next(words);
    if (!word_is(word, "yes") && !word_is(word, "no"))
        return word_fail(words, word, "yes or no must follow, not", "run-time-rules no");
    if (policy->run_time_line != 0)
        return word_fail(words, (struct text_span){0}, "run-time-rules is given twice", NULL);
    int err = end_expect(words);
    if (err == NX_OK) {
        policy->run_time_rules = word_is(word, "yes");
        policy->run_time_line = words->line;
    }
    return err;
}

/* -- Lines and files -- */

static int kind_fail(const struct words *words, struct text_span word)
{
    static const char *const kinds[] = {"allow", "deny", "listen", "limit", "control", "run-time-rules"};
    char text[32] = "",
         problem[96] = "lines begin with allow, deny, listen, limit, control or run-time-rules, not";
    size_t best = SIZE_MAX;
    if (word.length < sizeof text)
        memcpy(text, word.start, word.length);
    for (size_t i = 0; text[0] && i < sizeof kinds / sizeof *kinds; i++) {
        const size_t errors = text_typing_errors(text, kinds[i]);
        if (errors >= best)
            continue;
        best = errors;
        snprintf(problem, sizeof problem, "did you mean %s? There are no lines that begin with", kinds[i]);
    }
    return word_fail(words, word, problem, "allow ingress tcp 8080 to 127.0.0.1 80");
}

static int statement_read(struct words *words, struct policy *policy, struct statement *out)
{
    const struct text_span word = word_next(words);
    out->deny = word_is(word, "deny");
    if (out->deny || word_is(word, "allow"))
        return rule_read(words, out);
    if (word_is(word, "listen"))
        return listen_read(words, out);
    if (word_is(word, "control"))
        return control_read(words, out);
    if (word_is(word, "limit"))
        return limit_read(words, policy, out);
    if (word_is(word, "run-time-rules"))
        return run_time_read(words, policy, out);
    return kind_fail(words, word);
}

/* The words with one blank between them. NULL: out of memory. */
static char *text_normal(struct text_span line)
{
    char *const text = malloc(line.length + 1);
    struct words words = {.rest = line};
    size_t used = 0;
    if (text == NULL)
        return NULL;
    for (struct text_span word = word_next(&words); word.length > 0; word = word_next(&words)) {
        if (used > 0)
            text[used++] = ' ';
        memcpy(text + used, word.start, word.length);
        used += word.length;
    }
    text[used] = '\0';
    return text;
}

/* NX_EINVAL: something that is no text. */
static int characters_check(const struct words *words)
{
    if (words->rest.length > POLICY_LINE_BYTES_MAX)
        return word_fail(words, (struct text_span){0}, "the line is longer than 1000 bytes", NULL);
    for (size_t i = 0; i < words->rest.length; i++) {
        const char c = words->rest.start[i];
        if (c != '\t' && (c < ' ' || c > '~'))
            return word_fail(words, (struct text_span){words->rest.start + i, 1},
                             "only printable ASCII may stand in a policy, not", NULL);
    }
    return NX_OK;
}

int policy_read_line(struct policy *policy, unsigned line, const char *text, size_t length, char *error)
{
    const char *const comment = length ? memchr(text, '#', length) : NULL;
    const struct text_span said = text_trim(text, comment ? (size_t)(comment - text) : length);
    struct words words = {.policy = policy, .line = line, .rest = said, .error = error};
    struct statement statement = {.line = line};
    if (said.length == 0)
        return NX_OK;
    int err = characters_check(&words);
    if (err == NX_OK && policy->count == POLICY_LINES_MAX)
        err = word_fail(&words, (struct text_span){0}, "more than 1024 lines", NULL);
    if (err == NX_OK)
        err = statement_read(&words, policy, &statement);
    void *const grown = err == NX_OK ? array_reserve(policy->statements, &policy->capacity, policy->count + 1,
                                                     sizeof statement)
                                     : NULL;
    if (grown != NULL)
        policy->statements = grown;
    if (err == NX_OK)
        statement.text = text_normal(said);
    if (err == NX_OK && (grown == NULL || statement.text == NULL))
        err = words_no_memory(&words);
    if (err != NX_OK) {
        statement_destroy(&statement);
        return err;
    }
    policy->has_control = policy->has_control || statement.kind == STATEMENT_CONTROL;
    policy->statements[policy->count++] = statement;
    return NX_OK;
}

int policy_read(struct policy *policy, const char *text, size_t length, char *error)
{
    int err = NX_OK;
    unsigned line = 0;
    if (length > POLICY_FILE_BYTES_MAX) {
        snprintf(error, POLICY_ERROR_MAX, "%s: longer than %d bytes", policy->file, POLICY_FILE_BYTES_MAX);
        return NX_EINVAL;
    }
    for (size_t at = 0; err == NX_OK && at < length;) {
        const char *const end = memchr(text + at, '\n', length - at);
        const size_t size = end == NULL ? length - at : (size_t)(end - (text + at));
        err = policy_read_line(policy, ++line, text + at, size, error);
        at += size + 1;
    }
    return err;
}
