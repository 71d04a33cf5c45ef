/* The vector exponential against libm's double exp, and sums. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "engine/backend/cpu/vec.h"
#include "tests/suite.h"

#define EXP_ERROR 8.5e-8 /* stated at v16_exp; the sweep over every float found 8.456e-8 */

typedef struct worst {
    double error; /* relative */
    float at;
} worst;

/* Every `step`-th float of [from, to], both of one sign. */
static worst sweep(float from, float to, uint32_t step)
{
    uint32_t begin = 0, end = 0;
    worst found = {0.0, 0.0f};
    memcpy(&begin, fabsf(from) < fabsf(to) ? &from : &to, sizeof begin);
    memcpy(&end, fabsf(from) < fabsf(to) ? &to : &from, sizeof end);
    for (uint64_t bits = begin; bits <= end; bits += (uint64_t)step * WZ_LANES) {
        float x[WZ_LANES];
        for (uint32_t i = 0; i < WZ_LANES; i++) {
            const uint64_t wanted = bits + (uint64_t)i * step;
            const uint32_t one = wanted < end ? (uint32_t)wanted : end;
            memcpy(&x[i], &one, sizeof one);
        }
        const v16 y = v16_exp(v16_load(x));
        for (int i = 0; i < WZ_LANES; i++) {
            const double exact = exp((double)x[i]), error = fabs((double)y[i] - exact) / exact;
            if (!(error <= found.error))
                found = (worst){error, x[i]};
        }
    }
    return found;
}

/* A seventh of all floats between the two ends of the range. */
START_TEST(v16_exp_over_the_whole_range_has_the_stated_accuracy)
{
    const worst negative = sweep(-0.0f, -87.33f, 7), positive = sweep(0.0f, 88.72f, 7);
    ck_assert_msg(negative.error < EXP_ERROR, "exp(%.9g): relative error %.3g", (double)negative.at,
                  negative.error);
    ck_assert_msg(positive.error < EXP_ERROR, "exp(%.9g): relative error %.3g", (double)positive.at,
                  positive.error);
}
END_TEST

START_TEST(v16_exp_special_values_are_those_of_exp)
{
    const float x[WZ_LANES] = {0.0f,   -0.0f,  INFINITY, -INFINITY, NAN,     89.0f,  1e30f,  88.73f,
                               -87.4f, -88.0f, -104.0f,  -1e30f,    FLT_MIN, 1e-30f, -1e-9f, 3e38f};
    const v16 y = v16_exp(v16_load(x));
    const float expected[WZ_LANES] = {1, 1, INFINITY, 0, NAN, INFINITY, INFINITY, INFINITY,
                                      0, 0, 0,        0, 1,   1,        1,        INFINITY};
    for (int i = 0; i < WZ_LANES; i++)
        ck_assert_msg(isnan(expected[i]) ? isnan(y[i]) : y[i] == expected[i], "exp(%g) = %g", (double)x[i],
                      (double)y[i]);
    for (int i = 0; i < WZ_LANES; i++) {
        const float one = scalar_exp(x[i]), many = y[i];
        ck_assert_int_eq(memcmp(&one, &many, sizeof one), 0);
    }
}
END_TEST

START_TEST(v16_scale_is_ldexp_where_no_denormal_comes_out)
{
    static const float mantissa[] = {0.7072f, 1.0f, 1.4141f, -1.0f};
    for (int n = -127; n <= 129; n++)
        for (size_t i = 0; i < sizeof mantissa / sizeof *mantissa; i++) {
            const float expected = ldexpf(mantissa[i], n);
            const v16 found = v16_scale(v16_set(mantissa[i]), v16_set((float)n));
            if (fabsf(expected) >= FLT_MIN)
                ck_assert_msg(found[3] == expected, "%g 2^%d = %g", (double)mantissa[i], n, (double)found[3]);
        }
}
END_TEST

START_TEST(v16_first_and_largest_take_the_lanes_they_say)
{
    const v16 v = {3, -1, 7, 2, 9, -5, 4, 8, 1, 0, 6, 5, -2, 11, 10, -3};
    for (int64_t n = -2; n < 19; n++) {
        const v16 first = v16_first(v, n, v16_set(-20.0f));
        float most = -20.0f;
        for (int i = 0; i < WZ_LANES; i++) {
            ck_assert_double_eq((double)first[i], i < n ? (double)v[i] : -20.0);
            most = fmaxf(most, first[i]);
        }
        ck_assert_double_eq((double)v16_largest(first), (double)most);
    }
}
END_TEST

START_TEST(v16_transpose_exchanges_rows_and_columns)
{
    v16 row[WZ_LANES];
    for (int i = 0; i < WZ_LANES; i++)
        for (int j = 0; j < WZ_LANES; j++)
            row[i][j] = (float)(100 * i + j);
    v16_transpose(row);
    for (int i = 0; i < WZ_LANES; i++)
        for (int j = 0; j < WZ_LANES; j++)
            ck_assert_double_eq((double)row[i][j], 100 * j + i);
}
END_TEST

/* Integers: every order of additions is exact. */
START_TEST(dot_any_length_is_the_sum)
{
    float a[70], b[70];
    for (int i = 0; i < 70; i++) {
        a[i] = (float)(i + 1);
        b[i] = (float)(i % 5 - 2);
    }
    double sum = 0.0;
    for (int n = 0; n < 70; n++) {
        ck_assert_double_eq((double)dot(a, b, n), sum);
        sum += (double)a[n] * (double)b[n];
    }
}
END_TEST

START_TEST(axpy_any_length_touches_only_its_elements)
{
    for (int n = 0; n < 40; n++) {
        float y[41], x[41];
        for (int i = 0; i < 41; i++) {
            y[i] = (float)i;
            x[i] = (float)(2 * i + 1);
        }
        axpy(y, 3.0f, x, n);
        for (int i = 0; i < 41; i++)
            ck_assert_double_eq((double)y[i], i < n ? i + 3.0 * (2 * i + 1) : i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vec");
    TCase *all = tcase_create("vec");
    tcase_set_timeout(all, 300);
    tcase_add_test(all, v16_exp_over_the_whole_range_has_the_stated_accuracy);
    tcase_add_test(all, v16_exp_special_values_are_those_of_exp);
    tcase_add_test(all, v16_scale_is_ldexp_where_no_denormal_comes_out);
    tcase_add_test(all, v16_first_and_largest_take_the_lanes_they_say);
    tcase_add_test(all, v16_transpose_exchanges_rows_and_columns);
    tcase_add_test(all, dot_any_length_is_the_sum);
    tcase_add_test(all, axpy_any_length_touches_only_its_elements);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
