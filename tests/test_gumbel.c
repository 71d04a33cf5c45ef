/* The bound of Gumbel noise. `test_gumbel every`: of every word, in a few minutes. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tests/suite.h"

#define PHILOX_FUNCTION static inline
#include "engine/backend/gumbel.h"

static uint32_t stride = 499; /* 8.6 million words; odd, so that all endings are met */

static void assert_bounded(uint32_t word)
{
    ASSERT_EACH((double)gumbel_bound(word) >= gumbel_of(word), "word %u: noise %.17g, bound %.9g", word,
                gumbel_of(word), (double)gumbel_bound(word));
}

START_TEST(gumbel_bound_is_never_below_the_noise)
{
    for (uint64_t word = 0; word <= UINT32_MAX; word += stride)
        assert_bounded((uint32_t)word);
}
END_TEST

/* Around each power of two, where the bound touches the logarithm, and its steps of 2^9 words; both ends of the range. */
START_TEST(gumbel_bound_holds_at_powers_of_two)
{
    for (int64_t exponent = 0; exponent <= 32; exponent++)
        for (int64_t word = (INT64_C(1) << exponent) - 5000; word < (INT64_C(1) << exponent) + 5000; word++)
            if (word >= 0 && word <= UINT32_MAX)
                assert_bounded((uint32_t)word);
}
END_TEST

/* Above the noise by: log2 (1 + m) - m < 0.0861, times log 2, 0.0597; log (-log (1 - v) / v) < 0.52 v for v < 2^-5, 0.0163;
 * 2^-23 of v lost, 0.0079 for v > 2^-16; room and what the shift takes, 5 units of 2^-15 log 2, 0.0002. */
START_TEST(gumbel_bound_is_near_the_noise_that_wins)
{
    for (uint32_t word = 1u << 16; word < 1u << 27; word += 499)
        ASSERT_EACH((double)gumbel_bound(word) - gumbel_of(word) < 0.0841, "word %u: noise %.9g, bound %.9g",
                    word, gumbel_of(word), (double)gumbel_bound(word));
}
END_TEST

/* Values at and next to the one that is reached; the float that this is rounded to is above or below it. */
START_TEST(gumbel_may_reach_leaves_out_nothing_that_reaches)
{
    size_t left_out = 0;
    for (uint32_t word = 0; word < UINT32_MAX - 99991; word += 99991)
        for (int step = -10; step <= 10; step++) {
            const float logit = 99.7f * (float)step;
            const double value = (double)logit + gumbel_of(word);
            const double reached[3] = {nextafter(value, -INFINITY), value, value + 0.5};
            for (int i = 0; i < 3; i++) {
                const bool may = gumbel_may_reach(logit, word, (float)reached[i]);
                ASSERT_EACH(may || value < reached[i], "word %u, logit %.9g", word, (double)logit);
                left_out += !may;
            }
        }
    ck_assert_uint_gt(left_out, 0);
}
END_TEST

START_TEST(gumbel_may_reach_of_infinity_and_nan_is_that_of_the_comparison)
{
    static const float logit[] = {-INFINITY, -INFINITY, 0.0f, INFINITY, INFINITY, NAN, NAN, 3.4e38f};
    static const float least[] = {-INFINITY, -3.4e38f, -INFINITY, INFINITY, 0.0f, -INFINITY, 0.0f, 3.4e38f};
    static const bool may[] = {true, false, true, true, true, false, false, true};
    for (size_t i = 0; i < sizeof may; i++)
        for (uint32_t bit = 0; bit < 32; bit++)
            ck_assert(gumbel_may_reach(logit[i], (1u << bit) - 1, least[i]) == may[i]);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("gumbel");
    TCase *bound = tcase_create("bound");
    if (argc > 1 && strcmp(argv[1], "every") == 0)
        stride = 1;
    tcase_set_timeout(bound, stride == 1 ? 3600 : 60);
    tcase_add_test(bound, gumbel_bound_is_never_below_the_noise);
    tcase_add_test(bound, gumbel_bound_holds_at_powers_of_two);
    tcase_add_test(bound, gumbel_bound_is_near_the_noise_that_wins);
    tcase_add_test(bound, gumbel_may_reach_leaves_out_nothing_that_reaches);
    tcase_add_test(bound, gumbel_may_reach_of_infinity_and_nan_is_that_of_the_comparison);
    suite_add_tcase(suite, bound);
    return run_suite(suite);
}
