/* Completions that are given: laid out and scored as those a rollout sampled; pairs of a file in their order. */
#include "engine/grpo/supervise_internal.h"
#include "engine/rollout/given.h"
#include "tests/policy_fixture.h"
#include "tests/suite.h"

#define GROUPS 3
#define GENERATIONS 4
#define LESSONS 2 /* completions of a group that teach the grammar */

static const char *const policies[] = {
    "", "task.name=water_filling", "task.name=d2d",
    "answer_grammar=false max_completion_length=7 model.max_position_embeddings=512"};

/* The same completions given to a pack of the same prompts. */
static wz_pack *give(const wz_batch *batch)
{
    const wz_pack *sampled = batch->packs[0];
    wz_pack_group groups[GROUPS];
    wz_pack *pack = NULL;
    for (int64_t g = 0; g < GROUPS; g++)
        groups[g] = (wz_pack_group){.problem = batch->problems[g].index,
                                    .prompt = batch->prompts[g].data,
                                    .prompt_length = (int64_t)batch->prompts[g].length,
                                    .longest = sampled->completion_stride,
                                    .rows = GENERATIONS * (sampled->completion_stride - 1)};
    OK(wz_pack_create(groups, GROUPS, GENERATIONS, &pack, &f.err));
    for (int64_t c = 0; c < pack->completions; c++)
        OK(wz_pack_give(pack, c, sampled->tokens + c * sampled->completion_stride, sampled->length[c],
                        f.policy->grammar, batch->starts[c / GENERATIONS], c % GENERATIONS < LESSONS,
                        &f.err));
    return pack;
}

/* Decisions of a pack, ordered by completion as `given` has them: index of the i-th. */
static int64_t find_decision(const wz_pack *pack, int32_t completion, int32_t place)
{
    for (int64_t i = 0; i < pack->decisions.count; i++)
        if (pack->decisions.completion[i] == completion && pack->decisions.place[i] == place)
            return i;
    ck_abort_msg("completion %d decides nothing at place %d", completion, place);
    return -1;
}

static void assert_same_set(const wz_pack *a, uint32_t i, const wz_pack *b, uint32_t j)
{
    ck_assert_uint_eq(set_size(a, i), set_size(b, j));
    ck_assert_int_eq(i == 0, j == 0);
    if (i > 0)
        ck_assert_mem_eq(a->mask_tokens + a->mask_offset[i], b->mask_tokens + b->mask_offset[j],
                         set_size(a, i) * sizeof(uint32_t));
}

/* Lessons stand in order of completions in both. */
static void assert_same_lessons(const wz_pack *given, const wz_pack *sampled)
{
    const wz_lessons *a = &given->lessons, *b = &sampled->lessons;
    int64_t place = 0;
    ck_assert_int_eq(a->count, b->count);
    ck_assert_int_eq(a->count > 0, f.policy->grammar != NULL);
    for (int64_t i = 0; i < a->count; i++) {
        place = i > 0 && a->completion[i] == a->completion[i - 1] ? place + 1 : 0;
        ck_assert_int_eq(a->completion[i], b->completion[i]);
        ck_assert_int_eq(a->site[i], wz_pack_site(given, a->completion[i], place));
        ck_assert_int_eq(b->site[i], wz_pack_site(sampled, b->completion[i], place));
        assert_same_set(given, a->mask[i], sampled, b->mask[i]);
    }
}

/* What the sampler recorded is what scoring the given completions says, bit for bit. */
START_TEST(given_completions_are_laid_out_and_scored_as_sampled_ones)
{
    make_policy(policies[_i]);
    rolled r = roll(0, GROUPS, GENERATIONS, GROUPS, LESSONS, plain);
    const wz_pack *sampled = r.batch->packs[0];
    wz_pack *given = give(r.batch);
    wz_activations *activations = NULL;
    float scores[2][1024];
    OK(wz_activations_create(f.policy->model, given->row_capacity, WZ_KEEP_CACHE, &activations, &f.err));
    const wz_decisions *d = &given->decisions;
    ck_assert_int_eq(d->count, sampled->decisions.count);
    ck_assert_int_eq(given->segments.rows, sampled->segments.rows);
    ck_assert_int_le(d->count, 1024);
    assert_same_lessons(given, sampled);
    OK(wz_pack_score(f.policy->model, activations, given, 1.0f, scores[0], scores[1], &f.err));
    for (int64_t i = 0; i < d->count; i++) {
        const int64_t k = find_decision(sampled, d->completion[i], d->place[i]);
        ck_assert_int_eq(d->target[i], sampled->decisions.target[k]);
        assert_same_set(given, d->mask[i], sampled, sampled->decisions.mask[k]);
        ck_assert_mem_eq(&scores[0][i], &sampled->decisions.logp[k], sizeof(float));
        ck_assert_mem_eq(&scores[1][i], &sampled->decisions.entropy[k], sizeof(float));
    }
    wz_activations_destroy(activations);
    wz_pack_destroy(given);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

START_TEST(completion_that_the_grammar_does_not_admit_is_an_error)
{
    make_policy("");
    rolled r = roll(0, 1, 1, 1, 0, plain);
    const wz_pack *sampled = r.batch->packs[0];
    const wz_pack_group group = {.prompt = r.batch->prompts[0].data,
                                 .prompt_length = (int64_t)r.batch->prompts[0].length,
                                 .longest = sampled->completion_stride,
                                 .rows = sampled->completion_stride};
    uint32_t tokens[64];
    for (int cut = 0; cut < 2; cut++) {
        wz_pack *pack = NULL;
        memcpy(tokens, sampled->tokens, (size_t)sampled->length[0] * sizeof *tokens);
        tokens[1] = cut == 0 ? tokens[sampled->length[0] - 1] : tokens[1]; /* the closing tag too early */
        OK(wz_pack_create(&group, 1, 1, &pack, &f.err));
        ck_assert_int_eq(wz_pack_give(pack, 0, tokens, sampled->length[0] - cut, f.policy->grammar,
                                      r.batch->starts[0], false, &f.err),
                         WZ_ERR_RUNTIME);
        wz_pack_destroy(pack);
    }
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* ---- pairs ---- */

#define PAIRS 7

/* The pairs that a step takes, of a trainer that only takes. */
static void take(const wz_pairs *pairs, uint64_t seed, int64_t batch, int64_t step, uint32_t *numbers)
{
    struct wz_trainer trainer = {
        .policy = f.policy, .options = {.seed = seed, .sft = {.steps = 99, .batch = batch, .pairs = pairs}}};
    wz_supervised taken = {0};
    OK(wz_supervised_take(&trainer, step, &taken, &f.err));
    for (int64_t i = 0; i < batch; i++) {
        const wz_pair *pair = &pairs->items[taken.items[i].problem];
        numbers[i] = taken.items[i].problem;
        ck_assert_mem_eq(taken.items[i].tokens.data, pairs->tokens.data + pair->at,
                         (size_t)(pair->prompt_length + pair->completion_length) * sizeof(uint32_t));
    }
    wz_supervised_clear(&taken);
}

/* Three epochs of 7 pairs in steps of 3: each pair once an epoch, in another order each, the same however asked for. */
START_TEST(epochs_hold_each_pair_once_in_orders_of_their_own)
{
    wz_pairs pairs = {0};
    uint32_t order[3 * PAIRS], again[3], one[PAIRS], other[PAIRS];
    make_policy("");
    for (int i = 0; i < PAIRS; i++) {
        char completion[32];
        (void)snprintf(completion, sizeof completion, " %d</answer>", i);
        OK(wz_pairs_add(&pairs, f.policy, "<answer>", 8, completion, strlen(completion), &f.err));
    }
    for (int64_t s = 0; s < PAIRS; s++)
        take(&pairs, 1, 3, s, order + 3 * s);
    for (int e = 0; e < 3; e++) {
        unsigned seen = 0;
        for (int i = 0; i < PAIRS; i++)
            seen |= 1u << order[PAIRS * e + i];
        ck_assert_uint_eq(seen, (1u << PAIRS) - 1);
    }
    ck_assert_mem_ne(order, order + PAIRS, sizeof one);
    ck_assert_mem_ne(order + PAIRS, order + 2 * PAIRS, sizeof one);
    take(&pairs, 1, 3, 2, again); /* across the end of an epoch */
    ck_assert_mem_eq(again, order + 6, sizeof again);
    take(&pairs, 1, PAIRS, 0, one);
    ck_assert_mem_eq(one, order, sizeof one);
    take(&pairs, 2, PAIRS, 0, other);
    ck_assert_mem_ne(one, other, sizeof one);
    wz_pairs_clear(&pairs);
    drop_policy();
}
END_TEST

START_TEST(completions_get_the_end_token_unless_they_end_with_one)
{
    static const char *const completions[] = {" 1 2", " 1 2</answer>"};
    wz_pairs pairs = {0};
    make_policy("");
    const int64_t end = wz_tokenizer_end_id(f.policy->tokenizer);
    ck_assert_int_ge(end, 0);
    for (int i = 0; i < 2; i++)
        OK(wz_pairs_add(&pairs, f.policy, "a", 1, completions[i], strlen(completions[i]), &f.err));
    ck_assert_int_eq(pairs.items[0].completion_length, 3);
    ck_assert_int_eq(pairs.items[1].completion_length, 3);
    ck_assert_uint_eq(pairs.tokens.data[pairs.items[1].at - 1], (uint32_t)end);
    ck_assert_uint_ne(pairs.tokens.data[pairs.tokens.length - 1], (uint32_t)end);
    wz_pairs_clear(&pairs);
    drop_policy();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervised");
    TCase *tests = tcase_create("supervised");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, given_completions_are_laid_out_and_scored_as_sampled_ones, 0, 4);
    tcase_add_test(tests, completion_that_the_grammar_does_not_admit_is_an_error);
    tcase_add_test(tests, epochs_hold_each_pair_once_in_orders_of_their_own);
    tcase_add_test(tests, completions_get_the_end_token_unless_they_end_with_one);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
