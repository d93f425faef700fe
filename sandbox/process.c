/* What the process is to others: not traceable, leaves no core file, does not outlive its parent. */
#include "sandbox/layers.h"

#include "common/err.h"
#include "common/log.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int layer_not_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? NX_ESYS : NX_OK;
}

int layer_parent_death(void)
{
    /* getppid() alone cannot tell an orphan: 1 is also the right parent where nexd is a container's first
     * process. */
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
        return NX_ESYS;
    if (getppid() != parent)
        log_fatal("the parent died while this process was starting");
    return NX_OK;
}

int layer_no_core(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) ? NX_ESYS : NX_OK;
}
