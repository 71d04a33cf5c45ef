/* Decoding that the device drives gives the bytes of decoding that the host drives, and is replayed as a graph. */
#include "tests/cuda_probe.h"
#include "tests/policy_fixture.h"
#include "tests/suite.h"

/* Everything of two packs that training reads. */
static void assert_same_packs(const wz_pack *a, const wz_pack *b)
{
    const size_t rows = (size_t)a->segments.rows, tokens = (size_t)(a->completions * a->completion_stride);
    const size_t c = (size_t)a->completions, n = (size_t)a->decisions.count;
    ck_assert_int_eq(a->segments.rows, b->segments.rows);
    ck_assert_int_eq(a->segments.sites, b->segments.sites);
    ck_assert_int_eq(a->decisions.count, b->decisions.count);
    ck_assert_int_eq(a->lessons.count, b->lessons.count);
    ck_assert_mem_eq(a->row_token, b->row_token, rows * 4);
    ck_assert_mem_eq(a->row_completion, b->row_completion, rows * 4);
    ck_assert_mem_eq(a->row_position, b->row_position, rows * 4);
    ck_assert_mem_eq(a->tokens, b->tokens, tokens * 4);
    ck_assert_mem_eq(a->length, b->length, c * 4);
    ck_assert_mem_eq(a->finished, b->finished, c);
    ck_assert_mem_eq(a->decisions.site, b->decisions.site, n * 4);
    ck_assert_mem_eq(a->decisions.target, b->decisions.target, n * 4);
    ck_assert_mem_eq(a->decisions.mask, b->decisions.mask, n * 4);
    ck_assert_mem_eq(a->decisions.logp, b->decisions.logp, n * 4);
    ck_assert_mem_eq(a->decisions.entropy, b->decisions.entropy, n * 4);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_lt(a->decisions.target[i], f.policy->model->tokens);
}

static void *fetch(const void *from, size_t bytes)
{
    void *host = malloc(bytes);
    ck_assert_ptr_nonnull(host);
    f.backend->ops->download(f.backend, host, from, bytes);
    OK(f.backend->ops->sync(f.backend, &f.err));
    return host;
}

static void assert_same_of(wz_dtype type, const void *a, const void *b, int64_t rows, int64_t columns)
{
    const size_t bytes = (size_t)(rows * columns) * wz_type_bytes(type);
    void *one = fetch(a, bytes), *two = fetch(b, bytes);
    ck_assert_mem_eq(one, two, bytes);
    free(one);
    free(two);
}

static void assert_same(const float *a, const float *b, int64_t rows, int64_t columns)
{
    assert_same_of(WZ_F32, a, b, rows, columns);
}

/* The activations that the backward pass reads. */
static void assert_same_activations(const rolled *a, const rolled *b)
{
    const wz_model_config *c = &f.policy->model->config;
    const wz_segments *s = &a->batch->packs[0]->segments;
    const wz_dtype type = f.backend->working_type;
    const int64_t last = c->num_hidden_layers - 1, heads = c->num_attention_heads + c->num_key_value_heads;
    for (int64_t l = 0; l <= last; l++) {
        const wz_layer_activations *x = &a->activations->layers[l], *y = &b->activations->layers[l];
        const int64_t second = l < last ? s->rows : s->sites;
        assert_same(x->x, y->x, s->rows, c->hidden_size);
        assert_same_of(type, x->qkv, y->qkv, s->rows, (heads + c->num_key_value_heads) * c->head_dim);
        assert_same(x->rstd1, y->rstd1, s->rows, 1);
        if (a->activations->keep == WZ_KEEP_INPUTS)
            continue;
        if (c->use_qk_norm) {
            assert_same_of(type, x->qk_raw, y->qk_raw, s->rows, heads * c->head_dim);
            assert_same(x->qk_rstd, y->qk_rstd, s->rows, heads);
        }
        assert_same_of(type, x->attention, y->attention, second, c->num_attention_heads * c->head_dim);
        assert_same(x->lse, y->lse, second, c->num_attention_heads);
        assert_same(x->middle, y->middle, second, c->hidden_size);
        assert_same(x->rstd2, y->rstd2, second, 1);
        assert_same_of(type, x->gate_up, y->gate_up, second, 2 * c->intermediate_size);
    }
    assert_same(a->activations->final, b->activations->final, s->sites, c->hidden_size);
}

static const struct {
    const char *policy;
    wz_sampling sampling;
    int64_t lessons;
} cases[] = {
    {"", {0.7f, 0, 1.0f, 0.0f}, 2}, /* two of five teach the grammar: rows for their last tokens, too */
    {"precision=bf16 answer_grammar=false max_completion_length=4 model.model_type=qwen3 "
     "model.use_qk_norm=true model.num_key_value_heads=1",
     {1.0f, 0, 1.0f, 0.0f},
     0},
    {"max_completion_length=3 gradient_checkpointing=true", /* ends in the middle of an answer */
     {1.0f, 0, 1.0f, 0.0f},
     1},
    {"", {1.0f, 0, 1.0f, 0.0f}, 0},
    {"precision=bf16", {1.0f, 0, 1.0f, 0.0f}, 1},
    {"gradient_checkpointing=true", {1.0f, 0, 1.0f, 0.0f}, 0},
    {"task.levels=2", {0.0f, 0, 1.0f, 0.0f}, 0}, /* greedy; answers that name links */
    {"model.model_type=qwen3 model.use_qk_norm=true model.num_key_value_heads=1", {1.0f, 0, 1.0f, 0.0f}, 0},
    {"answer_grammar=false max_completion_length=7 model.vocab_size=1900 "
     "eos_token_id=65,66,256,67,68,69,70,71",
     {1.0f, 0, 1.0f, 0.0f},
     0},
    {"answer_grammar=false max_completion_length=5 model.model_type=qwen2 model.attention_bias=true",
     {1.3f, 0, 1.0f, 0.0f},
     0},
};
/* Under AddressSanitizer, ten times slower, those that between them reach every kernel. */
#ifdef __SANITIZE_ADDRESS__
enum { CASES = 3, TURNS = 1 };
#else
enum { CASES = sizeof cases / sizeof cases[0], TURNS = 2 };
#endif

START_TEST(device_decodes_what_the_host_decodes)
{
    char overrides[256];
    (void)snprintf(overrides, sizeof overrides, "device=cuda %s", cases[_i].policy);
    make_policy(overrides);
    f.host_drives = true;
    rolled host = roll(0, 3, 5, 3, cases[_i].lessons, cases[_i].sampling);
    f.host_drives = false;
    rolled device = roll(0, 3, 5, 3, cases[_i].lessons, cases[_i].sampling);
    ck_assert_ptr_nonnull(device.activations->step);
    assert_same_packs(host.batch->packs[0], device.batch->packs[0]);
    assert_same_activations(&host, &device);
    drop_rolled(&host);
    drop_rolled(&device);
    drop_policy();
}
END_TEST

/* Of 35 steps without a grammar, the host asks after 32 how many completions are left. Three packs one after another in the same activations, the last one smaller: a step recorded for one pack is replayed for
 * others, whose problems, prompts and numbers of rows are different. */
START_TEST(device_decodes_packs_in_turn)
{
    make_policy(_i == 0 ? "device=cuda" : "device=cuda answer_grammar=false max_completion_length=35");
    f.host_drives = true;
    rolled host = roll(0, 5, 2, 2, 0, plain);
    f.host_drives = false;
    rolled device = roll(0, 5, 2, 2, 0, plain);
    ck_assert_int_eq(device.batch->pack_count, 3);
    for (int64_t p = 0; p < 3; p++)
        assert_same_packs(host.batch->packs[p], device.batch->packs[p]);
    drop_rolled(&host);
    drop_rolled(&device);
    drop_policy();
}
END_TEST

/* A rule that cuts the distribution is left to the host. */
START_TEST(device_leaves_cuts_to_the_host)
{
    make_policy("device=cuda");
    rolled r = roll(0, 2, 2, 2, 0, (wz_sampling){1.0f, 3, 1.0f, 0.0f});
    ck_assert_ptr_null(r.activations->step);
    ck_assert_int_gt(r.batch->packs[0]->decisions.count, 0);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

int main(void)
{
    if (!cuda_works())
        return 77;
    Suite *suite = suite_create("decoding on the device");
    TCase *tests = tcase_create("decoding");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, device_decodes_what_the_host_decodes, 0, CASES);
    tcase_add_loop_test(tests, device_decodes_packs_in_turn, 0, TURNS);
    tcase_add_test(tests, device_leaves_cuts_to_the_host);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
