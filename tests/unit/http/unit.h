/* What every check program here needs: one suite, run, exit status. */
#ifndef NEXD_TESTS_HTTP_UNIT_H
#define NEXD_TESTS_HTTP_UNIT_H

#include "rig.h"

#include <stdlib.h>

static inline int unit_run(const char *name, void (*add)(TCase *), double timeout_s)
{
    Suite *const suite = suite_create(name);
    TCase *const tcase = tcase_create(name);
    tcase_set_timeout(tcase, timeout_s);
    tcase_add_checked_fixture(tcase, rig_set_up, rig_tear_down);
    add(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
