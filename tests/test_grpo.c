/* Advantages against loss_cases.json, schedules and the curriculum. */
#include <stdlib.h>

#include "engine/grpo/advantage.h"
#include "engine/grpo/curriculum.h"
#include "engine/grpo/mixture.h"
#include "engine/grpo/schedule.h"
#include "tests/loss_fixture.h"
#include "tests/suite.h"

/* ---- advantages ---- */

START_TEST(advantages_equal_the_fixture)
{
    static const char *const scales[] = {"group", "batch", "none"};
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(json_object_get(fixture, "advantage_cases"), i, c)
    {
        const json_t *rewards = json_object_get(c, "rewards"), *expected = json_object_get(c, "advantages");
        const char *name = json_string_value(json_object_get(c, "name"));
        const size_t groups = json_array_size(rewards),
                     generations = json_array_size(json_array_get(rewards, 0));
        double reward[MAX_TOKENS], advantage[MAX_TOKENS];
        uint8_t flat[MAX_TOKENS];
        size_t flat_count = 0, scale = 0;
        while (!is_text(c, "scale_rewards", scales[scale]))
            scale++;
        ck_assert_uint_le(groups * generations, MAX_TOKENS);
        for (size_t k = 0; k < groups * generations; k++)
            reward[k] =
                json_number_value(json_array_get(json_array_get(rewards, k / generations), k % generations));
        const size_t found =
            wz_advantages((wz_reward_scale)scale, json_is_true(json_object_get(c, "leave_one_out")), groups,
                          generations, reward, advantage, flat);
        for (size_t g = 0; g < groups; g++) {
            ck_assert_msg(flat[g] == (item(c, "zero_std", g) != 0.0), "%s: group %zu flat %d", name, g,
                          flat[g]);
            flat_count += flat[g];
        }
        ck_assert_uint_eq(found, flat_count);
        for (size_t k = 0; k < groups * generations; k++)
            assert_close(
                advantage[k],
                json_number_value(json_array_get(json_array_get(expected, k / generations), k % generations)),
                1e-9, name, "advantage");
        checked++;
    }
    ck_assert_uint_ge(checked, 20);
}
END_TEST

/* 1, 2, 3, 4: mean 2.5, variance 5/3. */
START_TEST(mean_std_has_bessels_correction)
{
    const double values[4] = {1, 2, 3, 4};
    double mean = 0.0, std = 0.0;
    wz_mean_std(values, 4, &mean, &std);
    ck_assert_double_eq(mean, 2.5);
    ck_assert_double_eq_tol(std, sqrt(5.0 / 3.0), 1e-15);
    wz_mean_std(values, 1, &mean, &std);
    ck_assert_double_eq(std, 0.0);
}
END_TEST

/* ---- schedules ---- */

/* By hand: the ends, the middle, and cosine at a third (cos(pi/3) = 1/2). */
START_TEST(schedule_value_follows_its_formula)
{
    ck_assert_double_eq(wz_schedule_value(WZ_SCHEDULE_KIND_CONSTANT, 3.0, 1.0, 5, 10), 3.0);
    ck_assert_double_eq(wz_schedule_value(WZ_SCHEDULE_KIND_LINEAR, 3.0, 1.0, 0, 10), 3.0);
    ck_assert_double_eq(wz_schedule_value(WZ_SCHEDULE_KIND_LINEAR, 3.0, 1.0, 5, 10), 2.0);
    ck_assert_double_eq(wz_schedule_value(WZ_SCHEDULE_KIND_LINEAR, 3.0, 1.0, 12, 10), 1.0);
    ck_assert_double_eq_tol(wz_schedule_value(WZ_SCHEDULE_KIND_COSINE, 4.0, 0.0, 3, 9), 3.0, 1e-15);
    ck_assert_double_eq_tol(wz_schedule_value(WZ_SCHEDULE_KIND_COSINE, 4.0, 0.0, 9, 9), 0.0, 1e-15);
    ck_assert_double_eq(wz_schedule_value(WZ_SCHEDULE_KIND_LINEAR, 3.0, 1.0, 0, 0), 1.0);
}
END_TEST

START_TEST(learning_rate_warms_up_then_decays)
{
    ck_assert_double_eq(wz_learning_rate(WZ_SCHEDULE_KIND_COSINE, 1.0, 0.1, 4, 0, 20), 0.2);
    ck_assert_double_eq(wz_learning_rate(WZ_SCHEDULE_KIND_COSINE, 1.0, 0.1, 4, 3, 20), 0.8);
    ck_assert_double_eq(wz_learning_rate(WZ_SCHEDULE_KIND_COSINE, 1.0, 0.1, 4, 4, 20), 1.0);
    ck_assert_double_eq_tol(wz_learning_rate(WZ_SCHEDULE_KIND_COSINE, 1.0, 0.1, 4, 12, 20), 0.55, 1e-15);
    ck_assert_double_eq_tol(wz_learning_rate(WZ_SCHEDULE_KIND_COSINE, 1.0, 0.1, 4, 20, 20), 0.1, 1e-15);
    ck_assert_double_eq(wz_learning_rate(WZ_SCHEDULE_KIND_CONSTANT, 0.5, 0.0, 0, 0, 1), 0.5);
    double last = 0.0;
    for (int64_t step = 0; step < 50; step++) { /* warm-up as long as the run: it only rises */
        double rate = wz_learning_rate(WZ_SCHEDULE_KIND_LINEAR, 1.0, 0.0, 50, step, 50);
        ck_assert_double_gt(rate, last);
        last = rate;
    }
}
END_TEST

/* ---- curriculum ---- */

static const wz_curriculum_options growing = {3, 5, 0.8, 0.9, 10, 0.3};

START_TEST(curriculum_grows_at_the_threshold_and_stops_at_the_last_size)
{
    wz_curriculum state;
    wz_curriculum_start(&state, &growing);
    ck_assert_int_eq(state.size, 3);
    ck_assert_double_eq(wz_curriculum_score(&state), 0.0);
    for (int i = 0; i < 30; i++) /* below the threshold for ever */
        ck_assert(!wz_curriculum_update(&state, &growing, 3, 0.79));
    ck_assert_double_eq_tol(wz_curriculum_score(&state), 0.79, 1e-12); /* no bias towards the start */
    ck_assert(!wz_curriculum_update(&state, &growing, 2, 1.0));        /* a replay says nothing */
    ck_assert_double_eq_tol(wz_curriculum_score(&state), 0.79, 1e-12);
    bool grew = false;
    int steps = 0;
    for (; !grew; steps++)
        grew = wz_curriculum_update(&state, &growing, 3, 1.0);
    ck_assert_int_eq(steps, 1); /* 0.79 + 0.21/10 of the weight > 0.8 */
    for (int size = 4; size <= 5; size++) {
        ck_assert_int_eq(state.size, size);
        for (steps = 1; steps < 100 && !wz_curriculum_update(&state, &growing, size, 0.9); steps++)
            ;
        ck_assert_int_eq(steps, size == 4 ? 10 : 100); /* min_steps; never past the last */
    }
}
END_TEST

/* 30% of 20,000 steps: standard deviation 65. Smaller sizes in equal shares. */
START_TEST(curriculum_size_replays_smaller_sizes)
{
    enum { STEPS = 20000 };
    const wz_curriculum state = {.size = 5};
    int counts[6] = {0};
    for (uint32_t step = 0; step < STEPS; step++) {
        int64_t size = wz_curriculum_size(&state, &growing, 7, step, 0);
        ck_assert_int_eq(size, wz_curriculum_size(&state, &growing, 7, step, 0));
        ck_assert(size >= 3 && size <= 5);
        counts[size]++;
    }
    ck_assert_int_le(abs(counts[5] - STEPS * 7 / 10), 4 * 65);
    ck_assert_int_le(abs(counts[3] - counts[4]), 4 * 78);
    const wz_curriculum first = {.size = 3};
    for (uint32_t step = 0; step < 100; step++)
        ck_assert_int_eq(wz_curriculum_size(&first, &growing, 7, step, 0), 3);
}
END_TEST

/* ---- mixtures ---- */

/* Each step's shares are the weights' to less than one problem, and exact in the mean: of 20,000 steps the count of a part
 * deviates by at most half a problem a step, so four standard errors are below 20,000 * 4 * 0.5 / sqrt(20,000). */
START_TEST(mixture_shares_follow_the_weights)
{
    enum { STEPS = 20000, PROBLEMS = 10 };
    const wz_mixture mixture = {.count = 3, .parts = {{.weight = 2.0}, {.weight = 1.0}, {.weight = 0.25}}};
    double all[3] = {0};
    for (uint32_t step = 0; step < STEPS; step++) {
        uint8_t part[PROBLEMS], again[PROBLEMS];
        int counts[3] = {0};
        wz_mixture_assign(&mixture, 7, step, PROBLEMS, part);
        wz_mixture_assign(&mixture, 7, step, PROBLEMS, again);
        ASSERT_EACH(memcmp(part, again, PROBLEMS) == 0, "step %u is drawn anew", step);
        for (int g = 0; g < PROBLEMS; g++) {
            ASSERT_EACH(part[g] < 3 && (g == 0 || part[g] >= part[g - 1]), "step %u: problem %d", step, g);
            counts[part[g]]++;
        }
        for (int p = 0; p < 3; p++) {
            ASSERT_EACH(fabs(counts[p] - PROBLEMS * mixture.parts[p].weight / 3.25) < 1,
                        "step %u: %d of part %d", step, counts[p], p);
            all[p] += counts[p];
        }
    }
    for (int p = 0; p < 3; p++)
        ck_assert_double_le(fabs(all[p] - STEPS * PROBLEMS * mixture.parts[p].weight / 3.25), 283);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grpo");
    TCase *tests = tcase_create("grpo");
    tcase_add_checked_fixture(tests, load_fixture, drop_fixture);
    tcase_add_test(tests, advantages_equal_the_fixture);
    tcase_add_test(tests, mean_std_has_bessels_correction);
    tcase_add_test(tests, schedule_value_follows_its_formula);
    tcase_add_test(tests, learning_rate_warms_up_then_decays);
    tcase_add_test(tests, curriculum_grows_at_the_threshold_and_stops_at_the_last_size);
    tcase_add_test(tests, curriculum_size_replays_smaller_sizes);
    tcase_add_test(tests, mixture_shares_follow_the_weights);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
