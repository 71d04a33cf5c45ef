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
    float *host; /* fp32 */
    float *wide; /* the same on the backend */
    void *half;
} matrices;

static void *taken(wz_backend *be, size_t bytes)
{
    void *block = NULL;
    wz_error err = {{0}};
    ck_assert_msg(be->ops->alloc(be, bytes, "a test", &block, &err) == WZ_OK, "%s", err.text);
    return block;
}

static matrices make_matrices(wz_backend *be, int64_t rows, int64_t columns, uint32_t what)
{
    const size_t count = (size_t)(rows * columns);
    uint16_t *half = calloc(count, sizeof *half);
    matrices m = {.host = uniform_numbers(rows * columns, what, WZ_BF16)};
    ck_assert_ptr_nonnull(half);
    for (size_t i = 0; i < count; i++)
        half[i] = wz_bfloat16_from_float(m.host[i]);
    m.wide = backend_place(be, m.host, rows * columns);
    m.half = taken(be, count * sizeof *half);
    be->ops->upload(be, m.half, half, count * sizeof *half);
    free(half);
    return m;
}

static void free_matrices(wz_backend *be, matrices *m)
{
    free(m->host);
    be->ops->release(be, m->wide);
    be->ops->release(be, m->half);
}

static wz_tensor stored(const matrices *m, bool halves, int64_t rows, int64_t columns)
{
    return (wz_tensor){halves ? m->half : (void *)m->wide, rows, columns, columns, halves ? WZ_BF16 : WZ_F32};
}

typedef struct layer {
    const layer_shape *s;
    wz_backend *be;
    wz_linear linear;
    float *number[3]; /* of the pair, on the layer's last outputs; of the bias */
} layer;

static layer open_layer(const layer_shape *s, wz_backend *be, const matrices *m, bool halves)
{
    layer l = {
        .s = s,
        .be = be,
        .linear = {.weight = stored(m, halves, s->out, s->in)},
        .number = {placed(be, RANK * s->in, 11), placed(be, RANK * s->out, 12), placed(be, s->out, 13)}};
    const int64_t first = s->out / 4;
    l.linear.bias = matrix(l.number[2], 1, s->out);
    if (s->pairs) {
        l.linear.pairs = 1;
        l.linear.pair_scale = 0.3f;
        l.linear.pair[0] =
            (wz_low_rank){matrix(l.number[0], RANK, s->in), matrix(l.number[1], s->out - first, RANK), first};
    }
    if (s->prepared || be->working_type != WZ_F32)
        l.linear.prepared = backend_prepare(be, &l.linear);
    return l;
}

static void close_layer(layer *l)
{
    if (l->linear.prepared != NULL)
        l->be->ops->release(l->be, (void *)l->linear.prepared);
    release(l->be, l->number, 3);
}

/* What goes in and comes out, of the working type: x and dx [MANY][in], y and dy [MANY][out]. */
typedef struct layer_rows {
    void *x, *dy, *y, *dx;
} layer_rows;

static void run_rows(const layer *l, const layer_rows *at, int64_t row0, int64_t rows)
{
    const int64_t in = l->s->in, out = l->s->out;
    const wz_dtype type = l->be->working_type;
    const wz_tensor none = {0};
    l->be->ops->linear_forward(l->be, rows_of(type, at->y, row0, rows, out),
                               rows_of(type, at->x, row0, rows, in), &l->linear, none);
    l->be->ops->linear_backward_input(l->be, rows_of(type, at->dx, row0, rows, in),
                                      rows_of(type, at->dy, row0, rows, out), &l->linear);
}

static layer_rows open_rows(wz_backend *be, const layer_shape *s)
{
    return (layer_rows){placed_working(be, MANY * s->in, 2), placed_working(be, MANY * s->out, 3),
                        taken(be, (size_t)(MANY * s->out) * sizeof(float)),
                        taken(be, (size_t)(MANY * s->in) * sizeof(float))};
}

static void close_rows(wz_backend *be, const layer_rows *at)
{
    float *const blocks[] = {at->x, at->dy, at->y, at->dx};
    release(be, blocks, 4);
}

static void check_layer(const layer_shape *s, wz_dtype type)
{
    static const int64_t heights[] = {MANY, 1, 7, 16, 61, 128, 130};
    wz_backend *be = test_backend_of(type, 3);
    matrices m = make_matrices(be, s->out, s->in, 1);
    layer wide = open_layer(s, be, &m, false), half = open_layer(s, be, &m, true);
    const layer_rows expected = open_rows(be, s), got = open_rows(be, s);
    run_rows(&wide, &expected, 0, MANY);
    for (size_t i = 0; i < sizeof heights / sizeof heights[0]; i++) {
        be->ops->fill_zero(be, got.y, (size_t)(MANY * s->out) * sizeof(float));
        be->ops->fill_zero(be, got.dx, (size_t)(MANY * s->in) * sizeof(float));
        for (int64_t row = 0; row < MANY; row += heights[i])
            run_rows(&half, &got, row, MANY - row < heights[i] ? MANY - row : heights[i]);
        ck_assert_msg(same(be, got.y, expected.y, MANY * s->out) &&
                          same(be, got.dx, expected.dx, MANY * s->in),
                      "linear %lld -> %lld: bf16 weights among %lld rows", (long long)s->in,
                      (long long)s->out, (long long)heights[i]);
    }
    close_layer(&wide);
    close_layer(&half);
    close_rows(be, &expected);
    close_rows(be, &got);
    free_matrices(be, &m);
    be->ops->destroy(be);
}

START_TEST(linear_bf16_weights_give_the_bits_of_fp32_ones_among_any_rows)
{
    check_layer(&layer_shapes[_i % LAYERS], precisions[_i / LAYERS]);
}
END_TEST

#ifdef WZ_TEST_CUDA /* the CPU's copies are of another form, of weights alone */
/* The copy of a layer whose weights are stored in the working type has its bias and its pairs alone. */
START_TEST(linear_stored_in_the_working_type_has_no_copy_of_its_weights)
{
    static const layer_shape s = {96, 160, false, true};
    wz_backend *be = test_backend_of(precisions[_i], 1);
    matrices m = make_matrices(be, s.out, s.in, 1);
    layer wide = open_layer(&s, be, &m, false), half = open_layer(&s, be, &m, true);
    const size_t all = be->ops->prepared_bytes(be, &wide.linear),
                 rest = be->ops->prepared_bytes(be, &half.linear), size = wz_type_bytes(be->working_type),
                 weights = (size_t)(s.in * s.out) * size;
    if (be->working_type == WZ_BF16) {
        const size_t least = (size_t)(s.out + RANK * s.in + RANK * (s.out - s.out / 4)) * size;
        ck_assert_uint_eq(all - rest, weights);
        ck_assert(rest >= least && rest < least + 4 * 256); /* where each begins */
    } else {
        ck_assert_uint_eq(all, 0);
        ck_assert_uint_eq(rest, 0);
    }
    close_layer(&wide);
    close_layer(&half);
    free_matrices(be, &m);
    be->ops->destroy(be);
}
END_TEST
#endif

#ifdef WZ_TEST_CUDA
#define STEPS 256 /* between neighbours in [1, 2), which are 2^-7 apart */

static wz_tensor placed_numbers(wz_backend *be, const float *number, int64_t rows, int64_t columns,
                                wz_dtype type)
{
    void *encoded = calloc((size_t)(rows * columns), sizeof *number),
         *there = taken(be, (size_t)(rows * columns) * sizeof *number);
    ck_assert_ptr_nonnull(encoded);
    encode_numbers(encoded, number, rows * columns, type);
    be->ops->upload(be, there, encoded, (size_t)(rows * columns) * wz_type_bytes(type));
    free(encoded);
    return (wz_tensor){there, rows, columns, columns, type};
}

/* The mean of STEPS results of bf16 that are 1 + k / 32768 + part before they are rounded, k = 0, 1, ...: of a layer's product,
 * forward or to the gradient of its input, and a pair's part. */
static double mean_with(wz_backend *be, bool forward, float part)
{
    float ones[2] = {1.0f, 1.0f}, weight[2 * STEPS], parts[STEPS], first[2] = {1.0f, 0.0f}, y[STEPS];
    uint16_t got[STEPS];
    double sum = 0.0;
    wz_error err = {{0}};
    const int64_t rows = forward ? STEPS : 2, columns = forward ? 2 : STEPS;
    for (int k = 0; k < STEPS; k++) {
        weight[forward ? 2 * k : k] = 1.0f;
        weight[forward ? 2 * k + 1 : STEPS + k] = (float)k / 32768.0f;
        parts[k] = part;
    }
    const wz_tensor in = placed_numbers(be, ones, 1, 2, WZ_BF16),
                    w = placed_numbers(be, weight, rows, columns, WZ_BF16),
                    many = placed_numbers(be, parts, forward ? STEPS : 1, forward ? 1 : STEPS, WZ_F32),
                    few = placed_numbers(be, first, forward ? 1 : 2, forward ? 2 : 1, WZ_F32),
                    out = {taken(be, sizeof got), 1, STEPS, STEPS, WZ_BF16}, none = {0};
    wz_linear linear = {.weight = w,
                        .pair = {{forward ? few : many, forward ? many : few, 0}},
                        .pairs = 1,
                        .pair_scale = 1.0f};
    linear.prepared = backend_prepare(be, &linear);
    if (forward)
        be->ops->linear_forward(be, out, in, &linear, none);
    else
        be->ops->linear_backward_input(be, out, in, &linear);
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
    be->ops->download(be, got, out.data, sizeof got);
    decode_numbers(y, got, STEPS, WZ_BF16);
    for (int k = 0; k < STEPS; k++)
        sum += (double)y[k];
    float *const blocks[] = {in.data, w.data, many.data, few.data, out.data, (void *)linear.prepared};
    release(be, blocks, 6);
    return sum / STEPS;
}

/* What an adapter adds may be less than half the last place of what it is added to, and of many results still moves as many
 * as make up for it, since all is rounded at once: the mean moves by what was added, to within one result. */
START_TEST(pair_adds_to_bf16_what_is_less_than_its_last_place)
{
    wz_backend *be = test_backend_of(WZ_BF16, 1);
    const float part = 0x1p-10f;
    const double moved = mean_with(be, _i == 0, part) - mean_with(be, _i == 0, 0.0f);
    ck_assert_double_le(fabs(moved - (double)part), 0x1p-7 / STEPS);
    be->ops->destroy(be);
}
END_TEST
#endif

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
    float *hidden, *dhidden; /* on the backend */
    float *slope;
    int32_t target[ENTRIES];
    uint32_t mask[ENTRIES], ones[ENTRIES], offset[3], tokens[SET_TOKENS];
    wz_sample_request request[ENTRIES];
    wz_mask_table masks;
    int64_t group_offset[2];
    int32_t index[ENTRIES];
} head_world;

static void fill_world(head_world *w)
{
    w->hidden = placed(w->be, ENTRIES * HIDDEN, 5);
    w->dhidden = taken(w->be, sizeof(float) * ENTRIES * HIDDEN);
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

static void fetch_dhidden(const head_world *w, float *to)
{
    float *values = backend_fetch(w->be, w->dhidden, ENTRIES * HIDDEN);
    memcpy(to, values, sizeof(float) * ENTRIES * HIDDEN);
    free(values);
}

static void run_head(head_world *w, const wz_linear *head, bool cuts, head_results *out)
{
    const wz_backend_ops *ops = w->be->ops;
    const wz_row_groups groups = {1, w->group_offset, w->index};
    const wz_sampling sampling = {1.0f, cuts ? 60 : 0, 1.0f, 0.0f};
    const wz_tensor hidden = matrix(w->hidden, ENTRIES, HIDDEN),
                    dhidden = matrix(w->dhidden, ENTRIES, HIDDEN), none = {0};
    wz_error err;
    memset(out, 0, sizeof *out);
    ops->head_score_forward(w->be, out->logp, out->entropy, hidden, head, w->target, w->mask, &w->masks,
                            0.9f);
    ops->head_score_backward(w->be, dhidden, none, w->slope, w->slope + ENTRIES, out->logp, out->entropy,
                             hidden, head, w->target, w->mask, &w->masks, 0.9f, &groups);
    fetch_dhidden(w, out->dhidden);
    ops->head_allowed_forward(w->be, out->allowed, hidden, head, w->ones, &w->masks);
    ops->head_allowed_backward(w->be, dhidden, none, w->slope, hidden, head, w->ones, &w->masks, &groups);
    fetch_dhidden(w, out->dhidden + ENTRIES * HIDDEN);
    ck_assert_int_eq(ops->head_sample(w->be, out->sample, out->kept, VOCAB, hidden, head, w->request, ENTRIES,
                                      &w->masks, &sampling, &err),
                     WZ_OK);
}

START_TEST(head_bf16_weights_give_the_bits_of_fp32_ones)
{
    static head_results wide, half;
    wz_backend *be = test_backend_of(precisions[_i], 2);
    head_world w = {.be = be};
    matrices m = make_matrices(be, VOCAB, HIDDEN, 4);
    wz_linear heads[2] = {{.weight = stored(&m, false, VOCAB, HIDDEN)},
                          {.weight = stored(&m, true, VOCAB, HIDDEN)}};
    if (be->working_type != WZ_F32) {
        heads[0].prepared = backend_prepare(be, &heads[0]);
        ck_assert_ptr_null(backend_prepare(be, &heads[1]));
    }
    fill_world(&w);
    for (int cuts = 0; cuts < 2; cuts++) {
        run_head(&w, &heads[0], cuts != 0, &wide);
        run_head(&w, &heads[1], cuts != 0, &half);
        ck_assert_mem_eq(&wide, &half, sizeof wide);
    }
    ck_assert(wide.dhidden[0] != 0.0f && wide.logp[0] < 0.0f && wide.allowed[1] < 0.0f);
    if (heads[0].prepared != NULL)
        be->ops->release(be, (void *)heads[0].prepared);
    be->ops->release(be, w.hidden);
    be->ops->release(be, w.dhidden);
    free(w.slope);
    free_matrices(be, &m);
    be->ops->destroy(be);
}
END_TEST

START_TEST(embedding_bf16_table_gives_its_numbers)
{
    enum { WIDTHS = 2 };
    static const int64_t widths[WIDTHS] = {33, 40};
    const int32_t token[3] = {8, 0, 5};
    wz_backend *be = test_backend_of(precisions[_i], 1);
    for (int k = 0; k < WIDTHS; k++) {
        const int64_t width = widths[k];
        matrices m = make_matrices(be, 9, width, 7);
        float *there = taken(be, (size_t)(3 * width) * sizeof *there);
        be->ops->embedding_forward(be, matrix(there, 3, width), stored(&m, true, 9, width), token);
        float *y = backend_fetch(be, there, 3 * width);
        for (int i = 0; i < 3; i++)
            ck_assert_mem_eq(y + i * width, m.host + (int64_t)token[i] * width,
                             (size_t)width * sizeof(float));
        free(y);
        be->ops->release(be, there);
        free_matrices(be, &m);
    }
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
    tcase_add_loop_test(tests, linear_bf16_weights_give_the_bits_of_fp32_ones_among_any_rows, 0,
                        LAYERS * (int)PRECISIONS);
#ifdef WZ_TEST_CUDA
    tcase_add_loop_test(tests, pair_adds_to_bf16_what_is_less_than_its_last_place, 0, 2);
    tcase_add_loop_test(tests, linear_stored_in_the_working_type_has_no_copy_of_its_weights, 0, PRECISIONS);
#endif
    tcase_add_loop_test(tests, head_bf16_weights_give_the_bits_of_fp32_ones, 0, PRECISIONS);
    tcase_add_loop_test(tests, embedding_bf16_table_gives_its_numbers, 0, PRECISIONS);
    tcase_add_test(tests, bfloat16_rounds_to_nearest_ties_to_even);
    suite_add_tcase(suite, tests);
    return backend_main(suite);
}
