/* Errors of the system and of name resolution, in the terms of the messages between the processes. */
#include "proxyd/failure.h"

#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void failure_set(struct failure *failure, enum ipc_outcome result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    failure->result = result;
    vsnprintf(failure->text, sizeof(failure->text), format, arguments);
    va_end(arguments);
}

enum ipc_outcome failure_from_errno(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
        return IPC_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
        return IPC_UNREACHABLE;
    case ETIMEDOUT:
        return IPC_TIMED_OUT;
    case EADDRINUSE:
        return IPC_IN_USE;
    case EACCES:
    case EPERM:
        return IPC_NOT_PERMITTED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return IPC_LIMIT;
    default:
        return IPC_FAILED;
    }
}

enum ipc_outcome failure_from_resolver(int err)
{
    switch (err) {
    case NX_ENOENT:
    case NX_EINVAL:
        return IPC_NOT_FOUND;
    case NX_ETIMEDOUT:
        return IPC_TIMED_OUT;
    case NX_ENOMEM:
        return IPC_LIMIT;
    default:
        return IPC_FAILED;
    }
}
