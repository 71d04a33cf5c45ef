/* Runs that train adapters, end to end: the same bytes on any threads, cut and after resume; what their checkpoints stand on;
 * what they learn. */
#include <math.h>

#include "tests/program.h"
#include "tests/suite.h"

#define BASE "@/base/checkpoints/step-00000008.h5"
#define ADAPTED TINY " init_from=" BASE " lora_rank=4"

static program p;

static void make_place(void)
{
    program_create(&p);
    program_succeed(&p, "train " TINY " output_dir=@/base max_steps=8 learning_rate=0.01");
    program_succeed(&p,
                    "train " ADAPTED " output_dir=@/whole frozen_dtype=bf16 threads=1 save_total_limit=100");
}

static void remove_place(void)
{
    program_destroy(&p);
}

static const char *place(const char *name)
{
    return temporary_path(&p.where, name);
}

START_TEST(adapters_any_threads_and_cut_give_the_same_bytes)
{
    program_succeed(&p, "train " ADAPTED
                        " output_dir=@/other frozen_dtype=bf16 threads=3 per_device_train_batch_size=16");
    assert_same_run(&p, "whole", "other", TINY_STEPS);
}
END_TEST

/* What a kill after step 6 leaves: later checkpoints are not there, logs run on. */
START_TEST(resume_of_adapters_gives_the_whole_run)
{
    program_succeed(&p, "train " ADAPTED " output_dir=@/cut frozen_dtype=bf16 save_total_limit=100");
    ck_assert_int_eq(unlink(place("cut/checkpoints/step-00000009.h5")), 0);
    ck_assert_int_eq(unlink(place("cut/checkpoints/step-00000012.h5")), 0);
    program_succeed(&p, "resume @/cut");
    assert_same_run(&p, "whole", "cut", TINY_STEPS);
    program_fail(&p, 2, "lora_rank", "resume @/cut lora_rank=2");
}
END_TEST

/* Tensors of a checkpoint, all of one group. */
static size_t tensors_of(const char *path, const char *group, size_t *others)
{
    wz_checkpoint *checkpoint = NULL;
    wz_error err = {{0}};
    size_t count = 0;
    ck_assert_msg(wz_checkpoint_open(path, &checkpoint, &err) == WZ_OK, "%s", err.text);
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); i++) {
        const wz_checkpoint_tensor *tensor = wz_checkpoint_tensor_info(checkpoint, i);
        count += strcmp(tensor->group, group) == 0;
        *others += strstr(tensor->name, ".lora_") == NULL;
    }
    wz_checkpoint_close(checkpoint);
    return count;
}

/* 2 layers x 7 layers with an A and a B each, and no base. */
START_TEST(checkpoint_of_adapters_holds_these_alone)
{
    size_t others = 0;
    ck_assert_uint_eq(tensors_of(place("whole/checkpoints/step-00000012.h5"), "weights", &others), 28);
    ck_assert_uint_eq(others, 0);
    ck_assert(!wz_path_exists(place("whole/checkpoints/base.h5")));
}
END_TEST

/* Adapters folded into new weights, which no checkpoint has: rounded, they are written as base.h5. From there on bf16 rounds
 * nothing, and a run has the bytes of one that stores fp32. */
START_TEST(frozen_bf16_run_has_the_bytes_of_rounded_fp32)
{
    program_succeed(&p, "train " TINY " init_from=@/whole/checkpoints/step-00000012.h5 output_dir=@/again "
                        "lora_rank=2 frozen_dtype=bf16 max_steps=1");
    static const char both[] = "train " TINY " init_from=@/again/checkpoints/base.h5 lora_rank=3 "
                               "lora_target_modules=q_proj,down_proj max_steps=5 output_dir=@/%s "
                               "frozen_dtype=%s";
    char half[512], wide[512];
    (void)snprintf(half, sizeof half, both, "half", "bf16");
    (void)snprintf(wide, sizeof wide, both, "wide", "fp32");
    program_succeed(&p, "%s", half);
    program_succeed(&p, "%s", wide);
    assert_same_run(&p, "half", "wide", 5);
}
END_TEST

static double ratio_of(const program *run)
{
    const char *at = strstr(run->out, "\npolicy ");
    ck_assert_ptr_nonnull(at);
    return strtod(at + strlen("\npolicy "), NULL);
}

/* Folding in changes log-probabilities by 1e-5 or so: of 100 answers hardly one. */
START_TEST(eval_of_adapters_and_of_them_folded_in_agree)
{
    program_succeed(&p, "eval @/whole/checkpoints/step-00000012.h5 --problems 100");
    const double adapted = ratio_of(&p);
    program_succeed(&p, "train " TINY " init_from=@/whole/checkpoints/step-00000012.h5 output_dir=@/merged "
                        "max_steps=0");
    program_succeed(&p, "eval @/merged/checkpoints/step-00000000.h5 --problems 100");
    ck_assert_double_le(fabs(ratio_of(&p) - adapted), 0.01);
}
END_TEST

/* The base is looked for where it was, then beside the adapters, and its weights must be those. */
START_TEST(base_that_is_gone_or_another_is_said)
{
    char from[512], to[512];
    static const char adapters[] = "eval @/moved/checkpoints/step-00000012.h5 --problems 4";
    program_succeed(&p, "train " TINY " output_dir=@/gone max_steps=8 learning_rate=0.02");
    program_succeed(&p, "train " TINY
                        " init_from=@/gone/checkpoints/step-00000008.h5 lora_rank=1 output_dir=@/moved");
    program_succeed(&p, "%s", adapters);
    (void)snprintf(from, sizeof from, "%s", place("gone"));
    (void)snprintf(to, sizeof to, "%s", place("elsewhere"));
    ck_assert_int_eq(rename(from, to), 0);
    program_fail(&p, 2, "put the checkpoint there whose weights have the digest", "%s", adapters);
    program_fail(&p, 2, "step-00000008.h5", "resume @/moved");
    /* step 8 of another run: the right name, other weights */
    (void)snprintf(to, sizeof to, "%s", place("moved/checkpoints/step-00000008.h5"));
    (void)snprintf(from, sizeof from, "%s", place("base/checkpoints/step-00000008.h5"));
    ck_assert_int_eq(link(from, to), 0);
    program_fail(&p, 3, "stand on other weights", "%s", adapters);
    ck_assert_int_eq(unlink(to), 0);
    (void)snprintf(from, sizeof from, "%s", place("elsewhere/checkpoints/step-00000008.h5"));
    ck_assert_int_eq(link(from, to), 0);
    program_succeed(&p, "%s", adapters);
}
END_TEST

/* Mean reward of rows [first, first + 5). */
static double reward_of(const char *run, size_t first)
{
    char path[64];
    wz_text text = {0};
    wz_error err;
    double sum = 0.0;
    size_t row = 0, count = 0;
    char *rest = NULL;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    ck_assert_int_eq(wz_file_read(place(path), 1 << 24, &text, &err), WZ_OK);
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *json = json_loads(line, 0, NULL);
        const json_t *reward = json_object_get(json, "reward");
        if (json_is_number(reward) && row++ >= first && count < 5) {
            sum += json_number_value(reward);
            count++;
        }
        json_decref(json);
    }
    wz_text_clear(&text);
    ck_assert_uint_eq(count, 5);
    return sum / 5.0;
}

/* Beside random weights that stay as they are: from 0.66 to 0.89 when this was written; random answers earn 0.58. */
START_TEST(adapters_learn)
{
    program_succeed(&p, "train " TINY " output_dir=@/learnt lora_rank=4 frozen_dtype=bf16 max_steps=40 "
                        "model.zero_init_head=false model.initializer_range=0.2 learning_rate=0.01 "
                        "entropy_coef=0.01 eval_steps=0 save_steps=0");
    ck_assert(wz_path_exists(place("learnt/checkpoints/base.h5")));
    ck_assert_double_gt(reward_of("learnt", 35), reward_of("learnt", 0) + 0.12);
}
END_TEST

START_TEST(adapters_keys_are_checked)
{
    program_fail(&p, 2, "lora_target_modules",
                 "train " ADAPTED " output_dir=@/bad lora_target_modules=qproj");
    program_fail(&p, 2, "without adapters no weight is frozen",
                 "train " TINY " output_dir=@/bad frozen_dtype=bf16");
    program_fail(&p, 2, "lora_dropout", "train " ADAPTED " output_dir=@/bad lora_dropout=0.1");
    program_fail(&p, 2, "lora_rank", "train " TINY " output_dir=@/bad lora_rank=-1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lora runs");
    TCase *tests = tcase_create("runs");
    tcase_set_timeout(tests, 300);
    tcase_add_unchecked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, adapters_any_threads_and_cut_give_the_same_bytes);
    tcase_add_test(tests, resume_of_adapters_gives_the_whole_run);
    tcase_add_test(tests, checkpoint_of_adapters_holds_these_alone);
    tcase_add_test(tests, frozen_bf16_run_has_the_bytes_of_rounded_fp32);
    tcase_add_test(tests, eval_of_adapters_and_of_them_folded_in_agree);
    tcase_add_test(tests, base_that_is_gone_or_another_is_said);
    tcase_add_test(tests, adapters_learn);
    tcase_add_test(tests, adapters_keys_are_checked);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
