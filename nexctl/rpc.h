/* One call over nexd's control socket: connect, ask, read the answer, close. Blocking, with time limits. */
#ifndef NEXD_NEXCTL_RPC_H
#define NEXD_NEXCTL_RPC_H

#include <stddef.h>
#include <sys/types.h>

enum { RPC_TIMEOUT_S = 30, RPC_ANSWER_MAX = 32 << 20, RPC_ERROR_MAX = 512 };

/* Calls NexdCtl.METHOD with one string argument over the socket at `path` (of any length). NX_OK: *result is
 * a terminated string that the caller frees. Otherwise NX_ENOENT (cannot connect; errno says why) or
 * NX_EPROTO (nexd answered with an error, nonsense or not at all), and `error` (RPC_ERROR_MAX bytes) holds
 * one line. */
int rpc_call(const char *path, const char *method, const char *argument, char **result, char *error);

/* Which process made the socket at `path` (called listen(2)), as the kernel has it. NX_OK, or NX_ENOENT:
 * cannot connect; errno says why. */
int rpc_server(const char *path, pid_t *pid);

/* An answer's text, as it stands between newlines, taken apart: what rpc_call() does with what it has read.
 */
int rpc_answer_parse(const char *text, char **result, char *error);

#endif
