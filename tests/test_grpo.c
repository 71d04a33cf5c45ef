/* The loss against PyTorch and TRL (loss_cases.json), advantages, schedules and the curriculum. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grpo/advantage.h"
#include "engine/grpo/curriculum.h"
#include "engine/grpo/loss.h"
#include "engine/grpo/mixture.h"
#include "engine/grpo/schedule.h"
#include "tests/suite.h"

#define MAX_TOKENS 256
#define MAX_COMPLETIONS 32

static json_t *fixture;

static void load_fixture(void)
{
    json_error_t error;
    fixture = json_load_file(WZ_TEST_DATA "/loss_cases.json", 0, &error);
    ck_assert_msg(fixture != NULL, "%s", error.text);
}

static void drop_fixture(void)
{
    json_decref(fixture);
}

/* ---- loss ---- */

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
    return strcmp(json_string_value(json_object_get(object, key)), text) == 0;
}

static int loss_type_of(const json_t *config)
{
    static const char *const names[] = {"grpo", "dapo", "bnpo", "dr_grpo"};
    for (int i = 0; i < 4; i++)
        if (is_text(config, "loss_type", names[i]))
            return i;
    return -1;
}

/* What this engine has; the other cases of the file are for later variants. */
static bool is_supported(const json_t *config)
{
    return loss_type_of(config) >= 0 && is_text(config, "importance_sampling_level", "token") &&
           json_is_null(json_object_get(config, "delta")) &&
           json_is_null(json_object_get(config, "dual_clip")) && number_of(config, "beta") == 0.0 &&
           number_of(config, "top_entropy_quantile") == 1.0;
}

/* One optimiser batch, with only the tokens that count: others are no decisions. */
typedef struct batch {
    int64_t tokens, completions, micro_batches;
    int32_t completion[MAX_TOKENS];
    float logp[MAX_TOKENS], old_logp[MAX_TOKENS], entropy[MAX_TOKENS];
    double advantage[MAX_COMPLETIONS], dlogp[MAX_TOKENS], dentropy[MAX_TOKENS];
    int64_t first_completion[MAX_COMPLETIONS + 1], first_token[MAX_COMPLETIONS + 1]; /* of each micro-batch */
} batch;

static double item(const json_t *object, const char *key, size_t i)
{
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

static void read_batch(const json_t *c, batch *b)
{
    size_t token = 0;
    memset(b, 0, sizeof *b);
    b->completions = (int64_t)json_array_size(json_object_get(c, "lengths"));
    b->micro_batches = (int64_t)json_array_size(json_object_get(c, "micro_batches"));
    ck_assert_int_le(b->completions, MAX_COMPLETIONS);
    int64_t micro = 0, left = (int64_t)item(c, "micro_batches", 0);
    for (int64_t i = 0; i < b->completions; i++, left--) {
        if (left == 0) {
            left = (int64_t)item(c, "micro_batches", (size_t)++micro);
            b->first_completion[micro] = i;
            b->first_token[micro] = b->tokens;
        }
        b->advantage[i] = item(c, "advantages", (size_t)i);
        for (int64_t k = 0; k < (int64_t)item(c, "lengths", (size_t)i); k++, token++) {
            if (item(c, "mask", token) == 0.0)
                continue;
            ck_assert_int_lt(b->tokens, MAX_TOKENS);
            b->completion[b->tokens] = (int32_t)i;
            b->logp[b->tokens] = (float)item(c, "logp", token);
            b->old_logp[b->tokens] = (float)item(c, "old_logp", token);
            b->entropy[b->tokens] = (float)item(c, "entropy", token);
            b->dlogp[b->tokens] = item(c, "dloss_dlogp", token);
            b->dentropy[b->tokens++] = item(c, "dloss_dentropy", token);
        }
    }
    b->first_completion[b->micro_batches] = b->completions;
    b->first_token[b->micro_batches] = b->tokens;
}

/* One micro-batch: its completions are numbered from 0. Returns its share of the loss. */
static double run_micro_batch(const batch *b, int64_t micro, const wz_loss_options *options,
                              const wz_loss_totals *totals, float *dlogp, float *dentropy, wz_loss_sums *sums)
{
    const int64_t first = b->first_completion[micro], start = b->first_token[micro];
    int32_t completion[MAX_TOKENS];
    const wz_loss_input input = {.tokens = b->first_token[micro + 1] - start,
                                 .completions = b->first_completion[micro + 1] - first,
                                 .completion = completion,
                                 .logp = b->logp + start,
                                 .old_logp = b->old_logp + start,
                                 .entropy = b->entropy + start,
                                 .advantage = b->advantage + first};
    double loss = 0.0;
    for (int64_t i = 0; i < input.tokens; i++)
        completion[i] = b->completion[start + i] - (int32_t)first;
    wz_grpo_loss(options, &input, totals, sums + first, dlogp + start, dentropy + start);
    for (int64_t i = 0; i < input.completions; i++)
        loss += sums[first + i].policy - options->entropy_coef * sums[first + i].entropy;
    return loss;
}

/* The fixture is in double, our sums and exp too: only the derivatives are rounded to float (6e-8 relative). */
static void assert_close(double value, double expected, double tolerance, const char *name, const char *what)
{
    ck_assert_msg(fabs(value - expected) <= tolerance * fmax(fabs(expected), 1e-3),
                  "%s: %s is %.12g, not %.12g", name, what, value, expected);
}

static void check_case(const json_t *c)
{
    batch b;
    wz_loss_sums sums[MAX_COMPLETIONS];
    float dlogp[MAX_TOKENS], dentropy[MAX_TOKENS];
    const json_t *config = json_object_get(c, "config"), *metrics = json_object_get(c, "metrics");
    const char *name = json_string_value(json_object_get(c, "name"));
    read_batch(c, &b);
    const wz_loss_options options = {.type = (wz_loss_type)loss_type_of(config),
                                     .epsilon = number_of(config, "epsilon"),
                                     .epsilon_high = number_of(config, "epsilon_high"),
                                     .entropy_coef = number_of(config, "entropy_coef"),
                                     .max_completion_length =
                                         (int64_t)number_of(config, "max_completion_length")};
    const wz_loss_totals totals = {b.completions, b.tokens, b.micro_batches};
    double loss = 0.0, low = 0.0, high = 0.0, entropy = 0.0;
    for (int64_t micro = 0; micro < b.micro_batches; micro++)
        loss += run_micro_batch(&b, micro, &options, &totals, dlogp, dentropy, sums);
    assert_close(loss, number_of(c, "loss"), 1e-6, name, "loss");
    for (int64_t i = 0; i < b.tokens; i++) {
        /* With epsilon 0 a ratio of 1 stands on the kink, where every slope from 0 to the inner one is a subgradient:
         * PyTorch takes half (it halves ties of min), we take the whole, or a first update would learn at half rate. */
        const bool kink = options.epsilon == 0.0 && b.logp[i] == b.old_logp[i];
        assert_close((double)dlogp[i], kink ? 2.0 * b.dlogp[i] : b.dlogp[i], 1e-6, name, "dlogp");
        assert_close((double)dentropy[i], b.dentropy[i], 1e-6, name, "dentropy");
        ck_assert_msg(b.dlogp[i] != 0.0 || dlogp[i] == 0.0f, "%s: a clipped token has a gradient", name);
    }
    for (int64_t i = 0; i < b.completions; i++) {
        low += (double)sums[i].clipped_low;
        high += (double)sums[i].clipped_high;
        entropy += sums[i].raw_entropy;
    }
    if (b.tokens == 0)
        return;
    assert_close(low / (double)b.tokens, number_of(metrics, "clip_low"), 1e-9, name, "clip_low");
    assert_close(high / (double)b.tokens, number_of(metrics, "clip_high"), 1e-9, name, "clip_high");
    assert_close(entropy / (double)b.tokens, number_of(metrics, "entropy"), 1e-9, name, "entropy");
}

START_TEST(grpo_loss_equals_pytorch)
{
    size_t i, checked = 0, types[4] = {0};
    json_t *c;
    json_array_foreach(json_object_get(fixture, "loss_cases"), i, c)
    {
        const json_t *config = json_object_get(c, "config");
        if (!is_supported(config))
            continue;
        check_case(c);
        types[loss_type_of(config)]++;
        checked++;
    }
    ck_assert_uint_ge(checked, 20);
    for (int t = 0; t < 4; t++)
        ck_assert_uint_gt(types[t], 2);
}
END_TEST

/* Left-out completions: no gradient, and the rest as if their tokens did not exist. */
START_TEST(grpo_loss_left_out_completion_has_no_share)
{
    const int32_t completion[4] = {0, 0, 1, 1};
    const float logp[4] = {-1.0f, -0.5f, -2.0f, -0.1f}, old[4] = {-1.1f, -0.5f, -1.9f, -0.2f},
                entropy[4] = {1, 2, 3, 4};
    const double advantage[2] = {1.0, -2.0};
    const uint8_t left_out[2] = {0, 1};
    const wz_loss_options options = {WZ_LOSS_DAPO, 0.2, 0.2, 0.1, 16};
    const wz_loss_input all = {4, 2, completion, logp, old, entropy, advantage, left_out};
    const wz_loss_input first = {2, 1, completion, logp, old, entropy, advantage, NULL};
    wz_loss_sums sums[2], expected[1];
    float d[2][4], e[2][2];
    ck_assert_int_eq(wz_loss_count(&all), 2);
    const wz_loss_totals totals = {2, 2, 1};
    wz_grpo_loss(&options, &all, &totals, sums, d[0], d[1]);
    wz_grpo_loss(&options, &first, &totals, expected, e[0], e[1]);
    ck_assert_int_eq(sums[1].tokens, 0);
    ck_assert_double_eq(sums[1].policy, 0.0);
    ck_assert_double_eq(sums[0].policy, expected[0].policy);
    for (int i = 0; i < 2; i++) {
        ck_assert_mem_eq(d[i], e[i], 2 * sizeof(float));
        ck_assert_float_eq(d[i][2], 0.0f);
        ck_assert_float_eq(d[i][3], 0.0f);
    }
}
END_TEST

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
    tcase_add_test(tests, grpo_loss_equals_pytorch);
    tcase_add_test(tests, grpo_loss_left_out_completion_has_no_share);
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
