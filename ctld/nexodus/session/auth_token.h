/* The token of a user's login, as it is kept: the slot IPC_SLOT_AUTH_TOKEN, whose form is the member
 * "auth-token" of the Nexodus agent's state file. Pure functions. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_AUTH_TOKEN_H
#define NEXD_CTLD_NEXODUS_SESSION_AUTH_TOKEN_H

#include "ctld/nexodus/json_write.h"
#include "ctld/nexodus/oidc.h"

enum { AUTH_TOKEN_EARLY_MS = 10000 /* so long before its end a token counts as expired */ };

struct auth_token {
    char *access, *refresh; /* heap, or NULL = none; wiped when replaced */
    uint64_t expires_at_ms; /* Unix time by our clock; 0 = does not */
};

/* Wipes. */
void auth_token_clear(struct auth_token *token);
/* From an answer that came to a request of `sent_ms` (Unix time). Without a refresh token in it, the old one
 * stays. NX_ENOMEM: `token` is as it was. */
int auth_token_take(struct auth_token *token, const struct oidc_tokens *tokens, uint64_t sent_ms);
/* From the kept document. NX_EINVAL: `error` (JSON_ERROR_MAX bytes) says why; NX_ENOMEM. */
int auth_token_decode(const struct json_value *value, struct auth_token *token, char *error);
/* The document. The text is the writer's. */
int auth_token_encode(const struct auth_token *token, struct json_writer *writer, const char **text,
                      size_t *length);
/* Is there one, and is it good for a while? */
bool auth_token_fresh(const struct auth_token *token, uint64_t now_ms);

#endif
