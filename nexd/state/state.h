/* What must survive a restart of this program: the device's key pair, its port, the token of a user's login
 * and the rules that were added at run time, in STATE-DIR/state.json. That file has the format of the Nexodus
 * agent, whose state folder is taken over in place and can be handed back. Documents that the agent does not
 * know stand in files beside it (slot.h). Only the parent process.
 *
 * state.json is read when something in it is wanted, and written only when something in it changes; of its
 * secrets none stays in memory in between. */
#ifndef NEXD_NEXD_STATE_STATE_H
#define NEXD_NEXD_STATE_STATE_H

#include "common/key.h"
#include "common/rule.h"
#include "nexd/state/file.h"

struct state;

/* Locks the folder and reads the file. NX_OK with *out; otherwise a line in `error` (STATE_ERROR_MAX bytes)
 * names file and reason: NX_EEXIST (another instance has the folder), NX_EINVAL or NX_ERANGE (the file's
 * content), NX_ESYS, NX_ENOMEM. */
int state_open(const char *folder, const struct state_sys *sys, struct state **out, char *error);
/* Takes over what older Nexodus agents left in files of their own (apitoken.json, proxy-rules.json), then
 * removes these. Once, after state_open(). Errors as there; a file that cannot be taken over stays. */
int state_migrate(struct state *state, char *error);
/* Unlocks and wipes. NULL is harmless. */
void state_close(struct state *state);

/* -- In each of the following, NX_OK means that the disk has it. On failure the file is as it was, and
 * `error` (STATE_ERROR_MAX bytes) names it and the reason. -- */

/* The stored rules, egress before ingress; borrowed until state_store_rules(). */
const struct rule *state_rules(const struct state *state, size_t *count);
/* `rules`, and no others, are to be there after a restart. */
int state_store_rules(struct state *state, const struct rule *rules, size_t count, char *error);

/* The private key; the caller wipes `out`. NX_ENOENT: there is none yet. NX_EINVAL: what stands there is
 * none, with `error` filled in. */
int state_private_key(const struct state *state, uint8_t out[KEY_BYTES], char *error);
int state_store_keys(struct state *state, const uint8_t private_key[KEY_BYTES],
                     const uint8_t public_key[KEY_BYTES], char *error);

/* The UDP port that was chosen last; 0: none, or none that can be read. */
uint16_t state_port(const struct state *state);
int state_store_port(struct state *state, uint16_t port, char *error);

/* The token of a user's login, as JSON text that the caller frees with state_text_free(); NULL if there is
 * none. */
int state_auth_token(const struct state *state, char **json, char *error);
/* `json` is one JSON object, checked; NULL: there is none any more. */
int state_store_auth_token(struct state *state, const char *json, char *error);

/* The folder, for slot.c. */
struct state_file *state_folder(struct state *state);

#endif
