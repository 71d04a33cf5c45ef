/* Runs with a supervised cold start, end to end. */
#include <math.h>

#include "tests/program.h"
#include "tests/suite.h"

#define EVERY WZ_TEST_DATA "/config/every_option.yaml"
#define SMALL                                                                                                \
    WZ_TEST_DATA "/config/tiny.yaml model.hidden_size=16 model.head_dim=8 eval_problems=8 eval_steps=0 "     \
                 "save_steps=1 save_total_limit=99 "

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* A number of a run's metrics, of the row of `step` that has it. */
static double metric(const char *run, int step, const char *name)
{
    char path[128], *rest = NULL;
    wz_text text = {0};
    wz_error err = {{0}};
    double value = NAN;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    ck_assert_int_eq(wz_file_read(temporary_path(&p.where, path), 1 << 24, &text, &err), WZ_OK);
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *found = json_object_get(row, name);
        if (json_integer_value(json_object_get(row, "step")) == step && json_is_number(found))
            value = json_number_value(found);
        json_decref(row);
    }
    wz_text_clear(&text);
    ck_assert_msg(!isnan(value), "%s: no %s in step %d", run, name, step);
    return value;
}

static void write_pairs(const char *name, const char *text)
{
    wz_error err = {{0}};
    ck_assert_int_eq(wz_file_replace(temporary_path(&p.where, name), text, strlen(text), &err), WZ_OK);
}

#define FOUR                                                                                                 \
    "{\"prompt\": \"<task>\", \"completion\": \" 1 2 3\"}\n"                                                 \
    "{\"prompt\": \"<task> 7\", \"completion\": \" 4\"}\n"                                                   \
    "{\"prompt\": \"A 9\", \"completion\": \" 5 6</answer>\"}\n"                                             \
    "{\"completion\": \"abc\", \"prompt\": \"\\n\"}\n"

/* ---- learning ---- */

/* 3 links, 8 levels, 10 dB: a constant policy reaches about .71 of the optimum, GRPO alone needs hundreds of steps. */
START_TEST(optimal_decisions_are_learnt_in_seconds_and_grpo_keeps_them)
{
    program_succeed(
        &p, "train " WZ_TEST_DATA "/config/tiny.yaml output_dir=@/run task.links=3 task.levels=8 "
            "task.snr_db=10 sft_steps=60 max_steps=70 eval_steps=60 eval_problems=100 "
            "generation_batch_size=128 beta=0.01 entropy_coef=0 sft_learning_rate=0.004 learning_rate=0.001");
    const double before = metric("run", 60, "eval_objective_ratio"),
                 after = metric("run", 70, "eval_objective_ratio");
    ck_assert_double_gt(before, 0.9);
    /* of 100 problems, the standard error of the difference is below .01 */
    ck_assert_double_gt(after, before - 0.02);
    ck_assert_double_gt(metric("run", 60, "sft_token_accuracy"), metric("run", 1, "sft_token_accuracy"));
    /* three decisions among eight levels, uniform at first: log 8 */
    ck_assert_double_eq_tol(metric("run", 1, "sft_loss"), log(8.0), 1e-5);
}
END_TEST

/* Answers are three of eight levels each and a tag that must follow; a zero head gives each of V tokens 1 / V. */
START_TEST(supervised_steps_teach_the_grammar)
{
    write_pairs("pairs.jsonl", FOUR);
    program_succeed(&p, "train " SMALL "output_dir=@/free answer_grammar=false max_completion_length=8 "
                        "sft_file=@/pairs.jsonl sft_steps=1 max_steps=1 sft_batch_size=4 "
                        "generation_batch_size=16");
    program_succeed(&p, "train " WZ_TEST_DATA "/config/tiny.yaml output_dir=@/run task.links=3 task.levels=8 "
                        "task.snr_db=10 sft_steps=60 max_steps=60 eval_steps=0 eval_problems=8 "
                        "generation_batch_size=128 grammar_coef=0.1 sft_learning_rate=0.004");
    const double log_vocab = metric("free", 1, "sft_loss");
    ck_assert_double_eq_tol(metric("run", 1, "grammar_loss"), 0.1 * (log_vocab - 0.75 * log(8.0)), 1e-6);
    ck_assert_double_eq_tol(metric("run", 1, "sft_loss"), log(8.0), 1e-5);
    /* untaught it stays where it was, or rises as the policy sharpens */
    ck_assert_double_lt(metric("run", 60, "grammar_loss"), 0.25 * metric("run", 1, "grammar_loss"));
    ck_assert_double_gt(metric("run", 60, "eval_objective_ratio"), 0.9);
}
END_TEST

START_TEST(pairs_of_a_file_are_learnt_by_heart)
{
    write_pairs("pairs.jsonl", FOUR);
    program_succeed(&p, "train " SMALL "output_dir=@/run answer_grammar=false max_completion_length=8 "
                        "sft_file=@/pairs.jsonl sft_steps=80 max_steps=80 sft_batch_size=4 save_steps=0 "
                        "sft_learning_rate=0.02 generation_batch_size=16");
    /* a zero head is uniform over the vocabulary */
    const double vocab = exp(metric("run", 1, "sft_loss"));
    ck_assert_double_gt(vocab, 1000.0);
    ck_assert_double_eq_tol(vocab, round(vocab), 1e-5 * vocab);
    ck_assert_double_lt(metric("run", 80, "sft_loss"), 0.02);
    ck_assert_double_eq(metric("run", 80, "sft_token_accuracy"), 1.0);
}
END_TEST

/* ---- the same run ---- */

static const char *const sources[] = {"", " sft_file=@/pairs.jsonl sft_batch_size=3"};

START_TEST(supervised_run_is_the_same_for_every_cut)
{
    write_pairs("pairs.jsonl", FOUR);
    program_succeed(&p, "train " EVERY " output_dir=@/whole sft_steps=2%s", sources[_i]);
    program_succeed(&p, "train " EVERY " output_dir=@/small sft_steps=2 per_device_train_batch_size=4%s",
                    sources[_i]);
    program_succeed(&p,
                    "train " EVERY " output_dir=@/middle sft_steps=2 per_device_train_batch_size=16 "
                    "threads=1 gradient_checkpointing=true%s",
                    sources[_i]);
    assert_same_run(&p, "whole", "small", 5);
    assert_same_run(&p, "whole", "middle", 5);
}
END_TEST

/* In the middle of the supervised steps, and from the checkpoint at their very end: later ones are taken away. */
START_TEST(supervised_run_resumes_to_the_whole_run)
{
    write_pairs("pairs.jsonl", FOUR);
    program_succeed(&p, "train " EVERY " output_dir=@/whole sft_steps=3%s", sources[_i]);
    program_kill_at(&p,
                    program_begin(&p,
                                  "train " EVERY " output_dir=@/killed sft_steps=3 save_steps=1 "
                                  "save_total_limit=9%s",
                                  sources[_i]),
                    "killed", 1);
    program_kill_at(&p, program_begin(&p, "resume @/killed"), "killed", 3);
    for (int step = 4; step <= 5; step++) {
        char path[64];
        (void)snprintf(path, sizeof path, "killed/checkpoints/step-%08d.h5", step);
        (void)unlink(temporary_path(&p.where, path));
    }
    program_succeed(&p, "resume @/killed");
    assert_same_run(&p, "whole", "killed", 5);
}
END_TEST

/* ---- the reference ---- */

static void digest_group(const char *run, int step, const char *group, char hex[WZ_DIGEST_HEX])
{
    char path[128];
    float data[4096];
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    wz_digest *digest = NULL;
    (void)snprintf(path, sizeof path, "%s/checkpoints/step-%08d.h5", run, step);
    ck_assert_msg(wz_checkpoint_open(temporary_path(&p.where, path), &checkpoint, &err) == WZ_OK, "%s",
                  err.text);
    ck_assert_int_eq(wz_digest_create(&digest, &err), WZ_OK);
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); ++i) {
        const wz_checkpoint_tensor *info = wz_checkpoint_tensor_info(checkpoint, i);
        const size_t count = info->rank == 2 ? info->shape[0] * info->shape[1] : info->shape[0];
        if (strcmp(info->group, group) != 0 || count > 4096)
            continue;
        ck_assert_int_eq(wz_checkpoint_read(checkpoint, group, info->name, data, count, &err), WZ_OK);
        wz_digest_add(digest, data, count * sizeof *data);
    }
    wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    wz_checkpoint_close(checkpoint);
}

START_TEST(reference_is_the_policy_that_the_supervised_steps_left)
{
    char learnt[WZ_DIGEST_HEX], first[WZ_DIGEST_HEX], reference[WZ_DIGEST_HEX];
    program_succeed(&p, "train " SMALL "output_dir=@/run max_steps=6 sft_steps=3 beta=0.1");
    digest_group("run", 0, "weights", first);
    digest_group("run", 3, "weights", learnt);
    ck_assert_str_ne(first, learnt);
    for (int step = 4; step <= 6; step++) {
        digest_group("run", step, "reference", reference);
        ck_assert_str_eq(reference, learnt);
    }
    ck_assert_double_eq(metric("run", 4, "kl"), 0.0);
    ck_assert_double_gt(metric("run", 6, "kl"), 0.0);
}
END_TEST

/* GRPO draws what it would without the steps before: from the same weights, here those of rates 0, the same first step. */
START_TEST(grpo_after_supervised_steps_is_grpo)
{
    program_succeed(&p, "train " SMALL "output_dir=@/plain max_steps=3");
    program_succeed(&p, "train " SMALL "output_dir=@/after max_steps=5 sft_steps=2 sft_learning_rate=1e-30");
    ck_assert_double_eq(metric("plain", 1, "reward"), metric("after", 3, "reward"));
    ck_assert_double_eq(metric("plain", 1, "grad_norm"), metric("after", 3, "grad_norm"));
    for (int step = 1; step <= 3; step++)
        ck_assert_double_eq(metric("plain", step, "learning_rate"),
                            metric("after", step + 2, "learning_rate"));
}
END_TEST

/* Problems of one size have prompts of one length, the chat template's frame around each once: 8 pairs, then 8 problems with
 * two completions each, of 5 tokens all. */
START_TEST(prompts_are_those_that_grpo_meets)
{
    static const char *const templates[] = {"none", "plain"};
    program_succeed(&p,
                    "train " SMALL "output_dir=@/run max_steps=2 sft_steps=1 sft_batch_size=8 "
                    "generation_batch_size=16 num_generations=2 chat_template=%s",
                    templates[_i]);
    const double supervised = metric("run", 1, "num_tokens"), both = metric("run", 2, "num_tokens");
    ck_assert_double_eq(metric("run", 2, "completions/mean_length"), 5.0);
    ck_assert_double_eq(supervised - 8.0 * 5.0, both - supervised - 16.0 * 5.0);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_pairs_are_refused_with_their_line)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "pairs.jsonl: no pairs"},
        {"{\"prompt\": \"a\", \"completion\": \"b\"}\n\n", "pairs.jsonl:2:"},
        {"{\"prompt\": \"a\", \"completion\": \"b\"\n", "pairs.jsonl:1:"},
        {"[\"a\", \"b\"]\n", "pairs.jsonl:1: expected an object"},
        {"{\"prompt\": \"a\"}\n", "pairs.jsonl:1: \"completion\" is missing"},
        {"{\"prompt\": 7, \"completion\": \"b\"}\n", "pairs.jsonl:1: \"prompt\" is no string"},
        {"{\"prompt\": \"\", \"completion\": \"b\"}\n", "pairs.jsonl:1: the prompt is empty"},
        {"{\"prompt\": \"a\", \"completion\": \"\"}\n", "pairs.jsonl:1: the completion is empty"},
        {"{\"prompt\": \"a\", \"completion\": \"b\", \"text\": \"\"}\n",
         "pairs.jsonl:1: unknown key \"text\""},
        {"{\"prompt\": \"a\", \"prompt\": \"a\", \"completion\": \"b\"}\n", "pairs.jsonl:1:"},
        {"{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\", \"completion\": \"bcdefghij\"}\n",
         "pairs.jsonl:2: the completion has 10 tokens"},
        {"{\"prompt\": \"\xff\", \"completion\": \"b\"}\n", "pairs.jsonl:1:"},
    };
    write_pairs("pairs.jsonl", cases[_i].text);
    program_fail(&p, 3, cases[_i].message,
                 "train " SMALL
                 "output_dir=@/run sft_steps=2 sft_file=@/pairs.jsonl max_completion_length=8");
}
END_TEST

START_TEST(long_line_is_refused_and_takes_no_memory_for_it)
{
    const size_t length = 3 << 20;
    char *text = malloc(length);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', length - 1);
    text[length - 1] = '\0';
    write_pairs("pairs.jsonl", text);
    free(text);
    program_fail(&p, 3, "pairs.jsonl:1",
                 "train " SMALL "output_dir=@/run sft_steps=2 sft_file=@/pairs.jsonl");
}
END_TEST

START_TEST(options_that_contradict_each_other_are_refused)
{
    program_fail(&p, 2, "sft_steps (13)", "train " SMALL "output_dir=@/run sft_steps=13");
    program_fail(&p, 2, "who do not think",
                 "train " SMALL "output_dir=@/run sft_steps=2 thinking_budget=4 max_completion_length=40");
    program_fail(&p, 2, "sft_steps is 0", "train " SMALL "output_dir=@/run sft_file=@/pairs.jsonl");
    program_fail(&p, 2, "missing.jsonl",
                 "train " SMALL "output_dir=@/run sft_steps=1 sft_file=@/missing.jsonl");
    program_fail(&p, 2, "more than 2^32",
                 "train " SMALL "output_dir=@/run max_steps=1000000 sft_steps=1000000 sft_batch_size=100000");
}
END_TEST

START_TEST(resume_takes_no_other_pairs)
{
    write_pairs("pairs.jsonl", FOUR);
    program_kill_at(&p,
                    program_begin(&p, "train " SMALL "output_dir=@/run max_steps=2000 sft_steps=1500 "
                                      "sft_file=@/pairs.jsonl"),
                    "run", 1);
    write_pairs("pairs.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    program_fail(&p, 2, "holds other pairs than when this run started", "resume @/run");
    program_fail(&p, 2, "resume cannot change 'sft_file'", "resume @/run sft_file=");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervised runs");
    TCase *tests = tcase_create("supervised runs");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, optimal_decisions_are_learnt_in_seconds_and_grpo_keeps_them);
    tcase_add_test(tests, supervised_steps_teach_the_grammar);
    tcase_add_test(tests, pairs_of_a_file_are_learnt_by_heart);
    tcase_add_loop_test(tests, supervised_run_is_the_same_for_every_cut, 0, 2);
    tcase_add_loop_test(tests, supervised_run_resumes_to_the_whole_run, 0, 2);
    tcase_add_test(tests, reference_is_the_policy_that_the_supervised_steps_left);
    tcase_add_test(tests, grpo_after_supervised_steps_is_grpo);
    tcase_add_loop_test(tests, prompts_are_those_that_grpo_meets, 0, 2);
    tcase_add_loop_test(tests, bad_pairs_are_refused_with_their_line, 0, 12);
    tcase_add_test(tests, long_line_is_refused_and_takes_no_memory_for_it);
    tcase_add_test(tests, options_that_contradict_each_other_are_refused);
    tcase_add_test(tests, resume_takes_no_other_pairs);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
