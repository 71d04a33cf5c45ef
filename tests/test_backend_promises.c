/* What a backend promises bit for bit of every op: the same on any number of threads, and (on the CPU) wherever a batch is
 * cut between groups. */
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

static void check_same(const bench *b, const bench *other, const char *what)
{
    char name[256];
    case_name(b->test, name, sizeof name);
    for (size_t f = 0; f < b->field_count; f++)
        for (int gradient = 0; gradient < 2; gradient++) {
            if (gradient == 0 ? !b->fields[f].output : b->fields[f].gradient == NO_GRADIENT)
                continue;
            float *one = bench_fetch(b, f, gradient != 0), *two = bench_fetch(other, f, gradient != 0);
            ck_assert_msg(memcmp(one, two, bench_bytes(b, f)) == 0, "%s: %s %s differs %s", name,
                          gradient != 0 ? "gradient of" : "output", b->fields[f].name, what);
            free(one);
            free(two);
        }
}

static void run(bench *b)
{
    b->test->op->forward(b);
    if (b->test->op->backward != NULL)
        b->test->op->backward(b);
}

#ifdef WZ_SANITIZED /* every line must run; bits are compared in a plain build */
enum { MOST_THREADS = 1 };
#elif defined(WZ_TEST_CUDA) /* whose threads are its own affair: run again, the same bits */
enum { MOST_THREADS = 2 };
#else
enum { MOST_THREADS = 4 };
#endif

#ifdef WZ_TEST_EMULATED /* where large cases take their time; what repeats in fp32 there repeats in bf16 */
enum { LARGE_PRECISIONS = 1 };
#else
enum { LARGE_PRECISIONS = PRECISIONS };
#endif

START_TEST(op_one_to_four_threads_give_the_same_bits)
{
    bench one, more;
    op_case test = backend_cases[_i / PRECISIONS];
    const int precision = _i % (int)PRECISIONS;
    test.shape.type = precisions[precision];
    if ((precision > 0 && !test.op->typed) || (test.large && precision >= (int)LARGE_PRECISIONS))
        return;
    wz_backend *alone = test_backend_of(test.shape.type, 1);
    bench_create(&one, &test, alone);
    run(&one);
    for (size_t threads = 2; threads <= MOST_THREADS; threads++) {
        wz_backend *be = test_backend_of(test.shape.type, threads);
        bench_create(&more, &test, be);
        run(&more);
        check_same(&one, &more, "with more threads");
        bench_destroy(&more);
        be->ops->destroy(be);
    }
    bench_destroy(&one);
    alone->ops->destroy(alone);
}
END_TEST

#ifndef WZ_TEST_CUDA /* one product sums the rows of all groups there */
START_TEST(op_backward_cut_between_groups_gives_the_same_bits)
{
    const op_case *test = &backend_cases[_i];
    if (!test->op->grouped || test->shape.groups < 2)
        return;
    bench whole, cut;
    wz_backend *be = test_backend(2);
    bench_create(&whole, test, be);
    bench_create(&cut, test, be);
    run(&whole);
    for (int64_t at = 1; at < whole.groups.groups; at++) {
        bench_reset(&cut);
        test->op->forward(&cut);
        cut.part.groups = at;
        test->op->backward(&cut);
        cut.part = (wz_row_groups){cut.groups.groups - at, cut.groups.offset + at, cut.groups.index};
        cut.resumed = true;
        test->op->backward(&cut);
        check_same(&whole, &cut, "when cut between groups");
    }
    bench_destroy(&cut);
    bench_destroy(&whole);
    be->ops->destroy(be);
}
END_TEST
#endif

static Suite *promises_suite(void)
{
    Suite *suite = suite_create("backend promises");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, op_one_to_four_threads_give_the_same_bits, 0,
                        PRECISIONS * (int)backend_case_count);
#ifndef WZ_TEST_CUDA
    tcase_add_loop_test(table, op_backward_cut_between_groups_gives_the_same_bits, 0,
                        (int)backend_case_count);
#endif
    suite_add_tcase(suite, table);
    return suite;
}

int main(void)
{
    return backend_main(promises_suite());
}
