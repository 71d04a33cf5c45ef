/* Memory of an emulated GPU: all of it is taken before the first step, and it is what the plan said. */
#define WZ_TEST_EMULATED
#include "tests/program.h"
#include "tests/suite.h"

#define FIXED TINY " per_device_train_batch_size=16"
#define MARGIN 65536 /* bytes: every block of the plan rounded up to 256 */

static program p;
static char report[600], limit[64];
static char *environment[] = {report, limit, NULL};

static void make_place(void)
{
    program_create(&p);
    (void)snprintf(report, sizeof report, "CUDA_EMULATOR_REPORT=%s", temporary_path(&p.where, "memory"));
    (void)snprintf(limit, sizeof limit, "CUDA_EMULATOR_MEMORY=%lld", 1LL << 29);
    p.environment = environment;
}

static void remove_place(void)
{
    program_destroy(&p);
}

typedef struct memory_use {
    long long calls, peak;
} memory_use;

/* Of the last run of the program. */
static memory_use read_use(void)
{
    char text[64];
    memory_use use = {-1, -1};
    program_read(&p, "memory", text, sizeof text);
    ck_assert_int_eq(sscanf(text, "%lld %lld", &use.calls, &use.peak), 2);
    return use;
}

/* What can need more memory than the rest of a run. */
static const char *const variants[] = {
    "",
    ("gradient_checkpointing=true model.model_type=qwen3 model.use_qk_norm=true model.num_key_value_heads=1 "
     "curriculum.enabled=true curriculum.start=2 curriculum.threshold=0 curriculum.min_steps=1"),
    ("model.tie_word_embeddings=true model.zero_init_head=false grammar_coef=0.1 grammar_generations=3 "
     "model.model_type=qwen2 model.attention_bias=true"),
    "scale_rewards=batch per_device_train_batch_size=8 top_k=1 num_iterations=2",
    ("lora_rank=4 weight_decay=0.1 model.model_type=qwen3 model.use_qk_norm=true model.zero_init_head=false "
     "exactness_check_steps=1"),
    ("answer_grammar=false max_completion_length=3 generation_batch_size=8 eval_problems=2 top_p=0.9 "
     "per_device_train_batch_size=8"),
    "answer_grammar=false max_completion_length=3 generation_batch_size=8 eval_problems=2 "
    "per_device_train_batch_size=8",
    "lora_rank=4 frozen_dtype=bf16 model.zero_init_head=false model.intermediate_size=288",
    ("lora_rank=40 lora_target_modules=q_proj,v_proj,up_proj frozen_dtype=bf16 precision=bf16 beta=0.1 "
     "model.model_type=qwen2 model.attention_bias=true model.zero_init_head=false"),
    ("lora_rank=4 frozen_dtype=bf16 answer_grammar=false max_completion_length=3 generation_batch_size=8 "
     "eval_problems=2 top_p=0.9 per_device_train_batch_size=8"),
    "lora_rank=4 precision=bf16 model.zero_init_head=false",
};
enum { VARIANTS = sizeof variants / sizeof variants[0], FROZEN = 7 }; /* FROZEN: the first stored as bf16 */

/* ... and runs where the plan fits, and is refused where it does not. */
START_TEST(train_takes_all_memory_before_its_first_step)
{
    program_succeed(&p, "train " FIXED " output_dir=@/start %s max_steps=0", variants[_i]);
    const memory_use start = read_use();
    ck_assert_int_gt(start.calls, 0);
    (void)snprintf(limit, sizeof limit, "CUDA_EMULATOR_MEMORY=%lld", start.peak + MARGIN);
    program_succeed(&p, "train " FIXED " output_dir=@/run eval_steps=1 %s", variants[_i]);
    const memory_use run = read_use();
    ck_assert_int_eq(run.calls, start.calls);
    ck_assert_int_eq(run.peak, start.peak);
    if (strstr(variants[_i], "scale_rewards=batch") != NULL)
        return; /* with less, the plan forgets the packs' activations and goes on */
    (void)snprintf(limit, sizeof limit, "CUDA_EMULATOR_MEMORY=%lld", start.peak - 1);
    program_fail(&p, 5, "MiB more than the", "train " FIXED " output_dir=@/refused %s", variants[_i]);
    ck_assert_ptr_nonnull(strstr(p.log, "memory plan (MiB)"));
    ck_assert_ptr_nonnull(strstr(p.log, "it may use: lower "));
    ck_assert_ptr_nonnull(strstr(p.log, "or end what else uses the GPU"));
    ck_assert(strstr(p.log, "set gradient_checkpointing: true") != NULL ||
              strstr(p.log, "lower model.hidden_size") != NULL);
    ck_assert(!wz_path_exists(temporary_path(&p.where, "refused/checkpoints/step-00000000.h5")));
}
END_TEST

/* What the free memory left of a pack decides bits on a GPU: a resumed run has the same packs, or ends. */
START_TEST(resume_keeps_the_cut_into_packs)
{
    program_succeed(&p, "train " TINY " output_dir=@/run per_device_train_batch_size=0 max_steps=1");
    (void)snprintf(limit, sizeof limit, "CUDA_EMULATOR_MEMORY=%lld", read_use().peak - 1);
    program_fail(&p, 5, "lower per_device_train_batch_size (now 16)", "resume @/run --extend max_steps=2");
    program_succeed(&p, "train " TINY " output_dir=@/smaller per_device_train_batch_size=0 max_steps=1");
}
END_TEST

START_TEST(eval_takes_no_memory_after_its_first_batch)
{
    static const char *const ways[] = {"", "--best-of 3"};
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=0");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; ++i) {
        memory_use use[2];
        for (int more = 0; more < 2; ++more) {
            program_succeed(&p, "eval @/run/checkpoints/step-00000000.h5 --batch 3 --problems %d %s",
                            more != 0 ? 8 : 3, ways[i]);
            use[more] = read_use();
        }
        ck_assert_int_eq(use[1].calls, use[0].calls);
        ck_assert_int_eq(use[1].peak, use[0].peak);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_memory");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
#ifdef WZ_SANITIZED /* ten times as slow */
    tcase_add_loop_test(tests, train_takes_all_memory_before_its_first_step, 2, 3);
    tcase_add_loop_test(tests, train_takes_all_memory_before_its_first_step, FROZEN, FROZEN + 2);
#else
    tcase_add_loop_test(tests, train_takes_all_memory_before_its_first_step, 0, VARIANTS);
#endif
    tcase_add_test(tests, resume_keeps_the_cut_into_packs);
    tcase_add_test(tests, eval_takes_no_memory_after_its_first_batch);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
