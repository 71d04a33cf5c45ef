/* The memory plan against what the process held at most: from the first byte of a checkpoint that is read to the last of one
 * that is written. */
#include <check.h>

#include "tests/program.h"
#include "tests/suite.h"

static program p;

static void setup(void)
{
    program_create(&p);
}

static void teardown(void)
{
    program_destroy(&p);
}

/* What the process holds besides the model: code, libraries, tokenizer, HDF5. */
#define TOLERANCE 8.0 /* MiB by which that may differ between runs: pages of 2 MiB that blocks fill in part */

/* An embedding of 16 MiB beside layers of 3: a copy of it could not hide in the tolerance. */
#define SHAPE                                                                                                \
    "model.hidden_size=256 model.intermediate_size=512 model.num_hidden_layers=2 "                           \
    "model.num_attention_heads=4 "                                                                           \
    "model.num_key_value_heads=2 model.head_dim=64 model.vocab_size=16384 "                                  \
    "model.tie_word_embeddings=true model.zero_init_head=false"
#define STEP                                                                                                 \
    "train " WZ_TEST_DATA "/config/tiny.yaml device=cpu threads=1 max_steps=1 generation_batch_size=4 "      \
    "num_generations=4 eval_problems=1 "

/* The table's last line. */
static double planned(void)
{
    double total = 0.0;
    const char *at = strstr(p.log, "\n  total ");
    ck_assert_msg(at != NULL && sscanf(at, " total %lf", &total) == 1, "no plan: %s", p.log);
    return total;
}

static double besides(void)
{
    program_succeed(&p, STEP "output_dir=@/tiny");
    return p.peak - planned();
}

static void assert_planned(double around)
{
    const double least =
        0.75; /* of the plan is in fact used: room that is planned for nobody would be as wrong */
    ck_assert_msg(p.peak <= planned() + around + TOLERANCE, "%.1f MiB, %.1f planned, %.1f besides", p.peak,
                  planned(), around);
    ck_assert_msg(p.peak >= least * planned(), "%.1f MiB, %.1f planned", p.peak, planned());
}

START_TEST(train_stays_within_its_plan)
{
#ifdef __SANITIZE_ADDRESS__ /* which keeps what was freed for a while */
    return;
#endif
    const double around = besides();
    program_succeed(&p, STEP SHAPE " ema_decay=0.9 output_dir=@/full");
    assert_planned(around);
    program_succeed(&p, STEP "init_from=@/full/checkpoints/step-00000001.h5 lora_rank=4 frozen_dtype=bf16 "
                             "beta=0.1 output_dir=@/adapters");
    assert_planned(around);
    program_succeed(&p,
                    STEP "init_from=@/adapters/checkpoints/step-00000001.h5 lora_rank=4 frozen_dtype=bf16 "
                         "output_dir=@/folded");
    ck_assert_msg(strstr(p.log, "while loading") != NULL, "%s", p.log);
    assert_planned(around);
    program_succeed(&p, "resume @/full --extend max_steps=1");
    assert_planned(around);
}
END_TEST

/* 10.9 MB of bf16 for each of two models; what is trained is little. */
START_TEST(folding_adapters_without_memory_for_both_models_is_refused)
{
    program_succeed(&p, STEP SHAPE " lora_rank=2 frozen_dtype=bf16 output_dir=@/adapters");
    program_fail(&p, 5, "beside the policy whose adapters are folded in",
                 STEP "init_from=@/adapters/checkpoints/step-00000001.h5 lora_rank=2 frozen_dtype=bf16 "
                      "memory_limit_gb=0.018 output_dir=@/folded");
    ck_assert_msg(strstr(p.log, "memory plan") == NULL, "allocated first: %s", p.log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory plan");
    TCase *all = tcase_create("memory plan");
    tcase_set_timeout(all, 300);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, train_stays_within_its_plan);
    tcase_add_test(all, folding_adapters_without_memory_for_both_models_is_refused);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
