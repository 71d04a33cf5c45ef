/* A row's result is its own: the same bits whatever rows stand beside it and however many, NaN or not. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

/* ---- rows: any number of them, at any place ---- */

typedef struct linear_shape {
    int64_t in, out;
    bool bias, residual;
} linear_shape;

/* Widths of small models, odd ones, and some beyond OpenBLAS's blocking of the inner dimension (256 to 448) and beyond
 * what one small call takes (inner dimension 480). */
static const linear_shape linear_shapes[] = {
    {64, 192, true, false}, {64, 64, false, true},  {64, 340, false, false},
    {170, 64, false, true}, {7, 5, true, true},     {128, 384, true, false},
    {33, 130, false, true}, {900, 72, false, true}, {500, 300, true, false},
};
#define MANY 300
#define LINEARS ((int)(sizeof linear_shapes / sizeof linear_shapes[0]))

/* Shapes in fp32 and then, where the backend has bf16, in bf16: in the emulator the fifth and sixth only. */
#if !defined(WZ_TEST_CUDA)
#define BF16_LINEARS 0
#elif defined(WZ_TEST_EMULATED)
#define BF16_FIRST 4
#define BF16_LINEARS 2
#define RANGE_PRECISIONS 1
#else
#define BF16_LINEARS LINEARS
#endif
#ifndef BF16_FIRST
#define BF16_FIRST 0
#define RANGE_PRECISIONS PRECISIONS /* of attention in ranges */
#endif

/* Uniform numbers on the backend. */
static float *placed(wz_backend *be, int64_t count, uint32_t what)
{
    float *values = uniform_numbers(count, what, WZ_F32), *there = backend_place(be, values, count);
    free(values);
    return there;
}

static void release(wz_backend *be, float *const *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        be->ops->release(be, blocks[i]);
}

/* Whether `count` floats on the backend are those of another place there. */
static bool same(wz_backend *be, const float *one, const float *two, int64_t count)
{
    float *a = backend_fetch(be, one, count), *b = backend_fetch(be, two, count);
    const bool equal = memcmp(a, b, (size_t)count * sizeof(float)) == 0;
    free(a);
    free(b);
    return equal;
}

static wz_tensor matrix(float *data, int64_t rows, int64_t columns)
{
    return (wz_tensor){data, rows, columns, columns, WZ_F32};
}

/* Rows row0 .. row0 + rows of a matrix of the type. */
static wz_tensor rows_of(wz_dtype type, void *data, int64_t row0, int64_t rows, int64_t columns)
{
    return (wz_tensor){(char *)data + (size_t)(row0 * columns) * wz_type_bytes(type), rows, columns, columns,
                       type};
}

/* Uniform numbers of the backend's working type. */
static void *placed_working(wz_backend *be, int64_t count, uint32_t what)
{
    float *values = placed(be, count, what);
    void *copy = NULL;
    if (be->working_type == WZ_F32)
        return values;
    ck_assert_int_eq(be->ops->alloc(be, (size_t)count * sizeof(float), "a test", &copy, NULL), WZ_OK);
    be->ops->convert(be, rows_of(be->working_type, copy, 0, 1, count), matrix(values, 1, count));
    be->ops->release(be, values);
    return copy;
}

typedef struct linear_world {
    const linear_shape *shape;
    wz_backend *be;
    void *x, *dy;               /* [MANY][in], [MANY][out], of the working type; on the backend, as are all */
    float *w, *bias, *residual; /* [out][in], [out], [MANY][out] */
    void *prepared;             /* of w; NULL: none */
} linear_world;

/* The type of results: a residual and what is added to it are fp32. */
static wz_dtype result_type(const linear_world *world, bool backward)
{
    return !backward && world->shape->residual ? WZ_F32 : world->be->working_type;
}

static wz_linear weights_of(const linear_world *world)
{
    const linear_shape *s = world->shape;
    return (wz_linear){.weight = matrix(world->w, s->out, s->in),
                       .prepared = world->prepared,
                       .bias = matrix(s->bias ? world->bias : NULL, 1, s->out)};
}

/* Rows row0 .. row0 + rows of y [MANY][out] on the backend; forward, or (backward) dx [MANY][in] from dy. */
static void linear_rows(const linear_world *world, bool backward, int64_t row0, int64_t rows, void *y)
{
    const linear_shape *s = world->shape;
    const wz_linear weights = weights_of(world);
    const wz_dtype type = world->be->working_type, result = result_type(world, backward);
    if (backward)
        world->be->ops->linear_backward_input(world->be, rows_of(result, y, row0, rows, s->in),
                                              rows_of(type, world->dy, row0, rows, s->out), &weights);
    else
        world->be->ops->linear_forward(
            world->be, rows_of(result, y, row0, rows, s->out), rows_of(type, world->x, row0, rows, s->in),
            &weights, matrix(s->residual ? world->residual + row0 * s->out : NULL, rows, s->out));
}

static void check_linear_rows(const linear_world *world, bool backward)
{
    const int64_t width = backward ? world->shape->in : world->shape->out;
    const int64_t heights[] = {1, 2, 3, 5, 8, 13, 16, 17, 31, 47, 64, 100, 127, 128, 129, 200, 299};
    float *all = placed(world->be, MANY * width, 7), *some = placed(world->be, MANY * width, 8);
    linear_rows(world, backward, 0, MANY, all);
    for (size_t i = 0; i < sizeof heights / sizeof heights[0]; i++) {
        world->be->ops->fill_zero(world->be, some, sizeof(float) * (size_t)(MANY * width));
        for (int64_t row = 0; row < MANY; row += heights[i])
            linear_rows(world, backward, row, MANY - row < heights[i] ? MANY - row : heights[i], some);
        ck_assert_msg(same(world->be, some, all,
                           MANY * width * (int64_t)wz_type_bytes(result_type(world, backward)) / 4),
                      "linear %s %lld -> %lld: rows differ among %lld from those among %d",
                      backward ? "backward" : "forward", (long long)world->shape->in,
                      (long long)world->shape->out, (long long)heights[i], MANY);
    }
    release(world->be, (float *[]){all, some}, 2);
}

/* False: this backend reads such weights as they are. */
static bool prepare_weights(linear_world *world)
{
    const wz_linear weights = weights_of(world);
    world->prepared = backend_prepare(world->be, &weights);
    return world->prepared != NULL;
}

/* Case number `i` of all shapes and types. */
static linear_world open_world(int i, size_t threads)
{
    const linear_shape *s = &linear_shapes[i < LINEARS ? i : i - LINEARS + BF16_FIRST];
    wz_backend *be = test_backend_of(i < LINEARS ? WZ_F32 : WZ_BF16, threads);
    linear_world world = {.shape = s,
                          .be = be,
                          .x = placed_working(be, MANY * s->in, 1),
                          .dy = placed_working(be, MANY * s->out, 4),
                          .w = placed(be, s->in * s->out, 2),
                          .bias = placed(be, s->out, 3),
                          .residual = placed(be, MANY * s->out, 4)};
    if (be->working_type != WZ_F32)
        (void)prepare_weights(&world);
    return world;
}

static void close_world(linear_world *world)
{
    release(world->be, (float *[]){world->x, world->dy, world->w, world->bias, world->residual}, 5);
    if (world->prepared != NULL)
        world->be->ops->release(world->be, world->prepared);
    world->be->ops->destroy(world->be);
}

START_TEST(linear_row_is_the_same_among_any_rows)
{
    linear_world world = open_world(_i, 2);
    check_linear_rows(&world, false);
    check_linear_rows(&world, true);
    if (world.prepared == NULL && prepare_weights(&world))
        check_linear_rows(&world, false);
    close_world(&world);
}
END_TEST

/* Against sums in double; each of in products of numbers below 1 rounds by at most half a unit of a sum below in. */
static void check_linear_values(const linear_world *world)
{
    const linear_shape *s = world->shape;
    float *there = placed(world->be, MANY * s->out, 9);
    linear_rows(world, false, 0, MANY, there);
    float *y = backend_fetch(world->be, there, MANY * s->out),
          *x = backend_fetch(world->be, world->x, MANY * s->in),
          *w = backend_fetch(world->be, world->w, s->in * s->out),
          *bias = backend_fetch(world->be, world->bias, s->out),
          *residual = backend_fetch(world->be, world->residual, MANY * s->out);
    for (int64_t i = 0; i < MANY; i++)
        for (int64_t o = 0; o < s->out; o++) {
            double sum =
                (s->bias ? (double)bias[o] : 0.0) + (s->residual ? (double)residual[i * s->out + o] : 0.0);
            for (int64_t k = 0; k < s->in; k++)
                sum += (double)x[i * s->in + k] * (double)w[o * s->in + k];
            ASSERT_EACH(fabs((double)y[i * s->out + o] - sum) < (double)((s->in + 2) * (s->in + 2)) * 0x1p-25,
                        "y[%lld][%lld] is %.9g, expected %.9g", (long long)i, (long long)o,
                        (double)y[i * s->out + o], sum);
        }
    float *const blocks[] = {y, x, w, bias, residual};
    for (size_t i = 0; i < 5; i++)
        free(blocks[i]);
    world->be->ops->release(world->be, there);
}

START_TEST(linear_is_the_product_however_it_is_cut)
{
    linear_world world = open_world(_i, 2);
    check_linear_values(&world);
    if (prepare_weights(&world))
        check_linear_values(&world);
    close_world(&world);
}
END_TEST

/* y [MANY][out] as floats. */
static float *fetch_result(const linear_world *world, const float *y)
{
    const int64_t count = MANY * world->shape->out;
    float *raw = backend_fetch(world->be, y, count), *out = malloc((size_t)count * sizeof *out);
    ck_assert_ptr_nonnull(out);
    decode_numbers(out, raw, count, result_type(world, false));
    free(raw);
    return out;
}

START_TEST(linear_nan_in_one_row_stays_in_that_row)
{
    linear_world world = open_world(_i == 0 ? 0 : LINEARS, 2);
    const linear_shape *s = world.shape;
    const uint16_t bad[2] = {0x7fc0, 0x7fc0}; /* NaN in bf16, and of them both in fp32 */
    const size_t size = wz_type_bytes(world.be->working_type);
    float *there = placed(world.be, MANY * s->out, 9);
    linear_rows(&world, false, 0, MANY, there);
    float *clean = fetch_result(&world, there);
    world.be->ops->upload(world.be, (char *)world.x + (size_t)(137 * s->in + 5) * size, bad, size);
    linear_rows(&world, false, 0, MANY, there);
    float *y = fetch_result(&world, there);
    for (int64_t i = 0; i < MANY; i++)
        if (i != 137)
            ck_assert_int_eq(memcmp(y + i * s->out, clean + i * s->out, sizeof(float) * (size_t)s->out), 0);
    for (int64_t o = 0; o < s->out; o++)
        ASSERT_EACH(isnan(y[137 * s->out + o]), "y[137][%lld] hides the NaN", (long long)o);
    free(clean);
    free(y);
    world.be->ops->release(world.be, there);
    close_world(&world);
}
END_TEST

START_TEST(rmsnorm_row_is_the_same_among_any_rows)
{
    const int64_t width = 67;
    const float bad = NAN;
    wz_backend *be = test_backend(2);
    float *x = placed(be, MANY * width, 1), *weight = placed(be, width, 2), *y = placed(be, MANY * width, 3);
    float *rstd = placed(be, MANY, 4), *one = placed(be, MANY * width, 5), *one_rstd = placed(be, MANY, 6);
    be->ops->upload(be, x + 100 * width, &bad, sizeof bad);
    be->ops->rmsnorm_forward(be, matrix(y, MANY, width), rstd, matrix(x, MANY, width), NULL, weight, 1e-6f);
    for (int32_t i = 0; i < MANY; i++)
        be->ops->rmsnorm_forward(be, matrix(one + i * width, 1, width), one_rstd + i, matrix(x, MANY, width),
                                 &i, weight, 1e-6f);
    ck_assert(same(be, one, y, MANY * width));
    ck_assert(same(be, one_rstd, rstd, MANY));
    float *got = backend_fetch(be, rstd, MANY);
    for (int32_t i = 0; i < MANY; i++)
        ck_assert(isnan(got[i]) == (i == 100));
    free(got);
    release(be, (float *[]){x, weight, y, rstd, one, one_rstd}, 6);
    be->ops->destroy(be);
}
END_TEST

/* Of a width that is read in units of several elements, and once from addresses where it cannot be. */
START_TEST(rmsnorm_row_is_the_same_at_any_address)
{
    enum { ROWS = 40, WIDTH = 1100 };
    wz_backend *be = test_backend(2);
    float *values = uniform_numbers(ROWS * WIDTH, 1, WZ_F32), *apart = placed(be, ROWS * (WIDTH + 1) + 1, 2);
    float *x = backend_place(be, values, ROWS * WIDTH), *weight = placed(be, WIDTH, 3);
    float *y = placed(be, ROWS * WIDTH, 4), *rstd = placed(be, ROWS, 5),
          *apart_y = placed(be, ROWS * WIDTH, 6), *apart_rstd = placed(be, ROWS, 7);
    const wz_tensor rows = {apart + 1, ROWS, WIDTH, WIDTH + 1, WZ_F32};
    for (int64_t i = 0; i < ROWS; i++)
        be->ops->upload(be, apart + 1 + i * (WIDTH + 1), values + i * WIDTH, sizeof(float) * WIDTH);
    be->ops->rmsnorm_forward(be, matrix(y, ROWS, WIDTH), rstd, matrix(x, ROWS, WIDTH), NULL, weight, 1e-6f);
    be->ops->rmsnorm_forward(be, matrix(apart_y, ROWS, WIDTH), apart_rstd, rows, NULL, weight, 1e-6f);
    ck_assert(same(be, apart_y, y, ROWS * WIDTH));
    ck_assert(same(be, apart_rstd, rstd, ROWS));
    free(values);
    release(be, (float *[]){apart, x, weight, y, rstd, apart_y, apart_rstd}, 7);
    be->ops->destroy(be);
}
END_TEST

/* ---- attention: rows as they come while decoding, and all at once ---- */

static const op_case *wide_attention(void)
{
    for (size_t i = 0; i < backend_case_count; i++)
        if (backend_cases[i].large && backend_cases[i].shape.prompt[0] > 0)
            return &backend_cases[i];
    ck_abort_msg("the table has no large attention");
}

enum { QKV, OUT, LSE };

static void attention_range(bench *b, const wz_segments *segments, int64_t row0, int64_t row1)
{
    const wz_attention attention = bench_attention(b);
    b->be->ops->attention_forward(b->be, bench_tensor(b, OUT), b->value[LSE], bench_tensor(b, QKV), segments,
                                  row0, row1, false, &attention);
}

START_TEST(attention_cut_into_any_ranges_gives_the_same_bits)
{
    bench whole, cut;
    op_case test = *wide_attention();
    test.shape.type = precisions[_i];
    wz_backend *be = test_backend_of(test.shape.type, 2);
    bench_create(&whole, &test, be);
    bench_create(&cut, &test, be);
    attention_range(&whole, &whole.pack->segments, 0, whole.s->rows);
    for (int64_t step = 1; step < whole.s->rows; step += 1 + step / 2) {
        bench_reset(&cut);
        for (int64_t row = 0; row < whole.s->rows; row += step)
            attention_range(&cut, &cut.pack->segments, row,
                            row + step < whole.s->rows ? row + step : whole.s->rows);
        for (size_t f = OUT; f <= LSE; f++) {
            float *one = bench_fetch(&whole, f, false), *two = bench_fetch(&cut, f, false);
            ck_assert_msg(memcmp(one, two, bench_bytes(&whole, f)) == 0, "%s differs in ranges of %lld rows",
                          whole.fields[f].name, (long long)step);
            free(one);
            free(two);
        }
    }
    bench_destroy(&cut);
    bench_destroy(&whole);
    be->ops->destroy(be);
}
END_TEST

#ifdef WZ_TEST_EMULATED /* where attention takes a second */
enum { BAD_STEP = 37 };
#else
enum { BAD_STEP = 1 };
#endif

/* One row becomes NaN, as memory beyond what was decoded may be: rows that do not attend to it must not look at it. */
START_TEST(attention_rows_that_a_row_does_not_see_may_hold_nan)
{
    bench clean, dirty;
    op_case test = *wide_attention();
    test.shape.type = precisions[_i];
    wz_backend *be = test_backend_of(test.shape.type, 2);
    bench_create(&clean, &test, be);
    bench_create(&dirty, &test, be);
    attention_range(&clean, &clean.pack->segments, 0, clean.s->rows);
    float *expected = bench_fetch(&clean, OUT, false);
    const int64_t rows = clean.s->rows, qkv = clean.fields[QKV].columns, width = clean.fields[OUT].columns;
    const wz_segments *segments = &clean.pack->segments;
    for (int64_t bad = 0; bad < rows; bad += BAD_STEP) {
        memcpy(dirty.host[QKV], clean.host[QKV], bench_bytes(&clean, QKV));
        for (int64_t j = 0; j < qkv; j++)
            dirty.host[QKV][bad * qkv + j] = NAN;
        bench_reset(&dirty);
        attention_range(&dirty, &dirty.pack->segments, 0, rows);
        float *got = bench_fetch(&dirty, OUT, false);
        for (int64_t i = 0; i < rows; i++) {
            const bool prompt = segments->row_completion[bad] < 0;
            const bool sees =
                segments->row_group[i] == segments->row_group[bad] &&
                (prompt ? segments->row_completion[i] >= 0 || i >= bad
                        : segments->row_completion[i] == segments->row_completion[bad] && i >= bad);
            if (sees)
                ASSERT_EACH(isnan(got[i * width]), "row %lld hides the NaN of row %lld", (long long)i,
                            (long long)bad);
            else
                ASSERT_EACH(memcmp(got + i * width, expected + i * width, (size_t)width * sizeof(float)) == 0,
                            "row %lld looks at row %lld", (long long)i, (long long)bad);
        }
        free(got);
    }
    free(expected);
    bench_destroy(&dirty);
    bench_destroy(&clean);
    be->ops->destroy(be);
}
END_TEST

/* Attention at sites is attention at all rows where nothing is asked of the others. */
START_TEST(attention_at_sites_is_that_of_all_rows)
{
    bench all, some;
    wz_backend *be = test_backend(2);
    bench_create(&all, wide_attention(), be);
    bench_create(&some, wide_attention(), be);
    const wz_segments *segments = &all.pack->segments;
    const wz_attention attention = bench_attention(&all);
    const int64_t sites = segments->sites, rows = all.s->rows, width = all.fields[OUT].columns,
                  heads = all.fields[LSE].columns;
    ck_assert_int_lt(sites, rows);
    float *dout = uniform_numbers(rows * width, 7, WZ_F32),
          *dout_sites = uniform_numbers(sites * width, 8, WZ_F32);
    for (int64_t i = 0; i < rows; i++)
        if (segments->row_site[i] >= 0)
            memcpy(dout_sites + segments->row_site[i] * width, dout + i * width,
                   sizeof(float) * (size_t)width);
        else
            memset(dout + i * width, 0, sizeof(float) * (size_t)width);
    float *dout_there = backend_place(be, dout, rows * width),
          *dout_sites_there = backend_place(be, dout_sites, sites * width),
          *out_there = placed(be, sites * width, 9), *lse_there = placed(be, sites * heads, 10);
    attention_range(&all, segments, 0, rows);
    be->ops->attention_backward(be, bench_gradient(&all, QKV), matrix(dout_there, rows, width),
                                bench_tensor(&all, OUT), all.value[LSE], bench_tensor(&all, QKV), segments,
                                false, &attention);
    be->ops->attention_forward(be, matrix(out_there, sites, width), lse_there, bench_tensor(&some, QKV),
                               segments, 0, rows, true, &attention);
    be->ops->attention_backward(be, bench_gradient(&some, QKV), matrix(dout_sites_there, sites, width),
                                matrix(out_there, sites, width), lse_there, bench_tensor(&some, QKV),
                                segments, true, &attention);
    float *out_sites = backend_fetch(be, out_there, sites * width),
          *lse_sites = backend_fetch(be, lse_there, sites * heads);
    float *out = bench_fetch(&all, OUT, false), *lse = bench_fetch(&all, LSE, false);
    float *one = bench_fetch(&all, QKV, true), *two = bench_fetch(&some, QKV, true);
    for (int64_t i = 0; i < sites; i++) {
        const int64_t row = segments->site_row[i];
        ck_assert_int_eq(memcmp(out_sites + i * width, out + row * width, sizeof(float) * (size_t)width), 0);
        ck_assert_int_eq(memcmp(lse_sites + i * heads, lse + row * heads, sizeof(float) * (size_t)heads), 0);
    }
    for (int64_t i = 0; i < rows * all.fields[QKV].columns; i++)
        ASSERT_EACH(one[i] == two[i], "dqkv differs at %lld: %g, %g", (long long)i, (double)one[i],
                    (double)two[i]); /* zeros may differ in sign */
    float *const blocks[] = {dout, dout_sites, out_sites, lse_sites, out, lse, one, two};
    for (size_t i = 0; i < 8; i++)
        free(blocks[i]);
    release(be, (float *[]){dout_there, dout_sites_there, out_there, lse_there}, 4);
    bench_destroy(&some);
    bench_destroy(&all);
    be->ops->destroy(be);
}
END_TEST

START_TEST(swiglu_backward_repeats_the_forward_pass)
{
    const int64_t width = 75;
    wz_backend *be = test_backend(2);
    float *gate_up = placed(be, MANY * 2 * width, 1), *dy = placed(be, MANY * width, 2);
    float *dgate_up = placed(be, MANY * 2 * width, 3), *y = placed(be, MANY * width, 4),
          *again = placed(be, MANY * width, 5);
    be->ops->swiglu_forward(be, matrix(y, MANY, width), matrix(gate_up, MANY, 2 * width));
    be->ops->swiglu_backward(be, matrix(dgate_up, MANY, 2 * width), matrix(again, MANY, width),
                             matrix(dy, MANY, width), matrix(gate_up, MANY, 2 * width));
    ck_assert(same(be, y, again, MANY * width));
    release(be, (float *[]){gate_up, dy, dgate_up, y, again}, 5);
    be->ops->destroy(be);
}
END_TEST

/* ---- the gradient of a norm, and what comes with it ---- */

typedef struct norm_world {
    wz_backend *be;
    int64_t rows, width;
    wz_tensor dy, y, again, copy; /* of the working type; copy: where it is not fp32 */
    float *x, *dx, *weight, *dweight, *rstd;
} norm_world;

static norm_world open_norm(wz_dtype type, int64_t rows, int64_t width)
{
    wz_backend *be = test_backend_of(type, 2);
    norm_world w = {be, rows, width, .x = placed(be, rows * width, 1), .dx = placed(be, rows * width, 2)};
    w.weight = placed(be, width, 3);
    w.dweight = placed(be, width, 4);
    w.rstd = placed(be, rows, 5);
    w.dy = rows_of(type, placed_working(be, rows * width, 6), 0, rows, width);
    w.y = rows_of(type, placed_working(be, rows * width, 7), 0, rows, width);
    w.again = rows_of(type, placed_working(be, rows * width, 8), 0, rows, width);
    if (type != WZ_F32)
        w.copy = rows_of(type, placed_working(be, rows * width, 9), 0, rows, width);
    return w;
}

static void close_norm(const norm_world *w)
{
    release(w->be, (float *[]){w->x, w->dx, w->weight, w->dweight, w->rstd}, 5);
    release(w->be, (float *[]){w->dy.data, w->y.data, w->again.data}, 3);
    if (w->copy.data != NULL)
        w->be->ops->release(w->be, w->copy.data);
    w->be->ops->destroy(w->be);
}

static float *fetch_tensor(wz_backend *be, wz_tensor tensor)
{
    const int64_t count = tensor.rows * tensor.columns,
                  words = (count * (int64_t)wz_type_bytes(tensor.type) + 3) / 4;
    float *raw = backend_fetch(be, tensor.data, words), *out = malloc((size_t)count * sizeof *out);
    ck_assert_ptr_nonnull(out);
    decode_numbers(out, raw, count, tensor.type);
    free(raw);
    return out;
}

/* One backward pass after a forward pass; the gradient of the weights starts at 0. */
static void run_norm(const norm_world *w)
{
    const int64_t offset[2] = {0, w->rows};
    int32_t *index = malloc((size_t)w->rows * sizeof *index);
    ck_assert_ptr_nonnull(index);
    for (int32_t i = 0; i < w->rows; i++)
        index[i] = i;
    const wz_row_groups groups = {1, offset, index};
    const wz_tensor x = matrix(w->x, w->rows, w->width);
    w->be->ops->fill_zero(w->be, w->dweight, (size_t)w->width * sizeof(float));
    w->be->ops->rmsnorm_forward(w->be, w->y, w->rstd, x, NULL, w->weight, 1e-6f);
    w->be->ops->rmsnorm_backward(w->be, matrix(w->dx, w->rows, w->width), w->copy, w->again, w->dweight,
                                 w->dy, x, NULL, w->rstd, w->weight, &groups);
    free(index);
}

/* dweight = sum of dy x rstd: rstd is known to width + 4 roundings of itself, a term takes two more, the sum one a row. */
static void check_norm_weights(const norm_world *w)
{
    float *x = backend_fetch(w->be, w->x, w->rows * w->width), *dy = fetch_tensor(w->be, w->dy),
          *got = backend_fetch(w->be, w->dweight, w->width);
    double *sum = calloc((size_t)w->width, sizeof *sum), *size = calloc((size_t)w->width, sizeof *size);
    ck_assert(sum != NULL && size != NULL);
    for (int64_t i = 0; i < w->rows; i++) {
        double squares = 0.0;
        for (int64_t d = 0; d < w->width; d++)
            squares += (double)x[i * w->width + d] * (double)x[i * w->width + d];
        const double rstd = 1.0 / sqrt(squares / (double)w->width + (double)1e-6f);
        for (int64_t d = 0; d < w->width; d++) {
            const double term = (double)dy[i * w->width + d] * (double)x[i * w->width + d] * rstd;
            sum[d] += term;
            size[d] += fabs(term);
        }
    }
    for (int64_t d = 0; d < w->width; d++)
        ASSERT_EACH(fabs((double)got[d] - sum[d]) <=
                        (double)(w->width + w->rows + 6) * UNIT_ROUNDOFF * size[d],
                    "dweight[%lld] is %.9g, expected %.9g", (long long)d, (double)got[d], sum[d]);
    free(sum);
    free(size);
    free(x);
    free(dy);
    free(got);
}

/* Several parts of rows, and rows so long that fewer warps of a GPU share a part. */
static const int64_t norm_shapes[][2] = {{MANY, 68}, {70, 7001}};
#define NORMS (PRECISIONS * (int)(sizeof norm_shapes / sizeof norm_shapes[0]))

START_TEST(rmsnorm_backward_gives_the_result_again_and_a_copy_of_the_gradient)
{
    const int64_t *size = norm_shapes[_i / PRECISIONS];
    const norm_world w = open_norm(precisions[_i % PRECISIONS], size[0], size[1]);
    run_norm(&w);
    float *y = fetch_tensor(w.be, w.y), *again = fetch_tensor(w.be, w.again);
    ck_assert_int_eq(memcmp(y, again, (size_t)(w.rows * w.width) * sizeof *y), 0);
    free(y);
    free(again);
    check_norm_weights(&w);
    if (w.copy.data != NULL) {
        float *dx = backend_fetch(w.be, w.dx, w.rows * w.width), *copy = fetch_tensor(w.be, w.copy);
        for (int64_t i = 0; i < w.rows * w.width; i++)
            ASSERT_EACH(copy[i] == bf16_nearest(dx[i]), "the copy of dx[%lld] = %.9g is %.9g", (long long)i,
                        (double)dx[i], (double)copy[i]);
        free(dx);
        free(copy);
    }
    close_norm(&w);
}
END_TEST

/* ---- blocks of rows ---- */

typedef struct block_world {
    const linear_world *linear;
    int visits[MANY];
    float *y; /* [MANY][out] */
} block_world;

/* A chain of ops, each sharing its work out as it would outside. Shapes are new to the backend: plans are made within. */
static void linear_block(void *context, int64_t row0, int64_t row1)
{
    block_world *world = context;
    for (int64_t i = row0; i < row1; i++)
        world->visits[i]++;
    linear_rows(world->linear, false, row0, row1 - row0, world->y);
}

START_TEST(row_blocks_any_threads_give_the_bits_of_the_whole)
{
    const int64_t count = MANY * linear_shapes[_i].out;
    linear_world one = open_world(_i, 1);
    float *there = placed(one.be, count, 5);
    (void)prepare_weights(&one);
    linear_rows(&one, false, 0, MANY, there);
    float *expected = backend_fetch(one.be, there, count);
    for (size_t threads = 1; threads <= 4; threads++) {
        linear_world many = open_world(_i, threads);
        block_world world = {.linear = &many, .y = placed(many.be, count, 6)};
        (void)prepare_weights(&many);
        many.be->ops->for_row_blocks(many.be, MANY, linear_block, &world);
        many.be->ops->for_row_blocks(many.be, 0, linear_block, &world);
        float *got = backend_fetch(many.be, world.y, count);
        for (int64_t i = 0; i < MANY; i++)
            ASSERT_EACH(world.visits[i] == 1, "row %lld was visited %d times", (long long)i,
                        (int)world.visits[i]);
        ck_assert_int_eq(memcmp(expected, got, sizeof(float) * (size_t)count), 0);
        free(got);
        many.be->ops->release(many.be, world.y);
        close_world(&many);
    }
    free(expected);
    one.be->ops->release(one.be, there);
    close_world(&one);
}
END_TEST

static Suite *rows_suite(void)
{
    Suite *suite = suite_create("backend rows");
    TCase *rows = tcase_create("rows");
    tcase_set_timeout(rows, 120);
    tcase_add_loop_test(rows, linear_row_is_the_same_among_any_rows, 0, LINEARS + BF16_LINEARS);
    tcase_add_loop_test(rows, linear_is_the_product_however_it_is_cut, 0, LINEARS);
    tcase_add_loop_test(rows, linear_nan_in_one_row_stays_in_that_row, 0, PRECISIONS);
    tcase_add_test(rows, rmsnorm_row_is_the_same_among_any_rows);
    tcase_add_test(rows, rmsnorm_row_is_the_same_at_any_address);
    tcase_add_loop_test(rows, attention_cut_into_any_ranges_gives_the_same_bits, 0, RANGE_PRECISIONS);
    tcase_add_loop_test(rows, attention_rows_that_a_row_does_not_see_may_hold_nan, 0, PRECISIONS);
    tcase_add_test(rows, attention_at_sites_is_that_of_all_rows);
    tcase_add_test(rows, swiglu_backward_repeats_the_forward_pass);
    tcase_add_loop_test(rows, rmsnorm_backward_gives_the_result_again_and_a_copy_of_the_gradient, 0, NORMS);
    tcase_add_loop_test(rows, row_blocks_any_threads_give_the_bits_of_the_whole, 0, LINEARS);
    suite_add_tcase(suite, rows);
    return suite;
}

int main(void)
{
    return backend_main(rows_suite());
}
