/* Texts of the project's error codes: a table, so that a code without a text is seen at once. */
#include "common/err.h"

#include <stddef.h>

static const char *const err_texts[] = {
    [-NX_OK] = "success",
    [-NX_EINVAL] = "malformed input",
    [-NX_ENOMEM] = "out of memory",
    [-NX_EAGAIN] = "not possible now",
    [-NX_EPROTO] = "protocol violation",
    [-NX_ERANGE] = "value out of range",
    [-NX_EEXIST] = "already exists",
    [-NX_ENOENT] = "not found",
    [-NX_EPERM] = "not permitted",
    [-NX_ESYS] = "system call failed",
    [-NX_ECLOSED] = "closed by the other side",
    [-NX_ECRYPTO] = "authentication failed",
    [-NX_ETIMEDOUT] = "timed out",
    [-NX_ENOTSUP] = "not supported here",
};

const char *nx_strerror(int err)
{
    const int count = (int)(sizeof(err_texts) / sizeof(err_texts[0]));
    if (err > 0 || err <= -count || err_texts[-err] == NULL)
        return "unknown error";
    return err_texts[-err];
}
