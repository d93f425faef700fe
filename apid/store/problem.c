/* What was wrong with a request, in the words that clients of the API know. */
#include "apid/store/internal.h"

#include "common/text.h"

#include <stdio.h>
#include <string.h>

static int problem(struct store_error *error, int err, const char *what, const char *field,
                   const char *reason)
{
    *error = (struct store_error){0};
    snprintf(error->error, sizeof error->error, "%s", what);
    snprintf(error->field, sizeof error->field, "%s", field);
    snprintf(error->reason, sizeof error->reason, "%s", reason);
    return err;
}

int problem_field(struct store_error *error, const char *what, const char *field, const char *reason)
{
    return problem(error, NX_EINVAL, what, field, reason);
}

int problem_unprocessable(struct store_error *error, const char *field, const char *reason)
{
    problem(error, NX_EINVAL, reason, field, "");
    error->unprocessable = true;
    return NX_EINVAL;
}

int problem_missing(struct store_error *error, const char *resource)
{
    problem(error, NX_ENOENT, "not found", "", "");
    snprintf(error->resource, sizeof error->resource, "%s", resource);
    return NX_ENOENT;
}

int problem_exists(struct store_error *error, const char *id)
{
    problem(error, NX_EEXIST, "resource already exists", "", "");
    snprintf(error->id, sizeof error->id, "%s", id);
    return NX_EEXIST;
}

int problem_forbidden(struct store_error *error, const char *reason)
{
    return problem(error, NX_EPERM, "operation not allowed", "", reason);
}

int problem_text(struct store_error *error, const char *field, const char *text, size_t size)
{
    size_t length = strlen(text);
    if (length >= size)
        return problem_field(error, "invalid data in field", field, "too long");
    for (size_t at = 0; at < length;) {
        size_t one = text_printable(text + at, length - at);
        if (one == 0)
            return problem_field(error, "invalid data in field", field, "a control character, or no UTF-8");
        at += one;
    }
    return NX_OK;
}

int problem_finish(struct store_error *error, int err)
{
    if (err == NX_OK || error->error[0])
        return err;
    return problem(error, err, err == NX_ERANGE ? "no address is left in the range" : "internal server error",
                   "", "");
}
