/* What must survive a restart of this program: at present the rules that were added at run time. The file is
 * STATE-DIR/state.json in the format of the Nexodus agent, whose state folder is taken over in place and can
 * be handed back. Only the parent process.
 *
 * The file is read once, at the start, and written only when the rules that were added at run time change. */
#ifndef NEXD_NEXD_STATE_STATE_H
#define NEXD_NEXD_STATE_STATE_H

#include "common/rule.h"
#include "nexd/state/file.h"

struct state;

/* Locks the folder and reads the file. NX_OK with *out; otherwise a line in `error` (STATE_ERROR_MAX bytes)
 * names file and reason: NX_EEXIST (another instance has the folder), NX_EINVAL or NX_ERANGE (the file's
 * content), NX_ESYS, NX_ENOMEM. */
int state_open(const char *folder, const struct state_sys *sys, struct state **out, char *error);
/* The stored rules, egress before ingress; borrowed until state_store_rules(). */
const struct rule *state_rules(const struct state *state, size_t *count);
/* `rules`, and no others, are to be there after a restart. When it returns NX_OK, the disk has them. On
 * failure the file is as it was, `error` names it and the reason. */
int state_store_rules(struct state *state, const struct rule *rules, size_t count, char *error);
/* Unlocks and wipes. NULL is harmless. */
void state_close(struct state *state);

#endif
