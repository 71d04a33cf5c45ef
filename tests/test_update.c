/* The gradient of a pack: of the loss it says it is, and the same bytes whether the rollout's activations are reused. */
#include <math.h>

#include "engine/grpo/update.h"
#include "tests/policy_fixture.h"
#include "tests/suite.h"

#define GROUPS 3
#define GENERATIONS 4
#define ENTROPY 0.05
#define LESSON 0.05 /* weight of the lessons */

static const char *const models[] = {
    "",
    "model.model_type=qwen3 model.use_qk_norm=true model.num_key_value_heads=1",
    "model.model_type=qwen2 model.attention_bias=true model.num_attention_heads=4",
    "model.tie_word_embeddings=true",
    "thinking_budget=4",
    "verifier_tries=2 task.links=3",
};
enum { MODELS = sizeof models / sizeof models[0] };

/* Made-up advantages; one completion is left out. */
static const double advantage[GROUPS * GENERATIONS] = {1.0,  -0.5, -0.5, 0.0,  2.0,   -1.0,
                                                       -1.5, 0.5,  0.25, 0.25, -0.75, 0.25};
static const uint8_t left_out[GROUPS * GENERATIONS] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};

#define BETA 0.3
#define LONGEST 40
static const wz_loss_options plain_loss = {
    .type = WZ_LOSS_DAPO, .epsilon = 0.2, .epsilon_high = 0.2, .entropy_coef = ENTROPY};
/* Variants whose derivative is that of their value: not cispo, whose ratio is a constant to the derivative only. */
static const wz_loss_options variants[] = {
    {.type = WZ_LOSS_GRPO,
     .epsilon = 0.2,
     .epsilon_high = 0.2,
     .entropy_coef = ENTROPY,
     .sequence_level = true,
     .beta = BETA,
     .kl = WZ_KL_K3,
     .bias_correction = true},
    {.type = WZ_LOSS_SAPO,
     .entropy_coef = ENTROPY,
     .sapo_temperature_pos = 1.0,
     .sapo_temperature_neg = 1.05,
     .beta = BETA,
     .kl = WZ_KL_K2},
    {.type = WZ_LOSS_DAPO, .epsilon = 0.2, .epsilon_high = 0.2, .entropy_coef = ENTROPY, .beta = BETA},
    {.type = WZ_LOSS_DR_GRPO,
     .epsilon = 0.2,
     .epsilon_high = 0.2,
     .entropy_coef = ENTROPY,
     .max_completion_length = LONGEST}};
static const wz_loss_options *loss_options = &plain_loss;

/* Of a made-up reference. */
static float ref_logp[1024];

/* The share of the whole that a group of so many tokens has. */
static double group_share(double tokens, const wz_loss_totals *totals)
{
    switch (loss_options->type) {
    case WZ_LOSS_DAPO:
        return tokens / (double)totals->tokens;
    case WZ_LOSS_DR_GRPO:
        return tokens / (GROUPS * GENERATIONS * LONGEST);
    default:
        return 1.0 / GROUPS;
    }
}

/* A group's lessons weigh what its tokens do. */
static void check_lesson_weights(const wz_pack *pack, const wz_pack_scores *scores,
                                 const wz_loss_totals *totals)
{
    for (int64_t g = 0; g < GROUPS; g++) {
        double weight = 0.0, tokens = 0.0;
        for (int64_t i = 0; i < pack->lessons.count; i++)
            weight += pack->lessons.completion[i] / GENERATIONS == g ? (double)scores->lesson_weight[i] : 0.0;
        for (int64_t i = 0; i < pack->decisions.count; i++)
            tokens +=
                pack->decisions.completion[i] / GENERATIONS == g && !left_out[pack->decisions.completion[i]];
        /* fp32 weights: a rounding each */
        ck_assert_double_eq_tol(weight, LESSON * group_share(tokens, totals), LESSON * 1e-6);
    }
}

/* The loss, its gradient left in the model. */
static double gradients(const rolled *r, wz_apart *apart, wz_backward *backward, bool recompute, bool rescore)
{
    const wz_model *model = f.policy->model;
    wz_pack *pack = r->batch->packs[0];
    wz_loss_totals totals = {.completions = GROUPS * GENERATIONS, .micro_batches = 1};
    for (int64_t i = 0; i < pack->decisions.count; i++)
        totals.tokens += !left_out[pack->decisions.completion[i]];
    const wz_pack_update update = {.model = model,
                                   .apart = apart,
                                   .activations = r->activations,
                                   .backward = backward,
                                   .pack = pack,
                                   .recompute = recompute,
                                   .rescore = rescore,
                                   .temperature = 1.0f,
                                   .loss = loss_options,
                                   .ref_logp = ref_logp,
                                   .totals = &totals,
                                   .advantage = advantage,
                                   .left_out = left_out,
                                   .grammar_coef = LESSON};
    wz_pack_scores scores = {0};
    double loss = 0.0;
    f.backend->ops->fill_zero(f.backend, model->gradients, (size_t)model->floats * sizeof(float));
    wz_apart_zero(apart);
    OK(wz_pack_gradients(&update, &scores, &f.err));
    wz_apart_join(apart);
    check_lesson_weights(pack, &scores, &totals);
    for (int64_t c = 0; c < pack->completions; c++)
        loss +=
            scores.sums[c].policy - ENTROPY * scores.sums[c].entropy + loss_options->beta * scores.sums[c].kl;
    for (int64_t i = 0; i < pack->lessons.count; i++)
        loss -= (double)scores.lesson_weight[i] * (double)scores.lesson_logp[i];
    wz_pack_scores_clear(&scores);
    return loss;
}

typedef struct setting {
    rolled r;
    wz_apart apart;
    wz_backward *backward;
} setting;

static void prepare(setting *s, const char *overrides)
{
    char all[512]; /* smaller weights than the fixture's: less curvature */
    (void)snprintf(all, sizeof all, "model.initializer_range=0.1 model.embedding_range=0.2 %s", overrides);
    make_policy(all);
    s->r = roll(0, GROUPS, GENERATIONS, GROUPS, 2, plain);
    ck_assert_int_gt(s->r.batch->packs[0]->lessons.count, 0);
    const wz_decisions *d = &s->r.batch->packs[0]->decisions;
    ck_assert_int_le(d->count, 1024);
    for (int64_t i = 0; i < d->count; i++)
        ref_logp[i] = d->logp[i] + 0.25f * (float)(i % 5 - 2);
    OK(wz_apart_create(f.policy->model, true, &s->apart, &f.err));
    OK(wz_backward_create(f.policy->model, wz_batch_rows(s->r.batch), &s->backward, &f.err));
}

static void finish(setting *s)
{
    wz_apart_clear(&s->apart);
    wz_backward_destroy(s->backward);
    drop_rolled(&s->r);
    drop_policy();
}

START_TEST(pack_gradients_are_the_same_bytes_with_reused_activations)
{
    setting s;
    prepare(&s, models[_i]);
    const wz_model *model = f.policy->model;
    const size_t bytes = (size_t)model->floats * sizeof(float);
    float *reused = malloc(bytes);
    ck_assert_ptr_nonnull(reused);
    double loss = gradients(&s.r, &s.apart, s.backward, false, false);
    memcpy(reused, model->gradients, bytes);
    ck_assert_double_eq(loss, gradients(&s.r, &s.apart, s.backward, true, false));
    ck_assert_mem_eq(reused, model->gradients, bytes);
    ck_assert_double_eq(loss, gradients(&s.r, &s.apart, s.backward, true, true));
    ck_assert_mem_eq(reused, model->gradients, bytes);
    double norm = f.backend->ops->sum_squares(f.backend, model->gradients, model->floats);
    ck_assert_double_gt(norm, 0.0);
    free(reused);
    finish(&s);
}
END_TEST

/* Along a direction d: (L(w + e d) - L(w - e d)) / 2e = g d + O(e^2). Taking d = g / |g| gives |g|; the parts of d in
 * each tensor alone give the tensor's own norm, so that no tensor can hide behind a larger one. Rounding of the fp32
 * forward pass, about 1e-7 of a loss near 1 over 2e = 0.01 in the direction's length, allows 1e-5 + the curvature. */
START_TEST(pack_gradients_are_those_of_the_loss)
{
    setting s;
    prepare(&s, models[_i % MODELS]);
    loss_options = _i < MODELS ? &plain_loss : &variants[_i - MODELS];
    const wz_model *model = f.policy->model;
    const size_t bytes = (size_t)model->floats * sizeof(float);
    float *weights = malloc(bytes), *gradient = malloc(bytes);
    const double e = 5e-3;
    ck_assert(weights != NULL && gradient != NULL);
    (void)gradients(&s.r, &s.apart, s.backward, true, true);
    memcpy(weights, model->weights, bytes);
    memcpy(gradient, model->gradients, bytes);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        double loss[2], norm = 0.0;
        for (int64_t k = 0; k < param->count; k++)
            norm += (double)gradient[param->offset + k] * (double)gradient[param->offset + k];
        norm = sqrt(norm);
        if (norm < 1e-6) /* k biases: a shift of all scores of a query */
            continue;
        for (int side = 0; side < 2; side++) {
            for (int64_t k = 0; k < param->count; k++)
                model->weights[param->offset + k] =
                    weights[param->offset + k] +
                    (float)((side == 0 ? e : -e) * (double)gradient[param->offset + k] / norm);
            wz_model_weights_changed(model);
            loss[side] = gradients(&s.r, &s.apart, s.backward, true, true);
        }
        memcpy(model->weights, weights, bytes);
        wz_model_weights_changed(model);
        const double slope = (loss[0] - loss[1]) / (2.0 * e);
        ck_assert_msg(fabs(slope - norm) < 5e-5 + 0.01 * norm, "%s: slope %g, gradient %g", param->name,
                      slope, norm);
    }
    free(weights);
    free(gradient);
    finish(&s);
}
END_TEST

START_TEST(pack_exactness_sees_a_changed_bit)
{
    setting s;
    prepare(&s, "");
    wz_pack *pack = s.r.batch->packs[0];
    int64_t changed = 0;
    double largest = 0.0, sum = 0.0;
    OK(wz_pack_exactness(f.policy->model, s.r.activations, pack, 1.0f, &changed, &largest, &sum, &f.err));
    ck_assert_int_eq(changed, 0);
    ck_assert_double_eq(largest, 0.0);
    pack->decisions.logp[3] = nextafterf(pack->decisions.logp[3], 0.0f);
    OK(wz_pack_exactness(f.policy->model, s.r.activations, pack, 1.0f, &changed, &largest, &sum, &f.err));
    ck_assert_int_eq(changed, 1);
    ck_assert_double_gt(largest, 0.0);
    finish(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("update");
    TCase *tests = tcase_create("update");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, pack_gradients_are_the_same_bytes_with_reused_activations, 0, MODELS);
    tcase_add_loop_test(tests, pack_gradients_are_those_of_the_loss, 0, MODELS + 3);
    tcase_add_test(tests, pack_exactness_sees_a_changed_bit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
