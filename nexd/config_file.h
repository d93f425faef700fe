/* The configuration file: what the flags say, a line each, for a service that is started by an init system.
 *
 *     # a comment
 *     wireguard-config = /etc/nexd/wg0.conf
 *     ingress = tcp:8080:127.0.0.1:80
 *     ingress = tcp:8443:127.0.0.1:443
 *
 * Names are those of the flags, without dashes. A flag that takes a list may stand in several lines, each of
 * which may be a list; every other name stands there once. What is given on the command line or in the
 * environment counts instead of what is here. A value is the rest of its line without blanks at its ends, as
 * it is: there are no quotes, and no comments behind it.
 *
 * A secret does not stand in the file: for a flag that takes one, "NAME-file = PATH" names a file whose first
 * line it is, and which nobody else may read. The parent process, before it is sandboxed. */
#ifndef NEXD_NEXD_CONFIG_FILE_H
#define NEXD_NEXD_CONFIG_FILE_H

#include "nexd/flags.h"

enum { CONFIG_FILE_BYTES_MAX = 1 << 20, CONFIG_SECRET_BYTES_MAX = 4096 };

/* Reads values for the flags of `scan` that have none yet, from the file at `path`. NX_OK, or NX_EINVAL,
 * NX_ENOMEM with the line for standard error, "PATH:LINE: …", in scan->error. */
int config_file_load(struct flag_scan *scan, const char *path);
/* The same with a text in memory; `path` is for messages. The text is wiped of nothing: it holds no secret.
 */
int config_file_read(struct flag_scan *scan, const char *path, const char *text, size_t length);

#endif
