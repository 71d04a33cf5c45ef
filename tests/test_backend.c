/* Every op of the table against the double-precision formulas and their central differences. */
#include "tests/backend_case.h"
#include "tests/backend_main.h"

START_TEST(op_forward_and_backward_match_the_formula)
{
    const op_case *test = &backend_cases[_i];
    if (test->large)
        return;
    wz_backend *be = cpu_backend_with(2);
    case_check(test, be);
    be->ops->destroy(be);
}
END_TEST

static Suite *backend_suite(void)
{
    Suite *suite = suite_create("backend");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, op_forward_and_backward_match_the_formula, 0, (int)backend_case_count);
    suite_add_tcase(suite, table);
    return suite;
}

int main(void)
{
    return backend_main(backend_suite());
}
