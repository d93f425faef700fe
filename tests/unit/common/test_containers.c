/* Arrays, descriptors that close themselves, and the error texts. */
#include "common/array.h"
#include "common/err.h"
#include "common/fd.h"
#include "tests/unit/common/unit.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

START_TEST(arrays_grow_and_keep_their_items)
{
    size_t capacity = 0;
    uint32_t *items = NULL;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t *const grown = _i == 0 ? array_reserve(items, &capacity, i + 1, sizeof(*items))
                                        : array_reserve_secret(items, &capacity, i + 1, sizeof(*items));
        ck_assert_ptr_ne(grown, NULL);
        ck_assert_uint_gt(capacity, i);
        items = grown;
        items[i] = i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        ck_assert_uint_eq(items[i], i);
    free(items);
}
END_TEST

START_TEST(sizes_that_overflow_are_refused)
{
    size_t capacity = 0;
    ck_assert_ptr_eq(array_reserve(NULL, &capacity, SIZE_MAX, 1), NULL);
    ck_assert_ptr_eq(array_reserve(NULL, &capacity, SIZE_MAX / 4, 16), NULL);
    ck_assert_ptr_eq(array_reserve_secret(NULL, &capacity, SIZE_MAX / 2, 1), NULL);
    ck_assert_uint_eq(capacity, 0);
}
END_TEST

START_TEST(descriptors_close_on_every_way_out)
{
    int seen, kept;
    {
        FD_AUTO int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        FD_AUTO int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        seen = fd;
        kept = fd_release(&other);
        ck_assert_int_eq(other, -1);
        errno = EIO;
    }
    ck_assert_int_eq(errno, EIO);
    ck_assert_int_eq(fcntl(seen, F_GETFD), -1);
    ck_assert_int_ge(fcntl(kept, F_GETFD), 0);
    fd_close(&kept);
    ck_assert_int_eq(kept, -1);
    fd_close(&kept);
}
END_TEST

START_TEST(every_error_has_its_own_text)
{
    for (int a = NX_ENOTSUP; a <= NX_OK; a++) {
        ck_assert_str_ne(nx_strerror(a), "unknown error");
        for (int b = a + 1; b <= NX_OK; b++)
            ck_assert_str_ne(nx_strerror(a), nx_strerror(b));
    }
    ck_assert_str_eq(nx_strerror(NX_ENOTSUP - 1), "unknown error");
    ck_assert_str_eq(nx_strerror(1), "unknown error");
    ck_assert_str_eq(nx_strerror(INT32_MIN), "unknown error");
    ck_assert_str_eq(nx_strerror(INT32_MAX), "unknown error");
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, arrays_grow_and_keep_their_items, 0, 2);
    tcase_add_test(tcase, sizes_that_overflow_are_refused);
    tcase_add_test(tcase, descriptors_close_on_every_way_out);
    tcase_add_test(tcase, every_error_has_its_own_text);
}

int main(void)
{
    return unit_run("containers", fill);
}
