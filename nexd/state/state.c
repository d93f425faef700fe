/* The document is read anew for each look and each change, and wiped after it: it holds the private key,
 * whose place is the vault alone. */
#include "nexd/state/state.h"

#include "common/err.h"
#include "common/text.h"
#include "nexd/state/keys.h"
#include "nexd/state/legacy.h"
#include "nexd/state/rules.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char state_name[] = "state.json";
static const char token_member[] = "auth-token", port_member[] = "port";

struct state {
    struct state_file file;
    struct rule *rules;
    size_t rule_count;
};

/* `why` goes behind the file's name. */
static int content_fail(const struct state *state, int err, const char *why, char *error)
{
    snprintf(error, STATE_ERROR_MAX, "%.250s/state.json: %.240s", state->file.folder, why);
    return err;
}

/* An empty document if there is no file. To be freed on NX_OK. */
static int document_read(const struct state *state, struct state_document *out, char *error)
{
    char *text, why[STATE_ERROR_MAX];
    size_t length;
    *out = (struct state_document){0};
    int err = state_file_read(&state->file, state_name, &text, &length, error);
    if (err || !text)
        return err;
    err = state_document_parse(text, length, out, why);
    sodium_memzero(text, length);
    state_text_free(text);
    return err ? content_fail(state, err, why, error) : NX_OK;
}

static int rules_load(struct state *state, char *error)
{
    struct state_document document;
    char why[STATE_ERROR_MAX];
    int err = document_read(state, &document, error);
    if (err)
        return err;
    free(state->rules);
    err = state_rules_read(&document, &state->rules, &state->rule_count, why);
    state_document_free(&document);
    return err ? content_fail(state, err, why, error) : NX_OK;
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
        err = rules_load(state, error);
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
    free(state->rules);
    free(state);
}

const struct rule *state_rules(const struct state *state, size_t *count)
{
    *count = state->rule_count;
    return state->rules;
}

/* What is to be different in the document. NX_OK, NX_ENOMEM, or NX_EINVAL with `error`. */
typedef int (*change_fn)(struct state_document *document, const void *arg, char *error);

/* When new content stands in the file but the disk did not confirm it, then after a loss of power it could be
 * there or not: the old one is put back as well as that disk lets us. */
static int document_replace(struct state *state, const struct state_document *document, const char *old,
                            size_t old_length, char *error)
{
    char *text, ignored[STATE_ERROR_MAX];
    size_t length;
    bool replaced;
    int err = state_document_print(document, &text, &length);
    if (err)
        return err;
    err = state_file_write(&state->file, state_name, text, length, &replaced, error);
    state_text_free(text);
    if (err && replaced)
        state_file_write(&state->file, state_name, old, old_length, &replaced, ignored);
    return err;
}

static int change(struct state *state, change_fn fn, const void *arg, char *error)
{
    struct state_document document;
    char *old = NULL;
    size_t old_length;
    int err = document_read(state, &document, error);
    if (err)
        return err;
    error[0] = '\0';
    err = state_document_print(&document, &old, &old_length);
    if (!err)
        err = fn(&document, arg, error);
    if (!err)
        err = document_replace(state, &document, old, old_length, error);
    if (err == NX_ENOMEM || err == NX_ERANGE)
        content_fail(state, err, err == NX_ERANGE ? "it would become too long" : "out of memory", error);
    state_text_free(old);
    state_document_free(&document);
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
    struct state_document document;
    char why[STATE_ERROR_MAX];
    int err = document_read(state, &document, error);
    if (err)
        return err;
    err = state_keys_read(&document, out, why);
    state_document_free(&document);
    return err == NX_EINVAL ? content_fail(state, err, why, error) : err;
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
    struct state_document document;
    char error[STATE_ERROR_MAX];
    uint64_t port = 0;
    if (document_read(state, &document, error))
        return 0;
    const char *text = state_document_get(&document, port_member);
    if (text && text_to_u64(text, strlen(text), 1, UINT16_MAX, &port) != NX_OK)
        port = 0;
    state_document_free(&document);
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

int state_auth_token(const struct state *state, char **json, char *error)
{
    struct state_document document;
    *json = NULL;
    int err = document_read(state, &document, error);
    if (err)
        return err;
    const char *found = state_document_get(&document, token_member);
    if (found && found[0] == '{') {
        *json = strdup(found);
        if (!*json)
            err = content_fail(state, NX_ENOMEM, "out of memory", error);
    }
    state_document_free(&document);
    return err;
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
    if (!err && legacy.rules)
        err = rules_load(state, error);
    if (!err)
        err = legacy_remove(&state->file, &legacy, error);
    legacy_free(&legacy);
    return err;
}

struct state_file *state_folder(struct state *state)
{
    return &state->file;
}
