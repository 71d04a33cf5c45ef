#include "tests/backend_sums.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "tests/backend_case.h"

#define COUNT 40013 /* more than two blocks of 16384 floats */

/* A copy on the backend; NULL: zeros. */
static float *place(wz_backend *be, const float *values)
{
    void *block = NULL;
    wz_error err = {{0}};
    ck_assert_msg(be->ops->alloc(be, sizeof(float) * COUNT, "a test", &block, &err) == WZ_OK, "%s", err.text);
    if (values != NULL)
        be->ops->upload(be, block, values, sizeof(float) * COUNT);
    return block;
}

/* Double products of floats are exact; n additions in double round n 2^-53 at most. */
double sum_squares_check(wz_backend *be)
{
    float *x = uniform_numbers(COUNT, 3, WZ_F32), *at = place(be, x);
    double expected = 0.0;
    for (int i = 0; i < COUNT; i++)
        expected += (double)x[i] * (double)x[i];
    const double got = be->ops->sum_squares(be, at, COUNT);
    ck_assert_double_le(fabs(got - expected), COUNT * 0x1p-52 * expected);
    ck_assert_double_eq(be->ops->sum_squares(be, at, COUNT), got);
    ck_assert_double_eq(be->ops->sum_squares(be, at, 0), 0.0);
    const float bad[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        be->ops->upload(be, at + COUNT - 1, &bad[i], sizeof bad[i]);
        ck_assert(!isfinite(be->ops->sum_squares(be, at, COUNT)));
    }
    be->ops->release(be, at);
    free(x);
    return got;
}

typedef struct moments {
    double weight, first, second;
} moments;

/* Loshchilov & Hutter 2019, algorithm 2. */
static void exact_step(moments *at, const wz_adamw *o, double slope)
{
    const double b1 = (double)o->beta1, b2 = (double)o->beta2, step = (double)o->step;
    at->first = b1 * at->first + (1.0 - b1) * slope;
    at->second = b2 * at->second + (1.0 - b2) * slope * slope;
    at->weight -=
        (double)o->learning_rate *
        (at->first / (1.0 - pow(b1, step)) / (sqrt(at->second / (1.0 - pow(b2, step))) + (double)o->epsilon) +
         (double)o->weight_decay * at->weight);
}

/* In float a step rounds about ten times, relative to the weight and to the update of at most 1.2 lr, for the denominators
 * here are above 1e-4: 10 * 5 * 2^-24. */
void adamw_check(wz_backend *be)
{
    const wz_adamw options = {
        .learning_rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .weight_decay = 0.1f};
    float *w = uniform_numbers(COUNT, 4, WZ_F32), *weight = place(be, w), *m = place(be, NULL),
          *v = place(be, NULL);
    moments *exact = calloc(COUNT, sizeof *exact);
    ck_assert_ptr_nonnull(exact);
    for (int i = 0; i < COUNT; i++)
        exact[i].weight = (double)w[i];
    for (int step = 1; step <= 5; step++) {
        float *g = uniform_numbers(COUNT, 10 + (uint32_t)step, WZ_F32), *gradient = place(be, g);
        wz_adamw now = options;
        now.step = step;
        be->ops->adamw(be, weight, m, v, gradient, COUNT, 0.5f, &now);
        for (int i = 0; i < COUNT; i++)
            exact_step(&exact[i], &now, 0.5 * (double)g[i]);
        be->ops->release(be, gradient);
        free(g);
    }
    be->ops->download(be, w, weight, sizeof(float) * COUNT);
    for (int i = 0; i < COUNT; i++)
        ck_assert_msg(fabs((double)w[i] - exact[i].weight) <=
                          50.0 * UNIT_ROUNDOFF * (fabs(exact[i].weight) + 0.06),
                      "weight %d is %.9g, expected %.9g", i, (double)w[i], exact[i].weight);
    float *const blocks[] = {weight, m, v};
    for (int i = 0; i < 3; i++)
        be->ops->release(be, blocks[i]);
    free(w);
    free(exact);
}

/* Four roundings, of 1 - share, of two products and of a sum: 4 * 2^-24 of both terms. A share of 1 copies, of 0 leaves. */
void blend_check(wz_backend *be)
{
    const float shares[] = {0.6f, 0.001f, 1.0f, 0.0f};
    float *x = uniform_numbers(COUNT, 5, WZ_F32), *y = uniform_numbers(COUNT, 6, WZ_F32),
          *got = uniform_numbers(COUNT, 7, WZ_F32), *from = place(be, x);
    for (int k = 0; k < 4; k++) {
        const double share = (double)shares[k];
        float *to = place(be, y);
        be->ops->blend(be, to, from, COUNT, shares[k]);
        be->ops->blend(be, to, from, 0, 1.0f);
        be->ops->download(be, got, to, sizeof(float) * COUNT);
        be->ops->release(be, to);
        for (int i = 0; i < COUNT; i++) {
            const double a = (1.0 - share) * (double)y[i], b = share * (double)x[i];
            const double most = k < 2 ? 4.0 * UNIT_ROUNDOFF * (fabs(a) + fabs(b)) : 0.0;
            ck_assert_msg(fabs((double)got[i] - (a + b)) <= most, "share %g, %d: %.9g, expected %.9g", share,
                          i, (double)got[i], a + b);
        }
    }
    be->ops->release(be, from);
    free(x);
    free(y);
    free(got);
}
