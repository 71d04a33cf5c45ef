/* What a backend promises bit for bit: a row's result is its own, whatever the number of threads, of rows beside it, and
 * wherever a batch is cut between groups. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

static size_t bytes_of(const bench *b, size_t f)
{
    return (size_t)(b->fields[f].rows * b->fields[f].columns) * sizeof(float);
}

static void check_same(const bench *b, const bench *other, const char *what)
{
    char name[256];
    case_name(b->test, name, sizeof name);
    for (size_t f = 0; f < b->field_count; f++)
        for (int gradient = 0; gradient < 2; gradient++) {
            if (gradient == 0 ? !b->fields[f].output : b->fields[f].gradient == NO_GRADIENT)
                continue;
            float *one = bench_fetch(b, f, gradient != 0), *two = bench_fetch(other, f, gradient != 0);
            ck_assert_msg(memcmp(one, two, bytes_of(b, f)) == 0, "%s: %s %s differs %s", name,
                          gradient != 0 ? "gradient of" : "output", b->fields[f].name, what);
            free(one);
            free(two);
        }
}

static void run(bench *b)
{
    b->test->op->forward(b);
    if (b->test->op->backward != NULL)
        b->test->op->backward(b);
}

START_TEST(op_one_to_four_threads_give_the_same_bits)
{
    bench one, more;
    wz_backend *alone = cpu_backend_with(1);
    bench_create(&one, &backend_cases[_i], alone);
    run(&one);
    for (size_t threads = 2; threads <= 4; threads++) {
        wz_backend *be = cpu_backend_with(threads);
        bench_create(&more, &backend_cases[_i], be);
        run(&more);
        check_same(&one, &more, "with more threads");
        bench_destroy(&more);
        be->ops->destroy(be);
    }
    bench_destroy(&one);
    alone->ops->destroy(alone);
}
END_TEST

START_TEST(op_backward_cut_between_groups_gives_the_same_bits)
{
    const op_case *test = &backend_cases[_i];
    if (!test->op->grouped || test->shape.groups < 2)
        return;
    bench whole, cut;
    wz_backend *be = cpu_backend_with(2);
    bench_create(&whole, test, be);
    bench_create(&cut, test, be);
    run(&whole);
    for (int64_t at = 1; at < whole.groups.groups; at++) {
        bench_reset(&cut);
        test->op->forward(&cut);
        cut.part.groups = at;
        test->op->backward(&cut);
        cut.part = (wz_row_groups){cut.groups.groups - at, cut.groups.offset + at, cut.groups.index};
        cut.resumed = true;
        test->op->backward(&cut);
        check_same(&whole, &cut, "when cut between groups");
    }
    bench_destroy(&cut);
    bench_destroy(&whole);
    be->ops->destroy(be);
}
END_TEST

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

typedef struct linear_world {
    const linear_shape *shape;
    wz_backend *be;
    float *x, *w, *bias, *residual; /* [MANY][in], [out][in], [out], [MANY][out] */
    void *prepared;                 /* of w; NULL: none */
} linear_world;

static float *uniform(int64_t count, uint32_t what)
{
    float *values = malloc((size_t)(count + 1) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    fill_uniform(values, count, what);
    return values;
}

static wz_tensor matrix(float *data, int64_t rows, int64_t columns)
{
    return (wz_tensor){data, rows, columns, columns, WZ_F32};
}

/* Rows row0 .. row0 + rows, into y [rows][out]; forward, or (backward) dx from dy. */
static void linear_rows(const linear_world *world, bool backward, int64_t row0, int64_t rows, float *y)
{
    const linear_shape *s = world->shape;
    const wz_linear weights = {.weight = matrix(world->w, s->out, s->in),
                               .prepared = world->prepared,
                               .bias = matrix(s->bias ? world->bias : NULL, 1, s->out)};
    if (backward)
        world->be->ops->linear_backward_input(world->be, matrix(y, rows, s->in),
                                              matrix(world->residual + row0 * s->out, rows, s->out),
                                              &weights);
    else
        world->be->ops->linear_forward(
            world->be, matrix(y, rows, s->out), matrix(world->x + row0 * s->in, rows, s->in), &weights,
            matrix(s->residual ? world->residual + row0 * s->out : NULL, rows, s->out));
}

static void check_linear_rows(const linear_world *world, bool backward)
{
    const int64_t width = backward ? world->shape->in : world->shape->out;
    const int64_t heights[] = {1, 2, 3, 5, 8, 13, 16, 17, 31, 47, 64, 100, 127, 128, 129, 200, 299};
    float *all = malloc(sizeof(float) * (size_t)(MANY * width)),
          *some = malloc(sizeof(float) * (size_t)(MANY * width));
    ck_assert(all != NULL && some != NULL);
    linear_rows(world, backward, 0, MANY, all);
    for (size_t i = 0; i < sizeof heights / sizeof heights[0]; i++)
        for (int64_t row = 0; row < MANY; row += heights[i]) {
            const int64_t rows = MANY - row < heights[i] ? MANY - row : heights[i];
            linear_rows(world, backward, row, rows, some);
            ck_assert_msg(memcmp(some, all + row * width, sizeof(float) * (size_t)(rows * width)) == 0,
                          "linear %s %lld -> %lld: rows %lld.. differ among %lld from those among %d",
                          backward ? "backward" : "forward", (long long)world->shape->in,
                          (long long)world->shape->out, (long long)row, (long long)rows, MANY);
        }
    free(all);
    free(some);
}

static linear_world open_world(const linear_shape *s)
{
    return (linear_world){.shape = s,
                          .be = cpu_backend_with(2),
                          .x = uniform(MANY * s->in, 1),
                          .w = uniform(s->in * s->out, 2),
                          .bias = uniform(s->out, 3),
                          .residual = uniform(MANY * s->out, 4)};
}

/* False: this backend reads such weights as they are. */
static bool prepare_weights(linear_world *world)
{
    const linear_shape *s = world->shape;
    const size_t bytes = world->be->ops->prepared_bytes(world->be, s->out, s->in);
    if (bytes == 0)
        return false;
    ck_assert_int_eq(world->be->ops->alloc(world->be, bytes, "prepared weights", &world->prepared, NULL),
                     WZ_OK);
    world->be->ops->prepare(world->be, world->prepared, matrix(world->w, s->out, s->in));
    return true;
}

static void close_world(linear_world *world)
{
    float *const blocks[] = {world->x, world->w, world->bias, world->residual};
    for (size_t i = 0; i < 4; i++)
        free(blocks[i]);
    if (world->prepared != NULL)
        world->be->ops->release(world->be, world->prepared);
    world->be->ops->destroy(world->be);
}

START_TEST(linear_row_is_the_same_among_any_rows)
{
    linear_world world = open_world(&linear_shapes[_i]);
    check_linear_rows(&world, false);
    check_linear_rows(&world, true);
    if (prepare_weights(&world))
        check_linear_rows(&world, false);
    close_world(&world);
}
END_TEST

/* Against sums in double; each of in products of numbers below 1 rounds by at most half a unit of a sum below in. */
static void check_linear_values(const linear_world *world)
{
    const linear_shape *s = world->shape;
    float *y = malloc(sizeof(float) * (size_t)(MANY * s->out));
    ck_assert_ptr_nonnull(y);
    linear_rows(world, false, 0, MANY, y);
    for (int64_t i = 0; i < MANY; i++)
        for (int64_t o = 0; o < s->out; o++) {
            double sum = (s->bias ? (double)world->bias[o] : 0.0) +
                         (s->residual ? (double)world->residual[i * s->out + o] : 0.0);
            for (int64_t k = 0; k < s->in; k++)
                sum += (double)world->x[i * s->in + k] * (double)world->w[o * s->in + k];
            ck_assert_double_eq_tol((double)y[i * s->out + o], sum,
                                    (double)((s->in + 2) * (s->in + 2)) * 0x1p-25);
        }
    free(y);
}

START_TEST(linear_is_the_product_however_it_is_cut)
{
    linear_world world = open_world(&linear_shapes[_i]);
    check_linear_values(&world);
    if (prepare_weights(&world))
        check_linear_values(&world);
    close_world(&world);
}
END_TEST

START_TEST(linear_nan_in_one_row_stays_in_that_row)
{
    const linear_shape *s = &linear_shapes[0];
    wz_backend *be = cpu_backend_with(2);
    linear_world world = {.shape = s,
                          .be = be,
                          .x = uniform(MANY * s->in, 1),
                          .w = uniform(s->in * s->out, 2),
                          .bias = uniform(s->out, 3)};
    float *clean = malloc(sizeof(float) * (size_t)(MANY * s->out)),
          *y = malloc(sizeof(float) * (size_t)(MANY * s->out));
    ck_assert(clean != NULL && y != NULL);
    linear_rows(&world, false, 0, MANY, clean);
    world.x[137 * s->in + 5] = NAN;
    linear_rows(&world, false, 0, MANY, y);
    for (int64_t i = 0; i < MANY; i++)
        if (i != 137)
            ck_assert_int_eq(memcmp(y + i * s->out, clean + i * s->out, sizeof(float) * (size_t)s->out), 0);
    for (int64_t o = 0; o < s->out; o++)
        ck_assert(isnan(y[137 * s->out + o]));
    float *const blocks[] = {world.x, world.w, world.bias, clean, y};
    for (size_t i = 0; i < 5; i++)
        free(blocks[i]);
    be->ops->destroy(be);
}
END_TEST

START_TEST(rmsnorm_row_is_the_same_among_any_rows)
{
    const int64_t width = 67;
    wz_backend *be = cpu_backend_with(2);
    float *x = uniform(MANY * width, 1), *weight = uniform(width, 2), *y = uniform(MANY * width, 3);
    float *rstd = uniform(MANY, 4), *one = uniform(width, 5), *one_rstd = uniform(1, 6);
    x[100 * width] = NAN;
    be->ops->rmsnorm_forward(be, matrix(y, MANY, width), rstd, matrix(x, MANY, width), NULL, weight, 1e-6f);
    for (int32_t i = 0; i < MANY; i++) {
        be->ops->rmsnorm_forward(be, matrix(one, 1, width), one_rstd, matrix(x, MANY, width), &i, weight,
                                 1e-6f);
        ck_assert_int_eq(memcmp(one, y + i * width, sizeof(float) * (size_t)width), 0);
        ck_assert_int_eq(memcmp(one_rstd, rstd + i, sizeof(float)), 0);
        ck_assert(isnan(rstd[i]) == (i == 100));
    }
    float *const blocks[] = {x, weight, y, rstd, one, one_rstd};
    for (size_t i = 0; i < 6; i++)
        free(blocks[i]);
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
    wz_backend *be = cpu_backend_with(2);
    bench_create(&whole, wide_attention(), be);
    bench_create(&cut, wide_attention(), be);
    attention_range(&whole, &whole.pack->segments, 0, whole.s->rows);
    for (int64_t step = 1; step < whole.s->rows; step += 1 + step / 2) {
        bench_reset(&cut);
        for (int64_t row = 0; row < whole.s->rows; row += step)
            attention_range(&cut, &cut.pack->segments, row,
                            row + step < whole.s->rows ? row + step : whole.s->rows);
        for (size_t f = OUT; f <= LSE; f++) {
            float *one = bench_fetch(&whole, f, false), *two = bench_fetch(&cut, f, false);
            ck_assert_msg(memcmp(one, two, bytes_of(&whole, f)) == 0, "%s differs in ranges of %lld rows",
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

/* Rows from `first` on become NaN, as memory beyond what was decoded may be: earlier rows must not look at them. */
START_TEST(attention_rows_that_a_row_does_not_see_may_hold_nan)
{
    bench clean, dirty;
    wz_backend *be = cpu_backend_with(2);
    bench_create(&clean, wide_attention(), be);
    bench_create(&dirty, wide_attention(), be);
    attention_range(&clean, &clean.pack->segments, 0, clean.s->rows);
    float *expected = bench_fetch(&clean, OUT, false);
    const int64_t rows = clean.s->rows, qkv = clean.fields[QKV].columns, width = clean.fields[OUT].columns;
    const wz_segments *segments = &clean.pack->segments;
    for (int64_t bad = 0; bad < rows; bad++) {
        float *values = malloc(bytes_of(&clean, QKV));
        ck_assert_ptr_nonnull(values);
        memcpy(values, clean.host[QKV], bytes_of(&clean, QKV));
        for (int64_t j = 0; j < qkv; j++)
            values[bad * qkv + j] = NAN;
        be->ops->upload(be, dirty.value[QKV], values, bytes_of(&clean, QKV));
        attention_range(&dirty, &dirty.pack->segments, 0, rows);
        float *got = bench_fetch(&dirty, OUT, false);
        for (int64_t i = 0; i < rows; i++) {
            const bool prompt = segments->row_completion[bad] < 0;
            const bool sees =
                segments->row_group[i] == segments->row_group[bad] &&
                (prompt ? segments->row_completion[i] >= 0 || i >= bad
                        : segments->row_completion[i] == segments->row_completion[bad] && i >= bad);
            if (sees)
                ck_assert_msg(isnan(got[i * width]), "row %lld hides the NaN of row %lld", (long long)i,
                              (long long)bad);
            else
                ck_assert_msg(memcmp(got + i * width, expected + i * width, (size_t)width * sizeof(float)) ==
                                  0,
                              "row %lld looks at row %lld", (long long)i, (long long)bad);
        }
        free(got);
        free(values);
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
    wz_backend *be = cpu_backend_with(2);
    bench_create(&all, wide_attention(), be);
    bench_create(&some, wide_attention(), be);
    const wz_segments *segments = &all.pack->segments;
    const wz_attention attention = bench_attention(&all);
    const int64_t sites = segments->sites, rows = all.s->rows, width = all.fields[OUT].columns,
                  heads = all.fields[LSE].columns;
    ck_assert_int_lt(sites, rows);
    float *dout = uniform(rows * width, 7), *dout_sites = uniform(sites * width, 8);
    float *out_sites = uniform(sites * width, 9), *lse_sites = uniform(sites * heads, 10);
    for (int64_t i = 0; i < rows; i++)
        if (segments->row_site[i] >= 0)
            memcpy(dout_sites + segments->row_site[i] * width, dout + i * width,
                   sizeof(float) * (size_t)width);
        else
            memset(dout + i * width, 0, sizeof(float) * (size_t)width);
    attention_range(&all, segments, 0, rows);
    be->ops->attention_backward(be, bench_gradient(&all, QKV), matrix(dout, rows, width),
                                bench_tensor(&all, OUT), all.value[LSE], bench_tensor(&all, QKV), segments,
                                false, &attention);
    be->ops->attention_forward(be, matrix(out_sites, sites, width), lse_sites, bench_tensor(&some, QKV),
                               segments, 0, rows, true, &attention);
    be->ops->attention_backward(be, bench_gradient(&some, QKV), matrix(dout_sites, sites, width),
                                matrix(out_sites, sites, width), lse_sites, bench_tensor(&some, QKV),
                                segments, true, &attention);
    float *out = bench_fetch(&all, OUT, false), *lse = bench_fetch(&all, LSE, false);
    float *one = bench_fetch(&all, QKV, true), *two = bench_fetch(&some, QKV, true);
    for (int64_t i = 0; i < sites; i++) {
        const int64_t row = segments->site_row[i];
        ck_assert_int_eq(memcmp(out_sites + i * width, out + row * width, sizeof(float) * (size_t)width), 0);
        ck_assert_int_eq(memcmp(lse_sites + i * heads, lse + row * heads, sizeof(float) * (size_t)heads), 0);
    }
    for (int64_t i = 0; i < rows * all.fields[QKV].columns; i++)
        ck_assert_msg(one[i] == two[i], "dqkv differs at %lld: %g, %g", (long long)i, (double)one[i],
                      (double)two[i]); /* zeros may differ in sign */
    float *const blocks[] = {dout, dout_sites, out_sites, lse_sites, out, lse, one, two};
    for (size_t i = 0; i < 8; i++)
        free(blocks[i]);
    bench_destroy(&some);
    bench_destroy(&all);
    be->ops->destroy(be);
}
END_TEST

START_TEST(swiglu_backward_repeats_the_forward_pass)
{
    const int64_t width = 75;
    wz_backend *be = cpu_backend_with(2);
    float *gate_up = uniform(MANY * 2 * width, 1), *dy = uniform(MANY * width, 2);
    float *dgate_up = uniform(MANY * 2 * width, 3), *y = uniform(MANY * width, 4),
          *again = uniform(MANY * width, 5);
    be->ops->swiglu_forward(be, matrix(y, MANY, width), matrix(gate_up, MANY, 2 * width));
    be->ops->swiglu_backward(be, matrix(dgate_up, MANY, 2 * width), matrix(again, MANY, width),
                             matrix(dy, MANY, width), matrix(gate_up, MANY, 2 * width));
    ck_assert_int_eq(memcmp(y, again, sizeof(float) * (size_t)(MANY * width)), 0);
    float *const blocks[] = {gate_up, dy, dgate_up, y, again};
    for (size_t i = 0; i < 5; i++)
        free(blocks[i]);
    be->ops->destroy(be);
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
    linear_rows(world->linear, false, row0, row1 - row0, world->y + row0 * world->linear->shape->out);
}

START_TEST(row_blocks_any_threads_give_the_bits_of_the_whole)
{
    const linear_shape *s = &linear_shapes[_i];
    float *const values[] = {uniform(MANY * s->in, 1),  uniform(s->in * s->out, 2),
                             uniform(s->out, 3),        uniform(MANY * s->out, 4),
                             uniform(MANY * s->out, 5), uniform(MANY * s->out, 6)};
    for (size_t threads = 1; threads <= 4; threads++) {
        wz_backend *whole = cpu_backend_with(1), *be = cpu_backend_with(threads);
        linear_world one = {s, whole, values[0], values[1], values[2], values[3], NULL};
        (void)prepare_weights(&one);
        const linear_world many = {s, be, values[0], values[1], values[2], values[3], one.prepared};
        block_world world = {.linear = &many, .y = values[5]};
        wz_error err;
        linear_rows(&one, false, 0, MANY, values[4]);
        be->ops->for_row_blocks(be, MANY, linear_block, &world);
        be->ops->for_row_blocks(be, 0, linear_block, &world);
        ck_assert_int_eq(be->ops->sync(be, &err), WZ_OK);
        for (int64_t i = 0; i < MANY; i++)
            ck_assert_int_eq(world.visits[i], 1);
        ck_assert_int_eq(memcmp(values[4], values[5], sizeof(float) * (size_t)(MANY * s->out)), 0);
        if (one.prepared != NULL)
            whole->ops->release(whole, one.prepared);
        be->ops->destroy(be);
        whole->ops->destroy(whole);
    }
    for (size_t i = 0; i < 6; i++)
        free(values[i]);
}
END_TEST

static Suite *promises_suite(void)
{
    Suite *suite = suite_create("backend promises");
    TCase *table = tcase_create("table"), *rows = tcase_create("rows");
    const int linears = (int)(sizeof linear_shapes / sizeof linear_shapes[0]);
    tcase_set_timeout(table, 120);
    tcase_set_timeout(rows, 120);
    tcase_add_loop_test(table, op_one_to_four_threads_give_the_same_bits, 0, (int)backend_case_count);
    tcase_add_loop_test(table, op_backward_cut_between_groups_gives_the_same_bits, 0,
                        (int)backend_case_count);
    tcase_add_loop_test(rows, linear_row_is_the_same_among_any_rows, 0, linears);
    tcase_add_loop_test(rows, linear_is_the_product_however_it_is_cut, 0, linears);
    tcase_add_test(rows, linear_nan_in_one_row_stays_in_that_row);
    tcase_add_test(rows, rmsnorm_row_is_the_same_among_any_rows);
    tcase_add_test(rows, attention_cut_into_any_ranges_gives_the_same_bits);
    tcase_add_test(rows, attention_rows_that_a_row_does_not_see_may_hold_nan);
    tcase_add_test(rows, attention_at_sites_is_that_of_all_rows);
    tcase_add_test(rows, swiglu_backward_repeats_the_forward_pass);
    tcase_add_loop_test(rows, row_blocks_any_threads_give_the_bits_of_the_whole, 0, linears);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, rows);
    return suite;
}

int main(void)
{
    return backend_main(promises_suite());
}
