/* Runs a test program's suite. */
#ifndef WZ_TESTS_SUITE_H
#define WZ_TESTS_SUITE_H

#include <check.h>

/* Takes the suite over; the program's exit status. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
