/* The pool of problems to train again, and the order of an epoch. */
#include <math.h>
#include <stdlib.h>

#include "engine/grpo/replay.h"
#include "engine/grpo/shuffle.h"
#include "tests/suite.h"

static const wz_replay_options plain = {.capacity = 64, .max_age = 100, .least = 0.0, .most = 1.0};
static wz_replay pool;

static void make_pool(void)
{
    wz_error err = {{0}};
    ck_assert_int_eq(wz_replay_reserve(&pool, 64, &err), WZ_OK);
}

static void drop_pool(void)
{
    wz_replay_clear(&pool);
}

static void observe(const wz_replay_options *options, uint32_t number, int64_t step, double success)
{
    const wz_replay_item item = {.number = number, .seen = step, .success = success};
    wz_replay_observe(&pool, options, &item);
}

static double known(uint32_t number)
{
    const wz_replay_item *item = wz_replay_find(&pool, number);
    return item != NULL ? item->success : NAN;
}

/* ---- which are drawn ---- */

enum { ITEMS = 20, DRAWS = 50000 };

/* Sixteenths, 1 to 15, and then some again: numbers out of order. */
static double fill(double weight[ITEMS])
{
    double sum = 0.0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        const uint32_t number = i * 7 % ITEMS;
        const double success = (double)(number % 15 + 1) / 16.0;
        observe(&plain, number, 0, success);
        weight[number] = success * (1.0 - success);
        sum += weight[number];
    }
    ck_assert_uint_eq(pool.count, ITEMS);
    return sum;
}

/* One draw a step: multinomial, so that Pearson's statistic of 20 counts has 19 degrees of freedom, and exceeds
 * 66.5 = 19 (1 - 2 / 171 + 4.9 sqrt(2 / 171))^3 (Wilson and Hilferty) less than once in a million. */
START_TEST(single_draws_follow_p_times_one_minus_p)
{
    double weight[ITEMS], counts[ITEMS] = {0}, statistic = 0.0;
    const double sum = fill(weight);
    for (uint32_t step = 0; step < DRAWS; step++) {
        size_t chosen = ITEMS, again = ITEMS;
        ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 5, step, 1, &chosen), 1);
        ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 5, step, 1, &again), 1);
        ASSERT_EACH(chosen == again && chosen < ITEMS, "step %u drew %zu, then %zu", step, chosen, again);
        counts[pool.items[chosen].number]++;
    }
    for (size_t i = 0; i < ITEMS; i++) {
        const double expected = DRAWS * weight[i] / sum;
        statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    ck_assert_double_le(statistic, 66.5);
}
END_TEST

/* Six of them: each is among them with probability 6 weight / sum, so that its count is binomial; 5 standard deviations. No
 * item twice. */
START_TEST(several_draws_are_different_and_each_as_likely_as_its_weight)
{
    enum { EACH = 6 };
    double weight[ITEMS], counts[ITEMS] = {0};
    const double sum = fill(weight);
    for (uint32_t step = 0; step < DRAWS; step++) {
        size_t chosen[EACH];
        ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 9, step, EACH, chosen), EACH);
        for (size_t i = 0; i < EACH; i++) {
            ASSERT_EACH(i == 0 || chosen[i] > chosen[i - 1], "step %u: item %zu is drawn twice", step,
                        chosen[i]);
            counts[pool.items[chosen[i]].number]++;
        }
    }
    for (size_t i = 0; i < ITEMS; i++) {
        const double p = EACH * weight[i] / sum;
        ck_assert_double_le(p, 1.0);
        ck_assert_double_le(fabs(counts[i] - DRAWS * p), 5.0 * sqrt(DRAWS * p * (1.0 - p)));
    }
}
END_TEST

/* 1/4, 3/16 and 7/64 make 35/64: 2.19 of the largest, so that 2 are drawn of the 3 that were asked for. */
START_TEST(no_more_are_drawn_than_each_can_have_its_share)
{
    size_t chosen[3];
    observe(&plain, 3, 0, 0.5);
    observe(&plain, 1, 0, 0.25);
    observe(&plain, 2, 0, 0.125);
    ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 1, 0, 3, chosen), 2);
    ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 1, 0, 1, chosen), 1);
    ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 1, 0, 0, chosen), 0);
    pool.count = 0;
    ck_assert_uint_eq(wz_replay_draw(&pool, &plain, 1, 0, 3, chosen), 0);
}
END_TEST

START_TEST(a_success_out_of_bounds_is_not_drawn)
{
    const wz_replay_options bounded = {
        .capacity = 64, .max_age = 100, .least = 0.25, .most = 0.75, .keeps_all = true};
    size_t chosen[3];
    observe(&bounded, 1, 0, 0.1875);
    observe(&bounded, 2, 0, 0.75);
    observe(&bounded, 3, 0, 0.8125);
    ck_assert_uint_eq(pool.count, 3);
    for (uint32_t step = 0; step < 1000; step++) {
        ck_assert_uint_eq(wz_replay_draw(&pool, &bounded, 1, step, 3, chosen), 1);
        ck_assert_uint_eq(pool.items[chosen[0]].number, 2);
    }
}
END_TEST

/* ---- what is known ---- */

START_TEST(success_is_a_running_mean_and_leaves_where_nothing_can_be_learnt)
{
    observe(&plain, 7, 1, 1.0); /* always solved, never solved: not kept */
    observe(&plain, 8, 1, 0.0);
    ck_assert_uint_eq(pool.count, 0);
    observe(&plain, 7, 2, 0.5);
    observe(&plain, 4, 2, 0.25);
    observe(&plain, 7, 3, 1.0);
    ck_assert_double_eq(known(7), 0.75);
    ck_assert_double_eq(known(4), 0.25);
    ck_assert_double_eq(wz_replay_success(&pool), 0.5);
    ck_assert(isnan(known(5)));
    const wz_replay_options bounded = {.capacity = 64, .max_age = 100, .least = 0.0, .most = 0.8};
    observe(&bounded, 7, 4, 1.0); /* 0.875 */
    ck_assert_uint_eq(pool.count, 1);
    pool.count = 0;
    ck_assert(isnan(wz_replay_success(&pool)));
}
END_TEST

START_TEST(old_knowledge_leaves)
{
    observe(&plain, 1, 0, 0.5);
    observe(&plain, 2, 50, 0.5);
    wz_replay_age(&pool, &plain, 100);
    ck_assert_uint_eq(pool.count, 2);
    wz_replay_age(&pool, &plain, 101);
    ck_assert_uint_eq(pool.count, 1);
    ck_assert_double_eq(known(2), 0.5);
}
END_TEST

START_TEST(a_full_pool_gives_up_the_least_weight_then_the_oldest)
{
    const wz_replay_options small = {.capacity = 3, .max_age = 100, .least = 0.0, .most = 1.0};
    observe(&small, 10, 2, 0.25);
    observe(&small, 20, 1, 0.75); /* as much, but older */
    observe(&small, 30, 0, 0.5);
    observe(&small, 5, 3, 0.125);
    ck_assert_uint_eq(pool.count, 3);
    ck_assert(isnan(known(5)));
    observe(&small, 25, 3, 0.25);
    ck_assert(isnan(known(20)));
    observe(&small, 15, 4, 0.5);
    ck_assert(isnan(known(10)));
    ck_assert_double_eq(known(25), 0.25);
    for (size_t i = 1; i < pool.count; i++)
        ck_assert_uint_gt(pool.items[i].number, pool.items[i - 1].number);
}
END_TEST

/* ---- epochs ---- */

/* Each of the 24 orders of four: 24,000 epochs, 23 degrees of freedom, 73.4 by the same formula as above. */
START_TEST(epochs_have_every_order_equally_often)
{
    enum { COUNT = 4, ORDERS = 24, EPOCHS = 24000 };
    int counts[COUNT * COUNT * COUNT * COUNT] = {0}, met = 0;
    double statistic = 0.0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        uint32_t order[COUNT], seen = 0, code = 0;
        wz_shuffle(3, WZ_PURPOSE_EPOCH, epoch, order, COUNT);
        for (int i = 0; i < COUNT; i++) {
            seen |= 1u << order[i];
            code = code * COUNT + order[i];
        }
        ASSERT_EACH(seen == (1u << COUNT) - 1, "epoch %u leaves one out", epoch);
        counts[code]++;
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] > 0) {
            const double expected = (double)EPOCHS / ORDERS;
            statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
            met++;
        }
    ck_assert_int_eq(met, ORDERS);
    ck_assert_double_le(statistic, 73.4);
}
END_TEST

/* The same function of (seed, purpose, epoch), and another one of others. 100! orders: two are never alike by chance. */
START_TEST(an_epochs_order_follows_from_seed_and_number)
{
    enum { COUNT = 100 };
    uint32_t order[COUNT], other[COUNT];
    wz_shuffle(3, WZ_PURPOSE_EPOCH, 2, order, COUNT);
    wz_shuffle(3, WZ_PURPOSE_EPOCH, 2, other, COUNT);
    ck_assert_mem_eq(order, other, sizeof order);
    wz_shuffle(3, WZ_PURPOSE_EPOCH, 3, other, COUNT);
    ck_assert_mem_ne(order, other, sizeof order);
    wz_shuffle(4, WZ_PURPOSE_EPOCH, 2, other, COUNT);
    ck_assert_mem_ne(order, other, sizeof order);
    wz_shuffle(3, WZ_PURPOSE_SHUFFLE, 2, other, COUNT);
    ck_assert_mem_ne(order, other, sizeof order);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay");
    tcase_add_checked_fixture(tests, make_pool, drop_pool);
    tcase_add_test(tests, single_draws_follow_p_times_one_minus_p);
    tcase_add_test(tests, several_draws_are_different_and_each_as_likely_as_its_weight);
    tcase_add_test(tests, no_more_are_drawn_than_each_can_have_its_share);
    tcase_add_test(tests, a_success_out_of_bounds_is_not_drawn);
    tcase_add_test(tests, success_is_a_running_mean_and_leaves_where_nothing_can_be_learnt);
    tcase_add_test(tests, old_knowledge_leaves);
    tcase_add_test(tests, a_full_pool_gives_up_the_least_weight_then_the_oldest);
    tcase_add_test(tests, epochs_have_every_order_equally_often);
    tcase_add_test(tests, an_epochs_order_follows_from_seed_and_number);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
