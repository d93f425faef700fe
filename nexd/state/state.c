/* The document in memory is what the file holds, so that a failed write can put the old content back. */
#include "nexd/state/state.h"

#include "common/err.h"
#include "common/text.h"
#include "nexd/state/keys.h"
#include "nexd/state/legacy.h"
#include "nexd/state/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char state_name[] = "state.json";
static const char token_member[] = "auth-token", port_member[] = "port";

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
    int err = state_file_read(&state->file, state_name, &text, &length, error);
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
    state_file_write(&state->file, state_name, text, length, &replaced, error);
    state_text_free(text);
}

/* What is to be different in a copy of the document. NX_OK, NX_ENOMEM, or NX_EINVAL with `error`. */
typedef int (*change_fn)(struct state_document *document, const void *arg, char *error);

static int document_store(struct state *state, const struct state_document *next, char *error)
{
    char *text;
    size_t length;
    bool replaced;
    int err = state_document_print(next, &text, &length);
    if (err)
        return err;
    err = state_file_write(&state->file, state_name, text, length, &replaced, error);
    if (err && replaced)
        content_restore(state);
    state_text_free(text);
    return err;
}

static int change(struct state *state, change_fn fn, const void *arg, char *error)
{
    struct state_document next = {0};
    error[0] = '\0';
    int err = document_copy(&state->document, &next, error);
    if (!err)
        err = fn(&next, arg, error);
    if (!err)
        err = document_store(state, &next, error);
    if (err == NX_ENOMEM || err == NX_ERANGE)
        snprintf(error, STATE_ERROR_MAX, "%.300s/state.json: %s", state->file.folder,
                 err == NX_ERANGE ? "it would become too long" : "out of memory");
    if (!err) {
        struct state_document old = state->document;
        state->document = next;
        next = old;
    }
    state_document_free(&next);
    return err;
}

struct rule_list {
    const struct rule *rules;
    size_t count;
};

static int rules_change(struct state_document *document, const void *arg, char *error)
{
    (void)error;
    const struct rule_list *list = arg;
    return state_rules_write(document, list->rules, list->count);
}

int state_store_rules(struct state *state, const struct rule *rules, size_t count, char *error)
{
    const struct rule_list list = {rules, count};
    return change(state, rules_change, &list, error);
}

/* -- Key pair -- */

int state_private_key(const struct state *state, uint8_t out[KEY_BYTES], char *error)
{
    char why[STATE_ERROR_MAX];
    int err = state_keys_read(&state->document, out, why);
    if (err == NX_EINVAL)
        snprintf(error, STATE_ERROR_MAX, "%.250s/state.json: %.240s", state->file.folder, why);
    return err;
}

struct key_pair {
    const uint8_t *private_key, *public_key;
};

static int keys_change(struct state_document *document, const void *arg, char *error)
{
    (void)error;
    const struct key_pair *pair = arg;
    return state_keys_write(document, pair->private_key, pair->public_key);
}

int state_store_keys(struct state *state, const uint8_t private_key[KEY_BYTES],
                     const uint8_t public_key[KEY_BYTES], char *error)
{
    const struct key_pair pair = {private_key, public_key};
    return change(state, keys_change, &pair, error);
}

/* -- Port -- */

uint16_t state_port(const struct state *state)
{
    const char *text = state_document_get(&state->document, port_member);
    uint64_t port = 0;
    if (text && text_to_u64(text, strlen(text), 1, UINT16_MAX, &port) != NX_OK)
        return 0;
    return (uint16_t)port;
}

static int port_change(struct state_document *document, const void *arg, char *error)
{
    (void)error;
    char text[8];
    snprintf(text, sizeof text, "%u", *(const uint16_t *)arg);
    return state_document_set(document, port_member, text);
}

int state_store_port(struct state *state, uint16_t port, char *error)
{
    return change(state, port_change, &port, error);
}

/* -- Token -- */

const char *state_auth_token(const struct state *state)
{
    const char *json = state_document_get(&state->document, token_member);
    return json && json[0] == '{' ? json : NULL;
}

static int token_change(struct state_document *document, const void *arg, char *error)
{
    (void)error;
    if (arg)
        return state_document_set(document, token_member, arg);
    state_document_remove(document, token_member);
    return NX_OK;
}

int state_store_auth_token(struct state *state, const char *json, char *error)
{
    return change(state, token_change, json, error);
}

/* -- Files of older agents -- */

int state_migrate(struct state *state, char *error)
{
    struct legacy legacy;
    int err = legacy_read(&state->file, &legacy, error);
    if (!err && legacy_found(&legacy))
        err = change(state, legacy_apply, &legacy, error);
    if (!err && legacy.rules) {
        free(state->rules);
        err = state_rules_read(&state->document, &state->rules, &state->rule_count, error);
    }
    if (!err)
        err = legacy_remove(&state->file, &legacy, error);
    legacy_free(&legacy);
    return err;
}

struct state_file *state_folder(struct state *state)
{
    return &state->file;
}
