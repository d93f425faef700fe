/* A state file of any content: what is refused gets a harmless message; what is accepted prints to a document
 * that reads back to the same text, and rules written into it come out again. */
#include "common/err.h"
#include "nexd/state/keys.h"
#include "nexd/state/rules.h"
#include "tests/fuzz/fuzz_input.h"

static void check_rules(struct state_document *document, char *error)
{
    struct rule *rules, *again;
    size_t count, count_again;
    if (state_rules_read(document, &rules, &count, error) != NX_OK) {
        fuzz_require_message(error, STATE_ERROR_MAX);
        return;
    }
    fuzz_require(state_rules_write(document, rules, count) == NX_OK);
    fuzz_require(state_rules_read(document, &again, &count_again, error) == NX_OK);
    fuzz_require(count == count_again);
    for (size_t i = 0; i < count; i++)
        fuzz_require(rule_equal(&rules[i], &again[i]));
    free(rules);
    free(again);
}

/* What is accepted as a private key comes out again as it was written. */
static void check_keys(struct state_document *document, char *error)
{
    uint8_t key[KEY_BYTES], again[KEY_BYTES], public_key[KEY_BYTES] = {1};
    int err = state_keys_read(document, key, error);
    if (err == NX_EINVAL)
        fuzz_require_message(error, STATE_ERROR_MAX);
    if (err)
        return;
    fuzz_require(state_keys_write(document, key, public_key) == NX_OK);
    fuzz_require(state_keys_read(document, again, error) == NX_OK);
    fuzz_require(memcmp(key, again, KEY_BYTES) == 0);
}

static char *print(const struct state_document *document)
{
    char *text;
    size_t length;
    fuzz_require(state_document_print(document, &text, &length) == NX_OK && strlen(text) == length);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct state_document document, again;
    char error[STATE_ERROR_MAX];
    if (state_document_parse((const char *)bytes, length, &document, error) != NX_OK) {
        fuzz_require_message(error, sizeof error);
        return 0;
    }
    for (int round = 0; round < 2; round++) {
        char *first = print(&document);
        fuzz_require(state_document_parse(first, strlen(first), &again, error) == NX_OK);
        char *second = print(&again);
        fuzz_require(strcmp(first, second) == 0);
        state_text_free(first);
        state_text_free(second);
        state_document_free(&again);
        check_rules(&document, error);
        check_keys(&document, error);
    }
    state_document_free(&document);
    return 0;
}
