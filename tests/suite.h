/* Runs a test program's suite. */
#ifndef WZ_TESTS_SUITE_H
#define WZ_TESTS_SUITE_H

#include <check.h>

/* ck_assert_msg for loops over elements: check notes in a file each assertion that it passes, here only a failed one. */
#define ASSERT_EACH(condition, ...)                                                                          \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            ck_abort_msg(__VA_ARGS__);                                                                       \
    } while (0)

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
