/* The pack and the rollout: layout, what counts, which rows are computed, and that a sample depends on nothing but its
 * own problem. */
#include <math.h>

#include "tests/policy_fixture.h"
#include "tests/suite.h"

/* ---- pack ---- */

/* Two groups of two: prompts of 3 and 2 tokens, then rows in the order of decoding. Positions go on from the prompt. */
START_TEST(pack_lays_rows_out_in_order_of_creation)
{
    const uint32_t a[3] = {10, 11, 12}, b[2] = {20, 21};
    const wz_pack_group groups[2] = {{7, a, 3, 4, 4}, {9, b, 2, 2, 3}};
    static const int32_t group[] = {0, 0, 0, 1, 1, 0, 0, 1, 0},
                         completion[] = {-1, -1, -1, -1, -1, 0, 1, 3, 0};
    static const int32_t index[] = {0, 1, 2, 0, 1, 0, 0, 0, 1}, position[] = {0, 1, 2, 0, 1, 3, 3, 2, 4};
    static const int32_t token[] = {10, 11, 12, 20, 21, 30, 31, 32, 33}, of_group[] = {0, 1, 2, 5, 6, 8};
    wz_pack *pack = NULL;
    wz_groups lists = {0};
    memset(&f, 0, sizeof f);
    OK(wz_pack_create(groups, 2, 2, &pack, &f.err));
    ck_assert_int_eq(pack->row_capacity, 3 + 4 + 2 + 3);
    wz_pack_add_row(pack, 0, 30);
    wz_pack_add_row(pack, 1, 31);
    wz_pack_add_row(pack, 3, 32);
    wz_pack_add_row(pack, 0, 33);
    ck_assert_int_eq(pack->segments.rows, 9);
    ck_assert_mem_eq(pack->row_group, group, sizeof group);
    ck_assert_mem_eq(pack->row_completion, completion, sizeof completion);
    ck_assert_mem_eq(pack->row_index, index, sizeof index);
    ck_assert_mem_eq(pack->row_position, position, sizeof position);
    ck_assert_mem_eq(pack->row_token, token, sizeof token);
    ck_assert_int_eq(pack->completion_rows[0], 5);
    ck_assert_int_eq(pack->completion_rows[1], 8);
    ck_assert_int_eq(pack->completion_rows[3 * pack->completion_stride], 7);
    ck_assert_int_eq(pack->prompt_start[1], 3);
    ck_assert_uint_eq(pack->problem[1], 9);
    OK(wz_pack_row_groups(pack, &lists, &f.err));
    ck_assert_int_eq(lists.offset[1], 6);
    ck_assert_int_eq(lists.offset[2], 9);
    ck_assert_mem_eq(lists.index, of_group, sizeof of_group);
    wz_groups_clear(&lists);
    const int32_t entries[5] = {3, 0, 2, 1, 0},
                  sorted[5] = {1, 3, 4, 0, 2}; /* by group, in order within it */
    OK(wz_pack_entry_groups(pack, entries, 5, &lists, &f.err));
    ck_assert_int_eq(lists.offset[1], 3);
    ck_assert_mem_eq(lists.index, sorted, sizeof sorted);
    wz_groups_clear(&lists);
    wz_pack_destroy(pack);
}
END_TEST

START_TEST(pack_finds_an_equal_token_set_again)
{
    const uint32_t prompt[1] = {1}, a[2] = {3, 5}, b[3] = {3, 5, 6};
    const wz_pack_group group = {0, prompt, 1, 1, 1};
    uint32_t first = 0, second = 0, third = 0;
    wz_pack *pack = NULL;
    memset(&f, 0, sizeof f);
    OK(wz_pack_create(&group, 1, 1, &pack, &f.err));
    OK(wz_pack_add_mask(pack, a, 2, &first, &f.err));
    OK(wz_pack_add_mask(pack, b, 3, &second, &f.err));
    OK(wz_pack_add_mask(pack, a, 2, &third, &f.err));
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(second, 2);
    ck_assert_uint_eq(third, 1);
    ck_assert_mem_eq(pack->mask_table.tokens + pack->mask_table.offset[2], b, sizeof b);
    wz_pack_destroy(pack);
}
END_TEST

/* ---- what counts, and what is computed ---- */

/* A completion's sampled tokens are its decisions, in order; forced ones come from sets of one. */
static void check_completion(const wz_pack *pack, int64_t c, int64_t lessons)
{
    const wz_decisions *d = &pack->decisions;
    const int64_t base = c * pack->completion_stride;
    int32_t last = -1;
    int64_t found = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (d->completion[i] != c)
            continue;
        ck_assert_int_gt(d->place[i], last);
        last = d->place[i];
        ck_assert_int_eq(pack->origins[base + last], WZ_ORIGIN_SAMPLED);
        ck_assert_uint_eq(pack->tokens[base + last], (uint32_t)d->target[i]);
        ck_assert_uint_gt(set_size(pack, d->mask[i]), 1);
        /* predicted from the token before it, or from the prompt's last */
        const int64_t group = c / pack->generations;
        ck_assert_int_eq(pack->site_row[d->site[i]],
                         last == 0 ? pack->prompt_start[group] + pack->prompt_length[group] - 1
                                   : pack->completion_rows[base + last - 1]);
        found++;
    }
    for (int64_t i = 0; i < pack->length[c]; i++) {
        found -= pack->origins[base + i] == WZ_ORIGIN_SAMPLED;
        if (pack->origins[base + i] == WZ_ORIGIN_FORCED)
            ck_assert_uint_eq(set_size(pack, pack->masks[base + i]), 1);
    }
    ck_assert_int_eq(found, 0);
    const bool teaches = c % pack->generations < lessons;
    ck_assert_int_eq(pack->completion_row_count[c], teaches ? pack->length[c] - 1 : last);
}

START_TEST(rollout_computes_only_rows_that_predict)
{
    const int64_t lessons = _i; /* 0, 1, 2 of 5 */
    make_policy("");
    rolled r = roll(0, 4, 5, 4, lessons, plain);
    const wz_pack *pack = r.batch->packs[0];
    for (int64_t c = 0; c < pack->completions; c++) {
        ck_assert_int_eq(pack->finished[c], 1);
        check_completion(pack, c, lessons);
    }
    /* The answers of this family have one length, so the plan is met exactly. */
    ck_assert_int_eq(pack->segments.rows, pack->row_capacity);
    int64_t taught = 0;
    for (int64_t c = 0; c < pack->completions; c++)
        taught += c % 5 < lessons ? pack->length[c] : 0;
    ck_assert_int_eq(pack->lessons.count, taught);
    for (int64_t i = 0; i < pack->lessons.count; i++)
        ck_assert_int_lt(pack->lessons.completion[i] % 5, lessons);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* By hand, in tokens of the built-in vocabulary: " 1", " 12", " 3" and "</answer>" are one each. */
START_TEST(rollout_bounds_are_those_of_the_longest_path)
{
    static const struct {
        const char *pattern;
        int64_t longest, rows, set;
    } cases[] = {
        {" 1</answer>", 2, 0, 1},                   /* no choice: no row */
        {"( 1| 12 3)</answer>", 3, 0, 2},           /* one choice, from the prompt */
        {" 7( 1| 12 3)</answer>", 4, 1, 2},         /* after one forced token */
        {"( 0| 1){5}</answer>", 6, 4, 2},           /* five choices: four tokens come before the last */
        {"( 0 0 0 0| 1( 1| 2))</answer>", 5, 1, 2}, /* the longest path is not the one with the last choice */
        {"( 1)+</answer>", 40, 40, INT64_MAX},      /* endless: the limit */
    };
    make_policy("");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wz_grammar_state start = 0;
        int64_t longest = -1, rows = -1, set = -1;
        OK(wz_grammar_compile(f.policy->grammar, cases[i].pattern, &start, &f.err));
        OK(wz_rollout_bounds(f.policy->grammar, start, 40, &longest, &rows, &set, &f.err));
        ck_assert_msg(longest == cases[i].longest && rows == cases[i].rows && set == cases[i].set,
                      "%s: %lld tokens, %lld rows, sets of %lld", cases[i].pattern, (long long)longest,
                      (long long)rows, (long long)set);
    }
    ck_assert_int_eq(wz_rollout_group_rows(6, 4, 10, 0), 40);
    ck_assert_int_eq(wz_rollout_group_rows(6, 4, 10, 3), 7 * 4 + 3 * 5);
    ck_assert_int_eq(wz_rollout_group_rows(2, 0, 10, 20), 10);
    drop_policy();
}
END_TEST

/* ---- promises ---- */

static const char *const ways[] = {
    "",
    "answer_grammar=false max_completion_length=12",
    "model.model_type=qwen3 model.use_qk_norm=true model.num_key_value_heads=1",
    "model.model_type=qwen2 model.attention_bias=true",
    "thinking_budget=6",
    "verifier_tries=3 task.links=3 task.levels=3",
    "thinking_budget=5 answer_grammar=false max_completion_length=14"};
enum { WAYS = sizeof ways / sizeof ways[0] };
static const wz_sampling cuts[] = {
    {1.0f, 0, 1.0f, 0.0f}, {0.7f, 3, 1.0f, 0.0f}, {1.3f, 0, 0.6f, 0.0f}, {1.0f, 0, 1.0f, 0.2f}};

static void check_scores(const rolled *r, float temperature)
{
    const wz_pack *pack = r->batch->packs[0];
    const wz_decisions *d = &pack->decisions;
    const size_t n = (size_t)d->count, width = (size_t)f.policy->model->config.hidden_size;
    float *logp = malloc(n * sizeof *logp), *entropy = malloc(n * sizeof *entropy);
    void *memory = NULL;
    ck_assert(n > 0 && logp != NULL && entropy != NULL);
    OK(f.backend->ops->alloc(f.backend, n * (width + 1) * sizeof(float), "test", &memory, &f.err));
    float *hidden = memory;
    OK(wz_rollout_score(f.policy->model, r->activations, pack, temperature, hidden, hidden + n * width, logp,
                        entropy, &f.err));
    ck_assert_mem_eq(logp, d->logp, n * sizeof *logp);
    ck_assert_mem_eq(entropy, d->entropy, n * sizeof *entropy);
    f.backend->ops->release(f.backend, memory);
    free(logp);
    free(entropy);
}

/* As the decode steps left the activations, and after one forward pass over all rows at once. */
START_TEST(rollout_logp_has_the_bits_of_the_training_forward)
{
    make_policy(ways[_i % WAYS]);
    const wz_sampling sampling = cuts[_i / WAYS];
    rolled r = roll(0, 5, 4, 5, 0, sampling);
    const wz_pack *pack = r.batch->packs[0];
    check_scores(&r, sampling.temperature);
    wz_model_forward(f.policy->model, r.activations, &pack->segments, pack->row_token, 0,
                     pack->segments.rows);
    check_scores(&r, sampling.temperature);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* Problem 3 among others and alone, cut into packs in three ways. */
START_TEST(rollout_samples_do_not_depend_on_neighbours)
{
    make_policy(ways[_i % WAYS]);
    const wz_sampling sampling = cuts[_i / WAYS];
    rolled all = roll(0, 6, 4, 6, 0, sampling), pairs = roll(0, 6, 4, 2, 0, sampling),
           alone = roll(3, 1, 4, 1, 0, sampling);
    const wz_pack *packs[3] = {all.batch->packs[0], pairs.batch->packs[1], alone.batch->packs[0]};
    const int64_t place[3] = {3, 1, 0}; /* of problem 3 in the pack */
    for (int64_t j = 0; j < 4; j++)
        for (int way = 1; way < 3; way++) {
            const wz_pack *a = packs[0], *b = packs[way];
            const int64_t c = place[0] * 4 + j, e = place[way] * 4 + j;
            ck_assert_int_eq(a->length[c], b->length[e]);
            ck_assert_mem_eq(a->tokens + c * a->completion_stride, b->tokens + e * b->completion_stride,
                             (size_t)a->length[c] * sizeof(uint32_t));
            int64_t at = 0;
            for (int64_t i = 0; i < a->decisions.count; i++) {
                if (a->decisions.completion[i] != c)
                    continue;
                while (at < b->decisions.count && b->decisions.completion[at] != e)
                    at++;
                ck_assert_int_lt(at, b->decisions.count);
                ck_assert_mem_eq(&a->decisions.logp[i], &b->decisions.logp[at], sizeof(float));
                ck_assert_mem_eq(&a->decisions.entropy[i], &b->decisions.entropy[at], sizeof(float));
                at++;
            }
        }
    drop_rolled(&all);
    drop_rolled(&pairs);
    drop_rolled(&alone);
    drop_policy();
}
END_TEST

/* ---- kept sets ---- */

/* Probabilities over the whole set the token was allowed from, by the scorer, one target at a time. */
static void probabilities(const rolled *r, int64_t decision, float temperature, uint32_t set, double *p)
{
    const wz_pack *pack = r->batch->packs[0];
    const int64_t n = set_size(pack, set), width = f.policy->model->config.hidden_size;
    int32_t *row = calloc((size_t)n, sizeof *row), *target = calloc((size_t)n, sizeof *target);
    uint32_t *mask = calloc((size_t)n, sizeof *mask);
    float *logp = calloc((size_t)n, 2 * sizeof *logp);
    void *memory = NULL;
    ck_assert(row != NULL && target != NULL && mask != NULL && logp != NULL);
    for (int64_t i = 0; i < n; i++) {
        row[i] = pack->decisions.site[decision];
        target[i] = set == 0 ? (int32_t)i : (int32_t)pack->mask_tokens[pack->mask_offset[set] + (uint32_t)i];
        mask[i] = set;
    }
    OK(f.backend->ops->alloc(f.backend, (size_t)(n * (width + 1)) * sizeof(float), "test", &memory, &f.err));
    float *hidden = memory;
    const wz_linear head = wz_model_head(f.policy->model);
    wz_model_final_norm(f.policy->model, r->activations, row, n, hidden, hidden + n * width);
    f.backend->ops->head_score_forward(f.backend, logp, logp + n, wz_matrix(hidden, n, width), &head, target,
                                       mask, &pack->mask_table, temperature);
    for (int64_t i = 0; i < n; i++)
        p[i] = exp((double)logp[i]);
    f.backend->ops->release(f.backend, memory);
    free(row);
    free(target);
    free(mask);
    free(logp);
}

/* Whether token i of the set stays: j is ahead of i if likelier, or as likely and lower. */
static bool stays(const wz_sampling *s, const double *p, uint32_t n, uint32_t i, double largest)
{
    double ahead = 0.0;
    int64_t rank = 0;
    for (uint32_t j = 0; j < n; j++)
        if (p[j] > p[i] || (p[j] == p[i] && j < i)) {
            ahead += p[j];
            rank++;
        }
    return (s->top_k == 0 || rank < s->top_k) && (s->top_p >= 1.0f || ahead < (double)s->top_p) &&
           (s->min_p == 0.0f || p[i] >= (double)s->min_p * largest);
}

/* exp and log in float: relative errors of some 1e-6 on p; a decision nearer than that to an edge is left out. */
START_TEST(rollout_replays_the_kept_set_of_the_sampler)
{
    make_policy(ways[_i % 2]);
    const wz_sampling s = cuts[1 + _i / 2];
    rolled r = roll(0, 3, 4, 3, 0, s);
    const wz_pack *pack = r.batch->packs[0];
    const wz_decisions *d = &pack->decisions;
    double *p = calloc((size_t)f.policy->model->config.vocab_size, sizeof *p);
    int64_t cut = 0, wrong = 0;
    ck_assert_ptr_nonnull(p);
    for (int64_t i = 0; i < d->count; i++) {
        const uint32_t from = pack->masks[d->completion[i] * pack->completion_stride + d->place[i]];
        const uint32_t n = set_size(pack, from), kept = set_size(pack, d->mask[i]);
        double sum = 0.0, largest = 0.0, target = 0.0;
        uint32_t expected = 0;
        probabilities(&r, i, s.temperature, from, p);
        for (uint32_t k = 0; k < n; k++)
            largest = fmax(largest, p[k]);
        for (uint32_t k = 0; k < n; k++) {
            const int32_t token =
                from == 0 ? (int32_t)k : (int32_t)pack->mask_tokens[pack->mask_offset[from] + k];
            if (!stays(&s, p, n, k, largest))
                continue;
            expected++;
            sum += p[k];
            target = token == d->target[i] ? p[k] : target;
        }
        cut += kept < n;
        wrong += kept != expected;
        if (kept == expected)
            ck_assert_double_eq_tol((double)d->logp[i], log(target / sum), 1e-4);
    }
    ck_assert_int_gt(cut, 0);
    ck_assert_int_le(wrong, d->count / 50);
    free(p);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

START_TEST(rollout_at_temperature_0_takes_the_likeliest)
{
    make_policy("");
    const wz_sampling greedy = {0.0f, 0, 1.0f, 0.0f};
    rolled r = roll(0, 3, 3, 3, 0, greedy);
    const wz_pack *pack = r.batch->packs[0];
    const wz_decisions *d = &pack->decisions;
    double *p = calloc((size_t)f.policy->model->config.vocab_size, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (int64_t i = 0; i < d->count; i++) {
        const uint32_t set = d->mask[i], n = set_size(pack, set);
        uint32_t best = 0;
        probabilities(&r, i, 1.0f, set, p);
        for (uint32_t k = 0; k < n; k++)
            best = p[k] > p[best] ? k : best;
        ck_assert_int_eq(d->target[i], (int32_t)pack->mask_tokens[pack->mask_offset[set] + best]);
        ck_assert_double_eq_tol((double)d->logp[i], log(p[best]), 1e-5);
    }
    for (int64_t c = 0; c < pack->completions; c += 3) /* greedy: one answer for the whole group */
        for (int64_t j = 1; j < 3; j++)
            ck_assert_mem_eq(pack->tokens + c * pack->completion_stride,
                             pack->tokens + (c + j) * pack->completion_stride,
                             (size_t)pack->length[c] * sizeof(uint32_t));
    free(p);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* ---- without a grammar ---- */

START_TEST(rollout_without_grammar_ends_at_an_end_token_or_the_limit)
{
    make_policy("answer_grammar=false max_completion_length=400");
    rolled r = roll(0, 2, 8, 2, 0, plain);
    const wz_pack *pack = r.batch->packs[0];
    int64_t tokens = 0, finished = 0;
    ck_assert_uint_ge(f.policy->end_token_count, 1);
    for (int64_t c = 0; c < pack->completions; c++) {
        const int32_t length = pack->length[c];
        bool ends = false;
        for (int32_t i = 0; i < length; i++)
            for (size_t k = 0; k < f.policy->end_token_count; k++) {
                const bool is_end = pack->tokens[c * pack->completion_stride + i] == f.policy->end_tokens[k];
                ck_assert(!is_end || i == length - 1);
                ends = ends || is_end;
            }
        ck_assert_int_eq(pack->finished[c], ends);
        ck_assert(ends || length == 400);
        tokens += length;
        finished += ends;
    }
    ck_assert_int_gt(finished, 0);
    ck_assert_int_eq(pack->decisions.count, tokens); /* every token was chosen from the whole vocabulary */
    for (int64_t i = 0; i < pack->decisions.count; i++)
        ck_assert_uint_eq(pack->decisions.mask[i], 0);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout");
    TCase *tests = tcase_create("rollout");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, pack_lays_rows_out_in_order_of_creation);
    tcase_add_test(tests, pack_finds_an_equal_token_set_again);
    tcase_add_loop_test(tests, rollout_computes_only_rows_that_predict, 0, 3);
    tcase_add_test(tests, rollout_bounds_are_those_of_the_longest_path);
    tcase_add_loop_test(tests, rollout_logp_has_the_bits_of_the_training_forward, 0, 4 * WAYS);
    tcase_add_loop_test(tests, rollout_samples_do_not_depend_on_neighbours, 0, 4 * WAYS);
    tcase_add_loop_test(tests, rollout_replays_the_kept_set_of_the_sampler, 0, 6);
    tcase_add_test(tests, rollout_at_temperature_0_takes_the_likeliest);
    tcase_add_test(tests, rollout_without_grammar_ends_at_an_end_token_or_the_limit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
