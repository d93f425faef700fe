/* Capabilities and securebits as the kernel has them after layer_capabilities(). The kernel tells securebits
 * to the process itself alone, so they are asked for here, in a process of check's own for each test. What
 * takes rights to lock can be tested with rights only; without, there is nothing to lock. */
#include "common/err.h"
#include "sandbox/layers.h"
#include "tests/unit/common/unit.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LOCKED = SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
             SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
    SET = SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_CAP_AMBIENT_RAISE
};

static void capabilities(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    *effective = data[0].effective | (uint64_t)data[1].effective << 32;
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
}

static bool may_lock(void)
{
    uint64_t effective, permitted, inheritable;
    capabilities(&effective, &permitted, &inheritable);
    return effective & UINT64_C(1) << CAP_SETPCAP;
}

START_TEST(nothing_is_left_and_nothing_comes_back)
{
    const bool could_lock = may_lock();
    uint64_t effective, permitted, inheritable;
    ck_assert_int_eq(layer_capabilities(0), NX_OK);
    capabilities(&effective, &permitted, &inheritable);
    ck_assert_uint_eq(effective | permitted | inheritable, 0);
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        ck_assert_int_eq(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0), 0);
        ck_assert(!could_lock || prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 0);
    }
}
END_TEST

START_TEST(securebits_are_set_and_locked)
{
    if (!may_lock())
        return;
    ck_assert_int_eq(layer_capabilities(UINT64_C(1) << CAP_SETPCAP),
                     NX_OK); /* who could unlock, if anybody */
    const int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    ck_assert_int_eq(bits & (LOCKED | SET), LOCKED | SET);
    ck_assert_int_eq(bits & SECBIT_KEEP_CAPS, 0);
    ck_assert_int_eq(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), -1);
    ck_assert_int_eq(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), bits);
}
END_TEST

START_TEST(what_is_to_be_kept_is_kept_and_no_more)
{
    if (!may_lock())
        return;
    const uint64_t keep = UINT64_C(1) << CAP_KILL | UINT64_C(1) << CAP_SETUID;
    uint64_t effective, permitted, inheritable;
    ck_assert_int_eq(layer_capabilities(keep), NX_OK);
    capabilities(&effective, &permitted, &inheritable);
    ck_assert_uint_eq(effective & ~keep, 0);
    ck_assert_uint_eq(permitted, effective);
    ck_assert_uint_eq(inheritable, 0);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, nothing_is_left_and_nothing_comes_back);
    tcase_add_test(tcase, securebits_are_set_and_locked);
    tcase_add_test(tcase, what_is_to_be_kept_is_kept_and_no_more);
}

int main(void)
{
    return unit_run("privileges", fill);
}
