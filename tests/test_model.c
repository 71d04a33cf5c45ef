/* The model against PyTorch in float64, against a naive decoder in double, and against itself bit for bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_main.h"
#include "tests/model_example.h"

/* Bounds, relative to the largest element of what is compared. A result passes about 20 ops; each adds at most n u
 * (n <= 100 terms, u = 6e-8) of its largest element where every rounding falls the same way, about sqrt(n) u in fact,
 * and the norms and gains of the fixtures multiply what came before by less than 10: 20 * 10 * sqrt(100) u = 1.2e-4.
 * A formula that is wrong anywhere misses by far more. */
#define BOUND 1.2e-4

static const char *const fixtures[] = {"qwen2", "qwen3", "llama"};
#define FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))

static wz_model *model_with(const wz_model_config *config, wz_backend *be)
{
    wz_model *model = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_model_create(config, be, true, &model, &err) == WZ_OK, "%s", err.text);
    return model;
}

/* |got - expected| <= BOUND * scale, scale = largest |expected| */
static void check_close(const char *what, const double *got, const double *expected, int64_t count)
{
    double scale = 0.0;
    for (int64_t i = 0; i < count; i++)
        scale = fabs(expected[i]) > scale ? fabs(expected[i]) : scale;
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - expected[i]) <= BOUND * scale,
                      "%s[%lld] is %.9g, expected %.9g (largest %.3g)", what, (long long)i, got[i],
                      expected[i], scale);
}

static double *as_doubles(const float *values, int64_t count)
{
    double *out = malloc((size_t)(count + 1) * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (int64_t i = 0; i < count; i++)
        out[i] = (double)values[i];
    return out;
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
    check_close("logp", logp, f->logp, f->e.tokens);
    check_close("entropy", entropy, f->entropy, f->e.tokens);
    ck_assert_double_le(fabs(loss - f->loss), BOUND * size);
    free(logp);
    free(entropy);
}

/* The head as a linear layer gives the logits themselves. */
static void check_logits(const fixture *f, const packed *p)
{
    const int64_t vocab = f->config.vocab_size, n = p->pack->decisions.count;
    const wz_linear head = {.weight = wz_model_head(p->model)};
    wz_backend *be = p->model->backend;
    void *logits = NULL;
    wz_error err;
    ck_assert_int_eq(be->ops->alloc(be, (size_t)(n * vocab) * sizeof(float), "logits", &logits, &err), WZ_OK);
    be->ops->linear_forward(be, wz_matrix(logits, n, vocab), wz_matrix(p->hidden, n, f->config.hidden_size),
                            &head, (wz_tensor){0});
    for (int64_t i = 0; i < n; i++) {
        double *row = as_doubles((float *)logits + i * vocab, vocab);
        check_close("logits", row, f->logits + p->token[i] * vocab, vocab);
        free(row);
    }
    be->ops->release(be, logits);
}

START_TEST(model_fixture_matches_pytorch_in_every_gradient)
{
    fixture f;
    packed p;
    fixture_open(&f, fixtures[_i]);
    wz_backend *be = cpu_backend_with(2);
    wz_model *model = model_with(&f.config, be);
    fixture_load_weights(&f, model);
    packed_create(&p, model, &f.e, 0, f.e.groups, true);
    ck_assert_int_eq(p.pack->decisions.count, f.e.tokens);
    packed_forward(&p, false);
    check_logits(&f, &p);
    check_scores(&f, &p);
    packed_backward(&p);
    float *gradients = gradients_of(model);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        int64_t count = 0;
        double *expected = fixture_read(&f, "grads", param->name, &count);
        double *got = as_doubles(gradients + param->offset, param->count);
        ck_assert_int_eq(count, param->count);
        check_close(param->name, got, expected, count);
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

/* The naive decoder is itself right: PyTorch's float64 logits, to the accuracy of double. */
START_TEST(reference_decoder_matches_pytorch)
{
    fixture f;
    fixture_open(&f, fixtures[_i]);
    wz_backend *be = cpu_backend_with(1);
    wz_model *model = model_with(&f.config, be);
    fixture_load_weights(&f, model);
    double *weights = as_doubles(model->weights, model->floats);
    double *logits = calloc((size_t)(f.e.tokens * f.config.vocab_size), sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    const double loss = reference_loss(model, weights, &f.e, logits, NULL, NULL);
    ck_assert_double_le(fabs(loss - f.loss), 1e-10 * (1.0 + fabs(f.loss)));
    for (int64_t i = 0; i < f.e.tokens * f.config.vocab_size; i++)
        ck_assert_double_le(fabs(logits[i] - f.logits[i]), 1e-10);
    free(logits);
    free(weights);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

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
    free(flat);
}

static wz_model_config tiny(int type)
{
    return (wz_model_config){.model_type = type,
                             .vocab_size = 11,
                             .hidden_size = 6,
                             .intermediate_size = 9,
                             .num_hidden_layers = 2,
                             .num_attention_heads = 4,
                             .num_key_value_heads = 2,
                             .head_dim = 6,
                             .rms_norm_eps = 1e-5,
                             .rope_theta = 100.0,
                             .rope_scaling_factor = type == WZ_MODEL_LLAMA ? 8.0 : 0.0,
                             .rope_low_freq_factor = 1.0,
                             .rope_high_freq_factor = 4.0,
                             .rope_original_max_position_embeddings = 32,
                             .max_position_embeddings = 16,
                             .attention_bias = type == WZ_MODEL_QWEN2,
                             .use_qk_norm = type == WZ_MODEL_QWEN3,
                             .tie_word_embeddings = type == WZ_MODEL_QWEN2,
                             .initializer_range = 0.02,
                             .embedding_range = 0.1,
                             .smooth_number_embeddings = true};
}

/* Central differences in double, step 1e-5: wrong by 1e-9 or so. */
START_TEST(model_gradient_matches_central_differences)
{
    const wz_model_config config = tiny(_i);
    example e;
    packed p;
    example_make(&e, (int32_t)config.vocab_size, _i == WZ_MODEL_LLAMA ? 0.7 : 1.0);
    wz_backend *be = cpu_backend_with(2);
    wz_model *model = model_with(&config, be);
    randomise(model);
    packed_create(&p, model, &e, 0, e.groups, true);
    packed_forward(&p, false);
    packed_backward(&p);
    float *gradients = gradients_of(model);
    double *weights = as_doubles(model->weights, model->floats);
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

static void check_same_decisions(const packed *one, const packed *two)
{
    const int64_t n = one->pack->decisions.count, width = one->model->config.hidden_size;
    ck_assert_int_eq(memcmp(one->logp, two->logp, (size_t)n * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(one->entropy, two->entropy, (size_t)n * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(one->hidden, two->hidden, (size_t)(n * width) * sizeof(float)), 0);
}

START_TEST(model_forward_step_by_step_gives_the_same_bits)
{
    fixture f;
    packed whole, steps, lean;
    fixture_open(&f, fixtures[_i]);
    wz_backend *be = cpu_backend_with(2);
    wz_model *model = model_with(&f.config, be);
    fixture_load_weights(&f, model);
    packed_create(&whole, model, &f.e, 0, f.e.groups, true);
    packed_create(&steps, model, &f.e, 0, f.e.groups, true);
    packed_create(&lean, model, &f.e, 0, f.e.groups, false);
    packed_forward(&whole, false);
    packed_forward(&steps, true);
    packed_forward(&lean, true);
    check_same_decisions(&whole, &steps);
    check_same_decisions(&whole, &lean);
    /* every activation, so that a rollout's can serve the backward pass */
    ck_assert_uint_eq(whole.activations->bytes, steps.activations->bytes);
    ck_assert_int_eq(memcmp(whole.activations->block, steps.activations->block, whole.activations->bytes), 0);
    ck_assert_uint_lt(lean.activations->bytes, whole.activations->bytes);
    packed_destroy(&whole);
    packed_destroy(&steps);
    packed_destroy(&lean);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

static float *fixture_gradients(const fixture *f, size_t threads, bool each_group_alone)
{
    packed p;
    wz_backend *be = cpu_backend_with(threads);
    wz_model *model = model_with(&f->config, be);
    fixture_load_weights(f, model);
    gradients_zero(model);
    for (int32_t g = 0; g < f->e.groups; g = each_group_alone ? g + 1 : f->e.groups) {
        packed_create(&p, model, &f->e, g, each_group_alone ? g + 1 : f->e.groups, true);
        packed_forward(&p, false);
        packed_backward(&p);
        packed_destroy(&p);
    }
    float *gradients = gradients_of(model);
    wz_model_destroy(model);
    be->ops->destroy(be);
    return gradients;
}

START_TEST(model_gradients_any_threads_or_cut_give_the_same_bits)
{
    fixture f;
    fixture_open(&f, fixtures[_i]);
    wz_backend *be = cpu_backend_with(1);
    wz_model *model = model_with(&f.config, be);
    float *expected = fixture_gradients(&f, 1, false);
    for (size_t threads = 1; threads <= 4; threads++)
        for (int cut = 0; cut < 2; cut++) {
            float *got = fixture_gradients(&f, threads, cut != 0);
            for (size_t i = 0; i < model->param_count; i++) {
                const wz_param *param = &model->params[i];
                ck_assert_msg(memcmp(got + param->offset, expected + param->offset,
                                     (size_t)param->count * sizeof(float)) == 0,
                              "gradient of %s differs on %zu threads%s", param->name, threads,
                              cut != 0 ? ", a group at a time" : "");
            }
            free(got);
        }
    free(expected);
    wz_model_destroy(model);
    be->ops->destroy(be);
    fixture_close(&f);
}
END_TEST

/* ---- initialisation and configuration ---- */

static float *initial(const wz_model_config *config, uint64_t seed, const int64_t *integer, wz_model **out)
{
    wz_error err = {{0}};
    wz_model *model = model_with(config, cpu_backend_with(1));
    ck_assert_msg(wz_model_init_weights(model, seed, integer, &err) == WZ_OK, "%s", err.text);
    *out = model;
    return model->weights;
}

static void drop(wz_model *model)
{
    wz_backend *be = model->backend;
    wz_model_destroy(model);
    be->ops->destroy(be);
}

static double deviation(const float *values, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum / (double)count);
}

/* Two integers' rows are features times one matrix P: 12 of them give P by solving, so 13 and more must fit; here the
 * sum over features is checked through the identity sin^2 + cos^2 = 1 instead: E |row|^2 = 6 * 0.01/6 per element. */
START_TEST(init_weights_ranges_norms_biases_and_head_are_as_configured)
{
    wz_model_config config = tiny(WZ_MODEL_QWEN3);
    config.hidden_size = 64;
    config.vocab_size = 300;
    config.zero_init_head = true;
    wz_model *model = NULL;
    const float *weights = initial(&config, 3, NULL, &model);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        const float *values = weights + param->offset;
        if (strcmp(param->name, "lm_head.weight") == 0) {
            ck_assert_double_eq(deviation(values, param->count), 0.0);
        } else if (param->rank == 1) {
            for (int64_t j = 0; j < param->count; j++)
                ck_assert_double_eq((double)values[j], 1.0);
        } else {
            /* the deviation of n normal draws is known to sigma / sqrt(2 n); five of these: once in 2 million */
            const double sigma = strstr(param->name, "embed") != NULL ? 0.1 : 0.02;
            ck_assert_double_le(fabs(deviation(values, param->count) - sigma),
                                5.0 * sigma / sqrt(2.0 * (double)param->count));
        }
    }
    drop(model);
}
END_TEST

START_TEST(init_weights_biases_are_zero_and_a_head_that_is_not_zeroed_is_random)
{
    wz_model_config config = tiny(WZ_MODEL_QWEN2);
    config.tie_word_embeddings = false;
    wz_model *model = NULL;
    const float *weights = initial(&config, 3, NULL, &model);
    const wz_param *bias = wz_model_find_param(model, "model.layers.1.self_attn.v_proj.bias");
    ck_assert_ptr_nonnull(bias);
    ck_assert_double_eq(deviation(weights + bias->offset, bias->count), 0.0);
    ck_assert_double_gt(deviation(weights + model->head, config.vocab_size * config.hidden_size), 0.01);
    drop(model);
}
END_TEST

START_TEST(init_weights_depend_on_the_seed_alone)
{
    const wz_model_config config = tiny(WZ_MODEL_LLAMA);
    wz_model *one = NULL, *same = NULL, *other = NULL;
    const float *a = initial(&config, 8, NULL, &one), *b = initial(&config, 8, NULL, &same);
    const float *c = initial(&config, 9, NULL, &other);
    ck_assert_int_eq(memcmp(a, b, (size_t)one->floats * sizeof(float)), 0);
    ck_assert_int_ne(memcmp(a, c, (size_t)one->floats * sizeof(float)), 0);
    drop(one);
    drop(same);
    drop(other);
}
END_TEST

/* Row n = f(n) P, f = [sin(n/tau), cos(n/tau)], tau = 2..64. With f(a) + f(b) expressed by angle sums,
 *     sin((m+k)/tau) + sin((m-k)/tau) = 2 sin(m/tau) cos(k/tau)
 * is no single row, so P is recovered from twelve rows by elimination and must predict all others; the entries of P
 * have deviation 0.1/sqrt(6). */
#define FEATURES 12

static void features(double out[FEATURES], int64_t n)
{
    for (int i = 0; i < 6; i++) {
        out[i] = sin((double)n / (double)(2 << i));
        out[6 + i] = cos((double)n / (double)(2 << i));
    }
}

/* Gauss-Jordan with pivoting: a [12][12 + width] becomes [I | P]. */
static void solve(double *a, int64_t width)
{
    const int64_t stride = FEATURES + width;
    for (int64_t i = 0; i < FEATURES; i++) {
        int64_t best = i;
        for (int64_t r = i; r < FEATURES; r++)
            best = fabs(a[r * stride + i]) > fabs(a[best * stride + i]) ? r : best;
        for (int64_t j = 0; j < stride; j++) {
            const double held = a[i * stride + j];
            a[i * stride + j] = a[best * stride + j];
            a[best * stride + j] = held;
        }
        for (int64_t j = stride - 1; j >= i; j--)
            a[i * stride + j] /= a[i * stride + i];
        for (int64_t r = 0; r < FEATURES; r++)
            for (int64_t j = stride - 1; r != i && j >= i; j--)
                a[r * stride + j] -= a[r * stride + i] * a[i * stride + j];
    }
}

START_TEST(init_weights_integer_tokens_lie_on_the_sines_and_cosines_of_their_value)
{
    enum { WIDTH = 96, TOKENS = 420 };
    wz_model_config config = tiny(WZ_MODEL_LLAMA);
    config.hidden_size = WIDTH;
    config.vocab_size = TOKENS;
    int64_t integer[TOKENS];
    for (int64_t t = 0; t < TOKENS; t++)
        integer[t] = t < 20 ? -1 : t - 20; /* twenty ordinary tokens, then 0 .. 399 */
    wz_model *model = NULL, *plain = NULL;
    const float *table = initial(&config, 4, integer, &model), *without = initial(&config, 4, NULL, &plain);
    static double a[FEATURES * (FEATURES + WIDTH)];
    for (int64_t i = 0; i < FEATURES; i++) {
        const int64_t n = i * 37 % 400; /* spread over the longest wave, 402 */
        features(a + i * (FEATURES + WIDTH), n);
        for (int64_t d = 0; d < WIDTH; d++)
            a[i * (FEATURES + WIDTH) + FEATURES + d] = (double)table[(20 + n) * WIDTH + d];
    }
    solve(a, WIDTH);
    double square = 0.0;
    for (int64_t n = 0; n < 400; n++) {
        double f[FEATURES];
        features(f, n);
        for (int64_t d = 0; d < WIDTH; d++) {
            double expected = 0.0;
            for (int64_t i = 0; i < FEATURES; i++)
                expected += f[i] * a[i * (FEATURES + WIDTH) + FEATURES + d];
            /* float rounding of rows (0.3 * 6e-8) times the elimination's condition, below 1000 for these rows */
            ck_assert_double_le(fabs((double)table[(20 + n) * WIDTH + d] - expected), 2e-5);
        }
    }
    for (int64_t i = 0; i < FEATURES; i++)
        for (int64_t d = 0; d < WIDTH; d++)
            square += a[i * (FEATURES + WIDTH) + FEATURES + d] * a[i * (FEATURES + WIDTH) + FEATURES + d];
    const double count = FEATURES * WIDTH, sigma = 0.1 / sqrt(6.0);
    ck_assert_double_le(fabs(sqrt(square / count) - sigma), 5.0 * sigma / sqrt(2.0 * count));
    ck_assert_int_eq(memcmp(table, without, 20 * WIDTH * sizeof(float)), 0); /* the others as ever */
    drop(model);
    drop(plain);
}
END_TEST

typedef struct config_error {
    const char *says;
    void (*spoil)(wz_model_config *c);
} config_error;

static void no_vocab(wz_model_config *c)
{
    c->vocab_size = 0;
}
static void negative_layers(wz_model_config *c)
{
    c->num_hidden_layers = -2;
}
static void uneven_heads(wz_model_config *c)
{
    c->num_key_value_heads = 3;
}
static void odd_head(wz_model_config *c)
{
    c->head_dim = 7;
}
static void zero_eps(wz_model_config *c)
{
    c->rms_norm_eps = 0.0;
}
static void nan_theta(wz_model_config *c)
{
    c->rope_theta = NAN;
}
static void low_factor(wz_model_config *c)
{
    c->rope_scaling_factor = 0.5;
}
static void crossed_factors(wz_model_config *c)
{
    c->rope_scaling_factor = 8.0;
    c->rope_low_freq_factor = 4.0;
    c->rope_high_freq_factor = 1.0;
}
static void zero_tied_head(wz_model_config *c)
{
    c->tie_word_embeddings = c->zero_init_head = true;
}
static void wrong_bias(wz_model_config *c)
{
    c->attention_bias = true;
}
static void huge_width(wz_model_config *c)
{
    c->hidden_size = INT64_MAX / 2;
}
static void huge_product(wz_model_config *c)
{
    c->hidden_size = c->vocab_size = c->intermediate_size = 1 << 24;
}

START_TEST(model_create_impossible_config_is_a_usage_error_that_names_the_key)
{
    const config_error errors[] = {
        {"vocab_size", no_vocab},
        {"num_hidden_layers", negative_layers},
        {"num_key_value_heads", uneven_heads},
        {"head_dim", odd_head},
        {"rms_norm_eps", zero_eps},
        {"rope_theta", nan_theta},
        {"rope_scaling_factor", low_factor},
        {"rope_high_freq_factor", crossed_factors},
        {"zero_init_head", zero_tied_head},
        {"attention_bias", wrong_bias},
        {"hidden_size", huge_width},
        {"hidden_size", huge_product},
    };
    wz_backend *be = cpu_backend_with(1);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        wz_model_config config = tiny(WZ_MODEL_LLAMA);
        wz_model *model = NULL;
        wz_error err = {{0}};
        errors[i].spoil(&config);
        ck_assert_int_eq(wz_model_create(&config, be, true, &model, &err), WZ_ERR_USAGE);
        ck_assert_ptr_null(model);
        ck_assert_msg(strstr(err.text, errors[i].says) != NULL, "expected %s: %s", errors[i].says, err.text);
    }
    be->ops->destroy(be);
}
END_TEST

static Suite *model_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *exact = tcase_create("exact"), *bits = tcase_create("bits"), *start = tcase_create("start");
    tcase_set_timeout(exact, 300);
    tcase_set_timeout(bits, 120);
    tcase_add_loop_test(exact, model_fixture_matches_pytorch_in_every_gradient, 0, FIXTURES);
    tcase_add_loop_test(exact, reference_decoder_matches_pytorch, 0, FIXTURES);
    tcase_add_loop_test(exact, model_gradient_matches_central_differences, WZ_MODEL_LLAMA,
                        WZ_MODEL_QWEN3 + 1);
    tcase_add_loop_test(bits, model_forward_step_by_step_gives_the_same_bits, 0, FIXTURES);
    tcase_add_loop_test(bits, model_gradients_any_threads_or_cut_give_the_same_bits, 0, FIXTURES);
    tcase_add_test(start, init_weights_ranges_norms_biases_and_head_are_as_configured);
    tcase_add_test(start, init_weights_biases_are_zero_and_a_head_that_is_not_zeroed_is_random);
    tcase_add_test(start, init_weights_depend_on_the_seed_alone);
    tcase_add_test(start, init_weights_integer_tokens_lie_on_the_sines_and_cosines_of_their_value);
    tcase_add_test(start, model_create_impossible_config_is_a_usage_error_that_names_the_key);
    suite_add_tcase(suite, exact);
    suite_add_tcase(suite, bits);
    suite_add_tcase(suite, start);
    return suite;
}

int main(void)
{
    return backend_main(model_suite());
}
