/* Runs that train adapters on the CUDA backend, in either precision and beside frozen matrices stored as either type: exactly
 * on-policy, resumed to the byte, and the same whether the base was rounded as it was read or before. */
#include "tests/cuda_probe.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;

/* A base whose matrices bf16 rounds no more: what a run with frozen_dtype bf16 writes of random weights. */
#define ROUNDED "@/start/checkpoints/base.h5"
#define ADAPTED                                                                                              \
    "train " TINY " init_from=" ROUNDED                                                                      \
    " lora_rank=4 save_steps=1 save_total_limit=100 exactness_check_steps=1"
#define SHAPE                                                                                                \
    " model.model_type=qwen2 model.attention_bias=true model.num_key_value_heads=1 "                         \
    "model.zero_init_head=false"

static const char *const precisions[] = {"fp32", "bf16"};
enum { PRECISIONS = sizeof precisions / sizeof precisions[0] };
#ifdef WZ_SANITIZED /* ten times as slow: only what goes through the most code */
enum { PLAIN = 0 };
#else
enum { PLAIN = PRECISIONS };
#endif

static void make_place(void)
{
    program_create(&p);
    program_succeed(&p, "train " TINY SHAPE " lora_rank=1 frozen_dtype=bf16 max_steps=0 output_dir=@/start");
    program_succeed(&p, "train " TINY " init_from=" ROUNDED " max_steps=0 output_dir=@/plain");
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* In every step sampler and trainer agree to the bit; and the adapters are given a gradient. */
static void assert_trained_on_policy(const char *run)
{
    double gap = 0.0, gradient = 0.0;
    ck_assert_uint_eq(metrics_with(&p, run, METRIC_GAP, &gap), TINY_STEPS);
    ck_assert_double_eq(gap, 0.0);
    ck_assert_uint_eq(metrics_with(&p, run, "grad_norm", &gradient), TINY_STEPS);
    ck_assert_double_gt(gradient, 0.0);
}

START_TEST(adapters_beside_bf16_train_as_beside_the_same_numbers_in_fp32)
{
    const char *precision = precisions[_i];
    program_succeed(&p, ADAPTED " output_dir=@/wide-%s precision=%s", precision, precision);
    program_succeed(&p, ADAPTED " output_dir=@/half-%s precision=%s frozen_dtype=bf16", precision, precision);
    char wide[32], half[32];
    (void)snprintf(wide, sizeof wide, "wide-%s", precision);
    (void)snprintf(half, sizeof half, "half-%s", precision);
    assert_same_run(&p, wide, half, TINY_STEPS);
    assert_trained_on_policy(half);
}
END_TEST

/* What a kill after the first step leaves: later checkpoints are not there, logs run on. */
START_TEST(adapters_resume_to_the_same_bytes)
{
    char path[64];
    const char *precision = precisions[_i];
    static const char *const runs[] = {"whole", "cut"};
    for (int i = 0; i < 2; i++)
        program_succeed(&p, ADAPTED " output_dir=@/%s-%s precision=%s frozen_dtype=bf16", runs[i], precision,
                        precision);
    for (int step = 2; step <= TINY_STEPS; step++) {
        (void)snprintf(path, sizeof path, "cut-%s/checkpoints/step-%08d.h5", precision, step);
        ck_assert_int_eq(unlink(temporary_path(&p.where, path)), 0);
    }
    program_succeed(&p, "resume @/cut-%s", precision);
    char whole[32], cut[32];
    (void)snprintf(whole, sizeof whole, "whole-%s", precision);
    (void)snprintf(cut, sizeof cut, "cut-%s", precision);
    assert_same_run(&p, whole, cut, TINY_STEPS);
}
END_TEST

/* Of a checkpoint with adapters, and of one without, which stored as bf16 or fp32 has the same numbers. */
START_TEST(eval_and_generate_of_any_checkpoint_with_frozen_bf16)
{
    static const char *const commands[] = {"eval %s --problems 4 --json",
                                           "generate %s --count 2 --samples 2 --temperature 1"};
    char checkpoint[600], command[700], out[sizeof p.out];
    const char *precision = precisions[_i];
    program_succeed(&p, ADAPTED " output_dir=@/any-%s precision=%s max_steps=1", precision, precision);
    for (int adapted = 0; adapted < 2; adapted++)
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            if (adapted != 0)
                (void)snprintf(checkpoint, sizeof checkpoint, "@/any-%s/checkpoints/step-00000001.h5",
                               precision);
            else
                (void)snprintf(checkpoint, sizeof checkpoint, "@/plain/checkpoints/step-00000000.h5");
            (void)snprintf(command, sizeof command, commands[i], checkpoint);
            program_succeed(&p, "%s precision=%s device=cuda frozen_dtype=fp32", command, precision);
            memcpy(out, p.out, sizeof out);
            program_succeed(&p, "%s precision=%s device=cuda frozen_dtype=bf16", command, precision);
            ck_assert_uint_gt(strlen(out), 0);
            ck_assert_str_eq(p.out, out);
        }
}
END_TEST

int main(void)
{
    if (!cuda_works())
        return 77;
    Suite *suite = suite_create("adapters on the GPU");
    TCase *tests = tcase_create("runs");
    tcase_set_timeout(tests, 300);
    tcase_add_unchecked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, adapters_beside_bf16_train_as_beside_the_same_numbers_in_fp32, 0, PRECISIONS);
    tcase_add_loop_test(tests, adapters_resume_to_the_same_bytes, 0, PLAIN);
    tcase_add_loop_test(tests, eval_and_generate_of_any_checkpoint_with_frozen_bf16, 0, PLAIN);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
