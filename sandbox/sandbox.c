/* The order in which a process gives things up.
 *
 * sandbox_start: no_new_privs first, since everything after it relies on it; then rights and traceability;
 * then the [start] filter, under which configuration is read and the event loop made. sandbox_enter: limits
 * and Landlock need calls that the [run] filter no longer has, so that filter is the last step. */
#include "sandbox/sandbox.h"

#include "common/err.h"
#include "common/log.h"
#include "sandbox/layers.h"

#include <errno.h>
#include <string.h>

/* What came of one layer. Strict: a missing one is the end. */
static int layer_result(const struct sandbox_spec *spec, enum sandbox_mode mode, const char *layer, int err)
{
    if (err == NX_OK)
        return NX_OK;
    const char *why = err == NX_ESYS ? strerror(errno) : nx_strerror(err);
    if (mode == SANDBOX_STRICT)
        log_fatal("sandbox of %s: %s cannot be put in force: %s (--sandbox=best-effort runs without it)",
                  spec->name, layer, why);
    log_warn("sandbox of %s: running without %s: %s", spec->name, layer, why);
    return NX_ENOTSUP;
}

int sandbox_start(const struct sandbox_spec *spec, enum sandbox_mode mode)
{
    int missing = layer_result(spec, mode, "no_new_privs", layer_no_new_privs());
    missing |= layer_result(spec, mode, "capabilities", layer_capabilities(spec->keep_capabilities));
#ifndef NEXD_SANITIZE /* its reports need to be traceable */
    missing |= layer_result(spec, mode, "non-dumpable", layer_not_dumpable());
#endif
    if (!spec->may_fork && !spec->stands_alone)
        missing |= layer_result(spec, mode, "parent-death signal", layer_parent_death());
    missing |= layer_result(spec, mode, "RLIMIT_CORE", layer_no_core());
    missing |=
        layer_result(spec, mode, "seccomp filter [start]", layer_seccomp(spec->start, spec->start_count));
    return missing ? NX_ENOTSUP : NX_OK;
}

int sandbox_enter(const struct sandbox_spec *spec, enum sandbox_mode mode)
{
#ifdef NEXD_SANITIZE
    log_warn("sanitizer build of %s: traceable, may read files and start programs; never deploy it",
             spec->name);
#endif
    int missing = layer_result(spec, mode, "resource limits", layer_limits(spec));
    if (!spec->may_fork)
        missing |= layer_result(spec, mode, "Landlock", layer_landlock(spec));
    missing |= layer_result(spec, mode, "seccomp filter [run]", layer_seccomp(spec->run, spec->run_count));
#ifdef NEXD_SELFTEST
    sandbox_selftest();
#endif
    return missing ? NX_ENOTSUP : NX_OK;
}
