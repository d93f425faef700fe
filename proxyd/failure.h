/* Why a request cannot be met: the code that its RESULT carries, and one line for the operator that names
 * what is wrong and what to do about it. */
#ifndef NEXD_PROXYD_FAILURE_H
#define NEXD_PROXYD_FAILURE_H

#include "ipc/messages.h"

struct failure {
    enum ipc_outcome result;
    char text[IPC_TEXT_MAX + 1];
};

/* Fills in both; the text is cut at its bound. */
void failure_set(struct failure *failure, enum ipc_outcome result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The code for an errno of connect(2), bind(2) or socket(2). */
enum ipc_outcome failure_from_errno(int error);
/* The code for a failed name resolution (an error of resolver.h). */
enum ipc_outcome failure_from_resolver(int err);

#endif
