/* Norms and SwiGLU row by row: the same bits among any rows and at any address, and what the backward pass gives again. */
#include "tests/backend_rows.h"

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

static Suite *norm_suite(void)
{
    Suite *suite = suite_create("backend rows: norms");
    TCase *rows = tcase_create("norm");
    tcase_set_timeout(rows, 120);
    tcase_add_test(rows, rmsnorm_row_is_the_same_among_any_rows);
    tcase_add_test(rows, rmsnorm_row_is_the_same_at_any_address);
    tcase_add_test(rows, swiglu_backward_repeats_the_forward_pass);
    tcase_add_loop_test(rows, rmsnorm_backward_gives_the_result_again_and_a_copy_of_the_gradient, 0, NORMS);
    suite_add_tcase(suite, rows);
    return suite;
}

int main(void)
{
    return backend_main(norm_suite());
}
