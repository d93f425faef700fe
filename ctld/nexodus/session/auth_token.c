/* Texts are copied, as they must outlive the answer that they came in. */
#include "ctld/nexodus/session/auth_token.h"

#include "common/err.h"
#include "ctld/nexodus/json_write.h"
#include "ctld/nexodus/timestamp.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void secret_free(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

void auth_token_clear(struct auth_token *token)
{
    secret_free(token->access);
    secret_free(token->refresh);
    *token = (struct auth_token){0};
}

static int replace(struct auth_token *token, const char *access, const char *refresh, uint64_t expires_at_ms)
{
    char *const new_access = strdup(access), *const new_refresh = refresh[0] ? strdup(refresh) : NULL;
    if (!new_access || (refresh[0] && !new_refresh)) {
        secret_free(new_access);
        secret_free(new_refresh);
        return NX_ENOMEM;
    }
    secret_free(token->access);
    token->access = new_access;
    if (new_refresh) {
        secret_free(token->refresh);
        token->refresh = new_refresh;
    }
    token->expires_at_ms = expires_at_ms;
    return NX_OK;
}

int auth_token_take(struct auth_token *token, const struct oidc_tokens *tokens, uint64_t sent_ms)
{
    return replace(token, tokens->access_token, tokens->refresh_token,
                   tokens->expires_in_s ? sent_ms + tokens->expires_in_s * 1000 : 0);
}

int auth_token_decode(const struct json_value *value, struct auth_token *token, char *error)
{
    const char *access, *refresh = "", *expiry = "";
    uint64_t expires_at_ms = 0;
    int err = json_get_string(value, "access_token", OIDC_TOKEN_MAX, &access, error);
    if (!err)
        err = json_get_string_optional(value, "refresh_token", OIDC_TOKEN_MAX, &refresh, error);
    if (!err)
        err = json_get_string_optional(value, "expiry", TIMESTAMP_TEXT_MAX * 2, &expiry, error);
    if (err)
        return err;
    /* The agent writes the year 1 for "does not expire". */
    if (timestamp_parse_rfc3339(expiry, strlen(expiry), &expires_at_ms) != NX_OK)
        expires_at_ms = 0;
    return replace(token, access, refresh, expires_at_ms);
}

int auth_token_encode(const struct auth_token *token, struct json_writer *writer, const char **text,
                      size_t *length)
{
    char expiry[TIMESTAMP_TEXT_MAX] = "0001-01-01T00:00:00Z";
    if (token->expires_at_ms)
        timestamp_format(token->expires_at_ms, expiry);
    json_put_object(writer, NULL);
    json_put_string(writer, "access_token", token->access);
    json_put_string(writer, "token_type", "Bearer");
    if (token->refresh)
        json_put_string(writer, "refresh_token", token->refresh);
    json_put_string(writer, "expiry", expiry);
    json_put_end(writer);
    return json_writer_end(writer, text, length);
}

bool auth_token_fresh(const struct auth_token *token, uint64_t now_ms)
{
    return token->access &&
           (token->expires_at_ms == 0 || now_ms + AUTH_TOKEN_EARLY_MS < token->expires_at_ms);
}
