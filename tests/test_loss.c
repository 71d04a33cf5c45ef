/* The loss and the entropy bonus's controller against PyTorch and TRL (loss_cases.json). */
#include "engine/grpo/entropy.h"
#include "engine/grpo/loss.h"
#include "tests/loss_fixture.h"
#include "tests/suite.h"

#define LOSS_TYPES 6

static int choice_of(const json_t *config, const char *key, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++)
        if (is_text(config, key, names[i]))
            return i;
    ck_abort_msg("%s is none we know", key);
    return -1;
}

/* Options of a case; null: none. */
static wz_loss_options options_of(const json_t *config)
{
    static const char *const types[] = {"grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", NULL};
    static const char *const estimators[] = {"k1", "k2", "k3", NULL};
    static const char *const levels[] = {"token", "sequence", NULL};
    return (wz_loss_options){.type = (wz_loss_type)choice_of(config, "loss_type", types),
                             .epsilon = number_of(config, "epsilon"),
                             .epsilon_high = number_of(config, "epsilon_high"),
                             .entropy_coef = number_of(config, "entropy_coef"),
                             .max_completion_length = (int64_t)number_of(config, "max_completion_length"),
                             .sequence_level = choice_of(config, "importance_sampling_level", levels) == 1,
                             .delta = number_of(config, "delta"),
                             .dual_clip = number_of(config, "dual_clip"),
                             .sapo_temperature_pos = number_of(config, "sapo_temperature_pos"),
                             .sapo_temperature_neg = number_of(config, "sapo_temperature_neg"),
                             .beta = number_of(config, "beta"),
                             .kl = (wz_kl_estimator)choice_of(config, "kl_estimator", estimators),
                             .bias_correction =
                                 json_is_true(json_object_get(config, "use_bias_correction_kl"))};
}

/* One optimiser batch, with only the tokens that count: others are no decisions. */
typedef struct batch {
    int64_t tokens, completions, micro_batches;
    int32_t completion[MAX_TOKENS];
    float logp[MAX_TOKENS], old_logp[MAX_TOKENS], ref_logp[MAX_TOKENS], entropy[MAX_TOKENS];
    double advantage[MAX_COMPLETIONS], dlogp[MAX_TOKENS], dentropy[MAX_TOKENS];
    int64_t first_completion[MAX_COMPLETIONS + 1], first_token[MAX_COMPLETIONS + 1]; /* of each micro-batch */
} batch;

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
            b->ref_logp[b->tokens] = (float)item(c, "ref_logp", token);
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
                                 .ref_logp = options->beta > 0.0 ? b->ref_logp + start : NULL,
                                 .entropy = b->entropy + start,
                                 .advantage = b->advantage + first};
    double loss = 0.0;
    for (int64_t i = 0; i < input.tokens; i++)
        completion[i] = b->completion[start + i] - (int32_t)first;
    wz_grpo_loss(options, &input, totals, sums + first, dlogp + start, dentropy + start);
    for (int64_t i = 0; i < input.completions; i++)
        loss += sums[first + i].policy - options->entropy_coef * sums[first + i].entropy +
                options->beta * sums[first + i].kl;
    return loss;
}

static wz_loss_totals totals_of(const batch *b, const json_t *config)
{
    const double quantile = number_of(config, "top_entropy_quantile");
    float entropy[MAX_TOKENS];
    memcpy(entropy, b->entropy, sizeof entropy);
    return (wz_loss_totals){b->completions, b->tokens, b->micro_batches,
                            quantile < 1.0 ? wz_loss_entropy_bound(entropy, (size_t)b->tokens, quantile)
                                           : 0.0};
}

static void check_metrics(const batch *b, const wz_loss_sums *sums, const json_t *c, const char *name)
{
    const json_t *metrics = json_object_get(c, "metrics");
    double low = 0.0, high = 0.0, entropy = 0.0, kl = 0.0;
    for (int64_t i = 0; i < b->completions; i++) {
        low += (double)sums[i].clipped_low;
        high += (double)sums[i].clipped_high;
        entropy += sums[i].raw_entropy;
        kl += sums[i].raw_kl;
    }
    if (b->tokens == 0)
        return;
    const double tokens = (double)b->tokens;
    if (!json_is_null(json_object_get(metrics, "clip_low"))) {
        assert_close(low / tokens, number_of(metrics, "clip_low"), 1e-9, name, "clip_low");
        assert_close(high / tokens, number_of(metrics, "clip_high"), 1e-9, name, "clip_high");
    }
    assert_close(entropy / tokens, number_of(metrics, "entropy"), 1e-9, name, "entropy");
    if (number_of(json_object_get(c, "config"), "beta") > 0.0)
        assert_close(kl / tokens, number_of(metrics, "kl"), 1e-9, name, "kl");
}

static void check_case(const json_t *c)
{
    batch b;
    wz_loss_sums sums[MAX_COMPLETIONS];
    float dlogp[MAX_TOKENS], dentropy[MAX_TOKENS];
    const char *name = json_string_value(json_object_get(c, "name"));
    read_batch(c, &b);
    const wz_loss_options options = options_of(json_object_get(c, "config"));
    const wz_loss_totals totals = totals_of(&b, json_object_get(c, "config"));
    double loss = 0.0;
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
    check_metrics(&b, sums, c, name);
}

START_TEST(grpo_loss_equals_pytorch)
{
    size_t i, types[LOSS_TYPES] = {0};
    json_t *c;
    json_array_foreach(json_object_get(fixture, "loss_cases"), i, c)
    {
        check_case(c);
        types[options_of(json_object_get(c, "config")).type]++;
    }
    ck_assert_uint_ge(i, 150);
    for (int t = 0; t < LOSS_TYPES; t++)
        ck_assert_uint_gt(types[t], 10);
}
END_TEST

/* Every variant but bnpo, whose definition is the cut: one micro-batch, and one for each completion. */
START_TEST(grpo_loss_is_the_same_bytes_for_every_cut)
{
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(json_object_get(fixture, "loss_cases"), i, c)
    {
        batch b;
        wz_loss_sums sums[2][MAX_COMPLETIONS];
        float dlogp[2][MAX_TOKENS], dentropy[2][MAX_TOKENS];
        const wz_loss_options options = options_of(json_object_get(c, "config"));
        const char *name = json_string_value(json_object_get(c, "name"));
        if (options.type == WZ_LOSS_BNPO)
            continue;
        read_batch(c, &b);
        const wz_loss_totals totals = totals_of(&b, json_object_get(c, "config"));
        int64_t token = 0;
        b.first_completion[1] = b.completions;
        b.first_token[1] = b.tokens;
        (void)run_micro_batch(&b, 0, &options, &totals, dlogp[0], dentropy[0], sums[0]);
        for (int64_t k = 0; k < b.completions; k++) {
            b.first_completion[k] = k;
            b.first_token[k] = token;
            while (token < b.tokens && b.completion[token] == k)
                token++;
            b.first_completion[k + 1] = k + 1;
            b.first_token[k + 1] = token;
            (void)run_micro_batch(&b, k, &options, &totals, dlogp[1], dentropy[1], sums[1]);
        }
        const size_t bytes = (size_t)b.tokens * sizeof(float);
        ASSERT_EACH(memcmp(dlogp[0], dlogp[1], bytes) == 0, "%s: dlogp", name);
        ASSERT_EACH(memcmp(dentropy[0], dentropy[1], bytes) == 0, "%s: dentropy", name);
        ASSERT_EACH(memcmp(sums[0], sums[1], (size_t)b.completions * sizeof **sums) == 0, "%s: sums", name);
        checked++;
    }
    ck_assert_uint_ge(checked, 100);
}
END_TEST

/* Against sorting by hand: of 0, 1, 2, 3, 4 the upper 40% begin at 0.6 * 4 = 2.4, the upper half at 2. */
START_TEST(entropy_bound_interpolates_between_tokens)
{
    float values[5] = {3, 0, 4, 1, 2}, one[1] = {0.5f};
    ck_assert_double_eq_tol(wz_loss_entropy_bound(values, 5, 0.4), 2.4, 1e-15);
    ck_assert_double_eq(wz_loss_entropy_bound(values, 5, 0.5), 2.0);
    ck_assert_double_eq(wz_loss_entropy_bound(values, 5, 1.0), 0.0);
    ck_assert_double_eq(wz_loss_entropy_bound(one, 1, 0.2), 0.5);
    ck_assert_double_eq(wz_loss_entropy_bound(values, 0, 0.2), 0.0);
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
    const wz_loss_options options = {
        .type = WZ_LOSS_DAPO, .epsilon = 0.2, .epsilon_high = 0.2, .entropy_coef = 0.1};
    const wz_loss_input all = {4, 2, completion, logp, old, NULL, entropy, advantage, left_out};
    const wz_loss_input first = {2, 1, completion, logp, old, NULL, entropy, advantage, NULL};
    wz_loss_sums sums[2], expected[1];
    float d[2][4], e[2][2];
    ck_assert_int_eq(wz_loss_count(&all), 2);
    const wz_loss_totals totals = {2, 2, 1, 0.0};
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

/* ---- entropy bonus ---- */

/* TRL's own controller over 40 updates. Its applied coefficient is a sum of six derivatives: 1e-15 of rounding. */
START_TEST(entropy_control_is_trls)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(fixture, "adaptive_cases"), i, c)
    {
        const wz_entropy_options options = {.first = number_of(c, "coef"),
                                            .target = number_of(c, "target"),
                                            .minimum = number_of(c, "minimum"),
                                            .maximum = number_of(c, "maximum"),
                                            .delta = number_of(c, "delta")};
        const size_t updates = json_array_size(json_object_get(c, "entropies"));
        wz_entropy_control control;
        size_t raised = 0;
        wz_entropy_control_start(&control, &options);
        for (size_t u = 0; u < updates; u++) {
            const double before = control.coef;
            ck_assert_double_eq_tol(wz_entropy_control_coef(&control, &options), item(c, "applied", u),
                                    1e-15);
            wz_entropy_control_observe(&control, &options, item(c, "entropies", u));
            ck_assert_double_eq(control.coef, item(c, "coefs", u));
            raised += control.coef > before;
        }
        ck_assert_uint_gt(raised, 1);
    }
    ck_assert_uint_eq(i, 2);
}
END_TEST

START_TEST(entropy_schedule_follows_the_curriculum)
{
    wz_entropy_options o = {
        .first = 0.1, .last = 0.02, .schedule = WZ_SCHEDULE_KIND_LINEAR, .stage_steps = 10};
    const wz_curriculum_options sizes[2] = {{.first = 3, .last = 5}, {.first = 2, .last = 4}};
    wz_curriculum at[2] = {{.size = 3, .steps = 5}, {.size = 4, .steps = 10}};
    ck_assert_double_eq_tol(wz_entropy_scheduled(&o, 50, 100, 1, at, sizes), 0.06,
                            1e-15); /* half of the run */
    o.span = WZ_ENTROPY_SPAN_STAGE;
    ck_assert_double_eq_tol(wz_entropy_scheduled(&o, 0, 100, 1, at, sizes), 0.06,
                            1e-15); /* half of the stage */
    ck_assert_double_eq_tol(wz_entropy_scheduled(&o, 0, 100, 2, at, sizes), 0.06,
                            1e-15); /* the second: 0.02 */
    at[0] = (wz_curriculum){.size = 4};
    ck_assert_double_eq(wz_entropy_scheduled(&o, 99, 100, 2, at, sizes), 0.1); /* begins anew */
    o.span = WZ_ENTROPY_SPAN_LAST_STAGE;
    at[0] = (wz_curriculum){.size = 4, .steps = 9};
    ck_assert_double_eq(wz_entropy_scheduled(&o, 99, 100, 1, at, sizes), 0.1);
    at[0] = (wz_curriculum){.size = 5, .steps = 5};
    ck_assert_double_eq_tol(wz_entropy_scheduled(&o, 99, 100, 2, at, sizes), 0.06, 1e-15);
    at[0].steps = 30;
    ck_assert_double_eq_tol(wz_entropy_scheduled(&o, 99, 100, 2, at, sizes), 0.02, 1e-15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss");
    TCase *tests = tcase_create("loss");
    tcase_add_checked_fixture(tests, load_fixture, drop_fixture);
    tcase_add_test(tests, grpo_loss_equals_pytorch);
    tcase_add_test(tests, grpo_loss_is_the_same_bytes_for_every_cut);
    tcase_add_test(tests, entropy_bound_interpolates_between_tokens);
    tcase_add_test(tests, grpo_loss_left_out_completion_has_no_share);
    tcase_add_test(tests, entropy_control_is_trls);
    tcase_add_test(tests, entropy_schedule_follows_the_curriculum);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
