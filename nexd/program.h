/* Where the children's executables are, and how one is started.
 *
 * They stand in a folder whose place relative to nexd's own is fixed when the build is configured: one for
 * the build tree, one below an install prefix. Only the parent process. */
#ifndef NEXD_NEXD_PROGRAM_H
#define NEXD_NEXD_PROGRAM_H

#include "common/log.h"
#include "nexd/identity.h"
#include "sandbox/sandbox.h"

#include <limits.h>
#include <sys/types.h>

/* Path of the child's executable into `path` (PATH_MAX bytes). NX_OK; NX_ENOENT: not there or not executable
 * (`path` says where it was looked for); NX_ESYS or NX_ERANGE: the own executable's place cannot be read. */
int program_find(const char *name, char *path);

/* Starts `path` as `identity` with `link_fd` as its descriptor 3, /dev/null as standard input, standard
 * output and error as ours, and every other descriptor closed; default signals; an environment of nothing but
 * what a sanitizer build needs; argv carries --log-level=, --log-format= (as ours is), --sandbox= and, with
 * `no_network`, --network=none. The process dies with this one. `extra` is one more argument, or NULL.
 * `file`, or NULL, is opened for reading as ourselves and becomes CHILD_FILE_FD; the child has to do without
 * if it cannot be opened. `link_fd` stays the caller's. Returns the process id, or NX_ESYS (errno: also what
 * exec itself answered). */
pid_t program_start(const char *path, const char *name, const struct identity *identity, int link_fd,
                    enum log_level level, enum sandbox_mode mode, bool no_network, const char *extra,
                    const char *file);

#endif
