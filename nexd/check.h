/* `nexd check`: everything that can be found wrong without starting, and what a start would listen on. */
#ifndef NEXD_NEXD_CHECK_H
#define NEXD_NEXD_CHECK_H

#include "nexd/options.h"

/* `options`: of a parse that succeeded. Prints to `out` what would be, and to `errors` what is wrong. Returns
 * the exit status: 0; 2: the WireGuard configuration is wrong; 1: something else is that would keep nexd from
 * starting. Opens no socket and changes no file. */
int check_run(const struct options *options, FILE *out, FILE *errors);

#endif
