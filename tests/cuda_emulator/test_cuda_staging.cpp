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
    {1, 1, false},    {37, 1, false},       {200, 3, true},        {500, 2048, false},
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

int main(void)
{
    Suite *suite = suite_create("cuda_staging");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, open_backend, close_backend);
    tcase_add_loop_test(all, make_scatter_keeps_the_order_of_a_targets_rows, 0,
                        (int)(sizeof scatters / sizeof scatters[0]));
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
