/* The operator's policy as a file. The parent process, before its sandbox.
 *
 * It must be one that only root and the user who starts nexd can have written, and that nobody else can
 * replace: the file and every folder above it belong to one of the two, and neither group nor others may
 * write them (a folder with the sticky bit, such as /tmp, may be above). No part of the path is a symbolic
 * link. All of this is asked of opened descriptors, one after the other from the root folder on, so that it
 * is true of the very bytes that are read. */
#ifndef NEXD_NEXD_POLICY_FILE_H
#define NEXD_NEXD_POLICY_FILE_H

#include "policy/policy.h"

typedef void (*policy_warn_fn)(void *arg, const char *message);

/* NX_OK; else NX_EINVAL or NX_ENOMEM, and `error` (POLICY_ERROR_MAX bytes) has one line that names the file.
 * `user`: who starts nexd. A file that the processes' own user might change, were it not for their sandbox,
 * is worth a warning. */
int policy_file_load(const char *path, uid_t user, policy_warn_fn warn, void *arg, struct policy **out,
                     char *error);

#endif
