/* A whole supervised step against PyTorch: loss, accuracy, gradient and its norm, for every cut into packs. */
#include <math.h>
#include <stdlib.h>

#include "engine/grpo/supervise_internal.h"
#include "tests/backend_case.h"
#include "tests/backend_main.h"
#include "tests/model_example.h"
#include "tests/suite.h"

/* Of the largest element, as in test_model.c: the same passes through the same kind of model. */
#define BOUND 1.2e-4

static wz_error err;

#define OK(call) ck_assert_msg((call) == WZ_OK, "%s: %s", #call, err.text)

static void list_pairs(const example *e, wz_pairs *pairs)
{
    pairs->items = calloc((size_t)e->groups, sizeof *pairs->items);
    ck_assert_ptr_nonnull(pairs->items);
    pairs->count = (size_t)e->groups;
    for (int32_t g = 0; g < e->groups; g++) {
        const int32_t p = e->prompt_offsets[g], c = e->completion_offsets[g];
        const int32_t prompt = e->prompt_offsets[g + 1] - p, completion = e->completion_offsets[g + 1] - c;
        pairs->items[g] = (wz_pair){pairs->tokens.length, prompt, completion};
        OK(wz_ids_append(&pairs->tokens, (const uint32_t *)e->prompt_ids + p, (size_t)prompt, &err));
        OK(wz_ids_append(&pairs->tokens, (const uint32_t *)e->completion_ids + c, (size_t)completion, &err));
    }
}

/* One step at learning rate 0, in packs of at most `rows` rows; 0: of all pairs. */
static void step(const fixture *f, wz_model *model, int64_t rows, wz_sft_report *report)
{
    wz_pairs pairs = {0};
    wz_policy policy = {.model = model};
    wz_trainer *trainer = NULL;
    list_pairs(&f->e, &pairs);
    const wz_trainer_options options = {
        .problems = 1,
        .generations = 2,
        .groups_per_pack = 1,
        .seed = 3,
        .max_grad_norm = 1.0,
        .loss = {.type = WZ_LOSS_DAPO},
        .top_entropy_quantile = 1.0,
        .adamw = {.beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f},
        .embedding_rate = 1.0,
        .head_rate = 1.0,
        .sft = {.steps = 1, .batch = f->e.groups, .learning_rate = 0.0, .pairs = &pairs}};
    OK(wz_trainer_create(&policy, &options, &trainer, &err));
    trainer->most_rows = rows;
    OK(wz_trainer_supervise(trainer, 0, report, &err));
    wz_trainer_destroy(trainer);
    wz_pairs_clear(&pairs);
}

START_TEST(supervised_step_is_what_pytorch_computes)
{
    static const int64_t rows[] = {0, 1, 20};
    fixture f;
    wz_sft_report report;
    double squares = 0.0;
    fixture_open(&f, "sft");
    wz_backend *be = test_backend(2);
    wz_model *model = model_create_with(&f.config, be);
    fixture_load_weights(&f, model);
    step(&f, model, rows[_i], &report);
    double *likeliest = fixture_read(&f, "", "likeliest", NULL);
    ck_assert_double_le(fabs(report.loss - f.loss), BOUND * f.loss);
    ck_assert_double_eq_tol(report.token_accuracy, *likeliest, 1e-12);
    ck_assert_double_gt(*likeliest, 0.2);
    float *gradients = gradients_of(model);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        double largest = 0.0;
        int64_t count = 0;
        double *expected = fixture_read(&f, "grads", param->name, &count);
        ck_assert_int_eq(count, param->count);
        for (int64_t k = 0; k < count; k++) {
            largest = fmax(largest, fabs(expected[k]));
            squares += expected[k] * expected[k];
        }
        for (int64_t k = 0; k < count; k++) /* sums over tokens, divided where the update reads them */
            ASSERT_EACH(fabs((double)gradients[param->offset + k] / (double)f.e.tokens - expected[k]) <=
                            BOUND * largest,
                        "%s[%lld] is %.9g, expected %.9g", param->name, (long long)k,
                        (double)gradients[param->offset + k] / (double)f.e.tokens, expected[k]);
        free(expected);
    }
    ck_assert_double_le(fabs(report.grad_norm - sqrt(squares)), BOUND * sqrt(squares));
    free(gradients);
    free(likeliest);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervised steps against PyTorch");
    TCase *tests = tcase_create("supervised steps against PyTorch");
    tcase_add_loop_test(tests, supervised_step_is_what_pytorch_computes, 0, 3);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
