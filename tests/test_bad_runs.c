/* Bad input to whole commands: one clear message that names the thing, the right exit status, nothing half-written. */
#include <math.h>

#include "tests/program.h"
#include "tests/suite.h"

static program p;

/* Under AddressSanitizer: too large an allocation returns NULL as malloc does, and HDF5 1.10.8 leaks a block when
 * a metadata checksum is wrong. */
static char *as_without_sanitizer[] = {(char *)"ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0",
                                       NULL};

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

static bool exists(const char *name)
{
    return wz_path_exists(temporary_path(&p.where, name));
}

/* ---- configurations ---- */

START_TEST(train_with_a_bad_configuration_exits_2_and_makes_nothing)
{
    static const struct {
        const char *arguments, *message;
    } cases[] = {
        {"train @/missing.yaml", "missing.yaml"},
        {"train " WZ_TEST_DATA "/config/typo.yaml",
         "typo.yaml:4:3: unknown key 'model.hiden_size' (did you mean"},
        {"train " TINY " output_dir=@/run lerning_rate=1", "did you mean 'learning_rate'?"},
        {"train " TINY " output_dir=@/run learning_rate=fast", "learning_rate"},
        {"train " TINY " output_dir=@/run learning_rate=nan", "learning_rate"},
        {"train " TINY " output_dir=@/run task.links=0", "task.links"},
        {"train " TINY " output_dir=@/run task.links=2.5", "task.links"},
        {"train " TINY " output_dir=@/run task.name=chess", "chess"},
        {"train " TINY " output_dir=@/run generation_batch_size=65", "multiple of num_generations"},
        {"train " TINY " output_dir=@/run num_generations=1 generation_batch_size=64", "num_generations"},
        {"train " TINY " output_dir=@/run model.head_dim=15", "model.head_dim"},
        {"train " TINY " output_dir=@/run model.num_key_value_heads=3", "num_key_value_heads"},
        {"train " TINY " output_dir=@/run model.vocab_size=5", "model.vocab_size"},
        {"train " TINY " output_dir=@/run model.tie_word_embeddings=true", "zero_init_head"},
        {"train " TINY " output_dir=@/run task.links=30 model.max_position_embeddings=600",
         "max_position_embeddings"},
        {"train " TINY " output_dir=@/run tokenizer_file=@/missing.json", "missing.json"},
        {"train " TINY " output_dir=@/run init_from=@/missing.h5", "missing.h5"},
        {"train " TINY " output_dir=@/run sft_steps=1 sft_file=@/missing.jsonl", "missing.jsonl"},
        {"train " TINY " output_dir=@/run prompt_style=full", "leaves no place for it"},
        {"train", "an argument is missing"},
        {"train " TINY " --overwrit", "--overwrite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        program_fail(&p, 2, cases[i].message, "%s", cases[i].arguments);
        ck_assert_str_eq(p.out, "");
        ck_assert_msg(!exists("run"), "%s left a directory", cases[i].arguments);
    }
}
END_TEST

/* What is refused takes nothing of the run that it was to replace. */
START_TEST(train_that_is_refused_leaves_an_earlier_run_whole)
{
    program_succeed(&p, "train " TINY " output_dir=@/run");
    program_fail(&p, 2, "leaves no place for it",
                 "train " TINY " output_dir=@/run --overwrite prompt_style=full");
    program_fail(&p, 5, "raise memory_limit_gb",
                 "train " TINY " output_dir=@/run --overwrite memory_limit_gb=0.003 "
                 "per_device_train_batch_size=64"); /* by the plan */
    program_succeed(&p, "train " TINY " output_dir=@/again");
    assert_same_run(&p, "run", "again", TINY_STEPS);
}
END_TEST

#define OWN_FILES 10
static const char *const own_files[OWN_FILES] = {"LOCK",
                                                 "config.yaml",
                                                 "env.json",
                                                 "metrics.jsonl",
                                                 "metrics.csv",
                                                 "completions.jsonl",
                                                 "tb/events.out.tfevents.00000001.wavezero",
                                                 "checkpoints/best.h5",
                                                 "checkpoints/base.h5",
                                                 "checkpoints/step-00000012.h5"};

static void digest_run(char digests[OWN_FILES][WZ_DIGEST_HEX])
{
    wz_error err = {{0}};
    char name[128];
    for (size_t i = 0; i < OWN_FILES; i++) {
        (void)snprintf(name, sizeof name, "run/%s", own_files[i]);
        ck_assert_msg(wz_digest_file(temporary_path(&p.where, name), digests[i], &err) == WZ_OK, "%s",
                      err.text);
    }
}

static void make_link(const char *to, const char *name)
{
    ck_assert_int_eq(symlink(to, temporary_path(&p.where, name)), 0);
}

/* A run with every file that one has; names of them that lead elsewhere; adapters whose base is one of its checkpoints; and a
 * configuration. */
static void make_inputs(void)
{
    char name[128];
    program_succeed(&p, "train " TINY " lora_rank=2 output_dir=@/run");
    program_succeed(&p, "train " TINY " init_from=@/run/checkpoints/base.h5 lora_rank=2 max_steps=0 "
                        "output_dir=@/adapters");
    make_link("run/checkpoints/best.h5", "link.h5");
    make_link("run", "linked");
    make_link("run/config.yaml", "link.yaml");
    (void)snprintf(name, sizeof name, "%s/hard.h5", p.where.directory);
    ck_assert_int_eq(link(temporary_path(&p.where, "run/checkpoints/best.h5"), name), 0);
}

/* Whatever key names it, and under whatever name: it is there afterwards as it was, and so is the run. */
START_TEST(train_does_not_write_over_what_it_is_made_from)
{
    static const char *const commands[] = {
        "train " TINY " output_dir=@/run --overwrite init_from=@/run/checkpoints/best.h5",
        "train " TINY " output_dir=@/run --overwrite init_from=@/run/checkpoints/best.h5 lora_rank=4",
        "train " TINY " output_dir=@/run/ --overwrite init_from=@/run/checkpoints/step-00000012.h5",
        "train " TINY " output_dir=@/run --overwrite init_from=@/run/checkpoints/base.h5",
        "train " TINY " output_dir=@/run --overwrite init_from=@/link.h5",
        "train " TINY " output_dir=@/run --overwrite init_from=@/hard.h5",
        "train " TINY " output_dir=@/linked --overwrite init_from=@/run/checkpoints/best.h5",
        "train " TINY " output_dir=@/run --overwrite lora_rank=2 init_from=@/adapters/checkpoints/"
        "step-00000000.h5",
        "train " TINY " output_dir=@/run --overwrite train_set=@/run/completions.jsonl",
        "train " TINY " output_dir=@/run train_set=@/run/metrics.jsonl",
        "train " TINY " output_dir=@/run sft_steps=1 sft_file=@/run/completions.jsonl",
        "train " TINY " output_dir=@/run sft_steps=1 sft_file=@/run/metrics.csv",
        "train " TINY " output_dir=@/run tokenizer_file=@/run/env.json",
        "train " TINY " output_dir=@/run tokenizer_file=@/run/LOCK",
        "train " TINY " output_dir=@/run train_set=@/run/tb/events.out.tfevents.00000001.wavezero",
        "train " TINY " output_dir=@/run verifier_command=@/run/config.yaml",
        "train @/run/config.yaml output_dir=@/run --overwrite",
        "train @/link.yaml output_dir=@/run --overwrite",
    };
    char before[OWN_FILES][WZ_DIGEST_HEX], after[OWN_FILES][WZ_DIGEST_HEX];
    make_inputs();
    digest_run(before);
    for (size_t c = 0; c < sizeof commands / sizeof commands[0]; c++) {
        program_fail(&p, 2, "which it is made from: write elsewhere", "%s", commands[c]);
        digest_run(after);
        for (size_t i = 0; i < OWN_FILES; i++)
            ck_assert_msg(strcmp(before[i], after[i]) == 0, "%s: changed %s", commands[c], own_files[i]);
    }
}
END_TEST

/* Where there was no run yet, its training data has a name that the run would give its own. */
START_TEST(train_does_not_empty_its_training_set)
{
    wz_error err = {{0}};
    char before[WZ_DIGEST_HEX], after[WZ_DIGEST_HEX];
    ck_assert_int_eq(wz_directory_create(temporary_path(&p.where, "run"), &err), WZ_OK);
    program_succeed(&p, "tasks export @/run/completions.jsonl --problems 16 --split train --config " TINY);
    ck_assert_int_eq(wz_digest_file(temporary_path(&p.where, "run/completions.jsonl"), before, &err), WZ_OK);
    program_fail(&p, 2, "train_set: writing ",
                 "train " TINY " output_dir=@/run train_set=@/run/completions.jsonl");
    ck_assert_int_eq(wz_digest_file(temporary_path(&p.where, "run/completions.jsonl"), after, &err), WZ_OK);
    ck_assert_str_eq(before, after);
    ck_assert(!exists("run/checkpoints"));
}
END_TEST

/* What a run neither writes nor deletes may lie beside what it does, and its resume finds it there. */
START_TEST(train_takes_other_files_of_its_directory)
{
    wz_error err = {{0}};
    char name[128];
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=0");
    (void)snprintf(name, sizeof name, "%s/run/checkpoints/mine.h5", p.where.directory);
    ck_assert_int_eq(rename(temporary_path(&p.where, "run/checkpoints/step-00000000.h5"), name), 0);
    program_succeed(&p, "tasks export @/run/set.jsonl --problems 16 --split train --config " TINY);
    program_succeed(&p, "train " TINY " output_dir=@/run init_from=@/run/checkpoints/mine.h5 max_steps=1 "
                        "train_set=@/run/set.jsonl");
    program_succeed(&p, "resume @/run --extend max_steps=2");
    program_succeed(&p, "train " TINY " output_dir=@/run init_from=@/run/checkpoints/mine.h5 max_steps=1 "
                        "train_set=@/run/set.jsonl lora_rank=2 --overwrite");
    program_succeed(&p, "resume @/run --extend max_steps=2");
    ck_assert(wz_file_check_regular(name, &err) == WZ_OK && exists("run/set.jsonl"));
}
END_TEST

static char *no_gpu[] = {"CUDA_VISIBLE_DEVICES=", NULL}; /* where there is one */

START_TEST(train_on_a_device_that_is_not_there_exits_6)
{
    p.environment = no_gpu;
    program_fail(&p, 6, "device: cuda: ", "train " TINY " output_dir=@/run device=cuda");
    ck_assert_ptr_nonnull(strstr(p.log, "; or use device: cpu"));
    ck_assert(!exists("run"));
}
END_TEST

START_TEST(train_on_any_device_without_a_gpu_takes_the_cpu_and_says_why)
{
    p.environment = no_gpu;
    program_succeed(&p, "train " TINY " output_dir=@/run device=auto max_steps=1");
    ck_assert_msg(strstr(p.log, "device cpu: ") != NULL && strstr(p.log, "; not cuda: ") != NULL, "%s",
                  p.log);
    program_succeed(&p, "resume @/run --extend max_steps=2");
    ck_assert_msg(strstr(p.log, "; not cuda: ") != NULL, "%s", p.log);
}
END_TEST

START_TEST(commands_on_any_device_without_a_gpu_say_why_they_take_the_cpu)
{
    static const char *const commands[] = {"eval @/run/checkpoints/step-00000000.h5 --problems 2",
                                           "generate @/run/checkpoints/step-00000000.h5",
                                           "bench " TINY " --dump-tokens @/tokens"};
    p.environment = no_gpu;
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=0");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; ++i) {
        program_succeed(&p, "%s device=auto", commands[i]);
        ck_assert_msg(strstr(p.log, "device cpu: ") != NULL && strstr(p.log, "; not cuda: ") != NULL,
                      "%s: %s", commands[i], p.log);
        program_succeed(&p, "%s device=cpu", commands[i]);
        ck_assert_str_eq(p.log, "");
    }
}
END_TEST

START_TEST(train_without_memory_exits_5_and_names_remedies)
{
    program_fail(&p, 5, "raise memory_limit_gb",
                 "train " TINY " output_dir=@/run memory_limit_gb=0.003 per_device_train_batch_size=64");
    ck_assert_ptr_nonnull(strstr(p.log, "memory plan (MiB)"));
    ck_assert(!exists("run"));
    ck_assert_ptr_nonnull(strstr(p.log, "per_device_train_batch_size"));
    ck_assert(!exists("run/config.yaml"));
    /* A model of a terabyte is refused before any of it is allocated; one of 80 is no model. */
    program_fail(&p, 5, "model.hidden_size",
                 "train " TINY " output_dir=@/run model.hidden_size=8192 model.intermediate_size=32768 "
                 "model.num_hidden_layers=80");
    program_fail(&p, 2, "impossible",
                 "train " TINY " output_dir=@/run model.hidden_size=65536 model.intermediate_size=262144 "
                 "model.num_hidden_layers=100");
}
END_TEST

/* 16 layers: 45.4 MiB, or 26.8 where layers are computed again. The limit lies between. */
START_TEST(train_with_gradient_checkpointing_fits_where_it_did_not)
{
    static const char *const deep =
        "train " TINY " output_dir=@/run model.num_hidden_layers=16 model.intermediate_size=256 max_steps=1 "
        "eval_problems=4 per_device_train_batch_size=64 memory_limit_gb=0.0357 gradient_checkpointing=%s";
    program_fail(&p, 5, "set gradient_checkpointing: true, or raise memory_limit_gb", deep, "false");
    program_succeed(&p, deep, "true");
    ck_assert_ptr_nonnull(strstr(p.log, "layers computed again"));
}
END_TEST

START_TEST(train_where_nothing_can_be_made_names_the_place)
{
    temporary_write(temporary_path(&p.where, "file"), "x", 1);
    program_fail(&p, 2, "a file of that name is in the way", "train " TINY " output_dir=@/file/run");
    program_fail(&p, 2, "/proc", "train " TINY " output_dir=/proc/wavezero");
}
END_TEST

/* ---- checkpoints ---- */

static wz_text whole_checkpoint(void)
{
    wz_text bytes = {0};
    wz_error err = {{0}};
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=2 save_total_limit=1");
    ck_assert_int_eq(
        wz_file_read(temporary_path(&p.where, "run/checkpoints/step-00000002.h5"), 1 << 24, &bytes, &err),
        WZ_OK);
    return bytes;
}

/* Every command that reads a checkpoint; best.h5 is not what resume takes. */
static void assert_refused(const char *what)
{
    program_fail(&p, 3, "bad.h5", "eval @/bad.h5 --problems 5");
    ck_assert_msg(p.out[0] == '\0', "%s: eval printed results", what);
    program_fail(&p, 3, "bad.h5", "inspect @/bad.h5 --json");
    ck_assert_msg(p.out[0] == '\0', "%s: inspect printed results", what);
    program_fail(&p, 3, "bad.h5", "train " TINY " output_dir=@/new init_from=@/bad.h5");
    ck_assert(!exists("new/config.yaml"));
}

START_TEST(truncated_checkpoint_exits_3)
{
    wz_text bytes = whole_checkpoint();
    const size_t lengths[] = {0, 1, 8, 100, bytes.length / 3, bytes.length - 1};
    p.environment = as_without_sanitizer;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; ++i) {
        temporary_write(temporary_path(&p.where, "bad.h5"), bytes.data, lengths[i]);
        assert_refused("truncated");
        temporary_write(temporary_path(&p.where, "run/checkpoints/step-00000002.h5"), bytes.data, lengths[i]);
        program_fail(&p, 3, "checkpoint", "resume @/run");
    }
    wz_text_clear(&bytes);
}
END_TEST

/* A flip either lands where nothing is kept (padding of the format) and every command gives what it gave before, or
 * it is refused with status 3; never other results. */
START_TEST(flipped_bit_is_refused_or_without_effect)
{
    enum { FLIPS = 40 };
    wz_text bytes = whole_checkpoint();
    char inspected[sizeof p.out], evaluated[sizeof p.out];
    int refused = 0;
    temporary_write(temporary_path(&p.where, "bad.h5"), bytes.data, bytes.length);
    program_succeed(&p, "inspect @/bad.h5 --json");
    memcpy(inspected, p.out, sizeof inspected);
    program_succeed(&p, "eval @/bad.h5 --problems 5 --json");
    memcpy(evaluated, p.out, sizeof evaluated);
    unsigned random = 12345;
    p.environment = as_without_sanitizer;
    for (int i = 0; i < FLIPS; ++i) {
        random = random * 1664525u + 1013904223u;
        const size_t at = (size_t)((double)random / 4294967296.0 * (double)bytes.length);
        const char bit = (char)(1u << (random >> 5 & 7u));
        bytes.data[at] ^= bit;
        temporary_write(temporary_path(&p.where, "bad.h5"), bytes.data, bytes.length);
        bytes.data[at] ^= bit;
        int status = program_run(&p, "inspect @/bad.h5 --json");
        ck_assert_msg(status == 3 || (status == 0 && strcmp(p.out, inspected) == 0),
                      "flip at %zu: inspect exits %d: %s", at, status, p.log);
        refused += status == 3;
        status = program_run(&p, "eval @/bad.h5 --problems 5 --json");
        ck_assert_msg(status == 3 || (status == 0 && strcmp(p.out, evaluated) == 0),
                      "flip at %zu: eval exits %d: %s", at, status, p.log);
    }
    ck_assert_int_gt(refused, FLIPS / 2);
    wz_text_clear(&bytes);
}
END_TEST

START_TEST(resume_passes_over_a_damaged_checkpoint)
{
    program_succeed(&p, "train " TINY " output_dir=@/whole");
    program_succeed(&p, "train " TINY " output_dir=@/run");
    temporary_write(temporary_path(&p.where, "run/checkpoints/step-00000012.h5"), "x", 1);
    program_succeed(&p, "resume @/run");
    ck_assert_ptr_nonnull(strstr(p.log, "step-00000012.h5"));
    assert_same_run(&p, "whole", "run", 12);
}
END_TEST

START_TEST(resume_with_a_shortened_log_exits_3)
{
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=2");
    temporary_write(temporary_path(&p.where, "run/metrics.jsonl"), "{}\n", 3);
    program_fail(&p, 3, "metrics.jsonl", "resume @/run");
}
END_TEST

START_TEST(eval_of_a_foreign_file_exits_3_and_of_none_2)
{
    program_fail(&p, 3, "tiny.yaml", "eval " TINY);
    program_fail(&p, 2, "missing.h5", "eval @/missing.h5");
    program_fail(&p, 2, "--problems", "eval @/missing.h5 --problems 0");
}
END_TEST

START_TEST(eval_with_another_model_or_training_key_exits_2)
{
    static const char *const keys[] = {"model.rope_theta=10000", "model.hidden_size=128", "temperature=1",
                                       "max_steps=3", "learning_rate=1"};
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=2");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        program_fail(&p, 2, "used as it was trained", "eval @/run/checkpoints/step-00000002.h5 %s", keys[i]);
    }
    program_fail(&p, 2, "did you mean 'task.links'", "eval @/run/checkpoints/step-00000002.h5 task.lnks=3");
    program_succeed(&p, "eval @/run/checkpoints/step-00000002.h5 --problems 5 task.links=3 seed=2");
}
END_TEST

START_TEST(generate_from_gains_beyond_the_printed_range_says_so)
{
    /* the second as a spreadsheet writes it, with a byte-order mark */
    static const char beyond[] = "1,0\n1000,1\n",
                      within[] = "\xEF\xBB\xBF"
                                 "1,0.5\r\n2,8\r\n",
                      small[] = "1\n";
    static const char semicolons[] = "1;0.5\n2;1\n";
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=2");
    temporary_write(temporary_path(&p.where, "beyond.csv"), beyond, strlen(beyond));
    temporary_write(temporary_path(&p.where, "within.csv"), within, strlen(within));
    temporary_write(temporary_path(&p.where, "small.csv"), small, strlen(small));
    program_succeed(&p, "generate @/run/checkpoints/step-00000002.h5 --gains @/beyond.csv");
    ck_assert_ptr_nonnull(strstr(p.out, "2 of your numbers lie outside the range"));
    program_succeed(&p, "generate @/run/checkpoints/step-00000002.h5 --gains @/beyond.csv --json");
    ck_assert_ptr_nonnull(strstr(p.out, "\"clipped\": 2"));
    program_succeed(&p, "generate @/run/checkpoints/step-00000002.h5 --gains @/within.csv");
    ck_assert_ptr_null(strstr(p.out, "outside the range"));
    ck_assert_ptr_nonnull(strstr(p.out, "rows        2 1 of your file")); /* the stronger link is A */
    program_succeed(&p, "generate @/run/checkpoints/step-00000002.h5 --gains @/within.csv --json");
    ck_assert_ptr_nonnull(strstr(p.out, "\"rows\": [2, 1]"));
    program_succeed(&p, "generate @/run/checkpoints/step-00000002.h5 --problem 3");
    ck_assert_ptr_null(strstr(p.out, "your file"));
    temporary_write(temporary_path(&p.where, "semicolons.csv"), semicolons, strlen(semicolons));
    program_fail(&p, 3, "separated by commas",
                 "generate @/run/checkpoints/step-00000002.h5 --gains @/semicolons.csv");
    program_fail(&p, 3, "1 x 1", "generate @/run/checkpoints/step-00000002.h5 --gains @/small.csv");
    program_fail(&p, 2, "--count",
                 "generate @/run/checkpoints/step-00000002.h5 --gains @/within.csv --count 2");
}
END_TEST

/* ---- divergence ---- */

/* What diverged must not be saved: the last checkpoint is that of a step before, and holds numbers only. */
static void assert_finite(const char *path)
{
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    ck_assert_msg(wz_checkpoint_open(path, &checkpoint, &err) == WZ_OK, "%s", err.text);
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); ++i) {
        const wz_checkpoint_tensor *tensor = wz_checkpoint_tensor_info(checkpoint, i);
        size_t count = 1;
        for (size_t d = 0; d < tensor->rank; ++d)
            count *= tensor->shape[d];
        float *data = malloc(count * sizeof *data);
        ck_assert_ptr_nonnull(data);
        ck_assert_int_eq(wz_checkpoint_read(checkpoint, tensor->group, tensor->name, data, count, &err),
                         WZ_OK);
        for (size_t k = 0; k < count; ++k)
            ck_assert_msg(isfinite(data[k]), "%s %s holds %g", tensor->group, tensor->name, (double)data[k]);
        free(data);
    }
    wz_checkpoint_close(checkpoint);
}

/* w <- (1 - 1 x 10) w - ...: weights grow ninefold a step, and products of them overflow after some 20 steps. RMSNorm
 * keeps a learning rate of 1 alone from diverging. */
START_TEST(train_that_diverges_exits_4_and_names_the_tensor)
{
    program_fail(&p, 4, "the gradient of model.",
                 "train " TINY
                 " output_dir=@/run learning_rate=1 weight_decay=10 warmup_steps=0 max_steps=300 "
                 "lr_scheduler_type=constant save_steps=5 eval_steps=0");
    ck_assert_ptr_nonnull(strstr(p.log, "the weights are those before this update"));
    ck_assert_ptr_nonnull(strstr(p.log, "learning_rate"));
    wz_text newest = {0};
    wz_error err = {{0}};
    ck_assert_msg(
        wz_checkpoint_find_newest(temporary_path(&p.where, "run/checkpoints"), &newest, NULL, &err) == WZ_OK,
        "%s", err.text);
    assert_finite(newest.data);
    wz_text_clear(&newest);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad_runs");
    TCase *tests = tcase_create("bad_runs");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, train_with_a_bad_configuration_exits_2_and_makes_nothing);
    tcase_add_test(tests, train_that_is_refused_leaves_an_earlier_run_whole);
    tcase_add_test(tests, train_does_not_write_over_what_it_is_made_from);
    tcase_add_test(tests, train_does_not_empty_its_training_set);
    tcase_add_test(tests, train_takes_other_files_of_its_directory);
    tcase_add_test(tests, train_on_a_device_that_is_not_there_exits_6);
    tcase_add_test(tests, train_on_any_device_without_a_gpu_takes_the_cpu_and_says_why);
    tcase_add_test(tests, commands_on_any_device_without_a_gpu_say_why_they_take_the_cpu);
    tcase_add_test(tests, train_without_memory_exits_5_and_names_remedies);
    tcase_add_test(tests, train_with_gradient_checkpointing_fits_where_it_did_not);
    tcase_add_test(tests, train_where_nothing_can_be_made_names_the_place);
    tcase_add_test(tests, truncated_checkpoint_exits_3);
    tcase_add_test(tests, flipped_bit_is_refused_or_without_effect);
    tcase_add_test(tests, resume_passes_over_a_damaged_checkpoint);
    tcase_add_test(tests, resume_with_a_shortened_log_exits_3);
    tcase_add_test(tests, eval_of_a_foreign_file_exits_3_and_of_none_2);
    tcase_add_test(tests, eval_with_another_model_or_training_key_exits_2);
    tcase_add_test(tests, generate_from_gains_beyond_the_printed_range_says_so);
    tcase_add_test(tests, train_that_diverges_exits_4_and_names_the_tensor);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
