/* Installing a compiled policy.
 *
 * TSYNC: our processes have one thread, and a library that started another would leave it outside the filter;
 * with this flag it is inside. Kills are logged by the kernel without being asked; SECCOMP_FILTER_FLAG_LOG
 * would add the errno answers, which are everyday events. */
#include "sandbox/layers.h"

#include "common/err.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

int layer_seccomp(const struct sock_filter *filter, size_t count)
{
    if (!filter || count == 0 || count > BPF_MAXINSNS) {
        errno = EINVAL;
        return NX_ESYS;
    }
    /* The kernel only reads the program; its structure has no const. */
    const struct sock_fprog program = {(unsigned short)count, (struct sock_filter *)(uintptr_t)filter};
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result > 0) /* the thread that could not be brought under the filter */
        errno = EBUSY;
    return result ? NX_ESYS : NX_OK;
}
