/* The files are removed only after their content is in state.json on the disk: a crash between the two leaves
 * both, and the next start takes the same content over again. */
#include "nexd/state/legacy.h"

#include "common/err.h"
#include "common/text.h"
#include "nexd/state/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char token_name[] = "apitoken.json", rules_name[] = "proxy-rules.json";
static const char token_member[] = "auth-token", rules_member[] = "proxy-rules-config";

/* One file, if it is one JSON object. */
static int object_read(const struct state_file *file, const char *name, char **out, char *error)
{
    struct state_document document;
    char why[STATE_ERROR_MAX];
    size_t length;
    int err = state_file_read(file, name, out, &length, error);
    if (err || !*out)
        return err;
    err = state_document_parse(*out, length, &document, why);
    if (err)
        snprintf(error, STATE_ERROR_MAX, "%.250s/%s: %.230s", file->folder, name, why);
    else
        state_document_free(&document);
    return err;
}

static int rules_check(const struct state_file *file, const struct legacy *legacy, char *error)
{
    struct state_document document = {0};
    struct rule *rules = NULL;
    char why[STATE_ERROR_MAX] = "out of memory";
    size_t count;
    int err = state_document_set(&document, rules_member, legacy->rules);
    if (!err)
        err = state_rules_read(&document, &rules, &count, why);
    if (err)
        snprintf(error, STATE_ERROR_MAX, "%.250s/%s: %.230s", file->folder, rules_name, why);
    free(rules);
    state_document_free(&document);
    return err;
}

int legacy_read(const struct state_file *file, struct legacy *out, char *error)
{
    *out = (struct legacy){0};
    int err = object_read(file, token_name, &out->token, error);
    if (!err)
        err = object_read(file, rules_name, &out->rules, error);
    if (!err && out->rules)
        err = rules_check(file, out, error);
    return err;
}

bool legacy_found(const struct legacy *legacy)
{
    return legacy->token || legacy->rules;
}

/* A member's value has no blanks round it. */
static int member_set(struct state_document *document, const char *member, char *text)
{
    const struct text_span trimmed = text_trim(text, strlen(text));
    text[(size_t)(trimmed.start - text) + trimmed.length] = '\0';
    return state_document_set(document, member, trimmed.start);
}

int legacy_apply(struct state_document *document, const void *arg, char *error)
{
    (void)error;
    const struct legacy *legacy = arg;
    const char *token = state_document_get(document, token_member);
    int err = NX_OK;
    if (legacy->token && (!token || strcmp(token, "null") == 0))
        err = member_set(document, token_member, legacy->token);
    if (!err && legacy->rules)
        err = member_set(document, rules_member, legacy->rules);
    return err;
}

int legacy_remove(struct state_file *file, const struct legacy *legacy, char *error)
{
    int err = legacy->token ? state_file_remove(file, token_name, error) : NX_OK;
    if (!err && legacy->rules)
        err = state_file_remove(file, rules_name, error);
    return err;
}

void legacy_free(struct legacy *legacy)
{
    state_text_free(legacy->token);
    state_text_free(legacy->rules);
    *legacy = (struct legacy){0};
}
