/* Asks for a password on the terminal, without echo. The parent process, before its sandbox. */
#ifndef NEXD_NEXD_PASSWORD_PROMPT_H
#define NEXD_NEXD_PASSWORD_PROMPT_H

#include <stddef.h>

/* Asks with the words of `prompt` at the controlling terminal, whatever the standard descriptors are. One
 * line, without its end, into `out`, which the caller wipes. NX_ENOENT: there is no terminal; NX_EINVAL:
 * nothing, too much, or the end of input came. A stop signal while it waits ends the process, with the echo
 * back on. */
int password_prompt(const char *prompt, char *out, size_t size);

#endif
