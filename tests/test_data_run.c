/* Where a run's problems come from, end to end: the epochs of a training set, problems that come again, filters, stages; each
 * against what the log and the set's own file say, and each resumed to the same bytes. */
#include <math.h>

#include "engine/core/json.h"
#include "tests/program.h"
#include "tests/suite.h"

/* Two problems a step, so that completions.jsonl shows each of them, with all of their four completions. */
#define LITTLE                                                                                               \
    WZ_TEST_DATA                                                                                             \
    "/config/tiny.yaml task.links=3 model.hidden_size=16 model.head_dim=8 num_generations=4 "                \
    "generation_batch_size=8 log_completions_steps=1 eval_steps=0 eval_problems=4 save_steps=0 "
#define PER_STEP 2
#define GENERATIONS 4
#define MOST 1024

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* ---- what files say ---- */

/* Rows of a file of JSON lines; those without `key` are left out. */
static size_t read_lines(const char *file, const char *key, json_t *rows[MOST])
{
    wz_text text = {0};
    wz_error err = {{0}};
    char *rest = NULL;
    size_t count = 0;
    ck_assert_msg(wz_file_read(temporary_path(&p.where, file), 1 << 24, &text, &err) == WZ_OK, "%s",
                  err.text);
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_ptr_nonnull(row);
        if (json_object_get(row, key) == NULL) {
            json_decref(row);
            continue;
        }
        ck_assert_uint_lt(count, MOST);
        rows[count++] = row;
    }
    wz_text_clear(&text);
    return count;
}

static void drop_lines(json_t *rows[MOST], size_t count)
{
    while (count-- > 0)
        json_decref(rows[count]);
}

static double number(const json_t *row, const char *key)
{
    ck_assert_msg(json_is_number(json_object_get(row, key)), "no number %s", key);
    return json_number_value(json_object_get(row, key));
}

/* A problem that a run trained, by its place in the log. */
typedef struct trained {
    int64_t problem;
    char prompt[512];
    double solved; /* share of its completions with a ratio of at least 0.99 */
} trained;

static size_t read_trained(const char *run, trained out[MOST])
{
    char file[64];
    json_t *rows[MOST];
    (void)snprintf(file, sizeof file, "%s/completions.jsonl", run);
    const size_t count = read_lines(file, "prompt", rows);
    ck_assert_uint_eq(count % GENERATIONS, 0);
    for (size_t i = 0; i < count; i++) {
        trained *t = &out[i / GENERATIONS];
        if (i % GENERATIONS == 0)
            *t = (trained){.problem = (int64_t)number(rows[i], "problem")};
        ck_assert_int_eq(t->problem, (int64_t)number(rows[i], "problem"));
        (void)snprintf(t->prompt, sizeof t->prompt, "%s",
                       json_string_value(json_object_get(rows[i], "prompt")));
        t->solved += number(rows[i], "ratio") >= 0.99 - 1e-9 ? 1.0 / GENERATIONS : 0.0;
    }
    drop_lines(rows, count);
    return count / GENERATIONS;
}

/* The problems of a set as its file has them. */
typedef struct given {
    char prompt[512];
    double headroom;
} given;

static size_t read_given(const char *file, given out[MOST])
{
    json_t *rows[MOST];
    const size_t count = read_lines(file, "prompt", rows);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(out[i].prompt, sizeof out[i].prompt, "%s",
                       json_string_value(json_object_get(rows[i], "prompt")));
        out[i].headroom = 1.0 - number(rows[i], "best_trivial") / number(rows[i], "reference");
    }
    drop_lines(rows, count);
    return count;
}

/* ---- epochs ---- */

/* Seven problems, two a step: every other epoch ends within a step. */
START_TEST(every_problem_of_a_set_comes_once_an_epoch)
{
    enum { COUNT = 7, EPOCHS = 4 };
    static given set[MOST];
    static trained log[MOST];
    const char *const name = _i == 0 ? "set.jsonl" : "set.h5";
    int same = 0;
    program_succeed(&p, "tasks export @/set.jsonl --problems %d --split train task.links=3 seed=9", COUNT);
    program_succeed(&p, "tasks export @/set.h5 --problems %d --split train task.links=3 seed=9", COUNT);
    program_succeed(&p, "train " LITTLE "train_set=@/%s num_train_epochs=%d output_dir=@/run", name, EPOCHS);
    ck_assert_uint_eq(read_given("set.jsonl", set), COUNT);
    ck_assert_uint_eq(read_trained("run", log), COUNT * EPOCHS);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int times[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) {
            const trained *t = &log[epoch * COUNT + i];
            ck_assert_int_lt(t->problem, COUNT);
            ck_assert_str_eq(t->prompt, set[t->problem].prompt);
            times[t->problem]++;
            same += epoch > 0 && t->problem == log[(epoch - 1) * COUNT + i].problem;
        }
        for (int i = 0; i < COUNT; i++)
            ck_assert_int_eq(times[i], 1);
    }
    ck_assert_int_lt(same, COUNT * (EPOCHS - 1)); /* orders differ */
    json_t *rows[MOST];
    const size_t steps = read_lines("run/metrics.jsonl", "epoch", rows);
    ck_assert_uint_eq(steps, COUNT * EPOCHS / PER_STEP);
    for (size_t i = 0; i < steps; i++)
        ck_assert_double_eq_tol(number(rows[i], "epoch"), (double)((i + 1) * PER_STEP) / COUNT, 1e-12);
    drop_lines(rows, steps);
}
END_TEST

/* 11 problems, of which the run had 6; its evaluation knows the run's file, while that is what it was. */
START_TEST(evaluation_knows_the_problems_of_the_training_set)
{
    const char *const eval = "eval @/run/checkpoints/step-00000002.h5 --problems @/eval.jsonl";
    program_succeed(&p, "tasks export @/set.jsonl --problems 6 --split train task.links=3");
    program_succeed(&p, "tasks export @/eval.jsonl --problems 12 --split train task.links=3");
    program_succeed(&p, "train " LITTLE "train_set=@/set.jsonl max_steps=2 output_dir=@/run");
    program_succeed(&p, "%s", eval);
    ck_assert_msg(strstr(p.out, "up to 50.00% of these problems were among those of training") != NULL, "%s",
                  p.out);
    program_succeed(&p, "tasks export @/set.jsonl --problems 5 --split train task.links=3");
    program_succeed(&p, "%s", eval);
    ck_assert_ptr_null(strstr(p.out, "among those of training"));
}
END_TEST

/* A problem twice in a step is answered twice, not the same way again: a set of one problem, 16 decisions each. */
START_TEST(a_problem_that_comes_twice_in_a_step_has_samples_of_its_own)
{
    json_t *rows[MOST];
    int same = 0, pairs = 0;
    program_succeed(&p, "tasks export @/one.jsonl --problems 1 --split train task.links=3");
    program_succeed(&p, "train " LITTLE "train_set=@/one.jsonl max_steps=8 output_dir=@/run");
    const size_t count = read_lines("run/completions.jsonl", "prompt", rows);
    ck_assert_uint_eq(count, 8 * PER_STEP * GENERATIONS);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq((int)number(rows[i], "problem"), 0);
        if (i / GENERATIONS % PER_STEP == 0) {
            same += json_equal(json_object_get(rows[i], "completion"),
                               json_object_get(rows[i + GENERATIONS], "completion"));
            pairs++;
        }
    }
    ck_assert_int_lt(same, pairs);
    drop_lines(rows, count);
}
END_TEST

START_TEST(what_a_set_may_not_be_is_refused)
{
    program_succeed(&p, "tasks export @/held.jsonl --problems 3 task.links=3");
    program_fail(&p, 2, "problem 1: it is number 0 of the split test, which is held out",
                 "train " LITTLE "train_set=@/held.jsonl output_dir=@/run");
    program_succeed(&p, "tasks export @/other.jsonl --problems 3 --split train task.name=water_filling");
    program_fail(&p, 2, "it is of the family water_filling, which the run has not",
                 "train " LITTLE "train_set=@/other.jsonl output_dir=@/run");
    ck_assert(!wz_path_exists(temporary_path(&p.where, "run")));
}
END_TEST

START_TEST(a_set_that_has_changed_or_is_damaged_is_refused)
{
    program_succeed(&p, "tasks export @/set.jsonl --problems 6 --split train task.links=3");
    program_succeed(&p, "train " LITTLE "train_set=@/set.jsonl max_steps=2 output_dir=@/run");
    program_succeed(&p, "tasks export @/set.jsonl --problems 6 --split train task.links=3 seed=77");
    program_fail(&p, 2, "set.jsonl holds other problems than when this run started",
                 "resume @/run --extend max_steps=4");
    program_succeed(&p, "tasks export @/set.jsonl --problems 6 --split train task.links=3");
    program_succeed(&p, "resume @/run --extend max_steps=4");
    wz_text text = {0};
    wz_error err = {{0}};
    ck_assert_int_eq(wz_file_read(temporary_path(&p.where, "set.jsonl"), 1 << 20, &text, &err), WZ_OK);
    char *at = strstr(text.data, "\"reference\": 1");
    ck_assert_ptr_nonnull(at);
    at[13] = '3';
    FILE *file = fopen(temporary_path(&p.where, "set.jsonl"), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text.data, 1, text.length, file), text.length);
    ck_assert_int_eq(fclose(file), 0);
    wz_text_clear(&text);
    program_fail(&p, 3, "is stated as 3", "resume @/run --extend max_steps=6");
}
END_TEST

/* ---- filters ---- */

START_TEST(a_set_is_left_the_problems_within_headroom)
{
    enum { COUNT = 40 };
    static given set[MOST];
    static trained log[MOST];
    int within = 0, met[COUNT] = {0};
    program_succeed(&p, "tasks export @/set.jsonl --problems %d --split train task.links=5", COUNT);
    const size_t count = read_given("set.jsonl", set);
    for (size_t i = 0; i < count; i++)
        within += set[i].headroom >= 0.01 && set[i].headroom <= 0.15;
    ck_assert(within > 3 && within < COUNT - 3);
    program_succeed(&p,
                    "train " LITTLE "task.links=5 train_set=@/set.jsonl num_train_epochs=1 headroom_min=0.01 "
                    "headroom_max=0.15 output_dir=@/run");
    const size_t shown = read_trained("run", log);
    ck_assert_uint_eq(shown, (size_t)(within + PER_STEP - 1) / PER_STEP * PER_STEP);
    for (int t = 0; t < within; t++)
        for (int i = 0; i < COUNT; i++)
            met[i] += strcmp(log[t].prompt, set[i].prompt) == 0 && log[t].problem == i;
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(met[i], set[i].headroom >= 0.01 && set[i].headroom <= 0.15);
}
END_TEST

/* Generated problem `number` of the split is problem `number` of an exported set, which says its headroom: the first of five
 * numbers that lies within the bounds, or the last of them. */
START_TEST(generated_problems_are_the_first_within_headroom)
{
    enum { STEPS = 12, TRIES = 5 };
    static given set[MOST];
    static trained log[MOST];
    json_t *rows[MOST];
    int late = 0;
    program_succeed(&p, "tasks export @/all.jsonl --problems %d --split train task.links=5 seed=3",
                    STEPS * TRIES * PER_STEP);
    program_succeed(&p,
                    "train " LITTLE
                    "task.links=5 max_steps=%d headroom_min=0.05 headroom_max=0.4 filter_max_tries=%d "
                    "output_dir=@/run",
                    STEPS, TRIES);
    ck_assert_uint_eq(read_given("all.jsonl", set), STEPS * TRIES * PER_STEP);
    ck_assert_uint_eq(read_trained("run", log), STEPS * PER_STEP);
    ck_assert_uint_eq(read_lines("run/metrics.jsonl", "filter/rejected", rows), STEPS);
    for (int step = 0; step < STEPS; step++) {
        int rejected = 0, unfiltered = 0;
        for (int g = 0; g < PER_STEP; g++) {
            int chosen = -1, last = 0;
            for (int i = 0; i < TRIES && chosen < 0; i++) {
                last = (step * TRIES + i) * PER_STEP + g;
                if (set[last].headroom >= 0.05 && set[last].headroom <= 0.4)
                    chosen = last;
                rejected += chosen < 0;
            }
            unfiltered += chosen < 0;
            late += chosen >= 0 && last >= (step * TRIES + 1) * PER_STEP;
            ck_assert_int_eq((int)log[step * PER_STEP + g].problem, last);
            ck_assert_str_eq(log[step * PER_STEP + g].prompt, set[last].prompt);
        }
        ck_assert_double_eq(number(rows[step], "filter/rejected"), (double)rejected / PER_STEP);
        ck_assert_double_eq(number(rows[step], "filter/unfiltered"), (double)unfiltered / PER_STEP);
    }
    ck_assert_int_gt(late, 0);
    drop_lines(rows, STEPS);
}
END_TEST

/* The order of the epochs is that of a run which passes nothing over; what each problem's success was is in the log. So it
 * can be told which problems had to be passed over: those with a running success below success_min, but no more than two for
 * one problem. Nothing is forgotten within max_age. */
START_TEST(epochs_pass_over_what_is_known_to_be_out_of_bounds)
{
    enum { COUNT = 9, STEPS = 30, SKIPS = 2 };
    static trained plain[MOST], log[MOST];
    double success[COUNT];
    bool is_known[COUNT] = {false};
    json_t *rows[MOST];
    int at = 0, all = 0;
    program_succeed(&p, "tasks export @/set.jsonl --problems %d --split train task.links=3", COUNT);
    program_succeed(&p, "train " LITTLE "train_set=@/set.jsonl max_steps=120 output_dir=@/plain");
    program_succeed(&p,
                    "train " LITTLE "train_set=@/set.jsonl max_steps=%d success_min=0.2 success_max=0.8 "
                    "filter_max_tries=%d output_dir=@/run",
                    STEPS, SKIPS);
    ck_assert_uint_eq(read_trained("plain", plain), 240);
    ck_assert_uint_eq(read_trained("run", log), STEPS * PER_STEP);
    ck_assert_uint_eq(read_lines("run/metrics.jsonl", "filter/skipped", rows), STEPS);
    for (int step = 0; step < STEPS; step++) {
        int skipped = 0;
        for (int g = 0; g < PER_STEP; g++) {
            for (int passed = 0; passed < SKIPS; passed++, at++) {
                const int64_t next = plain[at].problem;
                if (!is_known[next] || (success[next] >= 0.2 && success[next] <= 0.8))
                    break;
                skipped++;
            }
            ck_assert_int_eq((int)log[step * PER_STEP + g].problem, (int)plain[at].problem);
            at++;
        }
        for (int g = 0; g < PER_STEP; g++) {
            const trained *t = &log[step * PER_STEP + g];
            success[t->problem] = is_known[t->problem] ? 0.5 * (success[t->problem] + t->solved) : t->solved;
            is_known[t->problem] = true;
        }
        ck_assert_double_eq(number(rows[step], "filter/skipped"), (double)skipped / PER_STEP);
        ck_assert_double_eq_tol(number(rows[step], "epoch"), (double)at / COUNT, 1e-12);
        all += skipped;
    }
    ck_assert_int_gt(all, 5);
    drop_lines(rows, STEPS);
}
END_TEST

/* ---- again ---- */

/* Half of each step comes from the pool, once there is one: problems whose number an earlier step had, whose success then
 * was between 0 and 1. All others are new. */
START_TEST(problems_come_again_that_were_solved_sometimes)
{
    enum { STEPS = 30 };
    static trained log[MOST];
    json_t *rows[MOST];
    int again = 0;
    program_succeed(&p, "train " LITTLE "max_steps=%d replay_fraction=0.5 replay_max_age=6 output_dir=@/run",
                    STEPS);
    ck_assert_uint_eq(read_trained("run", log), STEPS * PER_STEP);
    ck_assert_uint_eq(read_lines("run/metrics.jsonl", "replay/share", rows), STEPS);
    for (int i = 0; i < STEPS * PER_STEP; i++) {
        int last = -1;
        for (int k = 0; k < i / PER_STEP * PER_STEP; k++)
            last = log[k].problem == log[i].problem ? k : last;
        const bool is_new = (int)log[i].problem == i; /* numbers count through steps and places */
        ck_assert_int_eq(is_new, last < 0);
        if (is_new)
            continue;
        ck_assert_str_eq(log[i].prompt, log[last].prompt);
        ck_assert_int_le(i / PER_STEP - last / PER_STEP, 6);
        ck_assert(number(rows[i / PER_STEP], "replay/share") == 0.5);
        again++;
    }
    for (int step = 0; step < STEPS; step++) {
        int old = 0;
        for (int g = 0; g < PER_STEP; g++)
            old += (int)log[step * PER_STEP + g].problem != step * PER_STEP + g;
        ck_assert_double_eq(number(rows[step], "replay/share"), (double)old / PER_STEP);
    }
    ck_assert_int_gt(again, STEPS / 2);
    drop_lines(rows, STEPS);
}
END_TEST

/* ---- resuming ---- */

#define SET " train_set=@/set.jsonl"
static const char *const kinds[] = {
    SET,
    " train_set=@/set.h5 replay_fraction=0.4 replay_pool_size=6 replay_max_age=4 success_min=0.05 "
    "success_max=0.9 headroom_min=0.01 headroom_max=0.9",
    " train_set=@/mixed.jsonl task_mixture=power_control:links=4:weight=0.5,water_filling:channels=3 "
    "replay_fraction=0.4",
    " replay_fraction=0.5 dynamic_sampling=true headroom_min=0.1 filter_max_tries=3",
    " replay_fraction=0.3 curriculum.enabled=true curriculum.start=2 curriculum.threshold=0.3 "
    "curriculum.min_steps=2",
    " replay_fraction=0.3 curriculum.enabled=true curriculum.threshold=0.3 curriculum.min_steps=2 "
    "curriculum.stages=links=3:snr_db=10,snr_db=10:threshold=0.4 dynamic_sampling=true",
    " task_mixture=power_control:links=3,water_filling:channels=3 curriculum.enabled=true "
    "replay_fraction=0.4 "
    "curriculum.threshold=0.2 curriculum.min_steps=2 "
    "curriculum.stages=water_filling.weight=0,power_control.weight=0.5:links=2 sft_steps=2",
};
enum { KINDS = sizeof kinds / sizeof *kinds, STEPS = 9 };

static void export_sets(void)
{
    program_succeed(&p, "tasks export @/set.jsonl --problems 11 --split train task.links=4");
    program_succeed(&p, "tasks export @/set.h5 --problems 11 --split train task.links=4");
    program_succeed(&p, "tasks export @/mixed.jsonl --problems 7 --split train "
                        "task_mixture=power_control:links=3,water_filling:channels=3");
}

/* The pool as the last checkpoint has it. */
static void read_pool(const char *run, wz_text *out)
{
    char file[128];
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    (void)snprintf(file, sizeof file, "%s/checkpoints/step-%08d.h5", run, STEPS);
    ck_assert_int_eq(wz_checkpoint_open(temporary_path(&p.where, file), &checkpoint, &err), WZ_OK);
    ck_assert(wz_checkpoint_has_text(checkpoint, "pool"));
    ck_assert_int_eq(wz_checkpoint_read_text(checkpoint, "pool", out, &err), WZ_OK);
    wz_checkpoint_close(checkpoint);
}

#define TRAIN "train " WZ_TEST_DATA "/config/tiny.yaml max_steps=9 log_completions_steps=1"

START_TEST(killed_runs_resume_to_the_whole_run)
{
    export_sets();
    program_succeed(&p, TRAIN " output_dir=@/whole%s", kinds[_i]);
    program_kill_at(
        &p, program_begin(&p, TRAIN " output_dir=@/killed save_steps=1 save_total_limit=20%s", kinds[_i]),
        "killed", 3);
    program_kill_at(&p, program_begin(&p, "resume @/killed"), "killed", 6);
    program_succeed(&p, "resume @/killed");
    assert_same_run(&p, "whole", "killed", STEPS);
    if (_i > 0) {
        wz_text pools[2] = {{0}, {0}};
        read_pool("whole", &pools[0]);
        read_pool("killed", &pools[1]);
        ck_assert_uint_gt(pools[0].length, 20);
        ck_assert_str_eq(pools[0].data, pools[1].data);
        wz_text_clear(&pools[0]);
        wz_text_clear(&pools[1]);
    }
}
END_TEST

/* What comes next never depends on the cut into micro-batches or on threads. */
START_TEST(every_cut_is_the_same_run)
{
    export_sets();
    program_succeed(&p, TRAIN " output_dir=@/whole%s", kinds[_i]);
    program_succeed(&p, TRAIN " output_dir=@/cut per_device_train_batch_size=16 threads=1%s", kinds[_i]);
    assert_same_run(&p, "whole", "cut", STEPS);
}
END_TEST

/* ---- stages ---- */

/* Each row's stage says which problems the step had: of three links where the stage says so, else of four. A stage begins
 * when the score of the one before passed its threshold, and no earlier than after min_steps of it. */
START_TEST(stages_follow_one_another_at_their_thresholds)
{
    json_t *rows[MOST];
    int reached = 1, at_stage[4] = {0};
    program_succeed(&p, "train " WZ_TEST_DATA "/config/tiny.yaml max_steps=20 curriculum.enabled=true "
                        "curriculum.stages=links=2:threshold=0.3,links=3:threshold=0.99 "
                        "curriculum.min_steps=3 curriculum.replay=0.2 output_dir=@/run");
    const size_t count = read_lines("run/metrics.jsonl", "curriculum/stage", rows);
    ck_assert_uint_eq(count, 20);
    for (size_t i = 0; i < count; i++) {
        const int stage = (int)number(rows[i], "curriculum/stage");
        ck_assert_int_le(stage, reached + 1);
        if (stage > reached) {
            ck_assert_int_ge(at_stage[reached], 3);
            reached = stage;
        }
        at_stage[stage]++;
        ck_assert_int_eq((int)number(rows[i], "task/size"), stage + 1);
    }
    ck_assert_int_eq(reached, 2); /* 0.99 of the optimum is out of reach in 20 steps */
    ck_assert_int_gt(at_stage[2], 3);
    ck_assert_ptr_nonnull(strstr(p.log, "the curriculum goes on to stage 2 of 3: links=3:threshold=0.99"));
    drop_lines(rows, count);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("data_run");
    TCase *tests = tcase_create("data_run");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, every_problem_of_a_set_comes_once_an_epoch, 0, 2);
    tcase_add_test(tests, evaluation_knows_the_problems_of_the_training_set);
    tcase_add_test(tests, a_problem_that_comes_twice_in_a_step_has_samples_of_its_own);
    tcase_add_test(tests, what_a_set_may_not_be_is_refused);
    tcase_add_test(tests, a_set_that_has_changed_or_is_damaged_is_refused);
    tcase_add_test(tests, a_set_is_left_the_problems_within_headroom);
    tcase_add_test(tests, generated_problems_are_the_first_within_headroom);
    tcase_add_test(tests, epochs_pass_over_what_is_known_to_be_out_of_bounds);
    tcase_add_test(tests, problems_come_again_that_were_solved_sometimes);
    tcase_add_loop_test(tests, killed_runs_resume_to_the_whole_run, 0, KINDS);
    tcase_add_loop_test(tests, every_cut_is_the_same_run, 0, KINDS);
    tcase_add_test(tests, stages_follow_one_another_at_their_thresholds);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
