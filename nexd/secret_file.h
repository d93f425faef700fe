/* A secret in a file of its own: its first line. The parent process, before its sandbox. */
#ifndef NEXD_NEXD_SECRET_FILE_H
#define NEXD_NEXD_SECRET_FILE_H

#include "common/wgconf.h"
#include <stddef.h>

/* Reads the first line of `path` (a file or a pipe, as <(…) of a shell makes) without blanks at its ends,
 * into `out` (`size` bytes), which the caller wipes. A file that everybody may read is worth a warning, not a
 * refusal, since containers are handed their secrets like that. NX_EINVAL with a line in `error`
 * (OPTIONS_ERROR_MAX bytes) that names the file: it cannot be read, is empty, too long or no text. */
int secret_file_read(const char *path, char *out, size_t size, wgconf_warn_fn warn, void *arg, char *error);

#endif
