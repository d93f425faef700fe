/* The document in memory is what the file holds, so that a failed write can put the old content back. */
#include "nexd/state/state.h"

#include "common/err.h"
#include "nexd/state/rules.h"

#include <stdio.h>
#include <stdlib.h>

struct state {
    struct state_file file;
    struct state_document document;
    struct rule *rules;
    size_t rule_count;
};

static int content_read(struct state *state, char *error)
{
    char *text, why[STATE_ERROR_MAX];
    size_t length;
    int err = state_file_read(&state->file, &text, &length, error);
    if (err || !text)
        return err;
    err = state_document_parse(text, length, &state->document, why);
    if (!err)
        err = state_rules_read(&state->document, &state->rules, &state->rule_count, why);
    if (err)
        snprintf(error, STATE_ERROR_MAX, "%.250s/state.json: %.240s", state->file.folder, why);
    state_text_free(text);
    return err;
}

int state_open(const char *folder, const struct state_sys *sys, struct state **out, char *error)
{
    struct state *state = calloc(1, sizeof *state);
    *out = NULL;
    if (!state) {
        snprintf(error, STATE_ERROR_MAX, "out of memory");
        return NX_ENOMEM;
    }
    int err = state_file_open(&state->file, folder, sys, error);
    if (!err)
        err = content_read(state, error);
    if (err) {
        state_close(state);
        return err;
    }
    *out = state;
    return NX_OK;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    state_file_close(&state->file);
    state_document_free(&state->document);
    free(state->rules);
    free(state);
}

const struct rule *state_rules(const struct state *state, size_t *count)
{
    *count = state->rule_count;
    return state->rules;
}

static int document_copy(const struct state_document *from, struct state_document *to, char *error)
{
    char *text;
    size_t length;
    int err = state_document_print(from, &text, &length);
    if (err)
        return err;
    err = state_document_parse(text, length, to, error);
    state_text_free(text);
    return err;
}

/* The new content stands in the file but the disk did not confirm it: after a loss of power it could be there
 * or not. The old one is put back as well as that disk lets us. */
static void content_restore(struct state *state)
{
    char *text, error[STATE_ERROR_MAX];
    size_t length;
    bool replaced;
    if (state_document_print(&state->document, &text, &length))
        return;
    state_file_write(&state->file, text, length, &replaced, error);
    state_text_free(text);
}

int state_store_rules(struct state *state, const struct rule *rules, size_t count, char *error)
{
    struct state_document next = {0};
    char *text = NULL;
    size_t length;
    bool replaced = false;
    int err = document_copy(&state->document, &next, error);
    if (!err)
        err = state_rules_write(&next, rules, count);
    if (!err)
        err = state_document_print(&next, &text, &length);
    if (err) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/state.json: %s", state->file.folder,
                 err == NX_ERANGE ? "it would become too long" : "out of memory");
        goto out;
    }
    err = state_file_write(&state->file, text, length, &replaced, error);
    if (err && replaced)
        content_restore(state);
    if (err)
        goto out;
    struct state_document old = state->document;
    state->document = next;
    next = old;
out:
    state_text_free(text);
    state_document_free(&next);
    return err;
}
