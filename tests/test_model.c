/* The model against PyTorch in float64, against a naive decoder in double, and against itself bit for bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"
#include "tests/model_example.h"

/* Bounds, relative to the largest element of what is compared. A result passes about 20 ops; each adds at most n u
 * (n <= 100 terms, u = 6e-8) of its largest element where every rounding falls the same way, about sqrt(n) u in fact,
 * and the norms and gains of the fixtures multiply what came before by less than 10: 20 * 10 * sqrt(100) u = 1.2e-4.
 * Measured: 4.5e-6 at worst. A formula that is wrong anywhere misses by far more. */
#define BOUND 1.2e-4

/* In bf16 a single element may err by several roundings; all of a tensor together err little. Rounding a number of [1, 2) errs
 * by up to 2^-8 either way, on average over errors and numbers by 2^-8 / sqrt(6) of it (root of the mean square). A layer
 * rounds a result about 12 times on its way (weights, norms, qkv, q and k rotated, attention's result, gate_up, swiglu), two
 * layers forward and back 48 times, independently; the same gain of 10: |error|_2 <= 10 sqrt(48) 2^-8 / sqrt(6) |exact|_2.
 * Measured: 0.042 at worst. */
#define BF16_BOUND 0.11

/* The last ones have low-rank adapters (tests/tools/make_lora_fixtures.py): two more products an op, which the bound's 20
 * ops leave room for. These adapters are larger than what they stand beside, and their gain more than 10: in bf16 smaller
 * ones are compared (test_lora.c). */
static const char *const fixtures[] = {"qwen2", "qwen3", "llama", "lora_qwen2", "lora_llama"};
#define FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))
enum { PLAIN_FIXTURES = 3 };

/* What is tested: fixture and working type number _i of all pairs. */
#define PAIRS (FIXTURES * (int)PRECISIONS)
#if defined(WZ_TEST_EMULATED) && defined(__SANITIZE_ADDRESS__) /* bits are compared in a plain build */
#define BITS_PAIRS FIXTURES
#else
#define BITS_PAIRS PAIRS
#endif
static wz_dtype working_type(int pair)
{
    return precisions[pair / FIXTURES];
}

/* |got - expected|_2 <= BF16_BOUND |expected|_2 */
static void check_near(const char *what, const double *got, const double *expected, int64_t count)
{
    double error = 0.0, size = 0.0;
    for (int64_t i = 0; i < count; i++) {
        error += (got[i] - expected[i]) * (got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    ck_assert_msg(sqrt(error) <= BF16_BOUND * sqrt(size), "%s errs by %.3g of its size", what,
                  sqrt(error / size));
}

/* |got - expected| <= BOUND * scale, scale = largest |expected| */
static void check_close(const char *what, const double *got, const double *expected, int64_t count)
{
    double scale = 0.0;
    for (int64_t i = 0; i < count; i++)
        scale = fabs(expected[i]) > scale ? fabs(expected[i]) : scale;
    for (int64_t i = 0; i < count; i++)
        ASSERT_EACH(fabs(got[i] - expected[i]) <= BOUND * scale,
                    "%s[%lld] is %.9g, expected %.9g (largest %.3g)", what, (long long)i, got[i], expected[i],
                    scale);
}

static double *as_doubles(const float *values, int64_t count)
{
    double *out = malloc((size_t)(count + 1) * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (int64_t i = 0; i < count; i++)
        out[i] = (double)values[i];
    return out;
}

typedef void (*check)(const char *what, const double *got, const double *expected, int64_t count);

static check check_for(const packed *p)
{
    return p->model->backend->working_type == WZ_F32 ? check_close : check_near;
}

static void check_scores(const fixture *f, const packed *p)
{
    double loss = 0.0, size = 0.0;
    double *logp = calloc((size_t)f->e.tokens, sizeof *logp),
           *entropy = calloc((size_t)f->e.tokens, sizeof *entropy);
    ck_assert(logp != NULL && entropy != NULL);
    for (int64_t i = 0; i < p->pack->decisions.count; i++) {
        const int32_t t = p->token[i];
        logp[t] = (double)p->logp[i];
        entropy[t] = (double)p->entropy[i];
        loss += f->e.w[t] * logp[t] + f->e.v[t] * entropy[t];
        size += fabs(f->e.w[t] * logp[t]) + fabs(f->e.v[t] * entropy[t]);
    }
    check_for(p)("logp", logp, f->logp, f->e.tokens);
    check_for(p)("entropy", entropy, f->entropy, f->e.tokens);
    ck_assert_double_le(fabs(loss - f->loss), (check_for(p) == check_close ? BOUND : BF16_BOUND) * size);
    free(logp);
    free(entropy);
}

/* The head as a linear layer gives the logits themselves. */
static void check_logits(const fixture *f, const packed *p)
{
    const int64_t vocab = f->config.vocab_size, n = p->pack->decisions.count;
    const wz_linear head = wz_model_head(p->model);
    wz_backend *be = p->model->backend;
    void *logits = NULL;
    wz_error err;
    ck_assert_int_eq(be->ops->alloc(be, (size_t)(n * vocab) * sizeof(float), "logits", &logits, &err), WZ_OK);
    be->ops->linear_forward(be, wz_matrix(logits, n, vocab), wz_matrix(p->hidden, n, f->config.hidden_size),
                            &head, (wz_tensor){0});
    float *host = backend_fetch(be, logits, n * vocab);
    for (int64_t i = 0; i < n; i++) {
        double *row = as_doubles(host + i * vocab, vocab);
        check_for(p)("logits", row, f->logits + p->token[i] * vocab, vocab);
        free(row);
    }
    free(host);
    be->ops->release(be, logits);
}

/* The model's weights, in double. */
static double *weights_of(const wz_model *model)
{
    float *host = backend_fetch(model->backend, model->weights, model->floats);
    double *out = as_doubles(host, model->floats);
    free(host);
    return out;
}

START_TEST(model_fixture_matches_pytorch_in_every_gradient)
{
    fixture f;
    packed p;
    const wz_dtype type = working_type(_i);
    if (type == WZ_BF16 && _i % FIXTURES >= PLAIN_FIXTURES)
        return;
    fixture_open(&f, fixtures[_i % FIXTURES]);
    wz_backend *be = test_backend_of(type, 2);
    wz_model *model = model_create_with(&f.config, be);
    fixture_load_weights(&f, model);
    packed_create(&p, model, &f.e, 0, f.e.groups, WZ_KEEP_ALL);
    ck_assert_int_eq(p.pack->decisions.count, f.e.tokens);
    packed_forward(&p, false);
    check_logits(&f, &p);
    check_scores(&f, &p);
    packed_backward(&p, NULL);
    float *gradients = gradients_of(model);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        int64_t count = 0;
        if (param->is_frozen)
            continue;
        double *expected = fixture_read(&f, "grads", param->name, &count);
        double *got = as_doubles(gradients + param->offset, param->count);
        ck_assert_int_eq(count, param->count);
        check_for (&p)(param->name, got, expected, count);
        free(expected);
        free(got);
    }
    free(gradients);
    packed_destroy(&p);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

#ifndef WZ_TEST_CUDA
/* The naive decoder is itself right: PyTorch's float64 logits, to the accuracy of double. */
START_TEST(reference_decoder_matches_pytorch)
{
    fixture f;
    fixture_open(&f, fixtures[_i]);
    wz_backend *be = test_backend(1);
    wz_model *model = model_create_with(&f.config, be);
    fixture_load_weights(&f, model);
    double *weights = weights_of(model);
    double *logits = calloc((size_t)(f.e.tokens * f.config.vocab_size), sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    const double loss = reference_loss(model, weights, &f.e, logits, NULL, NULL);
    ck_assert_double_le(fabs(loss - f.loss), 1e-10 * (1.0 + fabs(f.loss)));
    for (int64_t i = 0; i < f.e.tokens * f.config.vocab_size; i++)
        ASSERT_EACH(fabs(logits[i] - f.logits[i]) <= 1e-10, "logit %lld is %.17g, expected %.17g",
                    (long long)i, logits[i], f.logits[i]);
    free(logits);
    free(weights);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST
#endif

/* Random weights of a size that makes every nonlinearity matter; norms off 1, biases off 0. */
static void randomise(wz_model *model)
{
    float *flat = calloc((size_t)model->floats, sizeof *flat);
    ck_assert_ptr_nonnull(flat);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        for (int64_t j = 0; j < param->count; j++) {
            uint32_t words[4];
            double pair[2];
            wz_draw_init_words(5, WZ_PURPOSE_TOOL, (uint32_t)i, (uint64_t)j, words);
            wz_normal_pair(words, pair);
            const bool norm = strstr(param->name, "norm.weight") != NULL;
            flat[param->offset + j] = (float)(norm ? 1.0 + 0.3 * pair[0] : 0.5 * pair[0]);
        }
    }
    model->backend->ops->upload(model->backend, model->weights, flat, (size_t)model->floats * sizeof(float));
    wz_model_weights_changed(model);
    free(flat);
}

/* Central differences in double, step 1e-5: wrong by 1e-9 or so. */
START_TEST(model_gradient_matches_central_differences)
{
    const wz_model_config config = model_tiny_config(_i);
    example e;
    packed p;
    example_make(&e, (int32_t)config.vocab_size, _i == WZ_MODEL_LLAMA ? 0.7 : 1.0);
    wz_backend *be = test_backend(2);
    wz_model *model = model_create_with(&config, be);
    randomise(model);
    packed_create(&p, model, &e, 0, e.groups, WZ_KEEP_ALL);
    packed_forward(&p, false);
    packed_backward(&p, NULL);
    float *gradients = gradients_of(model);
    double *weights = weights_of(model);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        double *expected = calloc((size_t)param->count, sizeof *expected);
        double *got = as_doubles(gradients + param->offset, param->count);
        ck_assert_ptr_nonnull(expected);
        for (int64_t j = 0; j < param->count; j++) {
            double *at = &weights[param->offset + j];
            const double before = *at;
            *at = before + 1e-5;
            const double plus = reference_loss(model, weights, &e, NULL, NULL, NULL);
            *at = before - 1e-5;
            const double minus = reference_loss(model, weights, &e, NULL, NULL, NULL);
            *at = before;
            expected[j] = (plus - minus) / 2e-5;
        }
        check_close(param->name, got, expected, param->count);
        free(expected);
        free(got);
    }
    free(weights);
    free(gradients);
    packed_destroy(&p);
    wz_model_destroy(model);
    be->ops->destroy(be);
    example_clear(&e);
}
END_TEST

/* ---- bit for bit ---- */

static void check_same_floats(wz_backend *be, const float *one, const float *two, int64_t count)
{
    float *a = backend_fetch(be, one, count), *b = backend_fetch(be, two, count);
    ck_assert_int_eq(memcmp(a, b, (size_t)count * sizeof(float)), 0);
    free(a);
    free(b);
}

static void check_same_decisions(const packed *one, const packed *two)
{
    const int64_t n = one->pack->decisions.count, width = one->model->config.hidden_size;
    ck_assert_int_eq(memcmp(one->logp, two->logp, (size_t)n * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(one->entropy, two->entropy, (size_t)n * sizeof(float)), 0);
    check_same_floats(one->model->backend, one->hidden, two->hidden, n * width);
}

START_TEST(model_forward_step_by_step_gives_the_same_bits)
{
    fixture f;
    packed whole, steps, lean;
    fixture_open(&f, fixtures[_i % FIXTURES]);
    wz_backend *be = test_backend_of(working_type(_i), 2);
    wz_model *model = model_create_with(&f.config, be);
    fixture_load_weights(&f, model);
    packed_create(&whole, model, &f.e, 0, f.e.groups, WZ_KEEP_ALL);
    packed_create(&steps, model, &f.e, 0, f.e.groups, WZ_KEEP_ALL);
    packed_create(&lean, model, &f.e, 0, f.e.groups, WZ_KEEP_CACHE);
    packed_forward(&whole, false);
    packed_forward(&steps, true);
    packed_forward(&lean, true);
    check_same_decisions(&whole, &steps);
    check_same_decisions(&whole, &lean);
    /* every activation, so that a rollout's can serve the backward pass */
    ck_assert_uint_eq(whole.activations->bytes, steps.activations->bytes);
    check_same_floats(be, whole.activations->block, steps.activations->block,
                      (int64_t)(whole.activations->bytes / sizeof(float)));
    ck_assert_uint_lt(lean.activations->bytes, whole.activations->bytes);
    packed_destroy(&whole);
    packed_destroy(&steps);
    packed_destroy(&lean);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

static float *fixture_gradients(const fixture *f, wz_dtype type, size_t threads, bool each_group_alone,
                                wz_keep keep)
{
    packed p;
    wz_apart apart;
    wz_error err = {{0}};
    wz_backend *be = test_backend_of(type, threads);
    wz_model *model = model_create_with(&f->config, be);
    fixture_load_weights(f, model);
    ck_assert_msg(wz_apart_create(model, true, &apart, &err) == WZ_OK, "%s", err.text);
    wz_apart_zero(&apart);
    for (int32_t g = 0; g < f->e.groups; g = each_group_alone ? g + 1 : f->e.groups) {
        packed_create(&p, model, &f->e, g, each_group_alone ? g + 1 : f->e.groups, keep);
        packed_forward(&p, keep == WZ_KEEP_INPUTS);
        packed_backward(&p, &apart);
        packed_destroy(&p);
    }
    wz_apart_join(&apart);
    wz_apart_clear(&apart);
    float *gradients = gradients_of(model);
    wz_model_destroy(model);
    be->ops->destroy(be);
    return gradients;
}

#ifdef WZ_TEST_CUDA /* where one product sums the rows of all groups */
enum { MOST_THREADS = 1, CUTS = 1 };
#else
enum { MOST_THREADS = 4, CUTS = 2 };
#endif

/* Whatever is kept of a layer, the gradients have the same bits; what is kept is less. */
START_TEST(model_gradients_any_threads_cut_or_keeping_give_the_same_bits)
{
    fixture f;
    const wz_dtype type = working_type(_i);
    fixture_open(&f, fixtures[_i % FIXTURES]);
    wz_backend *be = test_backend_of(type, 1);
    wz_model *model = model_create_with(&f.config, be);
    ck_assert_uint_lt(wz_activations_bytes(model, 100, WZ_KEEP_INPUTS),
                      wz_activations_bytes(model, 100, WZ_KEEP_ALL));
    float *expected = fixture_gradients(&f, type, 1, false, WZ_KEEP_ALL);
    for (size_t threads = 1; threads <= MOST_THREADS; threads++)
        for (int way = 0; way < 2 * CUTS; way++) {
            const bool cut = way % CUTS != 0, again = way >= CUTS;
            float *got = fixture_gradients(&f, type, threads, cut, again ? WZ_KEEP_INPUTS : WZ_KEEP_ALL);
            for (size_t i = 0; i < model->param_count; i++) {
                const wz_param *param = &model->params[i];
                ck_assert_msg(param->is_frozen || memcmp(got + param->offset, expected + param->offset,
                                                         (size_t)param->count * sizeof(float)) == 0,
                              "gradient of %s differs on %zu threads%s%s", param->name, threads,
                              cut ? ", a group at a time" : "", again ? ", layers computed again" : "");
            }
            free(got);
        }
    free(expected);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

static Suite *model_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *exact = tcase_create("exact"), *bits = tcase_create("bits");
    tcase_set_timeout(exact, 300);
    tcase_set_timeout(bits, 120);
    tcase_add_loop_test(exact, model_fixture_matches_pytorch_in_every_gradient, 0, PAIRS);
#ifndef WZ_TEST_CUDA
    tcase_add_loop_test(exact, reference_decoder_matches_pytorch, 0, PLAIN_FIXTURES);
#endif
    tcase_add_loop_test(exact, model_gradient_matches_central_differences, WZ_MODEL_LLAMA,
                        WZ_MODEL_QWEN3 + 1);
    tcase_add_loop_test(bits, model_forward_step_by_step_gives_the_same_bits, 0, BITS_PAIRS);
    tcase_add_loop_test(bits, model_gradients_any_threads_cut_or_keeping_give_the_same_bits, 0, BITS_PAIRS);
    suite_add_tcase(suite, exact);
    suite_add_tcase(suite, bits);
    return suite;
}

int main(void)
{
    return backend_main(model_suite());
}
