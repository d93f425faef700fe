/* The main() of a check program with one test case. */
#ifndef NEXD_TESTS_UNIT_H
#define NEXD_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

typedef void (*unit_fill_fn)(TCase *tcase);

/* Runs the tests that `fill` adds; the exit status. */
static inline int unit_run(const char *name, unit_fill_fn fill)
{
    Suite *const suite = suite_create(name);
    TCase *const tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    fill(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
