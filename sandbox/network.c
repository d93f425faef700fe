/* A network namespace without a device: descriptors of other namespaces go on working in there, and even a
 * kernel bug in a socket call is of little use.
 *
 * It takes rights that are given up for good, so it is made together with a user namespace, in which the
 * process has them until they are dropped again. That must happen in the program itself and not before it is
 * executed: the memory of a program belongs to the user namespace in which it was started, and who made a
 * user namespace, any process of the same user, has all rights over what belongs to it. Started in there, a
 * process that cannot be dumped could be traced by its own user nevertheless. */
#include "sandbox/sandbox.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A filter around us may refuse what is needed to end those rights: asked with the sets that are there
 * already. */
static bool may_drop_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &header, data) == 0 && syscall(SYS_capset, &header, data) == 0;
}

bool sandbox_leave_network(void)
{
    return may_drop_rights() && unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}
