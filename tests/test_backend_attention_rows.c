/* Attention: rows as they come while decoding, all at once, and at sites only. */
#include "tests/backend_rows.h"

#ifdef WZ_TEST_EMULATED /* where attention takes a second */
enum { BAD_STEP = 37, RANGE_PRECISIONS = 1 };
#else
enum { BAD_STEP = 1, RANGE_PRECISIONS = PRECISIONS };
#endif

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

static Suite *attention_suite(void)
{
    Suite *suite = suite_create("backend rows: attention");
    TCase *rows = tcase_create("attention");
    tcase_set_timeout(rows, 120);
    tcase_add_loop_test(rows, attention_cut_into_any_ranges_gives_the_same_bits, 0, RANGE_PRECISIONS);
    tcase_add_loop_test(rows, attention_rows_that_a_row_does_not_see_may_hold_nan, 0, PRECISIONS);
    tcase_add_test(rows, attention_at_sites_is_that_of_all_rows);
    suite_add_tcase(suite, rows);
    return suite;
}

int main(void)
{
    return backend_main(attention_suite());
}
