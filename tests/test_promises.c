/* Reproducibility, end to end: runs that must end in the same bytes do, whatever the number of threads, the cut into
 * micro-batches (on the CPU) or the reuse of activations; and evaluation prints the same at any batch size. */
#include "tests/cuda_probe.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

#ifdef WZ_TEST_EMULATED /* where the whole vocabulary takes its time */
#define LITTLE " generation_batch_size=8 max_completion_length=3"
#define LITTLE_THOUGHT " generation_batch_size=8 thinking_budget=2"
#else
#define LITTLE ""
#define LITTLE_THOUGHT ""
#endif

/* Models and ways of training that must each keep the promise. links 4 has answers of at least 5 tokens. */
static const char *const variants[] = {
    "",
    "num_iterations=2 epsilon=0.05",
    "grammar_coef=0.1 grammar_generations=3",
    ("model.model_type=qwen2 model.attention_bias=true model.num_attention_heads=4 "
     "model.num_key_value_heads=2"),
    "model.model_type=qwen3 model.use_qk_norm=true model.num_attention_heads=4 model.num_key_value_heads=1",
    "model.tie_word_embeddings=true model.zero_init_head=false",
    "curriculum.enabled=true curriculum.start=2 curriculum.threshold=0.3 curriculum.min_steps=2",
    "task.levels=8 task.snr_db=10 loss_type=grpo scale_rewards=group entropy_coef=0.1",
    "scale_rewards=batch loss_type=dr_grpo mask_truncated_completions=true top_k=1 max_completion_length=4",
    "answer_grammar=false max_completion_length=8 top_p=0.9 min_p=0.001 temperature=0.8" LITTLE,
    "weight_decay=0.1 leave_one_out=true reward_funcs=headroom,format reward_weights=1,0.5 "
    "reward_shaping=0.1 "
    "reward_shaping_steps=3 lr_scheduler_type=linear max_grad_norm=0.01",
    "task_mixture=power_control:links=3:weight=2,power_control:links=4:levels=4:start=2 "
    "curriculum.enabled=true "
    "curriculum.threshold=0.3 curriculum.min_steps=2",
    "thinking_budget=5 grammar_coef=0.1 max_completion_length=16 overlong_buffer=4" LITTLE_THOUGHT,
    "verifier_tries=3 grammar_coef=0.1 num_iterations=2",
#ifdef WZ_TEST_CUDA
    "precision=bf16 model.model_type=qwen3 model.use_qk_norm=true model.num_key_value_heads=1 "
    "num_iterations=2 "
    "grammar_coef=0.1",
    "precision=bf16 answer_grammar=false max_completion_length=8 top_p=0.9 temperature=0.8" LITTLE,
    ("precision=bf16 lora_rank=4 lora_target_modules=q_proj,v_proj,o_proj,gate_proj,down_proj "
     "frozen_dtype=bf16 grammar_coef=0.1 model.model_type=qwen2 model.attention_bias=true "
     "model.zero_init_head=false"),
    "lora_rank=3 frozen_dtype=bf16 model.zero_init_head=false answer_grammar=false max_completion_length=8 "
    "top_p=0.9 temperature=0.8" LITTLE,
#endif
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

/* Other ways of computing the same. 24 completions are 3 groups: packs of 3, 3 and 2 groups. */
static const char *const ways[] = {
#ifdef WZ_TEST_CUDA
    "threads=4 reuse_rollout_activations=false gradient_checkpointing=true",
#else
    "threads=4 exact=false", /* which is for a GPU */
    "per_device_train_batch_size=8 gradient_checkpointing=true",
    "per_device_train_batch_size=24 threads=1",
    "reuse_rollout_activations=false per_device_train_batch_size=16 threads=4",
#endif
};
enum { WAYS = sizeof ways / sizeof ways[0] };
#ifdef WZ_SANITIZED /* bits are compared in a plain build; here every line must run, once */
enum { WAY_STEP = 2 };
#else
enum { WAY_STEP = 1 };
#endif

/* Exactly on-policy: measured in every step, and never anything but zero. */
static void assert_exactly_on_policy(const char *run)
{
    double largest = 0.0;
    ck_assert_uint_eq(metrics_with(&p, run, METRIC_GAP, &largest), TINY_STEPS);
    ck_assert_double_eq(largest, 0.0);
}

START_TEST(train_computed_another_way_gives_equal_bytes)
{
    const char *variant = variants[_i];
    program_succeed(&p, "train " TINY " output_dir=@/first save_steps=0 %s", variant);
    assert_exactly_on_policy("first");
    for (int w = WAY_STEP - 1; w < WAYS; w += WAY_STEP) {
        program_succeed(&p, "train " TINY " output_dir=@/other%d save_steps=0 %s %s", w, variant, ways[w]);
        char other[32];
        (void)snprintf(other, sizeof other, "other%d", w);
        assert_same_run(&p, "first", other, TINY_STEPS);
    }
}
END_TEST

#ifndef WZ_TEST_CUDA
/* bnpo divides by a micro-batch's tokens: its usual size must not depend on threads. */
START_TEST(train_with_bnpo_and_other_threads_gives_equal_bytes)
{
    static const char *const bnpo =
        "train " TINY " save_steps=0 max_steps=3 eval_steps=0 log_completions_steps=2 loss_type=bnpo "
        "generation_batch_size=512 output_dir=@/%s %s";
    program_succeed(&p, bnpo, "one", "threads=1");
    program_succeed(&p, bnpo, "two", "threads=2");
    program_succeed(&p, bnpo, "short", "threads=2 reuse_rollout_activations=false");
    assert_same_run(&p, "one", "two", 3);
    assert_same_run(&p, "one", "short", 3);
}
END_TEST
#endif

/* The comparisons above can fail: another seed is another run. */
START_TEST(train_with_another_seed_differs)
{
    char path[128], digests[2][WZ_DIGEST_HEX];
    for (int i = 0; i < 2; ++i) {
        program_succeed(&p, "train " TINY " output_dir=@/%d seed=%d max_steps=2", i, i + 3);
        (void)snprintf(path, sizeof path, "%s/%d/checkpoints/step-00000002.h5", p.where.directory, i);
        digest_tensors(path, digests[i]);
    }
    ck_assert_str_ne(digests[0], digests[1]);
}
END_TEST

static json_t *output_of(const char *arguments)
{
    program_succeed(&p, "%s", arguments);
    json_t *json = json_loads(p.out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json != NULL, "no JSON: %s", p.out);
    return json;
}

START_TEST(inspect_digest_is_equal_for_equal_runs)
{
    char digest[2][64];
    for (int i = 0; i < 2; ++i) {
        char arguments[128];
        program_succeed(&p, "train " TINY " output_dir=@/%d max_steps=3 threads=%d", i, i + 1);
        (void)snprintf(arguments, sizeof arguments, "inspect @/%d/checkpoints/step-00000003.h5 --json", i);
        json_t *json = output_of(arguments);
        ck_assert_int_eq(json_integer_value(json_object_get(json, "step")), 3);
        (void)snprintf(digest[i], sizeof digest[i], "%s",
                       json_string_value(json_object_get(json, "weights_digest")));
        json_decref(json);
    }
    ck_assert_uint_eq(strlen(digest[0]), 32);
    ck_assert_str_eq(digest[0], digest[1]);
}
END_TEST

#ifdef WZ_TEST_EMULATED
enum { PROBLEMS = 10 };
#else
enum { PROBLEMS = 100 };
#endif

START_TEST(eval_at_any_batch_size_prints_the_same)
{
    static const char *const forms[] = {"", "--json", "--best-of 3", "--temperature 1 --json",
                                        "task.links=6"};
    static const int batches[] = {1, 7, 256};
    program_succeed(&p, "train " TINY " output_dir=@/run");
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; ++f) {
        char first[sizeof p.out] = "";
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; ++b) {
            program_succeed(&p, "eval @/run/checkpoints/best.h5 --problems %d --batch %d threads=%zu %s",
                            PROBLEMS, batches[b], b + 1, forms[f]);
            if (b == 0)
                memcpy(first, p.out, sizeof first);
            ck_assert_str_eq(p.out, first);
        }
        ck_assert_uint_gt(strlen(first), 100);
    }
}
END_TEST

int main(void)
{
#ifdef WZ_TEST_CUDA
    if (!cuda_works())
        return 77;
#endif
    Suite *suite = suite_create("promises");
    TCase *tests = tcase_create("promises");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, train_computed_another_way_gives_equal_bytes, 0, VARIANTS);
#ifndef WZ_TEST_CUDA
    tcase_add_test(tests, train_with_bnpo_and_other_threads_gives_equal_bytes);
#endif
    tcase_add_test(tests, train_with_another_seed_differs);
    tcase_add_test(tests, inspect_digest_is_equal_for_equal_runs);
    tcase_add_test(tests, eval_at_any_batch_size_prints_the_same);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
