/* Host arrays on their way to the device, and the lists that are made of them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cuda/cuda_backend.h"
#include "tests/suite.h"

static wz_backend *be;
static cuda_backend *cuda;

static void open_backend(void)
{
    const wz_cuda_options options = {true, WZ_F32};
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    cuda = cuda_of(be);
}

static void close_backend(void)
{
    be->ops->destroy(be);
}

static void no_failure(void)
{
    wz_error err = {{0}};
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
}

template <typename T> static std::vector<T> on_the_device(const T *from, int64_t count)
{
    std::vector<T> host((size_t)count);
    ck_assert_ptr_nonnull(from);
    ck_assert(cuda_fetch(cuda, host.data(), from, host.size() * sizeof(T), "a test"));
    return host;
}

/* Numbers without a pattern that a sort could profit from. */
static uint32_t scrambled(uint32_t i)
{
    const uint32_t mixed = (i + 1) * 2654435761u;
    return (mixed ^ mixed >> 15) * 2246822519u >> 3;
}

/* Rows, the range of their targets, and whether rows are listed: every other one, from the last. */
static const struct scatter_case {
    int64_t rows;
    uint32_t targets;
    bool listed;
} scatters[] = {
    {1, 1, false},     {37, 1, false},       {200, 3, true},          {500, 2048, false},
    {500, 2049, true}, {3000, 150000, true}, {2000, 1u << 31, false},
};

START_TEST(make_scatter_keeps_the_order_of_a_targets_rows)
{
    const scatter_case c = scatters[_i];
    std::vector<int32_t> to, list;
    std::map<int32_t, std::vector<int32_t>> expected;
    for (int64_t r = 0; r < c.rows; r++)
        to.push_back((int32_t)(scrambled((uint32_t)r) * (uint64_t)c.targets >> 29));
    for (int64_t r = c.rows - 1; c.listed && r >= 0; r -= 2)
        list.push_back((int32_t)r);
    const int64_t count = c.listed ? (int64_t)list.size() : c.rows;
    for (int64_t k = 0; k < count; k++) {
        const int32_t row = c.listed ? list[(size_t)k] : (int32_t)k;
        expected[to[(size_t)row]].push_back(row);
    }
    cuda_scatter made;
    ck_assert(cuda_make_scatter(cuda, to.data(), c.listed ? list.data() : NULL, count, &made));
    ck_assert_int_eq(made.targets, (int64_t)expected.size());
    const std::vector<int32_t> target = on_the_device(made.target, made.targets),
                               begin = on_the_device(made.begin, made.targets + 1),
                               order = on_the_device(made.order, count);
    size_t t = 0;
    for (const auto &rows : expected) {
        ck_assert_int_eq(target[t], rows.first);
        ck_assert_int_eq(begin[t + 1] - begin[t], (int64_t)rows.second.size());
        ck_assert(std::equal(rows.second.begin(), rows.second.end(), order.begin() + begin[t]));
        t++;
    }
    ck_assert_int_eq(begin[0], 0);
    no_failure();
}
END_TEST

/* --- what is found again --- */

START_TEST(stage_finds_an_array_again_until_its_bytes_change)
{
    std::vector<int32_t> array(100, 7), other(array);
    ck_assert(cuda_ring_grow(cuda, 16 * 256, "a test"));
    const int32_t *first = cuda_stage(cuda, array.data(), 100, "a test"),
                  *part = cuda_stage(cuda, array.data(), 99, "a test"),
                  *same_bytes = cuda_stage(cuda, other.data(), 100, "a test");
    ck_assert_ptr_ne(part, first);
    ck_assert_ptr_eq(same_bytes, first);
    ck_assert_ptr_eq(cuda_stage(cuda, array.data(), 100, "a test"), first);
    array[99] = 8;
    const int32_t *changed = cuda_stage(cuda, array.data(), 100, "a test");
    ck_assert_ptr_ne(changed, first);
    ck_assert_ptr_eq(cuda_stage(cuda, array.data(), 99, "a test"), part);
    ck_assert(on_the_device(changed, 100) == array);
    ck_assert(on_the_device(first, 100) == other); /* launches may still read it */
    no_failure();
}
END_TEST

START_TEST(stage_pieces_copies_each)
{
    const int32_t one[] = {1, 2, 3};
    const char two[] = "some";
    cuda_piece piece[] = {{one, sizeof one, NULL}, {NULL, 0, one}, {two, sizeof two, NULL}};
    ck_assert(cuda_stage_pieces(cuda, piece, 3, "a test"));
    ck_assert_ptr_null(piece[1].device);
    ck_assert(on_the_device((const int32_t *)piece[0].device, 3) == std::vector<int32_t>(one, one + 3));
    const std::vector<char> there = on_the_device((const char *)piece[2].device, sizeof two);
    ck_assert_str_eq(there.data(), two);
    no_failure();
}
END_TEST

/* The device is behind: what it was given must not be overwritten before it has read it. */
START_TEST(ring_that_starts_anew_waits_for_the_device)
{
    enum { ARRAYS = 40, NUMBERS = 100 };
    void *block = NULL;
    wz_error err = {{0}};
    std::vector<int32_t> array(NUMBERS);
    const size_t bytes = NUMBERS * sizeof(int32_t);
    ck_assert(be->ops->alloc(be, ARRAYS * bytes, "a test", &block, &err) == WZ_OK);
    int32_t *seen = (int32_t *)block;
    for (int i = 0; i < ARRAYS; i++) {
        std::fill(array.begin(), array.end(), i);
        const int32_t *there = cuda_stage(cuda, array.data(), NUMBERS, "a test");
        ck_assert_int_eq(cudaMemcpyAsync(seen + (ptrdiff_t)i * NUMBERS, there, bytes,
                                         cudaMemcpyDeviceToDevice, cuda->stream),
                         cudaSuccess);
    }
    ck_assert_int_gt((int64_t)cuda->ring.round, 2);
    for (int i = 0; i < ARRAYS; i++)
        ck_assert(on_the_device(seen + (ptrdiff_t)i * NUMBERS, NUMBERS) == std::vector<int32_t>(NUMBERS, i));
    be->ops->release(be, block);
    no_failure();
}
END_TEST

/* Arrays that the ring has room for: with few, it starts anew amid the sources, and between them and the lists. */
static const size_t rings[] = {4, 5, 6, 7, 200};

/* Lists of more arrays than are known at once, which change as they like: never those of what an array was before. */
START_TEST(once_makes_lists_anew_where_a_source_has_changed)
{
    enum { ARRAYS = 90, NUMBERS = 20, CALLS = 4000 };
    static int32_t array[ARRAYS][NUMBERS];
    int makes = 0;
    ck_assert(cuda_ring_grow(cuda, rings[_i] * 256, "a test"));
    for (uint32_t call = 0; call < CALLS; call++) {
        /* mostly a few neighbours, as the layers of a pack */
        const uint32_t a = (call / 50 + scrambled(call) % 6) % ARRAYS, b = (a * 7 + call / 50) % ARRAYS;
        int32_t sum = 0, found = 0;
        const int32_t *out = NULL;
        if (scrambled(call + CALLS) % 9 == 0)
            array[a][scrambled(2 * call) % NUMBERS]++;
        for (int i = 0; i < NUMBERS; i++)
            sum += (i + 1) * (array[a][i] + 3 * array[b][i]);
        const int32_t made = sum + (int32_t)(call % 2);
        const cuda_recipe recipe = {
            CUDA_SCATTER, {call % 2}, {{array[a], sizeof array[a]}, {NULL, 0}, {array[b], sizeof array[b]}}};
        ck_assert(cuda_once(cuda, recipe, &out, [&] {
            makes++;
            out = cuda_stage(cuda, &made, 1, "a test");
            return out != NULL;
        }));
        ck_assert(cuda_fetch(cuda, &found, out, sizeof found, "a test"));
        ck_assert_int_eq(found, made);
    }
    ck_assert_int_gt((int64_t)cuda->ring.round, 5);
    ck_assert(rings[_i] < 200 || makes < CALLS / 2);
    no_failure();
}
END_TEST

START_TEST(find_scatter_makes_it_once)
{
    int32_t to[] = {5, 2, 5, 9}, list[] = {3, 0, 2};
    cuda_scatter first, second;
    ck_assert(cuda_ring_grow(cuda, 16 * 256, "a test"));
    ck_assert(cuda_find_scatter(cuda, to, 4, list, 3, &first));
    ck_assert(cuda_find_scatter(cuda, to, 4, list, 3, &second));
    ck_assert_ptr_eq(first.order, second.order);
    ck_assert(cuda_find_scatter(cuda, to, 4, NULL, 3, &second));
    ck_assert(on_the_device(second.target, second.targets) == (std::vector<int32_t>{2, 5}));
    to[0] = 9;
    ck_assert(cuda_find_scatter(cuda, to, 4, list, 3, &second));
    ck_assert(on_the_device(second.order, 3) == (std::vector<int32_t>{2, 3, 0}));
    ck_assert(on_the_device(first.order, 3) == (std::vector<int32_t>{0, 2, 3}));
    no_failure();
}
END_TEST

START_TEST(stage_in_a_recorded_step_is_refused)
{
    wz_error err = {{0}};
    const int32_t array[] = {1};
    ck_assert_ptr_nonnull(cuda_stage(cuda, array, 1, "a test"));
    cuda->recording = true;
    ck_assert_ptr_null(cuda_stage(cuda, array, 1, "a test"));
    cuda->recording = false;
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(err.text, "a step that is recorded"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_staging");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, open_backend, close_backend);
    tcase_add_loop_test(all, make_scatter_keeps_the_order_of_a_targets_rows, 0,
                        (int)(sizeof scatters / sizeof scatters[0]));
    tcase_add_test(all, stage_finds_an_array_again_until_its_bytes_change);
    tcase_add_test(all, stage_pieces_copies_each);
    tcase_add_test(all, ring_that_starts_anew_waits_for_the_device);
    tcase_add_loop_test(all, once_makes_lists_anew_where_a_source_has_changed, 0,
                        (int)(sizeof rings / sizeof rings[0]));
    tcase_add_test(all, find_scatter_makes_it_once);
    tcase_add_test(all, stage_in_a_recorded_step_is_refused);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
