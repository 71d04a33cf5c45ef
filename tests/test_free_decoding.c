/* Decoding without a grammar: what ends a completion, and what can be drawn. */
#include <math.h>

#include "tests/policy_fixture.h"
#include "tests/suite.h"

/* ---- end tokens ---- */

/* Every end token finishes a completion: one that ends with the second of a list has not been cut. */
START_TEST(rollout_without_grammar_ends_at_any_of_a_list)
{
    make_policy("answer_grammar=false max_completion_length=150 eos_token_id=66,256,67");
    const uint32_t expected[] = {261, 66, 256, 67};
    int64_t seen[4] = {0};
    ck_assert_uint_eq(f.policy->end_token_count, 4);
    ck_assert_mem_eq(f.policy->end_tokens, expected, sizeof expected);
    rolled r = roll(0, 4, 48, 4, 0, plain);
    const wz_pack *pack = r.batch->packs[0];
    for (int64_t c = 0; c < pack->completions; c++) {
        const int32_t length = pack->length[c];
        const uint32_t last = pack->tokens[c * pack->completion_stride + length - 1];
        bool ends = false;
        for (int k = 0; k < 4; k++) {
            seen[k] += last == expected[k];
            ends = ends || last == expected[k];
        }
        ck_assert_int_eq(pack->finished[c], ends);
        ck_assert(ends || length == 150);
    }
    for (int k = 0; k < 4; k++)
        ck_assert_int_gt(seen[k], 0);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

START_TEST(policy_refuses_end_tokens_that_are_none)
{
    wz_error err;
    make_policy("answer_grammar=false");
    const int64_t vocab = (int64_t)wz_tokenizer_vocab_size(f.policy->tokenizer);
    const int64_t beyond[] = {256, vocab}, many[WZ_MAX_ENDS + 1] = {0};
    ck_assert_int_eq(wz_policy_set_ends(f.policy, beyond, 2, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "eos_token_id lists"));
    ck_assert_int_eq(wz_policy_set_ends(f.policy, many, WZ_MAX_ENDS + 1, &err), WZ_ERR_USAGE);
    ck_assert_uint_eq(f.policy->end_token_count, 2); /* as before */
    ck_assert_int_eq(wz_config_override(&f.config, "eos_token_id=1.5", &err), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_config_override(&f.config, "eos_token_id=-1", &err), WZ_ERR_USAGE);
    drop_policy();
}
END_TEST

/* ---- rows of the model that stand for no token ---- */

#define MOST (64 * 40)

typedef struct drawn {
    int64_t count;
    int32_t tokens[MOST];
    float logp[MOST], entropy[MOST];
    float dhidden[MOST * 32]; /* of the sum of all log-probabilities and entropies */
} drawn;

/* Weights of embedding and head by token, so that models of any vocabulary agree; rows after the tokens are the likeliest by
 * far. */
static void set_rows(wz_model *model)
{
    const int64_t width = model->config.hidden_size;
    for (int64_t t = 0; t < model->config.vocab_size; t++)
        for (int64_t i = 0; i < width; i++) {
            model->weights[model->embedding + t * width + i] = cosf((float)(t * 17 + i));
            model->weights[model->head + t * width + i] = t < model->tokens ? sinf((float)(t * 31 + i))
                                                          : i % 2 == t % 2  ? 9.0f
                                                                            : -9.0f;
        }
    wz_model_weights_changed(model);
}

/* Scores the decisions with the trainer's ops, which must repeat the sampler's bits, and takes gradients: into no row
 * without a token. */
static void score(const rolled *r, drawn *out)
{
    const wz_pack *pack = r->batch->packs[0];
    const wz_model *model = f.policy->model;
    const wz_decisions *d = &pack->decisions;
    const int64_t n = d->count, width = model->config.hidden_size;
    const int64_t offset[2] = {0, n};
    int32_t *index = calloc((size_t)n, sizeof *index);
    float *rows = calloc((size_t)(n * (width + 5)), sizeof *rows);
    ck_assert(index != NULL && rows != NULL);
    float *hidden = rows, *rstd = hidden + n * width, *logp = rstd + n, *entropy = logp + n,
          *ones = entropy + n;
    for (int64_t i = 0; i < n; i++) {
        index[i] = (int32_t)i;
        ones[i] = 1.0f;
    }
    const wz_row_groups groups = {1, offset, index};
    const wz_linear head = wz_model_head(model);
    OK(wz_rollout_score(model, r->activations, pack, 1.0f, hidden, rstd, logp, entropy, &f.err));
    ck_assert_mem_eq(logp, d->logp, (size_t)n * sizeof *logp);
    ck_assert_mem_eq(entropy, d->entropy, (size_t)n * sizeof *entropy);
    memset(model->gradients, 0, (size_t)model->floats * sizeof(float));
    f.backend->ops->head_score_backward(
        f.backend, wz_matrix(out->dhidden, n, width), wz_model_head_gradient(model), ones, ones, logp,
        entropy, wz_matrix(hidden, n, width), &head, d->target, d->mask, &pack->mask_table, 1.0f, &groups);
    OK(f.backend->ops->sync(f.backend, &f.err));
    double first = 0.0;
    for (int64_t i = 0; i < model->config.vocab_size * width; i++) {
        if (i < model->tokens * width)
            first += fabs((double)model->head_gradient[i]);
        else
            ck_assert_float_eq(model->head_gradient[i], 0.0f);
    }
    ck_assert_double_gt(first, 1.0);
    free(index);
    free(rows);
}

static void draw_freely(int padding, wz_sampling sampling, drawn *out)
{
    char overrides[200];
    wz_tokenizer *builtin = NULL;
    ck_assert_int_eq(wz_tokenizer_create_builtin(&builtin, NULL), WZ_OK);
    (void)snprintf(overrides, sizeof overrides,
                   "answer_grammar=false max_completion_length=40 model.vocab_size=%d",
                   (int)wz_tokenizer_vocab_size(builtin) + padding);
    wz_tokenizer_destroy(builtin);
    make_policy(overrides);
    set_rows(f.policy->model);
    rolled r = roll(0, 4, 16, 4, 0, sampling);
    const wz_decisions *d = &r.batch->packs[0]->decisions;
    ck_assert_int_le(d->count, MOST);
    out->count = d->count;
    memcpy(out->tokens, d->target, (size_t)d->count * sizeof *out->tokens);
    memcpy(out->logp, d->logp, (size_t)d->count * sizeof *out->logp);
    memcpy(out->entropy, d->entropy, (size_t)d->count * sizeof *out->entropy);
    for (int64_t i = 0; i < d->count; i++)
        ck_assert_int_lt(d->target[i], f.policy->model->tokens);
    if (sampling.temperature > 0.0f)
        score(&r, out);
    drop_rolled(&r);
    drop_policy();
}

/* With 300 rows more, draws, scores, entropies and gradients have the bits of the model without. */
START_TEST(rows_without_a_token_change_nothing)
{
    static const wz_sampling rules[] = {{1.0f, 0, 1.0f, 0.0f}, {0.0f, 0, 1.0f, 0.0f}, {1.0f, 20, 0.9f, 0.0f}};
    drawn *bare = calloc(2, sizeof *bare), *padded = bare + 1;
    ck_assert_ptr_nonnull(bare);
    draw_freely(0, rules[_i], bare);
    draw_freely(300, rules[_i], padded);
    ck_assert_mem_eq(bare, padded, sizeof *bare);
    free(bare);
}
END_TEST

/* A tokenizer with an id that stands for nothing, among its own: free decoding could draw it. */
START_TEST(unused_ids_need_the_grammar)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":3,\"content\":\"<|end|>\",\"special\":true}],\"model\":{\"type\":\"BPE\","
        "\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false,\"use_regex\":false}}";
    for (int grammar = 0; grammar < 2; grammar++) {
        wz_tokenizer *tokenizer = NULL;
        wz_model *model = NULL;
        wz_policy *policy = NULL;
        make_policy("model.vocab_size=2000");
        OK(wz_tokenizer_create(json, strlen(json), &tokenizer, &f.err));
        OK(wz_model_create(&f.config.model, f.backend, false, &model, &f.err));
        const wz_status status = wz_policy_create(model, tokenizer, grammar == 1, 10, &policy, &f.err);
        ck_assert_int_eq(status, grammar == 1 ? WZ_OK : WZ_ERR_USAGE);
        ck_assert(grammar == 1 || strstr(f.err.text, "no token with id 2") != NULL);
        if (grammar == 1) { /* and do not lose it: there would be a policy that neither can be */
            ck_assert_int_eq(wz_policy_drop_grammar(policy, &f.err), WZ_ERR_USAGE);
            ck_assert_ptr_nonnull(strstr(f.err.text, "no token with id 2"));
            ck_assert_ptr_nonnull(policy->grammar);
        }
        wz_policy_destroy(policy);
        drop_policy();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("free_decoding");
    TCase *tests = tcase_create("free_decoding");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, rollout_without_grammar_ends_at_any_of_a_list);
    tcase_add_test(tests, policy_refuses_end_tokens_that_are_none);
    tcase_add_loop_test(tests, rows_without_a_token_change_nothing, 0, 3);
    tcase_add_test(tests, unused_ids_need_the_grammar);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
