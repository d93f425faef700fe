/* Files of Nexodus agents from before state.json: "apitoken.json", the token of a user's login, and
 * "proxy-rules.json", the rules that were added at run time. Only the parent process. */
#ifndef NEXD_NEXD_STATE_LEGACY_H
#define NEXD_NEXD_STATE_LEGACY_H

#include "nexd/state/file.h"

struct legacy {
    char *token, *rules; /* the files' JSON text; NULL = no such file */
};

/* Reads and checks both. NX_OK; or as state_file_read(), and NX_EINVAL for content that makes no sense, with
 * `error` naming the file. `out` is to be freed in any case. */
int legacy_read(const struct state_file *file, struct legacy *out, char *error);
bool legacy_found(const struct legacy *legacy);
/* Into state.json: the token if it has none, the rules in place of its own. `arg` is a struct legacy.
 * NX_ENOMEM. */
int legacy_apply(struct state_document *document, const void *arg, char *error);
/* Removes the files that were found. NX_ESYS. */
int legacy_remove(struct state_file *file, const struct legacy *legacy, char *error);
void legacy_free(struct legacy *legacy);

#endif
