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

static struct sandbox_facts facts;

const struct sandbox_facts *sandbox_facts(void)
{
    return &facts;
}

const char *sandbox_layer_name(enum sandbox_layer layer)
{
    static const char *const names[SANDBOX_LAYERS] = {
        [SANDBOX_NO_NEW_PRIVS] = "no_new_privs",
        [SANDBOX_CAPABILITIES] = "capabilities",
        [SANDBOX_NOT_DUMPABLE] = "non-dumpable",
        [SANDBOX_PARENT_DEATH] = "parent-death signal",
        [SANDBOX_NO_CORE] = "RLIMIT_CORE",
        [SANDBOX_FILTER_START] = "seccomp filter [start]",
        [SANDBOX_LIMITS] = "resource limits",
        [SANDBOX_LANDLOCK] = "Landlock",
        [SANDBOX_FILTER_RUN] = "seccomp filter [run]",
    };
    return layer < SANDBOX_LAYERS ? names[layer] : "?";
}

/* What came of one layer. Strict: a missing one is the end. */
static void layer_result(const struct sandbox_spec *spec, enum sandbox_layer layer, int err)
{
    if (err == NX_OK)
        return;
    const char *why = err == NX_ESYS ? strerror(errno) : nx_strerror(err);
    const char *name = sandbox_layer_name(layer);
    if (facts.mode == SANDBOX_STRICT)
        log_fatal("sandbox of %s: %s cannot be put in force: %s (--sandbox=best-effort runs without it)",
                  spec->name, name, why);
    log_warn("sandbox of %s: running without %s: %s", spec->name, name, why);
    facts.missing |= UINT32_C(1) << layer;
}

int sandbox_start(const struct sandbox_spec *spec, enum sandbox_mode mode)
{
    facts = (struct sandbox_facts){.mode = mode};
    layer_result(spec, SANDBOX_NO_NEW_PRIVS, layer_no_new_privs());
    layer_result(spec, SANDBOX_CAPABILITIES, layer_capabilities(spec->keep_capabilities));
#ifndef NEXD_SANITIZE /* its reports need to be traceable */
    layer_result(spec, SANDBOX_NOT_DUMPABLE, layer_not_dumpable());
#endif
    if (!spec->may_fork && !spec->stands_alone)
        layer_result(spec, SANDBOX_PARENT_DEATH, layer_parent_death());
    layer_result(spec, SANDBOX_NO_CORE, layer_no_core());
    layer_result(spec, SANDBOX_FILTER_START, layer_seccomp(spec->start, spec->start_count));
    return facts.missing ? NX_ENOTSUP : NX_OK;
}

int sandbox_enter(const struct sandbox_spec *spec, enum sandbox_mode mode)
{
#ifdef NEXD_SANITIZE
    log_warn("sanitizer build of %s: traceable, may read files and start programs; never deploy it",
             spec->name);
#endif
    facts.mode = mode;
    layer_result(spec, SANDBOX_LIMITS, layer_limits(spec));
    layer_result(spec, SANDBOX_LANDLOCK, layer_landlock(spec, &facts));
    layer_result(spec, SANDBOX_FILTER_RUN, layer_seccomp(spec->run, spec->run_count));
#ifdef NEXD_SELFTEST
    sandbox_selftest();
#endif
    return facts.missing ? NX_ENOTSUP : NX_OK;
}
