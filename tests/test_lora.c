/* Low-rank adapters on a model: how they start, what they stand on, folding them in; and frozen weights stored as bf16. What
 * they compute is compared with peft in test_model.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/bfloat16.h"
#include "tests/backend_case.h"
#include "tests/backend_main.h"
#include "tests/model_example.h"

static const char *const fixtures[] = {"lora_qwen2", "lora_llama"};
#define FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))
#define PAIRS (FIXTURES * (int)PRECISIONS) /* of fixtures and working types */

/* A fixture's model, run on its example. */
typedef struct world {
    fixture f;
    wz_backend *be;
    wz_model *model;
} world;

/* number: of the fixture, then of the working type. */
static void open_world(world *w, int number)
{
    fixture_open(&w->f, fixtures[number % FIXTURES]);
    w->be = test_backend_of(precisions[number / FIXTURES], 2);
    w->model = model_create_with(&w->f.config, w->be);
    fixture_load_weights(&w->f, w->model);
}

static void close_world(world *w)
{
    wz_model_destroy(w->model);
    w->be->ops->destroy(w->be);
    fixture_close(&w->f);
}

/* Hidden vectors of the example's decisions; free with free(). */
static float *hidden_of(const world *w, const wz_model *model, int64_t *count)
{
    packed p;
    packed_create(&p, model, &w->f.e, 0, w->f.e.groups, WZ_KEEP_ALL);
    packed_forward(&p, false);
    *count = p.pack->decisions.count * model->config.hidden_size;
    float *hidden = backend_fetch(w->be, p.hidden, *count);
    packed_destroy(&p);
    return hidden;
}

/* The base alone, or with the adapters folded in, as a model of its own. */
static wz_model *plain_model(const world *w, bool merged)
{
    wz_model_config config = w->f.config;
    wz_model *plain = NULL;
    wz_error err = {{0}};
    config.lora.rank = 0;
    ck_assert_int_eq(wz_model_create(&config, w->be, false, &plain, &err), WZ_OK);
    for (size_t i = 0; i < plain->param_count; i++) {
        const wz_param *from = wz_model_find_param(w->model, plain->params[i].name);
        float *values = calloc((size_t)from->count, sizeof *values);
        ck_assert_ptr_nonnull(values);
        if (merged)
            ck_assert_int_eq(wz_model_get_merged(w->model, from, 0, from->shape[0], values, &err), WZ_OK);
        else
            wz_model_get_param(w->model, from, values);
        wz_model_set_param(plain, &plain->params[i], values);
        free(values);
    }
    wz_model_weights_changed(plain);
    return plain;
}

/* Unmerged and merged compute the same numbers in another order: each errs by 1.2e-4 of the largest at most (test_model.c
 * derives it), so they differ by twice that; measured 7.1e-6. Without adapters they differ by far more. */
START_TEST(merged_model_computes_what_the_adapters_do)
{
    world w;
    int64_t count = 0;
    double scale = 0.0, merged_error = 0.0, base_error = 0.0;
    open_world(&w, _i);
    wz_model *merged = plain_model(&w, true), *base = plain_model(&w, false);
    float *expected = hidden_of(&w, w.model, &count), *got = hidden_of(&w, merged, &count),
          *without = hidden_of(&w, base, &count);
    for (int64_t i = 0; i < count; i++) {
        scale = fmax(scale, fabs((double)expected[i]));
        merged_error = fmax(merged_error, fabs((double)got[i] - (double)expected[i]));
        base_error = fmax(base_error, fabs((double)without[i] - (double)expected[i]));
    }
    ck_assert_double_le(merged_error, 2.4e-4 * scale);
    ck_assert_double_gt(base_error, 0.1 * scale);
    free(expected);
    free(got);
    free(without);
    wz_model_destroy(merged);
    wz_model_destroy(base);
    close_world(&w);
}
END_TEST

/* By hand: W + (alpha / r) B A, in double, rounded once. */
START_TEST(get_merged_is_the_weight_with_the_product_added)
{
    world w;
    wz_error err;
    size_t adapted = 0;
    open_world(&w, _i);
    const wz_model *model = w.model;
    const size_t per_layer = wz_model_adapter_count(model) / (size_t)model->config.num_hidden_layers;
    for (size_t n = 0; n < wz_model_adapter_count(model); n++) {
        wz_adapter adapter;
        char name[80];
        wz_model_adapter(model, n, &adapter);
        ck_assert_int_eq(adapter.layer, (int64_t)(n / per_layer));
        (void)snprintf(name, sizeof name, "base_model.model.%.*s.lora_A.weight",
                       (int)(strlen(adapter.base->name) - strlen(".weight")), adapter.base->name);
        ck_assert_str_eq(adapter.a->name, name);
        ck_assert_ptr_nonnull(strstr(name, wz_lora_target_names[adapter.target]));
        const int64_t out = adapter.base->shape[0], in = adapter.base->shape[1], r = adapter.rank;
        int64_t a_count = 0, b_count = 0, w_count = 0;
        double *a = fixture_read(&w.f, "weights", adapter.a->name, &a_count),
               *b = fixture_read(&w.f, "weights", adapter.b->name, &b_count),
               *base = fixture_read(&w.f, "weights", adapter.base->name, &w_count);
        float *got = calloc((size_t)w_count, sizeof *got);
        ck_assert(a_count == r * in && b_count == out * r && w_count == out * in && got != NULL);
        /* in two goes */
        ck_assert_int_eq(wz_model_get_merged(model, adapter.base, 0, 3, got, &err), WZ_OK);
        ck_assert_int_eq(wz_model_get_merged(model, adapter.base, 3, out - 3, got + 3 * in, &err), WZ_OK);
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++) {
                double sum = 0.0;
                for (int64_t k = 0; k < r; k++)
                    sum += b[o * r + k] * a[k * in + i];
                const double expected = base[o * in + i] + adapter.alpha / (double)r * sum;
                ck_assert_float_eq(got[o * in + i], (float)expected);
                adapted += got[o * in + i] != (float)base[o * in + i];
            }
        free(a);
        free(b);
        free(base);
        free(got);
    }
    ck_assert_uint_gt(adapted, 100);
    close_world(&w);
}
END_TEST

START_TEST(without_adapters_is_the_base)
{
    world w;
    int64_t count = 0;
    open_world(&w, _i);
    const wz_model view = wz_model_without_adapters(w.model);
    wz_model *base = plain_model(&w, false);
    ck_assert_uint_eq(view.param_count, base->param_count);
    float *expected = hidden_of(&w, base, &count), *got = hidden_of(&w, &view, &count);
    ck_assert_mem_eq(expected, got, (size_t)count * sizeof(float));
    free(expected);
    free(got);
    wz_model_destroy(base);
    close_world(&w);
}
END_TEST

/* PEFT's: A uniform in +-1/sqrt(in), of variance 1/(3 in); B zero, so that nothing changes. The mean square of n uniform
 * numbers has a relative deviation of sqrt(4/5/n). */
START_TEST(init_adapters_starts_as_peft_does_and_changes_nothing)
{
    world w;
    int64_t count = 0;
    wz_error err;
    open_world(&w, _i);
    ck_assert_int_eq(wz_model_init_adapters(w.model, 7, &err), WZ_OK);
    for (size_t i = 0; i < w.model->adapter_params; i++) {
        const wz_param *param = &w.model->params[i];
        const double bound = 1.0 / sqrt((double)param->shape[1]);
        double squares = 0.0, largest = 0.0;
        float *values = calloc((size_t)param->count, sizeof *values);
        ck_assert_ptr_nonnull(values);
        wz_model_get_param(w.model, param, values);
        for (int64_t k = 0; k < param->count; k++) {
            squares += (double)values[k] * (double)values[k];
            largest = fmax(largest, fabs((double)values[k]));
        }
        if (i % 2 == 1) {
            ck_assert_double_eq(largest, 0.0);
        } else {
            const double n = (double)param->count, expected = n * bound * bound / 3.0;
            ck_assert_double_le(largest, bound);
            ck_assert_double_le(fabs(squares - expected), 6.0 * sqrt(0.8 / n) * expected);
        }
        free(values);
    }
    wz_model *base = plain_model(&w, false);
    float *expected = hidden_of(&w, base, &count), *got = hidden_of(&w, w.model, &count);
    for (int64_t k = 0; k < count; k++)
        ck_assert_float_eq(got[k], expected[k]);
    free(expected);
    free(got);
    wz_model_destroy(base);
    close_world(&w);
}
END_TEST

/* Decisions and gradients of a fixture's model with its base rounded to bf16, stored as this type. */
static float *run_stored(int number, int frozen_dtype, float *logp, int64_t *gradients)
{
    world w;
    packed p;
    fixture_open(&w.f, fixtures[number % FIXTURES]);
    w.be = test_backend_of(precisions[number / FIXTURES], 2);
    w.f.config.frozen_dtype = frozen_dtype;
    w.model = model_create_with(&w.f.config, w.be);
    fixture_load_weights(&w.f, w.model);
    ck_assert_int_eq(w.model->halves != NULL, frozen_dtype == WZ_BF16);
    for (size_t i = w.model->adapter_params; i < w.model->param_count; i++) {
        const wz_param *param = &w.model->params[i];
        float *values = calloc((size_t)param->count, sizeof *values);
        ck_assert_ptr_nonnull(values);
        wz_model_get_param(w.model, param, values);
        for (int64_t k = 0; param->rank == 2 && k < param->count; k++)
            values[k] = wz_bfloat16_to_float(wz_bfloat16_from_float(values[k]));
        wz_model_set_param(w.model, param, values);
        free(values);
    }
    wz_model_weights_changed(w.model);
    packed_create(&p, w.model, &w.f.e, 0, w.f.e.groups, WZ_KEEP_ALL);
    packed_forward(&p, true);
    packed_backward(&p, NULL);
    memcpy(logp, p.logp, (size_t)p.pack->decisions.count * sizeof(float));
    float *out = gradients_of(w.model);
    *gradients = w.model->trained;
    packed_destroy(&p);
    close_world(&w);
    return out;
}

START_TEST(frozen_bf16_gives_the_bits_of_rounded_fp32)
{
    float logp[2][64] = {{0}};
    int64_t count[2] = {0};
    float *wide = run_stored(_i, WZ_F32, logp[0], &count[0]),
          *half = run_stored(_i, WZ_BF16, logp[1], &count[1]);
    ck_assert_int_eq(count[0], count[1]);
    ck_assert_mem_eq(logp[0], logp[1], sizeof logp[0]);
    ck_assert_mem_eq(wide, half, (size_t)count[0] * sizeof(float));
    ck_assert(logp[0][0] < 0.0f && wide[0] != 0.0f);
    free(wide);
    free(half);
}
END_TEST

#ifdef WZ_TEST_CUDA
/* B as small as beside weights that are trained, so that the model's gain is that of the models without adapters in
 * test_model.c. */
static void shrink_adapters(const wz_model *model)
{
    for (size_t i = 1; i < model->adapter_params; i += 2) {
        const wz_param *param = &model->params[i];
        float *values = calloc((size_t)param->count, sizeof *values);
        ck_assert_ptr_nonnull(values);
        wz_model_get_param(model, param, values);
        for (int64_t k = 0; k < param->count; k++)
            values[k] *= 0x1p-4f;
        wz_model_set_param(model, param, values);
        free(values);
    }
    wz_model_weights_changed(model);
}

/* A layer rounds 12 numbers on its way and, for each of four products, an A, a B, what stands between them and what they
 * add; two layers forward and back do so 112 times. With that for 48, the bound of test_model.c for bf16. Measured: 0.12 at
 * worst. */
static void check_near(const char *what, const float *got, const float *expected, int64_t count)
{
    const double bound = 10.0 * sqrt(112.0) * 0x1p-8 / sqrt(6.0);
    double error = 0.0, size = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double exact = (double)expected[i], off = (double)got[i] - exact;
        error += off * off;
        size += exact * exact;
    }
    ck_assert_msg(sqrt(error) <= bound * sqrt(size) && size > 0.0, "%s errs by %.3g of its size", what,
                  sqrt(error / size));
}

/* What test_model.c compares with peft in fp32. */
START_TEST(adapters_in_bf16_are_near_those_in_fp32)
{
    world w[2];
    packed p[2];
    float *gradients[2];
    for (int k = 0; k < 2; k++) {
        open_world(&w[k], _i + k * FIXTURES);
        shrink_adapters(w[k].model);
        packed_create(&p[k], w[k].model, &w[k].f.e, 0, w[k].f.e.groups, WZ_KEEP_ALL);
        packed_forward(&p[k], false);
        packed_backward(&p[k], NULL);
        gradients[k] = gradients_of(w[k].model);
    }
    check_near("logp", p[1].logp, p[0].logp, p[0].pack->decisions.count);
    for (size_t i = 0; i < w[0].model->adapter_params; i++) {
        const wz_param *param = &w[0].model->params[i];
        check_near(param->name, gradients[1] + param->offset, gradients[0] + param->offset, param->count);
    }
    for (int k = 0; k < 2; k++) {
        free(gradients[k]);
        packed_destroy(&p[k]);
        close_world(&w[k]);
    }
}
END_TEST
#endif

/* Gradients and moments exist of adapters alone: bytes by hand. */
START_TEST(model_bytes_counts_gradients_of_adapters_only)
{
    world w;
    open_world(&w, 1); /* llama: 7 adapters of rank 3 a layer */
    const wz_model_config *c = &w.f.config;
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim,
                  h = c->hidden_size, f = c->intermediate_size;
    const int64_t layer = 3 * ((q + h) + 2 * (kv + h) + (h + q) + 2 * (f + h) + (h + f));
    ck_assert_int_eq(wz_model_trained_count(w.model), 2 * layer);
    ck_assert_double_eq(wz_model_config_adapter_parameters(c), 2.0 * (double)layer);
    ck_assert_int_lt(w.model->trained, 2 * layer + 16 * 28 + 16); /* padding of 28 views */
    ck_assert_uint_eq(wz_model_bytes(w.model) - wz_model_prepared_bytes(w.model),
                      sizeof(float) * (size_t)(w.model->floats + 3 * w.model->trained +
                                               c->max_position_embeddings * c->head_dim));
    close_world(&w);
}
END_TEST

#ifdef WZ_TEST_CUDA
/* Frozen matrices that are stored in the working type are there once: two bytes each, and no copy. Of the adapters there is
 * one, of biases one; each begins on 256 bytes. */
START_TEST(model_bytes_of_bf16_stored_and_computed_hold_matrices_once)
{
    world w;
    int64_t matrices = 0, vectors = 0, adapters = 0, biases = 0;
    fixture_open(&w.f, fixtures[_i]);
    w.f.config.frozen_dtype = WZ_BF16;
    w.be = test_backend_of(WZ_BF16, 1);
    w.model = model_create_with(&w.f.config, w.be);
    const wz_model_config *c = &w.f.config;
    for (size_t i = 0; i < w.model->param_count; i++) {
        const wz_param *param = &w.model->params[i];
        *(i < w.model->adapter_params ? &adapters : param->rank == 2 ? &matrices : &vectors) += param->count;
        biases += strstr(param->name, ".bias") != NULL ? param->count : 0;
    }
    const size_t views = w.model->param_count + (size_t)(4 * c->num_hidden_layers),
                 least = 2 * (size_t)matrices + 4 * (size_t)(vectors + 4 * adapters) +
                         2 * (size_t)(adapters + biases) +
                         4 * (size_t)(c->max_position_embeddings * c->head_dim);
    ck_assert_uint_ge(wz_model_bytes(w.model), least);
    ck_assert_uint_lt(wz_model_bytes(w.model), least + views * (256 + 4 * 64));
    ck_assert_uint_eq(w.model->prepared_head_bytes, 0);
    close_world(&w);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("lora");
    TCase *tests = tcase_create("adapters");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, merged_model_computes_what_the_adapters_do, 0, FIXTURES);
    tcase_add_loop_test(tests, get_merged_is_the_weight_with_the_product_added, 0, FIXTURES);
    tcase_add_loop_test(tests, without_adapters_is_the_base, 0, PAIRS);
    tcase_add_loop_test(tests, init_adapters_starts_as_peft_does_and_changes_nothing, 0, FIXTURES);
    tcase_add_loop_test(tests, frozen_bf16_gives_the_bits_of_rounded_fp32, 0, PAIRS);
    tcase_add_test(tests, model_bytes_counts_gradients_of_adapters_only);
#ifdef WZ_TEST_CUDA
    tcase_add_loop_test(tests, adapters_in_bf16_are_near_those_in_fp32, 0, FIXTURES);
    tcase_add_loop_test(tests, model_bytes_of_bf16_stored_and_computed_hold_matrices_once, 0, FIXTURES);
#endif
    suite_add_tcase(suite, tests);
    return backend_main(suite);
}
