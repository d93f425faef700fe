/* Rights of the process: none are kept but those that a supervisor needs, and none can come back.
 *
 * Shrinking the bounding set and locking the securebits takes CAP_SETPCAP. A process that never had it cannot
 * gain anything from the bounding set either, because no_new_privs already stops execve from granting
 * capabilities; so EPERM there is no missing layer. The sets that hold rights now can always be emptied. */
#include "sandbox/layers.h"

#include "common/err.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPABILITIES_MAX = 64 }; /* bits in the kernel's sets */

int layer_no_new_privs(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? NX_ESYS : NX_OK;
}

static int bounding_set_empty(void)
{
    for (unsigned long capability = 0; capability < CAPABILITIES_MAX; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
            continue;
        if (errno == EPERM ||
            errno == EINVAL) /* no CAP_SETPCAP; or past the last one that this kernel knows */
            return NX_OK;
        return NX_ESYS;
    }
    return NX_OK;
}

static int securebits_lock(void)
{
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                               SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                               SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) && errno != EPERM ? NX_ESYS : NX_OK;
}

int layer_capabilities(uint64_t keep)
{
    int err = bounding_set_empty();
    if (!err)
        err = securebits_lock();
    if (err)
        return err;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        return NX_ESYS;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, data))
        return NX_ESYS;
    bool has_any = false; /* without, there is nothing to give up, and a filter around us need not allow it */
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        has_any |= data[i].permitted || data[i].effective || data[i].inheritable;
        data[i].permitted &= (uint32_t)(keep >> 32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    return has_any && syscall(SYS_capset, &header, data) ? NX_ESYS : NX_OK;
}
