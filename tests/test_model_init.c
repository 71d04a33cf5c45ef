/* Initial weights, and configurations that are refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_main.h"
#include "tests/model_example.h"

static float *initial(const wz_model_config *config, uint64_t seed, const int64_t *integer, wz_model **out)
{
    wz_error err = {{0}};
    wz_model *model = model_create_with(config, cpu_backend_with(1));
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

START_TEST(init_weights_ranges_norms_biases_and_head_are_as_configured)
{
    wz_model_config config = model_tiny_config(WZ_MODEL_QWEN3);
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
    wz_model_config config = model_tiny_config(WZ_MODEL_QWEN2);
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
    const wz_model_config config = model_tiny_config(WZ_MODEL_LLAMA);
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

/* Row n = f(n) P, f = [sin(n/tau), cos(n/tau)], tau = 2..64: P is recovered from twelve rows by elimination and must
 * predict all others; its entries have deviation 0.1/sqrt(6). */
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
    wz_model_config config = model_tiny_config(WZ_MODEL_LLAMA);
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
        wz_model_config config = model_tiny_config(WZ_MODEL_LLAMA);
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

int main(void)
{
    Suite *suite = suite_create("model initialisation");
    TCase *start = tcase_create("start");
    tcase_add_test(start, init_weights_ranges_norms_biases_and_head_are_as_configured);
    tcase_add_test(start, init_weights_biases_are_zero_and_a_head_that_is_not_zeroed_is_random);
    tcase_add_test(start, init_weights_depend_on_the_seed_alone);
    tcase_add_test(start, init_weights_integer_tokens_lie_on_the_sines_and_cosines_of_their_value);
    tcase_add_test(start, model_create_impossible_config_is_a_usage_error_that_names_the_key);
    suite_add_tcase(suite, start);
    return backend_main(suite);
}
