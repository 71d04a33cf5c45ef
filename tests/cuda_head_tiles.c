/* The head over the whole vocabulary in the CUDA backend, where its entries fill more than one tile and the vocabulary more
 * than one chunk (cuda/head.h): 2,048 and 4,096 on a GPU, 10 and 256 in the emulator. Widths are small, so that
 * compute-sanitizer can watch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

#ifdef WZ_TEST_EMULATED
#define ENTRIES 13
#define VOCAB 300
#else
#define ENTRIES 2176
#define VOCAB 4700
#endif
#define WIDTH 8
#define STEP 7 /* every seventh token is in the set */
#define PRIOR 0.25f

static wz_backend *be;
static wz_dtype type;
static float *hidden, *head; /* [ENTRIES][WIDTH], [VOCAB][WIDTH] */
static float dlogp[ENTRIES], dentropy[ENTRIES];
static int32_t target[ENTRIES];
static uint32_t mask[ENTRIES], offset[3], tokens[VOCAB];
static wz_mask_table masks;
static int32_t entry_index[ENTRIES];
static const int64_t ends[2] = {0, ENTRIES};
static const wz_row_groups groups = {1, ends, entry_index};
static wz_tensor hidden_there, head_there;
static wz_linear linear;
static double *slope; /* [ENTRIES][VOCAB] d loss / d logit */

static wz_tensor place(const float *values, int64_t rows)
{
    return (wz_tensor){backend_place(be, values, rows * WIDTH), rows, WIDTH, WIDTH, WZ_F32};
}

static void setup(wz_dtype of)
{
    type = of;
    be = test_backend_of(type, 1);
    hidden = uniform_numbers((int64_t)ENTRIES * WIDTH, 1, type);
    head = uniform_numbers((int64_t)VOCAB * WIDTH, 2, type);
    slope = malloc(sizeof(double) * ENTRIES * VOCAB);
    ck_assert_ptr_nonnull(slope);
    fill_uniform(dlogp, ENTRIES, 3);
    fill_uniform(dentropy, ENTRIES, 4);
    for (uint32_t t = 0; t < VOCAB; t += STEP)
        tokens[offset[2]++] = t;
    masks = (wz_mask_table){2, offset, tokens};
    for (int32_t i = 0; i < ENTRIES; i++) {
        target[i] = (int32_t)random_below(VOCAB, 5, (uint64_t)i);
        entry_index[i] = i;
    }
    hidden_there = place(hidden, ENTRIES);
    head_there = place(head, VOCAB);
    linear = (wz_linear){.weight = head_there};
    if (type != WZ_F32)
        linear.prepared = backend_prepare(be, &linear);
}

static void teardown(void)
{
    be->ops->release(be, hidden_there.data);
    be->ops->release(be, head_there.data);
    if (linear.prepared != NULL)
        be->ops->release(be, (void *)linear.prepared);
    be->ops->destroy(be);
    free(hidden);
    free(head);
    free(slope);
    offset[2] = 0;
}

/* An entry's softmax over all tokens, in double; log p to out. */
static void log_softmax(int64_t i, double *out)
{
    double sum = 0.0;
    for (int64_t t = 0; t < VOCAB; t++) {
        out[t] = 0.0;
        for (int64_t k = 0; k < WIDTH; k++)
            out[t] += (double)hidden[i * WIDTH + k] * (double)head[t * WIDTH + k];
        sum += exp(out[t]);
    }
    for (int64_t t = 0; t < VOCAB; t++)
        out[t] -= log(sum);
}

/* Longest chain of roundings of a result: a logit's products, then lanes' sums of the vocabulary; the bounds are those of
 * tests/backend_case.h, where |hidden|, |head| < 1 bound the sum of |J x| of a logarithm by 4 WIDTH. */
static double chain(int64_t rows)
{
    return (double)(WIDTH + VOCAB / 16 + 20 + rows) * UNIT_ROUNDOFF;
}

static void assert_logarithm(const char *what, int64_t i, float got, double exact)
{
    const double bound = chain(0) * (WIDTH + fabs(exact) + 4.0 * WIDTH);
    ck_assert_msg(fabs((double)got - exact) <= bound, "%s of entry %lld: %.9g, not %.9g within %.2g", what,
                  (long long)i, (double)got, exact, bound);
}

/* size: of each gradient's terms, the sum of absolute values. */
static void assert_gradient(const char *what, const float *there, int64_t count, const double *exact,
                            const double *size)
{
    double largest = 0.0;
    float *got = backend_fetch(be, there, count);
    for (int64_t e = 0; e < count; e++)
        largest = fmax(largest, size[e]);
    for (int64_t e = 0; e < count; e++) {
        const double bound = 4.0 * chain(ENTRIES) * WIDTH * (largest + PRIOR) +
                             (type == WZ_BF16 ? BF16_ROUNDOFF * size[e] : 0.0);
        ck_assert_msg(fabs((double)got[e] - exact[e]) <= bound, "%s[%lld]: %.9g, not %.9g within %.2g", what,
                      (long long)e, (double)got[e], exact[e], bound);
    }
    free(got);
}

/* dhidden_i = sum_t slope_it head_t, dhead_t = PRIOR + sum_i slope_it hidden_i. */
static void assert_gradients(const float *dhidden, const float *dhead)
{
    const size_t words = ((size_t)ENTRIES + VOCAB) * WIDTH;
    double *exact = calloc(2 * words, sizeof(double)), *size = exact + words;
    ck_assert_ptr_nonnull(exact);
    const int64_t first = (int64_t)ENTRIES * WIDTH;
    for (int64_t i = 0; i < ENTRIES; i++)
        for (int64_t t = 0; t < VOCAB; t++)
            for (int64_t k = 0; k < WIDTH; k++) {
                const double s = slope[i * VOCAB + t], to_hidden = s * (double)head[t * WIDTH + k],
                             to_head = s * (double)hidden[i * WIDTH + k];
                exact[i * WIDTH + k] += to_hidden;
                size[i * WIDTH + k] += fabs(to_hidden);
                exact[first + t * WIDTH + k] += to_head;
                size[first + t * WIDTH + k] += fabs(to_head);
            }
    for (int64_t e = first; e < (int64_t)words; e++)
        exact[e] += (double)PRIOR;
    assert_gradient("dhidden", dhidden, first, exact, size);
    assert_gradient("dhead", dhead, (int64_t)VOCAB * WIDTH, exact + first, size + first);
    free(exact);
}

/* Gradients as they are before an op: dhidden is written, dhead is added to. */
static void place_gradients(wz_tensor *dhidden, wz_tensor *dhead)
{
    float *values = malloc(sizeof(float) * ((size_t)ENTRIES + VOCAB) * WIDTH);
    ck_assert_ptr_nonnull(values);
    for (int64_t e = 0; e < (int64_t)(ENTRIES + VOCAB) * WIDTH; e++)
        values[e] = e < (int64_t)ENTRIES * WIDTH ? NAN : PRIOR;
    *dhidden = place(values, ENTRIES);
    *dhead = place(values + (size_t)ENTRIES * WIDTH, VOCAB);
    free(values);
}

static void check_gradients(wz_tensor dhidden, wz_tensor dhead)
{
    assert_gradients(dhidden.data, dhead.data);
    be->ops->release(be, dhidden.data);
    be->ops->release(be, dhead.data);
}

START_TEST(head_score_of_several_tiles_and_chunks_matches_the_formula)
{
    static float logp[ENTRIES], entropy[ENTRIES];
    static double p[VOCAB];
    wz_tensor dhidden, dhead;
    setup(precisions[_i]);
    memset(mask, 0, sizeof mask);
    be->ops->head_score_forward(be, logp, entropy, hidden_there, &linear, target, mask, &masks, 1.0f);
    for (int64_t i = 0; i < ENTRIES; i++) {
        double exact = 0.0;
        log_softmax(i, p);
        for (int64_t t = 0; t < VOCAB; t++)
            exact -= exp(p[t]) * p[t];
        for (int64_t t = 0; t < VOCAB; t++)
            slope[i * VOCAB + t] = (double)dlogp[i] * ((t == target[i]) - exp(p[t])) -
                                   (double)dentropy[i] * exp(p[t]) * (p[t] + exact);
        assert_logarithm("logp", i, logp[i], p[target[i]]);
        assert_logarithm("entropy", i, entropy[i], exact);
    }
    place_gradients(&dhidden, &dhead);
    be->ops->head_score_backward(be, dhidden, dhead, dlogp, dentropy, logp, entropy, hidden_there, &linear,
                                 target, mask, &masks, 1.0f, &groups);
    check_gradients(dhidden, dhead);
    teardown();
}
END_TEST

START_TEST(head_allowed_of_several_tiles_and_chunks_matches_the_formula)
{
    static float logp[ENTRIES];
    static double p[VOCAB];
    wz_tensor dhidden, dhead;
    setup(precisions[_i]);
    for (int64_t i = 0; i < ENTRIES; i++)
        mask[i] = 1;
    be->ops->head_allowed_forward(be, logp, hidden_there, &linear, mask, &masks);
    for (int64_t i = 0; i < ENTRIES; i++) {
        double set = 0.0;
        log_softmax(i, p);
        for (int64_t t = 0; t < VOCAB; t += STEP)
            set += exp(p[t]);
        for (int64_t t = 0; t < VOCAB; t++)
            slope[i * VOCAB + t] = (double)dlogp[i] * exp(p[t]) * ((t % STEP == 0 ? 1.0 / set : 0.0) - 1.0);
        assert_logarithm("logp", i, logp[i], log(set));
    }
    place_gradients(&dhidden, &dhead);
    be->ops->head_allowed_backward(be, dhidden, dhead, dlogp, hidden_there, &linear, mask, &masks, &groups);
    check_gradients(dhidden, dhead);
    teardown();
}
END_TEST

/* Tokens of every chunk are drawn, as their share of the vocabulary says; with the scorer's bits. */
START_TEST(head_sample_of_several_tiles_and_chunks_has_the_scorers_bits)
{
    static wz_sample_request request[ENTRIES];
    static wz_sample_result result[ENTRIES];
    static float logp[ENTRIES], entropy[ENTRIES];
    const wz_sampling sampling = {.temperature = 1.0f, .top_p = 1.0f};
    wz_error err = {{0}};
    int32_t last_chunk = 0;
    setup(precisions[_i]);
    memset(mask, 0, sizeof mask);
    for (int32_t i = 0; i < ENTRIES; i++)
        request[i] = (wz_sample_request){
            i, 0, {.seed = 7, .step = 3, .token = (uint32_t)i, .purpose = WZ_PURPOSE_TOOL}};
    ck_assert_msg(be->ops->head_sample(be, result, NULL, 0, hidden_there, &linear, request, ENTRIES, &masks,
                                       &sampling, &err) == WZ_OK,
                  "%s", err.text);
    for (int32_t i = 0; i < ENTRIES; i++) {
        target[i] = (int32_t)result[i].token;
        last_chunk += target[i] >= VOCAB / 7 * 6;
    }
    be->ops->head_score_forward(be, logp, entropy, hidden_there, &linear, target, mask, &masks, 1.0f);
    for (int32_t i = 0; i < ENTRIES; i++)
        ck_assert(memcmp(&logp[i], &result[i].logp, 4) == 0 &&
                  memcmp(&entropy[i], &result[i].entropy, 4) == 0);
    ck_assert_int_gt(last_chunk, 0);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("the head in tiles");
    TCase *tests = tcase_create("tiles");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, head_score_of_several_tiles_and_chunks_matches_the_formula, 0, PRECISIONS);
    tcase_add_loop_test(tests, head_allowed_of_several_tiles_and_chunks_matches_the_formula, 0, PRECISIONS);
    tcase_add_loop_test(tests, head_sample_of_several_tiles_and_chunks_has_the_scorers_bits, 0, PRECISIONS);
    suite_add_tcase(suite, tests);
    return backend_main(suite);
}
