/* What completions earned and how long they are, in training steps and evaluations: against the definitions, two passes over
 * completions that other code made, and through the program. */
#include <math.h>

#include "engine/run/evaluate.h"
#include "tests/policy_fixture.h"
#include "tests/program.h"
#include "tests/suite.h"

enum { PROBLEMS = 40, SAMPLES = 3, COMPLETIONS = PROBLEMS * SAMPLES, STEP = 4 };

/* Four functions, shaping, and lengths that cost something. */
static const wz_reward_options all_rewards = {
    .count = 4,
    .function = {WZ_REWARD_FORMAT, WZ_REWARD_RATIO, WZ_REWARD_FEASIBLE, WZ_REWARD_OPTIMUM},
    .weight = {0.5, 2.0, 0.25, 1.0},
    .shaping = 0.1,
    .shaping_steps = 10,
    .max_completion_length = 24,
    .overlong_buffer = 16,
    .overlong_penalty = 0.3};

/* ---- two passes, from the definitions ---- */

/* The functions above in their order, and what else has a mean. */
enum {
    FORMAT,
    RATIO,
    FEASIBLE,
    OPTIMUM,
    FUNCTIONS,
    REWARD = FUNCTIONS,
    SHAPING,
    OVERLONG,
    LENGTH,
    FINISHED,
    VALUES
};

typedef struct observed {
    double weight, value[VALUES];
    double entropy, decisions;
} observed;

static observed observe(const wz_batch *batch, int64_t c)
{
    const wz_pack *pack = batch->packs[0];
    const wz_verdict *verdict = &batch->verdicts[c];
    const bool feasible = verdict->kind == WZ_VERDICT_FEASIBLE;
    const double best = batch->references[c / batch->generations].objective, length = (double)pack->length[c];
    observed o = {.weight = 1.0,
                  .value = {[FORMAT] = feasible || verdict->kind == WZ_VERDICT_INFEASIBLE,
                            [RATIO] = feasible ? verdict->objective / best : 0.0,
                            [FEASIBLE] = feasible,
                            [OPTIMUM] = verdict->is_optimum,
                            [SHAPING] = 0.1 * (1.0 - (double)STEP / 10.0) * (1.0 - verdict->shortfall),
                            [OVERLONG] = -0.3 * fmin(fmax((length - (24.0 - 16.0)) / 16.0, 0.0), 1.0),
                            [LENGTH] = length,
                            [FINISHED] = pack->finished[c]}};
    o.value[REWARD] = 0.5 * o.value[FORMAT] + 2.0 * o.value[RATIO] + 0.25 * o.value[FEASIBLE] +
                      o.value[OPTIMUM] + o.value[SHAPING] + o.value[OVERLONG];
    for (int64_t i = 0; i < pack->decisions.count; i++)
        if (pack->decisions.completion[i] == c) {
            o.entropy += (double)pack->decisions.entropy[i];
            o.decisions += 1.0;
        }
    return o;
}

static double mean_of(const observed *o, int64_t count, int value)
{
    double sum = 0.0, weights = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += o[i].weight * o[i].value[value];
        weights += o[i].weight;
    }
    return sum / weights;
}

static double variance_of(const observed *o, int64_t count, int value)
{
    const double mean = mean_of(o, count, value);
    double squares = 0.0, weights = 0.0;
    for (int64_t i = 0; i < count; i++) {
        squares += o[i].weight * (o[i].value[value] - mean) * (o[i].value[value] - mean);
        weights += o[i].weight;
    }
    return squares / weights * (double)count / (double)(count - 1);
}

/* Values below 4 and lengths up to 24, hundreds of them: sums within 1e-12 of each other in any order. */
static void assert_figures(const wz_completion_figures *figures, const observed *o, int64_t count)
{
    double shortest = INFINITY, longest = 0.0, least = INFINITY, most = 0.0, weight = 0.0, length = 0.0;
    double entropy = 0.0, decisions = 0.0;
    for (int i = 0; i < FUNCTIONS; i++) {
        const double std = figures->function_std[i];
        ck_assert_double_eq_tol(figures->function_mean[i], mean_of(o, count, i), 1e-12);
        ck_assert_double_eq_tol(std * std, variance_of(o, count, i), 1e-12);
    }
    for (int64_t i = 0; i < count; i++) {
        shortest = fmin(shortest, o[i].value[LENGTH]);
        longest = fmax(longest, o[i].value[LENGTH]);
        entropy += o[i].weight * o[i].entropy;
        decisions += o[i].weight * o[i].decisions;
        if (o[i].value[FINISHED] == 0.0)
            continue;
        least = fmin(least, o[i].value[LENGTH]);
        most = fmax(most, o[i].value[LENGTH]);
        weight += o[i].weight;
        length += o[i].weight * o[i].value[LENGTH];
    }
    ck_assert_double_eq_tol(figures->reward, mean_of(o, count, REWARD), 1e-12);
    ck_assert_double_eq_tol(figures->shaping, mean_of(o, count, SHAPING), 1e-12);
    ck_assert_double_eq_tol(figures->overlong, mean_of(o, count, OVERLONG), 1e-12);
    ck_assert_double_eq_tol(figures->mean_length, mean_of(o, count, LENGTH), 1e-12);
    ck_assert_double_eq(figures->min_length, shortest);
    ck_assert_double_eq(figures->max_length, longest);
    ck_assert_double_eq_tol(figures->terminated_mean, length / weight, 1e-12);
    ck_assert_double_eq(figures->terminated_min, least);
    ck_assert_double_eq(figures->terminated_max, most);
    ck_assert_double_eq_tol(figures->clipped_ratio, 1.0 - mean_of(o, count, FINISHED), 1e-12);
    /* each is taken to 2^-25 nat */
    ck_assert_double_eq_tol(figures->entropy, entropy / decisions, 0x1p-25 + 1e-12);
}

/* ---- evaluations ---- */

static wz_eval_options options_of(int64_t batch_size)
{
    return (wz_eval_options){.task = f.config.task,
                             .values = f.config.task_values,
                             .style = (wz_prompt_style)f.config.prompt_style,
                             .seed = 5,
                             .split = WZ_SPLIT_VALIDATION,
                             .problems = PROBLEMS,
                             .batch_size = batch_size,
                             .sampling = plain,
                             .samples = SAMPLES,
                             .max_completion_length = f.config.max_completion_length,
                             .reward = &all_rewards,
                             .reward_step = STEP};
}

/* The same problems, answered without an evaluation. */
static wz_batch *answer_alone(void)
{
    const wz_eval_options o = options_of(PROBLEMS);
    const wz_batch_options shape = {.style = o.style,
                                    .effort = WZ_EFFORT_EVALUATION,
                                    .generations = SAMPLES,
                                    .groups_per_pack = PROBLEMS};
    const wz_rollout_options rollout = {.sampling = o.sampling,
                                        .seed = o.seed,
                                        .purpose = WZ_PURPOSE_EVAL_SAMPLE,
                                        .max_completion_length = o.max_completion_length};
    wz_problem *problems = NULL;
    wz_batch *batch = NULL;
    wz_activations *activations = NULL;
    OK(wz_batch_generate(o.task, o.values, o.seed, o.split, 0, PROBLEMS, &problems, &f.err));
    OK(wz_batch_create(f.policy, &shape, problems, PROBLEMS, &batch, &f.err));
    OK(wz_batch_decode_memory(batch, &o.sampling, &activations, &f.err));
    OK(wz_batch_rollout(batch, 0, activations, &rollout, &f.err));
    OK(wz_batch_verify(batch, &f.err));
    wz_activations_destroy(activations);
    return batch;
}

static void evaluate(int64_t batch_size, wz_evaluation *out)
{
    const wz_eval_options o = options_of(batch_size);
    OK(wz_evaluate(f.policy, &o, NULL, NULL, out, &f.err));
}

/* Thoughts that draw among 1,600 tokens: some end the text, so lengths differ and answers are missing; without a grammar
 * nearly all are cut. A head that is not uniform. */
static const char *const ways[] = {"thinking_budget=20 max_completion_length=24 model.zero_init_head=true",
                                   "answer_grammar=false max_completion_length=24 model.zero_init_head=true",
                                   "thinking_budget=20 max_completion_length=24"};

START_TEST(evaluation_of_completions_has_the_figures_of_their_definitions)
{
    observed o[COMPLETIONS];
    wz_evaluation evaluation;
    wz_completion_figures figures;
    make_policy(ways[_i]);
    wz_batch *batch = answer_alone();
    for (int64_t c = 0; c < COMPLETIONS; c++)
        o[c] = observe(batch, c);
    evaluate(16, &evaluation);
    wz_completion_sums_finish(&evaluation.completions, &figures);
    assert_figures(&figures, o, COMPLETIONS);
    if (_i < 2) /* else these say little */
        ck_assert_double_lt(figures.terminated_min, figures.max_length);
    ck_assert(_i != 1 || (figures.clipped_ratio > 0.0 && figures.clipped_ratio < 1.0));
    wz_batch_destroy(batch);
    drop_policy();
}
END_TEST

START_TEST(evaluation_of_completions_is_the_same_at_any_batch_size)
{
    static const int64_t sizes[] = {1, 7, PROBLEMS};
    wz_evaluation evaluation, other;
    make_policy(ways[_i]);
    evaluate(16, &evaluation);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        evaluate(sizes[i], &other);
        ck_assert_mem_eq(&evaluation.completions, &other.completions, sizeof other.completions);
    }
    drop_policy();
}
END_TEST

/* One token of eight in each of four decisions, all alike: ln 8 nats, to two roundings of a float below 4. */
START_TEST(evaluation_of_a_uniform_policy_has_its_entropy)
{
    wz_evaluation evaluation;
    wz_completion_figures figures;
    make_policy("model.zero_init_head=true");
    evaluate(16, &evaluation);
    wz_completion_sums_finish(&evaluation.completions, &figures);
    ck_assert_double_eq(evaluation.completions.decisions, 4.0 * COMPLETIONS);
    ck_assert_double_eq_tol(figures.entropy, log(8.0), 4.0 * 0x1p-23);
    drop_policy();
}
END_TEST

/* Of 60 binary orders, which doubles would add to other sums in another order. */
START_TEST(entropies_have_the_same_sum_in_any_order)
{
    wz_completion_sums forward = {0}, backward = {0};
    double sum = 0.0;
    make_policy(ways[1]);
    wz_batch *batch = answer_alone();
    const wz_decisions *d = &batch->packs[0]->decisions;
    for (int64_t i = 0; i < d->count; i++) {
        d->entropy[i] = ldexpf(1.0f + (float)(i % 89) / 89.0f, -(int)(i % 60));
        sum += (double)d->entropy[i];
    }
    wz_completion_sums_add_entropies(&forward, batch);
    for (int64_t i = 0, j = d->count - 1; i < j; i++, j--) {
        const float last = d->entropy[j];
        d->entropy[j] = d->entropy[i];
        d->entropy[i] = last;
    }
    wz_completion_sums_add_entropies(&backward, batch);
    ck_assert_int_gt(d->count, 1000);
    ck_assert_double_eq(forward.entropy, backward.entropy);
    ck_assert_double_eq_tol(forward.entropy / 0x1p24, sum, (double)d->count * 0x1p-25);
    wz_batch_destroy(batch);
    drop_policy();
}
END_TEST

/* Rewards are wanted or not: answers and scores have the same bits. */
START_TEST(evaluation_without_rewards_has_the_same_scores)
{
    wz_evaluation with, without;
    make_policy(ways[0]);
    wz_eval_options o = options_of(16);
    evaluate(16, &with);
    o.reward = NULL;
    OK(wz_evaluate(f.policy, &o, NULL, NULL, &without, &f.err));
    ck_assert_mem_eq(&with.policy, &without.policy, sizeof with.policy);
    ck_assert_mem_eq(&with.best_of, &without.best_of, sizeof with.best_of);
    ck_assert_int_eq(without.completions.count, 0);
    drop_policy();
}
END_TEST

/* ---- several parts ---- */

static void take_part(const char *keys, double weight, wz_completion_sums *mixed, wz_completion_sums *whole,
                      observed *o)
{
    wz_completion_sums sums = {0};
    make_policy(keys);
    wz_batch *batch = answer_alone();
    wz_completion_sums_add(&sums, batch, &all_rewards, STEP);
    wz_completion_sums_add_entropies(&sums, batch);
    wz_completion_sums_add(whole, batch, &all_rewards, STEP);
    wz_completion_sums_add_entropies(whole, batch);
    wz_completion_sums_mix(mixed, &sums, weight);
    for (int64_t c = 0; c < COMPLETIONS; c++) {
        o[c] = observe(batch, c);
        o[c].weight = weight;
    }
    wz_batch_destroy(batch);
    drop_policy();
}

/* Two parts of as many completions: each completion weighs what its part does; at equal weights it is as if all of them had
 * been added. */
START_TEST(completions_of_parts_weigh_what_their_parts_do)
{
    static const double weights[][2] = {{3.0, 0.5}, {1.0, 1.0}};
    observed o[2 * COMPLETIONS];
    wz_completion_sums mixed = {0}, whole = {0};
    wz_completion_figures figures;
    take_part(ways[1], weights[_i][0], &mixed, &whole, o);
    take_part(ways[0], weights[_i][1], &mixed, &whole, o + COMPLETIONS);
    wz_completion_sums_finish(&mixed, &figures);
    assert_figures(&figures, o, (int64_t)2 * COMPLETIONS);
    if (_i == 0)
        return;
    wz_completion_sums_finish(&whole, &figures);
    assert_figures(&figures, o, (int64_t)2 * COMPLETIONS);
}
END_TEST

/* ---- the program ---- */

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

static double number(const json_t *row, const char *prefix, const char *name)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s%s", prefix, name);
    const json_t *found = json_object_get(row, key);
    ck_assert_msg(json_is_number(found), "no %s", key);
    return json_number_value(found);
}

/* The run's rows that are evaluations, as a JSON array. */
static json_t *evaluations(const char *run)
{
    char path[64], *rest = NULL;
    wz_text rows = {0};
    json_t *found = json_array();
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    read_rows(temporary_path(&p.where, path), &rows);
    for (char *line = strtok_r(rows.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_msg(row != NULL, "%s", line);
        if (json_object_get(row, "eval_objective_ratio") != NULL)
            json_array_append(found, row);
        json_decref(row);
    }
    wz_text_clear(&rows);
    return found;
}

/* What the verifier's own figures say of the rewards: a share s of n problems has the deviation sqrt(n s (1 - s) / (n - 1)). */
static void assert_rewards_of_scores(const json_t *row, const char *prefix, double problems)
{
    const double feasible = number(row, prefix, "feasible"), optimum = number(row, prefix, "exact_optimum");
    const double bessel = problems / (problems - 1.0);
    const double ratio = number(row, prefix, "rewards/ratio/mean"),
                 std = number(row, prefix, "rewards/optimum/std");
    ck_assert_double_eq_tol(ratio, number(row, prefix, "objective_ratio"), 1e-12);
    ck_assert_double_eq(number(row, prefix, "rewards/feasible/mean"), feasible); /* shares: digit by digit */
    ck_assert_double_eq(number(row, prefix, "rewards/optimum/mean"), optimum);
    ck_assert_double_eq_tol(std * std, bessel * optimum * (1.0 - optimum), 1e-12);
    ck_assert_double_eq_tol(number(row, prefix, "reward"),
                            ratio + 0.5 * feasible + 2.0 * optimum +
                                number(row, prefix, "rewards/shaping/mean") +
                                number(row, prefix, "rewards/overlong/mean"),
                            1e-12);
}

#define REWARDS                                                                                              \
    " reward_funcs=ratio,feasible,optimum reward_weights=1,0.5,2 reward_shaping=0.1 "                        \
    "max_completion_length=6 "                                                                               \
    "overlong_buffer=4 overlong_penalty=0.2 "

/* Four switches and a tag are 5 tokens of 6, so 3 of the buffer's 4. After step n the rewards are those of that step, whose
 * number from 0 is n - 1. */
START_TEST(train_logs_what_held_out_answers_earn)
{
    static const char *const lengths[] = {
        "mean_length",           "min_length",           "max_length", "mean_terminated_length",
        "min_terminated_length", "max_terminated_length"};
    program_succeed(&p, "train " TINY REWARDS "output_dir=@/run");
    json_t *rows = evaluations("run"), *row = NULL;
    size_t i = 0;
    ck_assert_uint_eq(json_array_size(rows), 3);
    json_array_foreach(rows, i, row)
    {
        const double step = number(row, "", "step");
        assert_rewards_of_scores(row, "eval_", 40.0);
        ck_assert_double_eq_tol(number(row, "eval_", "rewards/shaping/mean"),
                                0.1 * (1.0 - (step - 1.0) / 12.0), 1e-12);
        ck_assert_double_eq_tol(number(row, "eval_", "rewards/overlong/mean"), -0.2 * 3.0 / 4.0, 1e-12);
        for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++)
            ck_assert_double_eq(number(row, "eval_completions/", lengths[n]), 5.0);
        ck_assert_double_eq(number(row, "eval_completions/", "clipped_ratio"), 0.0);
        ck_assert_double_gt(number(row, "eval_", "entropy"), 0.0);
        ck_assert_double_le(number(row, "eval_", "entropy"), log(2.0) + 0x1p-22);
        ck_assert_ptr_null(json_object_get(row, "eval_reward_std")); /* one answer is no group */
    }
    json_decref(rows);
}
END_TEST

/* Without a grammar a policy from random weights says nothing of sense: all is cut, and nothing ends by itself. */
START_TEST(train_logs_held_out_answers_that_are_cut)
{
    program_succeed(&p, "train " TINY
                        " max_steps=1 answer_grammar=false max_completion_length=7 output_dir=@/run");
    json_t *rows = evaluations("run");
    const json_t *row = json_array_get(rows, 0);
    ck_assert_double_eq(number(row, "eval_completions/", "clipped_ratio"), 1.0);
    ck_assert_double_eq(number(row, "eval_completions/", "mean_length"), 7.0);
    ck_assert_double_eq(number(row, "eval_completions/", "mean_terminated_length"), 0.0);
    ck_assert_double_eq(number(row, "eval_", "reward"), 0.0);
    json_decref(rows);
}
END_TEST

/* Of all parts together: means by weight, as the score is; the deviation by the law of total variance. */
START_TEST(train_logs_what_held_out_answers_of_a_mixture_earn)
{
    static const char *const means[] = {"reward",
                                        "rewards/ratio/mean",
                                        "rewards/feasible/mean",
                                        "rewards/optimum/mean",
                                        "rewards/shaping/mean",
                                        "rewards/overlong/mean",
                                        "completions/mean_length",
                                        "completions/clipped_ratio"};
    static const char links[] = "eval_power_control_", set[] = "eval_independent_set_";
    program_succeed(&p, "train " TINY REWARDS "max_steps=3 output_dir=@/run max_completion_length=16 "
                        "task_mixture=power_control:links=3:weight=3,independent_set");
    json_t *rows = evaluations("run");
    ck_assert_uint_eq(json_array_size(rows), 1);
    const json_t *row = json_array_get(rows, 0);
    assert_rewards_of_scores(row, links, 40.0);
    assert_rewards_of_scores(row, set, 40.0);
    ck_assert_double_lt(number(row, set, "feasible"), 1.0); /* or shaping would be the same of all */
    ck_assert_double_eq_tol(number(row, "eval_", "rewards/ratio/mean"),
                            number(row, "eval_", "objective_ratio"), 1e-12);
    for (size_t i = 0; i < sizeof means / sizeof *means; i++)
        ck_assert_double_eq_tol(number(row, "eval_", means[i]),
                                0.75 * number(row, links, means[i]) + 0.25 * number(row, set, means[i]),
                                1e-12);
    const double a = number(row, links, "rewards/ratio/mean"), b = number(row, set, "rewards/ratio/mean"),
                 m = 0.75 * a + 0.25 * b, s = number(row, links, "rewards/ratio/std"),
                 t = number(row, set, "rewards/ratio/std"), std = number(row, "eval_", "rewards/ratio/std");
    const double within = (0.75 * s * s + 0.25 * t * t) * 39.0 / 40.0,
                 between = 0.75 * (a - m) * (a - m) + 0.25 * (b - m) * (b - m);
    ck_assert_double_eq_tol(std * std, (within + between) * 80.0 / 79.0, 1e-12);
    ck_assert_double_eq(
        number(row, "eval_", "completions/min_length"),
        fmin(number(row, links, "completions/min_length"), number(row, set, "completions/min_length")));
    ck_assert_double_eq(
        number(row, "eval_", "completions/max_length"),
        fmax(number(row, links, "completions/max_length"), number(row, set, "completions/max_length")));
    ck_assert_double_ne(number(row, "eval_", "completions/min_length"),
                        number(row, "eval_", "completions/max_length"));
    json_decref(rows);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("completions");
    TCase *tests = tcase_create("completions"), *runs = tcase_create("runs");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, evaluation_of_completions_has_the_figures_of_their_definitions, 0, 3);
    tcase_add_loop_test(tests, evaluation_of_completions_is_the_same_at_any_batch_size, 0, 3);
    tcase_add_test(tests, evaluation_of_a_uniform_policy_has_its_entropy);
    tcase_add_test(tests, entropies_have_the_same_sum_in_any_order);
    tcase_add_test(tests, evaluation_without_rewards_has_the_same_scores);
    tcase_add_loop_test(tests, completions_of_parts_weigh_what_their_parts_do, 0, 2);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(runs, make_place, remove_place);
    tcase_set_timeout(runs, 120);
    tcase_add_test(runs, train_logs_what_held_out_answers_earn);
    tcase_add_test(runs, train_logs_held_out_answers_that_are_cut);
    tcase_add_test(runs, train_logs_what_held_out_answers_of_a_mixture_earn);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
