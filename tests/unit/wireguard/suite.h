/* Runs one test case as a program; the exit status tells. */
#ifndef NEXD_TESTS_WIREGUARD_SUITE_H
#define NEXD_TESTS_WIREGUARD_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int suite_run(const char *name, TCase *tcase)
{
    Suite *suite = suite_create(name);
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
