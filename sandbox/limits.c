/* Resource limits of the running phase. */
#include "sandbox/layers.h"

#include "common/err.h"

#include <sys/stat.h>
#include <unistd.h>

static int limit_set(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
    const struct rlimit limit = {soft, hard};
    return setrlimit(resource, &limit) ? NX_ESYS : NX_OK;
}

/* Raised or lowered to what the spec says; the hard limit stays for the supervisor, whose children need more
 * than it does. */
static int files_limit(const struct sandbox_spec *spec)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return NX_ESYS;
    rlim_t files = spec->max_files < limit.rlim_max ? spec->max_files : limit.rlim_max;
    return limit_set(RLIMIT_NOFILE, files, spec->may_fork ? limit.rlim_max : files);
}

static bool is_regular_file(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

int layer_limits(const struct sandbox_spec *spec)
{
    int err = files_limit(spec);
    if (!err && !is_regular_file(STDOUT_FILENO) && !is_regular_file(STDERR_FILENO))
        err = limit_set(RLIMIT_FSIZE, spec->max_file_bytes, spec->max_file_bytes);
#ifndef NEXD_SANITIZE /* LeakSanitizer looks for leaks from a process of its own */
    if (!err && !spec->may_fork)
        err = limit_set(RLIMIT_NPROC, 0, 0);
#endif
    return err;
}
