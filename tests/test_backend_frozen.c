/* Frozen matrices stored as bf16: every op that reads them gives the bits that it gives with the same numbers stored as fp32;
 * and rows beside low-rank pairs are their own. */
#include "engine/core/bfloat16.h"
#include "tests/backend_rows.h"

typedef struct layer_shape {
    int64_t in, out;
    bool prepared; /* where the backend wants it: layers that are not too wide */
    bool pairs;
} layer_shape;

/* Small and odd ones; a width beyond OpenBLAS's blocking; one whose matrix is widened in panels (2048 x 200). */
static const layer_shape layer_shapes[] = {
    {64, 192, false, true},  {64, 192, true, false},  {7, 5, false, true},      {33, 130, true, true},
    {900, 72, false, false}, {500, 300, true, false}, {2048, 200, false, true}, {200, 2100, false, false},
};
#define LAYERS ((int)(sizeof layer_shapes / sizeof layer_shapes[0]))
#define RANK 5

/* Two copies of one random matrix: bf16 numbers, and the same as fp32. */
typedef struct matrices {
    float *wide;
    uint16_t *half;
} matrices;

static matrices make_matrices(int64_t rows, int64_t columns, uint32_t what)
{
    matrices m = {uniform_numbers(rows * columns, what, WZ_BF16),
                  calloc((size_t)(rows * columns), sizeof(uint16_t))};
    ck_assert_ptr_nonnull(m.half);
    for (int64_t i = 0; i < rows * columns; i++)
        m.half[i] = wz_bfloat16_from_float(m.wide[i]);
    return m;
}

static void free_matrices(matrices *m)
{
    free(m->wide);
    free(m->half);
}

static wz_tensor stored(const matrices *m, bool halves, int64_t rows, int64_t columns)
{
    return (wz_tensor){halves ? (void *)m->half : (void *)m->wide, rows, columns, columns,
                       halves ? WZ_BF16 : WZ_F32};
}

typedef struct layer {
    const layer_shape *s;
    wz_backend *be;
    wz_linear linear;
    float *a, *b, *bias; /* of the pair, on the layer's last outputs */
} layer;

static layer open_layer(const layer_shape *s, wz_backend *be, const matrices *m, bool halves)
{
    layer l = {.s = s,
               .be = be,
               .linear = {.weight = stored(m, halves, s->out, s->in)},
               .a = uniform_numbers(RANK * s->in, 11, WZ_F32),
               .b = uniform_numbers(RANK * s->out, 12, WZ_F32),
               .bias = uniform_numbers(s->out, 13, WZ_F32)};
    const int64_t first = s->out / 4;
    l.linear.bias = matrix(l.bias, 1, s->out);
    if (s->pairs) {
        l.linear.pairs = 1;
        l.linear.pair_scale = 0.3f;
        l.linear.pair[0] = (wz_low_rank){matrix(l.a, RANK, s->in), matrix(l.b, s->out - first, RANK), first};
    }
    if (s->prepared)
        l.linear.prepared = backend_prepare(be, &l.linear);
    return l;
}

static void close_layer(layer *l)
{
    if (l->linear.prepared != NULL)
        l->be->ops->release(l->be, (void *)l->linear.prepared);
    free(l->a);
    free(l->b);
    free(l->bias);
}

/* Rows [row0, row0 + rows) of y [MANY][out] and dx [MANY][in]. */
static void run_rows(const layer *l, float *x, float *dy, int64_t row0, int64_t rows, float *y, float *dx)
{
    const int64_t in = l->s->in, out = l->s->out;
    const wz_tensor none = {0};
    l->be->ops->linear_forward(l->be, matrix(y + row0 * out, rows, out), matrix(x + row0 * in, rows, in),
                               &l->linear, none);
    l->be->ops->linear_backward_input(l->be, matrix(dx + row0 * in, rows, in),
                                      matrix(dy + row0 * out, rows, out), &l->linear);
}

static void check_layer(const layer_shape *s)
{
    static const int64_t heights[] = {MANY, 1, 7, 16, 61, 128, 130};
    wz_backend *be = test_backend(3);
    matrices m = make_matrices(s->out, s->in, 1);
    float *x = uniform_numbers(MANY * s->in, 2, WZ_F32), *dy = uniform_numbers(MANY * s->out, 3, WZ_F32);
    const size_t floats = (size_t)(MANY * (s->in + s->out));
    float *expected = calloc(floats, sizeof *expected), *got = calloc(floats, sizeof *got);
    ck_assert(expected != NULL && got != NULL);
    layer wide = open_layer(s, be, &m, false), half = open_layer(s, be, &m, true);
    run_rows(&wide, x, dy, 0, MANY, expected, expected + MANY * s->out);
    for (size_t i = 0; i < sizeof heights / sizeof heights[0]; i++) {
        memset(got, 0, floats * sizeof *got);
        for (int64_t row = 0; row < MANY; row += heights[i])
            run_rows(&half, x, dy, row, MANY - row < heights[i] ? MANY - row : heights[i], got,
                     got + MANY * s->out);
        ck_assert_msg(memcmp(got, expected, floats * sizeof *got) == 0,
                      "linear %lld -> %lld: bf16 weights among %lld rows", (long long)s->in,
                      (long long)s->out, (long long)heights[i]);
    }
    close_layer(&wide);
    close_layer(&half);
    free_matrices(&m);
    free(x);
    free(dy);
    free(expected);
    free(got);
    be->ops->destroy(be);
}

START_TEST(linear_bf16_weights_give_the_bits_of_fp32_ones_among_any_rows)
{
    check_layer(&layer_shapes[_i]);
}
END_TEST

#define HIDDEN 272
#define VOCAB 1100
#define ENTRIES 150
#define SET_TOKENS 37

/* What one head gives: scores, samples, and gradients of hidden vectors. */
typedef struct head_results {
    float logp[ENTRIES], entropy[ENTRIES], allowed[ENTRIES], dhidden[2 * ENTRIES * HIDDEN];
    wz_sample_result sample[ENTRIES];
    uint32_t kept[ENTRIES * VOCAB];
} head_results;

typedef struct head_world {
    wz_backend *be;
    float *hidden, *slope;
    int32_t target[ENTRIES];
    uint32_t mask[ENTRIES], ones[ENTRIES], offset[3], tokens[SET_TOKENS];
    wz_sample_request request[ENTRIES];
    wz_mask_table masks;
    int64_t group_offset[2];
    int32_t index[ENTRIES];
} head_world;

static void fill_world(head_world *w)
{
    w->hidden = uniform_numbers(ENTRIES * HIDDEN, 5, WZ_F32);
    w->slope = uniform_numbers(2 * ENTRIES, 6, WZ_F32);
    w->offset[2] = SET_TOKENS;
    w->masks = (wz_mask_table){2, w->offset, w->tokens};
    w->group_offset[1] = ENTRIES;
    for (uint32_t i = 0; i < SET_TOKENS; i++)
        w->tokens[i] = i * 29;
    for (int32_t i = 0; i < ENTRIES; i++) {
        w->ones[i] = 1;
        w->mask[i] = (uint32_t)(i % 2);
        w->target[i] = (int32_t)w->tokens[i % SET_TOKENS];
        w->index[i] = i;
        w->request[i] = (wz_sample_request){
            i, w->mask[i], {.seed = 3, .problem = (uint32_t)i, .purpose = WZ_PURPOSE_TOOL}};
    }
}

static void run_head(head_world *w, const wz_linear *head, bool cuts, head_results *out)
{
    const wz_backend_ops *ops = w->be->ops;
    const wz_row_groups groups = {1, w->group_offset, w->index};
    const wz_sampling sampling = {1.0f, cuts ? 60 : 0, 1.0f, 0.0f};
    const wz_tensor hidden = matrix(w->hidden, ENTRIES, HIDDEN), none = {0};
    wz_error err;
    memset(out, 0, sizeof *out);
    ops->head_score_forward(w->be, out->logp, out->entropy, hidden, head, w->target, w->mask, &w->masks,
                            0.9f);
    ops->head_score_backward(w->be, matrix(out->dhidden, ENTRIES, HIDDEN), none, w->slope, w->slope + ENTRIES,
                             out->logp, out->entropy, hidden, head, w->target, w->mask, &w->masks, 0.9f,
                             &groups);
    ops->head_allowed_forward(w->be, out->allowed, hidden, head, w->ones, &w->masks);
    ops->head_allowed_backward(w->be, matrix(out->dhidden + ENTRIES * HIDDEN, ENTRIES, HIDDEN), none,
                               w->slope, hidden, head, w->ones, &w->masks, &groups);
    ck_assert_int_eq(ops->head_sample(w->be, out->sample, out->kept, VOCAB, hidden, head, w->request, ENTRIES,
                                      &w->masks, &sampling, &err),
                     WZ_OK);
}

START_TEST(head_bf16_weights_give_the_bits_of_fp32_ones)
{
    static head_results wide, half;
    head_world w = {.be = test_backend(2)};
    matrices m = make_matrices(VOCAB, HIDDEN, 4);
    const wz_linear heads[2] = {{.weight = stored(&m, false, VOCAB, HIDDEN)},
                                {.weight = stored(&m, true, VOCAB, HIDDEN)}};
    fill_world(&w);
    for (int cuts = 0; cuts < 2; cuts++) {
        run_head(&w, &heads[0], cuts != 0, &wide);
        run_head(&w, &heads[1], cuts != 0, &half);
        ck_assert_mem_eq(&wide, &half, sizeof wide);
    }
    ck_assert(wide.dhidden[0] != 0.0f && wide.logp[0] < 0.0f && wide.allowed[1] < 0.0f);
    free(w.hidden);
    free(w.slope);
    free_matrices(&m);
    w.be->ops->destroy(w.be);
}
END_TEST

START_TEST(embedding_bf16_table_gives_its_numbers)
{
    float y[3 * 33];
    const int32_t token[3] = {8, 0, 5};
    wz_backend *be = test_backend(1);
    matrices m = make_matrices(9, 33, 7);
    be->ops->embedding_forward(be, matrix(y, 3, 33), stored(&m, true, 9, 33), token);
    for (int i = 0; i < 3; i++)
        ck_assert_mem_eq(y + i * 33, m.wide + (int64_t)token[i] * 33, 33 * sizeof(float));
    free_matrices(&m);
    be->ops->destroy(be);
}
END_TEST

/* The format: 1 sign, 8 exponent and 7 fraction bits of an fp32. */
START_TEST(bfloat16_rounds_to_nearest_ties_to_even)
{
    const struct {
        float from, to;
    } cases[] = {{1.0f, 1.0f},
                 {1.0f + 0x1p-8f, 1.0f},
                 {1.0f + 0x1.8p-7f, 1.0f + 0x1p-6f},
                 {1.0f + 0x1.0002p-8f, 1.0f + 0x1p-7f},
                 {-3.0e38f, -0x1.c4p127f},
                 {0x1.ffp127f, INFINITY},
                 {-INFINITY, -INFINITY},
                 {0x1p-133f, 0x1p-133f},
                 {0x1p-135f, 0.0f}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_float_eq(wz_bfloat16_to_float(wz_bfloat16_from_float(cases[i].from)), cases[i].to);
    ck_assert(isnan(wz_bfloat16_to_float(wz_bfloat16_from_float(NAN))));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backend_frozen");
    TCase *tests = tcase_create("frozen");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, linear_bf16_weights_give_the_bits_of_fp32_ones_among_any_rows, 0, LAYERS);
    tcase_add_test(tests, head_bf16_weights_give_the_bits_of_fp32_ones);
    tcase_add_test(tests, embedding_bf16_table_gives_its_numbers);
    tcase_add_test(tests, bfloat16_rounds_to_nearest_ties_to_even);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
