#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/digest.h"
#include "engine/core/memory.h"
#include "engine/core/philox.h"
#include "engine/core/status.h"
#include "tests/suite.h"

/* --- status --- */

START_TEST(fail_any_status_writes_message_and_returns_status)
{
    wz_error err = {.text = ""};
    ck_assert_int_eq(wz_fail(&err, WZ_ERR_CORRUPT, "%s:%d", "file", 7), WZ_ERR_CORRUPT);
    ck_assert_str_eq(err.text, "file:7");
    ck_assert_int_eq(wz_fail(NULL, WZ_ERR_USAGE, "nobody listens"), WZ_ERR_USAGE);
}
END_TEST

START_TEST(fail_long_message_is_cut_and_terminated)
{
    wz_error err;
    memset(&err, 'x', sizeof err);
    (void)wz_fail(&err, WZ_ERR_RUNTIME, "%2000d", 1);
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
}
END_TEST

START_TEST(fail_prefix_puts_prefix_first)
{
    wz_error err = {.text = ""};
    (void)wz_fail(&err, WZ_ERR_RUNTIME, "inner");
    ck_assert_int_eq(wz_fail_prefix(&err, WZ_ERR_USAGE, "outer %d: ", 3), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, "outer 3: inner");
    (void)wz_fail_prefix(&err, WZ_ERR_USAGE, "%2000d", 1); /* no room: cut, not overrun */
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    ck_assert_int_eq(wz_fail_prefix(NULL, WZ_ERR_USAGE, "x"), WZ_ERR_USAGE);
}
END_TEST

/* --- memory --- */

START_TEST(size_multiply_overflow_is_refused)
{
    size_t product = 0;
    ck_assert(wz_size_multiply(3, 5, &product));
    ck_assert_uint_eq(product, 15);
    ck_assert(wz_size_multiply(SIZE_MAX, 1, &product));
    ck_assert(wz_size_multiply(0, SIZE_MAX, &product));
    ck_assert(!wz_size_multiply(SIZE_MAX / 2 + 1, 2, &product));
    ck_assert(!wz_size_multiply((size_t)1 << 32, (size_t)1 << 32, &product));
}
END_TEST

START_TEST(alloc_any_size_is_aligned_and_zero)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *block = NULL;
        ck_assert_int_eq(wz_alloc(&block, sizes[i], 1, "a test", NULL), WZ_OK);
        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq((uintptr_t)block % WZ_ALIGNMENT, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            ck_assert_int_eq(((unsigned char *)block)[j], 0);
        free(block);
    }
}
END_TEST

START_TEST(alloc_impossible_size_names_the_thing)
{
    static const size_t cases[][2] = {{SIZE_MAX, 2}, {SIZE_MAX, 1}, {SIZE_MAX - 10, 1}, {(size_t)1 << 62, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wz_error err = {.text = ""};
        void *block = &err;
        ck_assert_int_eq(wz_alloc(&block, cases[i][0], cases[i][1], "the key cache", &err), WZ_ERR_RESOURCE);
        ck_assert_ptr_null(block);
        ck_assert_ptr_nonnull(strstr(err.text, "the key cache"));
    }
}
END_TEST

START_TEST(grow_keeps_contents_and_refuses_overflow)
{
    wz_error err = {.text = ""};
    void *array = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(wz_grow(&array, &capacity, i + 1, sizeof(size_t), "numbers", &err), WZ_OK);
        ((size_t *)array)[i] = i;
    }
    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(((size_t *)array)[i], i);
    void *before = array;
    ck_assert_int_eq(wz_grow(&array, &capacity, SIZE_MAX, 1, "numbers", &err), WZ_ERR_RESOURCE);
    ck_assert_int_eq(wz_grow(&array, &capacity, SIZE_MAX / 4, 8, "numbers", &err), WZ_ERR_RESOURCE);
    ck_assert_ptr_eq(array, before);
    ck_assert_uint_eq(capacity, 1024); /* 8 doubled seven times */
    free(array);
}
END_TEST

START_TEST(arena_take_fills_exactly_and_then_refuses)
{
    wz_arena arena;
    ck_assert_int_eq(wz_arena_init(&arena, 256, "scratch", NULL), WZ_OK);
    unsigned char *first = wz_arena_take(&arena, 1, 1);
    unsigned char *second = wz_arena_take(&arena, 3, 64);
    ck_assert_ptr_eq(second, first + 64);
    ck_assert_ptr_null(wz_arena_take(&arena, 1, 1));
    ck_assert_ptr_null(wz_arena_take(&arena, SIZE_MAX, 2));
    ck_assert_ptr_null(wz_arena_take(&arena, SIZE_MAX, 1));
    wz_arena_reset(&arena);
    ck_assert_ptr_eq(wz_arena_take(&arena, 256, 1), first);
    wz_arena_clear(&arena);
    ck_assert_uint_eq(arena.size, 0);
}
END_TEST

START_TEST(text_append_and_printf_stay_terminated)
{
    wz_text text = {0};
    ck_assert_int_eq(wz_text_append(&text, NULL, 0, NULL), WZ_OK);
    ck_assert_str_eq(text.data, "");
    ck_assert_int_eq(wz_text_append(&text, "a\0b", 3, NULL), WZ_OK);
    ck_assert_uint_eq(text.length, 3);
    ck_assert_int_eq(wz_text_printf(&text, NULL, "%04d%s", 42, "!"), WZ_OK);
    ck_assert_uint_eq(text.length, 8);
    ck_assert_mem_eq(text.data, "a\0b0042!", 9);
    wz_text_clear(&text);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(wz_text_printf(&text, NULL, "%d", i % 10), WZ_OK);
    ck_assert_uint_eq(strlen(text.data), 10000);
    ck_assert_int_eq(wz_text_append(&text, "x", SIZE_MAX, NULL), WZ_ERR_RESOURCE);
    ck_assert_uint_eq(text.length, 10000);
    wz_text_clear(&text);
    ck_assert_ptr_null(text.data);
}
END_TEST

/* --- Philox --- */

/* The philox4x32-10 lines of tests/kat_vectors in Random123 1.14. */
START_TEST(philox4x32_published_vectors_are_met)
{
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4];
        wz_philox4x32(cases[i].counter, cases[i].key, out);
        ck_assert_mem_eq(out, cases[i].expected, sizeof out);
    }
}
END_TEST

/* The third published vector, with its counter taken apart by hand into the fields of a key:
 * 0x13198a2e = token 0x13198 << 12 | sample 0xa2e, 0x03707344 = purpose 0x03 << 24 | draw 0x707344. */
START_TEST(draw_words_fields_land_in_their_bits)
{
    static const uint32_t expected[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    const wz_draw_key key = {.seed = 0x299f31d0a4093822u,
                             .step = 0x243f6a88,
                             .problem = 0x85a308d3,
                             .token = 0x13198,
                             .sample = 0xa2e,
                             .purpose = 0x03};
    uint32_t out[4];
    ck_assert(wz_draw_key_valid(&key));
    wz_draw_words(&key, 0x707344, out);
    ck_assert_mem_eq(out, expected, sizeof out);
}
END_TEST

START_TEST(draw_init_words_fields_land_in_their_bits)
{
    const uint32_t counter[4] = {0x89abcdef, 0x01234567, 0xdeadbeef, 0x0a000000};
    const uint32_t key[2] = {0x76543210, 0xfedcba98};
    uint32_t expected[4], out[4];
    wz_philox4x32(counter, key, expected);
    wz_draw_init_words(0xfedcba9876543210u, 0x0a, 0xdeadbeef, 0x0123456789abcdefu, out);
    ck_assert_mem_eq(out, expected, sizeof out);
}
END_TEST

START_TEST(draw_key_valid_edges_of_ranges)
{
    wz_draw_key key = {.token = (1u << 20) - 1, .sample = (1u << 12) - 1, .purpose = 255};
    ck_assert(wz_draw_key_valid(&key));
    key.token++;
    ck_assert(!wz_draw_key_valid(&key));
    key.token = 0;
    key.sample++;
    ck_assert(!wz_draw_key_valid(&key));
    key.sample = 0;
    key.purpose++;
    ck_assert(!wz_draw_key_valid(&key));
}
END_TEST

START_TEST(uniform_extremes_stay_inside_the_open_interval)
{
    ck_assert_double_eq(wz_uniform(0), 0x1p-33);
    ck_assert_double_eq(wz_uniform(UINT32_MAX), 1.0 - 0x1p-33);
    ck_assert(wz_uniform(0) > 0.0 && wz_uniform(UINT32_MAX) < 1.0);
}
END_TEST

/* 2^18 uniforms: the mean has standard deviation 1/sqrt(12 n) = 5.6e-4, the mean square sqrt(4/45 / n) =
 * 5.8e-4; six of them are allowed (chance 2e-9 for a sound generator; the draws are fixed anyway). */
START_TEST(uniform_many_draws_have_the_moments)
{
    const size_t count = (size_t)1 << 18;
    double sum = 0.0, squares = 0.0;
    const wz_draw_key key = {.seed = 1, .purpose = WZ_PURPOSE_TOOL};
    for (size_t i = 0; i < count / 4; i++) {
        uint32_t words[4];
        wz_draw_words(&key, (uint32_t)i, words);
        for (size_t j = 0; j < 4; j++) {
            double u = wz_uniform(words[j]);
            sum += u;
            squares += u * u;
        }
    }
    ck_assert_double_eq_tol(sum / (double)count, 0.5, 6 * 5.6e-4);
    ck_assert_double_eq_tol(squares / (double)count, 1.0 / 3.0, 6 * 5.8e-4);
}
END_TEST

/* 2^18 normals: six standard deviations of the mean (1/sqrt n), variance (sqrt(2/n)) and fourth moment
 * (sqrt(96/n)); and the two of a pair are uncorrelated (1/sqrt(n/2)). */
START_TEST(normal_pair_many_draws_have_the_moments)
{
    const size_t pairs = (size_t)1 << 17;
    const double n = 2.0 * (double)pairs;
    double sum = 0.0, squares = 0.0, fourth = 0.0, product = 0.0;
    const wz_draw_key key = {.seed = 2, .purpose = WZ_PURPOSE_TOOL};
    for (size_t i = 0; i < pairs; i++) {
        uint32_t words[4];
        double x[2];
        wz_draw_words(&key, (uint32_t)i, words);
        wz_normal_pair(words, x);
        for (size_t j = 0; j < 2; j++) {
            sum += x[j];
            squares += x[j] * x[j];
            fourth += x[j] * x[j] * x[j] * x[j];
        }
        product += x[0] * x[1];
    }
    ck_assert_double_eq_tol(sum / n, 0.0, 6.0 / sqrt(n));
    ck_assert_double_eq_tol(squares / n, 1.0, 6.0 * sqrt(2.0 / n));
    ck_assert_double_eq_tol(fourth / n, 3.0, 6.0 * sqrt(96.0 / n));
    ck_assert_double_eq_tol(product / (double)pairs, 0.0, 6.0 / sqrt((double)pairs));
}
END_TEST

START_TEST(normal_pair_extreme_words_are_finite)
{
    static const uint32_t low[4] = {0, 0, 0, 0};
    static const uint32_t high[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    double x[2];
    wz_normal_pair(low, x); /* u = 2^-54: radius sqrt(108 log 2), angle next to 0 */
    ck_assert_double_eq_tol(x[0], sqrt(108.0 * log(2.0)), 1e-12);
    ck_assert(isfinite(x[1]));
    wz_normal_pair(high, x);
    ck_assert(isfinite(x[0]) && isfinite(x[1]));
}
END_TEST

/* --- digests --- */

/* Published XXH3-128 of no bytes at seed 0, and `printf abc | xxhsum -H2`. */
START_TEST(digest_known_inputs_give_known_digits)
{
    char hex[WZ_DIGEST_HEX];
    wz_digest_bytes("", 0, hex);
    ck_assert_str_eq(hex, "99aa06d3014798d86001c324468d497f");
    wz_digest_bytes("abc", 3, hex);
    ck_assert_str_eq(hex, "06b05ab6733a618578af5f94892f3950");
}
END_TEST

START_TEST(digest_pieces_equal_the_whole)
{
    char whole[WZ_DIGEST_HEX], pieces[WZ_DIGEST_HEX], bytes[3000];
    wz_digest *digest = NULL;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 37 % 251);
    wz_digest_bytes(bytes, sizeof bytes, whole);
    ck_assert_int_eq(wz_digest_create(&digest, NULL), WZ_OK);
    wz_digest_add(digest, bytes, 1000);
    wz_digest_add(digest, NULL, 0);
    wz_digest_add(digest, bytes + 1000, 2000);
    wz_digest_finish(digest, pieces);
    ck_assert_str_eq(whole, pieces);
    wz_digest_destroy(digest);
}
END_TEST

START_TEST(digest_add_u64_is_little_endian)
{
    char number[WZ_DIGEST_HEX], bytes[WZ_DIGEST_HEX];
    wz_digest *digest = NULL;
    ck_assert_int_eq(wz_digest_create(&digest, NULL), WZ_OK);
    wz_digest_add_u64(digest, 0x0807060504030201u);
    wz_digest_finish(digest, number);
    wz_digest_destroy(digest);
    wz_digest_bytes("\x01\x02\x03\x04\x05\x06\x07\x08", 8, bytes);
    ck_assert_str_eq(number, bytes);
}
END_TEST

static Suite *core_suite(void)
{
    Suite *suite = suite_create("core");
    TCase *status = tcase_create("status");
    tcase_add_test(status, fail_any_status_writes_message_and_returns_status);
    tcase_add_test(status, fail_long_message_is_cut_and_terminated);
    tcase_add_test(status, fail_prefix_puts_prefix_first);
    suite_add_tcase(suite, status);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, size_multiply_overflow_is_refused);
    tcase_add_test(memory, alloc_any_size_is_aligned_and_zero);
    tcase_add_test(memory, alloc_impossible_size_names_the_thing);
    tcase_add_test(memory, grow_keeps_contents_and_refuses_overflow);
    tcase_add_test(memory, arena_take_fills_exactly_and_then_refuses);
    tcase_add_test(memory, text_append_and_printf_stay_terminated);
    suite_add_tcase(suite, memory);
    TCase *philox = tcase_create("philox");
    tcase_add_test(philox, philox4x32_published_vectors_are_met);
    tcase_add_test(philox, draw_words_fields_land_in_their_bits);
    tcase_add_test(philox, draw_init_words_fields_land_in_their_bits);
    tcase_add_test(philox, draw_key_valid_edges_of_ranges);
    tcase_add_test(philox, uniform_extremes_stay_inside_the_open_interval);
    tcase_add_test(philox, uniform_many_draws_have_the_moments);
    tcase_add_test(philox, normal_pair_many_draws_have_the_moments);
    tcase_add_test(philox, normal_pair_extreme_words_are_finite);
    suite_add_tcase(suite, philox);
    TCase *digest = tcase_create("digest");
    tcase_add_test(digest, digest_known_inputs_give_known_digits);
    tcase_add_test(digest, digest_pieces_equal_the_whole);
    tcase_add_test(digest, digest_add_u64_is_little_endian);
    suite_add_tcase(suite, digest);
    return suite;
}

int main(void)
{
    return run_suite(core_suite());
}
