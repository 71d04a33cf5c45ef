/* A row's product is its own: the same bits whatever rows stand beside it and however many, NaN or not. */
#include "tests/backend_rows.h"

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
#define LINEARS ((int)(sizeof linear_shapes / sizeof linear_shapes[0]))

/* Shapes in fp32 and then, where the backend has bf16, in bf16: in the emulator the fifth and sixth only. */
#if !defined(WZ_TEST_CUDA)
#define BF16_LINEARS 0
#elif defined(WZ_TEST_EMULATED)
#define BF16_FIRST 4
#define BF16_LINEARS 2
#else
#define BF16_LINEARS LINEARS
#endif
#ifndef BF16_FIRST
#define BF16_FIRST 0
#endif

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

static Suite *linear_suite(void)
{
    Suite *suite = suite_create("backend rows: linear");
    TCase *rows = tcase_create("linear");
    tcase_set_timeout(rows, 120);
    tcase_add_loop_test(rows, linear_row_is_the_same_among_any_rows, 0, LINEARS + BF16_LINEARS);
    tcase_add_loop_test(rows, linear_is_the_product_however_it_is_cut, 0, LINEARS);
    tcase_add_loop_test(rows, linear_nan_in_one_row_stays_in_that_row, 0, PRECISIONS);
    tcase_add_loop_test(rows, row_blocks_any_threads_give_the_bits_of_the_whole, 0, LINEARS);
    suite_add_tcase(suite, rows);
    return suite;
}

int main(void)
{
    return backend_main(linear_suite());
}
