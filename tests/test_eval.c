/* `wavezero eval`: comparisons, grids, other orders, times and progress, through the program. */
#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "tests/program.h"
#include "tests/suite.h"

enum { PROBLEMS = 24 };
#define LAST "@/run/checkpoints/step-00000012.h5"
#define FIRST "@/run/checkpoints/step-00000003.h5"
#define MIXED "@/mixed/checkpoints/step-00000012.h5"
#define FAMILIES "@/families/checkpoints/step-00000002.h5"

static program p;

/* Runs for all tests: one task; two sizes of it with other levels; families with kinds of answers and references of their own. */
static void train(void)
{
    program_create(&p);
    program_succeed(&p, "train " TINY " save_total_limit=10 output_dir=@/run");
    program_succeed(&p,
                    "train " TINY
                    " task_mixture=power_control:links=3,power_control:links=4:levels=4 output_dir=@/mixed");
    program_succeed(&p, "train " TINY " max_steps=2 output_dir=@/families "
                        "task_mixture=max_min,deadline,beam_hopping,power_control:links=3");
}

static void remove_runs(void)
{
    program_destroy(&p);
}

/* "a.b.c" */
static json_t *find(json_t *json, const char *path)
{
    char text[128], *rest = NULL;
    (void)snprintf(text, sizeof text, "%s", path);
    for (char *key = strtok_r(text, ".", &rest); key != NULL; key = strtok_r(NULL, ".", &rest))
        json = json_object_get(json, key);
    ck_assert_msg(json != NULL, "no %s", path);
    return json;
}

static double number(json_t *json, const char *path)
{
    ck_assert_msg(json_is_number(find(json, path)), "%s is no number", path);
    return json_number_value(find(json, path));
}

/* Best-of-k stands beside the greedy answer that `eval` gives without it, digit by digit. */
START_TEST(eval_best_of_shows_the_greedy_answer_too)
{
    program_succeed(&p, "eval " LAST " --problems %d --json", PROBLEMS);
    json_t *alone = json_loads(p.out, 0, NULL);
    program_succeed(&p, "eval " LAST " --problems %d --best-of 3 --json", PROBLEMS);
    json_t *both = json_loads(p.out, 0, NULL);
    const json_t *greedy = json_object_get(both, "greedy");
    static const char *const keys[] = {"objective_ratio", "ratio_of_means", "feasible", "exact_optimum",
                                       "gap"};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        ck_assert_msg(json_equal(json_object_get(greedy, keys[k]), json_object_get(alone, keys[k])), "%s",
                      keys[k]);
    ck_assert_str_eq(json_string_value(json_object_get(both, "decoding")), "sampled");
    program_succeed(&p, "eval " LAST " --problems %d --best-of 3", PROBLEMS);
    ck_assert_ptr_nonnull(strstr(p.out, "\npolicy, greedy "));
    ck_assert_ptr_nonnull(strstr(p.out, "\npolicy, sampled "));
    json_decref(alone);
    json_decref(both);
    program_fail(&p, 2, "choose one: task.name=NAME", "eval " FAMILIES " --grid task.nothing=3");
}
END_TEST

/* Columns of --grid, by their heads, in the order of JSON's figures: a sampled answer's ratio is never called plain "ratio". */
START_TEST(grid_names_what_its_figures_are_of)
{
    static const char *const figures[] = {"greedy.objective_ratio.mean", "best_of.objective_ratio.mean",
                                          "random_best_of.objective_ratio.mean"};
    char line[256], end[64];
    double parted = 0;
    program_succeed(&p, "eval " LAST " --problems %d --best-of 3 --grid task.links=4 --json", PROBLEMS);
    json_t *rows = program_json(&p), *row = json_array_get(rows, 0);
    ck_assert_str_eq(json_string_value(find(row, "objective_ratio_of")), "one sampled answer");
    ck_assert_double_eq(number(row, "samples"), 3);
    program_succeed(&p, "eval " LAST " --problems %d --best-of 3 --grid task.links=4", PROBLEMS);
    ck_assert_ptr_nonnull(strstr(p.out, "\nsetting  sampled    95% interval "));
    ck_assert_ptr_nonnull(strstr(p.out, "  gap p99   greedy best of 3   random  reference\n"));
    ck_assert_ptr_nonnull(strstr(p.out, "\nsampled: the ratio of one answer drawn for each problem; "));
    (void)snprintf(line, sizeof line, "\nlinks=4   %.4f  ", number(row, "objective_ratio.mean"));
    ck_assert_msg(strstr(p.out, line) != NULL, "no '%s' in %s", line, p.out);
    (void)snprintf(end, sizeof end, "   %.4f    %.4f   %.4f  optimum\n", number(row, figures[0]),
                   number(row, figures[1]), number(row, figures[2]));
    ck_assert_msg(strstr(p.out, end) != NULL, "no '%s' in %s", end, p.out);
    parted = fabs(number(row, figures[1]) - number(row, "objective_ratio.mean"));
    ck_assert_double_gt(parted, 1e-4); /* or the columns could not be told apart */
    json_decref(rows);
    program_succeed(&p, "eval " LAST " --problems 4 --grid task.links=4 --temperature 0.5");
    ck_assert_ptr_nonnull(strstr(p.out, "\nsetting  sampled "));
    ck_assert_ptr_null(strstr(p.out, "greedy "));
    program_succeed(&p, "eval " LAST " --problems 4 --grid task.links=4");
    ck_assert_ptr_nonnull(strstr(p.out, "\nsetting    ratio "));
    ck_assert_ptr_null(strstr(p.out, "sampled"));
}
END_TEST

START_TEST(eval_forms_print_the_same_at_any_batch_size_and_threads)
{
    static const char *const forms[] = {
        LAST " --permute --json",
        MIXED " --permute --best-of 3",
        MIXED " --json",
        LAST " --grid task.links=3,5,70 --grid task.snr_db=0,10 --permute",
        MIXED " --grid task.snr_db=0,10 --json --temperature 1",
        LAST " --grid thinking_budget=0,6 --temperature 1",
        LAST " --free --best-of 2 max_completion_length=16",
        FAMILIES " --permute --best-of 2 --json",
        "--compare " LAST " " FIRST,
        "--compare " FAMILIES " " LAST,
        "--compare " MIXED " " LAST " --json --best-of 2",
    };
    static const struct {
        int batch, threads;
    } ways[] = {{1, 2}, {7, 1}, {64, 2}};
    static char first[sizeof p.out];
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; ++f)
        for (size_t w = 0; w < sizeof ways / sizeof ways[0]; ++w) {
            program_succeed(&p, "eval %s --problems %d --batch %d threads=%d", forms[f], PROBLEMS,
                            ways[w].batch, ways[w].threads);
            if (w == 0)
                memcpy(first, p.out, sizeof first);
            ck_assert_str_eq(p.out, first);
            ck_assert_uint_gt(strlen(first), 200);
        }
}
END_TEST

/* ---- two checkpoints ---- */

/* Each problem's ratio, from `generate`, which knows nothing of evaluations. */
static void generate_ratios(const char *checkpoint, int count, double *ratio)
{
    program_succeed(&p, "generate %s --count %d --json", checkpoint, count);
    char *rest = NULL;
    int n = 0;
    for (char *line = strtok_r(p.out, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *json = json_loads(line, 0, NULL);
        ck_assert_int_lt(n, count);
        ratio[n++] = number(json, "objective_ratio");
        json_decref(json);
    }
    ck_assert_int_eq(n, count);
}

/* Differences below 1e-9 are ties; sums that differ by less than 1e-9 are equal: greedy answers of a few problems have
 * ratios that are either the same or far apart. */
START_TEST(compare_is_what_the_problems_one_by_one_say)
{
    enum { N = 12 };
    double a[N], b[N], mean = 0;
    int wins = 0, losses = 0, reached = 0;
    generate_ratios(LAST, N, a);
    generate_ratios(MIXED " task.links=4 task.levels=2", N, b);
    for (int i = 0; i < N; i++) {
        mean += (a[i] - b[i]) / N;
        wins += a[i] - b[i] > 1e-9;
        losses += b[i] - a[i] > 1e-9;
    }
    for (int pattern = 0; pattern < 1 << N; pattern++) {
        double sum = 0;
        for (int i = 0; i < N; i++)
            sum += (pattern >> i & 1 ? -1 : 1) * (a[i] - b[i]) / N;
        reached += fabs(sum) >= fabs(mean) - 1e-9;
    }
    ck_assert_int_gt(wins + losses, 2); /* the policies differ */
    program_succeed(&p, "eval --compare " LAST " " MIXED " --problems %d --json", N);
    json_t *json = program_json(&p);
    ck_assert_double_eq_tol(number(json, "difference.mean"), mean, 1e-12);
    ck_assert_double_eq_tol(number(json, "p_value"), (double)reached / (1 << N), 1e-12);
    ck_assert_double_eq(number(json, "wins"), wins);
    ck_assert_double_eq(number(json, "losses"), losses);
    ck_assert_double_eq(number(json, "ties"), N - wins - losses);
    json_decref(json);
    program_succeed(&p, "eval --compare " MIXED " " LAST " --problems %d --json task.links=4 task.levels=2",
                    N);
    json = program_json(&p);
    ck_assert_double_eq_tol(number(json, "difference.mean"), -mean, 1e-12);
    ck_assert_double_eq(number(json, "wins"), losses);
    json_decref(json);
}
END_TEST

static json_t *evaluate(const char *arguments)
{
    program_succeed(&p, "eval %s --problems %d --json", arguments, PROBLEMS);
    return program_json(&p);
}

/* Both scores are those of each alone, on the task of the first, whatever the second was trained on. */
START_TEST(compare_scores_are_those_of_each_alone)
{
    json_t *both = evaluate("--compare " LAST " " MIXED), *a = evaluate(LAST),
           *b = evaluate(MIXED " task.links=4 task.levels=2");
    static const char *const members[] = {"objective_ratio", "gap", "feasible", "percent_of_wmmse"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; ++i) {
        ck_assert(json_equal(find(find(both, "a"), members[i]), find(a, members[i])));
        ck_assert(json_equal(find(find(both, "b"), members[i]), find(b, members[i])));
    }
    ck_assert(json_equal(find(both, "baselines"), find(a, "baselines")));
    json_decref(both);
    json_decref(b);
    both = evaluate("--compare " LAST " " LAST " task.links=3");
    ck_assert_double_eq(number(both, "difference.mean"), 0);
    ck_assert_double_eq(number(both, "p_value"), 1);
    ck_assert_double_eq(number(both, "ties"), PROBLEMS);
    ck_assert(!json_equal(find(find(both, "a"), "objective_ratio"), find(a, "objective_ratio")));
    json_decref(both);
    json_decref(a);
    /* a mixture's parts, each by its name */
    both = evaluate("--compare " MIXED " " LAST);
    ck_assert_double_eq(number(both, "power_control.problems"), PROBLEMS);
    ck_assert_double_eq(number(both, "power_control_2.problems"), PROBLEMS);
    json_decref(both);
}
END_TEST

/* The problems of a file, exported as those of the test split and seed 3, which is the runs'. */
START_TEST(compare_and_permute_take_a_problem_set)
{
    program_succeed(&p, "tasks export @/set.jsonl --problems %d task.links=4 seed=3", PROBLEMS);
    program_succeed(&p, "eval --compare " LAST " " FIRST " --problems @/set.jsonl --json");
    json_t *given = program_json(&p), *generated = evaluate("--compare " LAST " " FIRST);
    ck_assert(json_equal(given, generated));
    json_decref(given);
    json_decref(generated);
    program_succeed(&p, "eval " LAST " --permute --problems @/set.jsonl --json");
    given = program_json(&p);
    generated = evaluate(LAST " --permute");
    ck_assert(json_equal(given, generated));
    json_decref(given);
    json_decref(generated);
    program_fail(&p, 2, "--grid generates its problems",
                 "eval " LAST " --problems @/set.jsonl --grid task.links=3");
}
END_TEST

/* ---- settings side by side ---- */

START_TEST(grid_rows_are_the_settings_alone)
{
    json_t *rows = evaluate(LAST " --grid task.links=3,5 --grid task.snr_db=0,10 task.levels=2");
    static const char *const settings[] = {"links=3 snr_db=0", "links=3 snr_db=10", "links=5 snr_db=0",
                                           "links=5 snr_db=10"};
    ck_assert_uint_eq(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; ++i) {
        char arguments[256];
        json_t *row = json_array_get(rows, i);
        ck_assert_str_eq(json_string_value(find(row, "setting")), settings[i]);
        ck_assert_double_eq(number(row, "options.links"), i < 2 ? 3 : 5);
        ck_assert_double_eq(number(row, "options.snr_db"), i % 2 == 0 ? 0 : 10);
        (void)snprintf(arguments, sizeof arguments, LAST " task.links=%d task.snr_db=%d", i < 2 ? 3 : 5,
                       i % 2 == 0 ? 0 : 10);
        json_t *alone = evaluate(arguments);
        (void)json_object_del(row, "task");
        (void)json_object_del(row, "setting");
        (void)json_object_del(row, "options");
        ck_assert_msg(json_equal(row, alone), "%s", settings[i]);
        json_decref(alone);
    }
    json_decref(rows);
}
END_TEST

/* MIXED was trained with other links and other levels. */
START_TEST(grid_over_what_parts_differ_in_has_each_setting_once)
{
    json_t *rows = evaluate(MIXED " --grid task.links=3,4");
    ck_assert_uint_eq(json_array_size(rows), 4); /* of each part: levels are its own */
    json_decref(rows);
    rows = evaluate(MIXED " --grid task.links=3,4 --grid task.levels=2,4");
    ck_assert_uint_eq(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; ++i) {
        ck_assert_double_eq(number(json_array_get(rows, i), "options.links"), i < 2 ? 3 : 4);
        ck_assert_double_eq(number(json_array_get(rows, i), "options.levels"), i % 2 == 0 ? 2 : 4);
    }
    json_decref(rows);
}
END_TEST

/* 64 links: 64 * 129 table entries and labels are more than the model's 2048 positions. */
START_TEST(grid_rows_that_cannot_be_evaluated_say_so)
{
    json_t *rows = evaluate(LAST " --grid task.links=64,70,3");
    static const char *const reasons[] = {"max_position_embeddings is 2048", "from 2 to 64, found '70'"};
    ck_assert_uint_eq(json_array_size(rows), 3);
    for (size_t i = 0; i < 2; ++i) {
        const char *reason = json_string_value(find(json_array_get(rows, i), "not_evaluated"));
        ck_assert_msg(strstr(reason, reasons[i]) != NULL, "%s", reason);
        ck_assert_ptr_null(json_object_get(json_array_get(rows, i), "objective_ratio"));
    }
    ck_assert_double_gt(number(json_array_get(rows, 2), "objective_ratio.mean"), 0);
    json_decref(rows);
    program_succeed(&p, "eval " LAST " --problems 4 --grid task.links=70,30");
    ck_assert_ptr_nonnull(strstr(p.out, "\nlinks=70 not evaluated: task.links: expected"));
    ck_assert_ptr_nonnull(strstr(p.out, "  best known\n")); /* 2^30 decisions are not enumerated */
    ck_assert_ptr_nonnull(strstr(p.out, "\nbest known: "));
    program_succeed(&p, "eval " LAST " --problems 4 --grid task.links=70");
    ck_assert_ptr_nonnull(strstr(p.out, "no setting could be evaluated\n"));
}
END_TEST

START_TEST(grid_and_compare_misuse_exits_2)
{
    static const struct {
        const char *arguments, *message;
    } cases[] = {
        {"--grid links=5", "--grid 'links=5': expected an option and its values, as in task.links=5,10,20"},
        {"--grid task.links", "--grid 'task.links': expected"},
        {"--grid task.links=", "--grid 'task.links=': expected"},
        {"--grid task.lnks=5", "did you mean 'task.links'"},
        {"--grid task.links=3,few", "task.links: expected a whole number from 2 to 64, found 'few'"},
        {"--grid task.links=3 --grid task.snr_db=0,1O", "task.snr_db: expected a number"},
        {"--grid task.links=3,4.0", "task.links: expected a whole number from 2 to 64, found '4.0'"},
        {"--grid task.name=power_control", "task.name is no option of a task"},
        {"--grid task.links=3 --grid task.links=4", "task.links is given twice"},
        {"--grid", "--grid needs a value"},
        {"--compare", "an argument is missing"},
        {"--compare @/missing.h5", "missing.h5"},
        {"--compare " LAST " --grid task.links=3", "--compare takes neither --permute nor --grid"},
        {"--compare " LAST " --permute", "--compare takes neither --permute nor --grid"},
        {"--compare task.links=3", "task.links=3"}, /* where the second checkpoint should stand */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        program_fail(&p, 2, cases[i].message, "eval " LAST " --problems 4 %s", cases[i].arguments);
        ck_assert_str_eq(p.out, "");
    }
    program_fail(&p, 2, "--grid, task deadline: unknown key 'task.snr_db'",
                 "eval " FAMILIES " --problems 4 --grid task.snr_db=0,10");
    /* the second policy has no positions for the first one's problems */
    program_succeed(&p, "train " TINY " max_steps=1 max_completion_length=8 model.max_position_embeddings=60 "
                        "output_dir=@/short task.links=3");
    program_fail(&p, 2, "short/checkpoints/best.h5: a prompt of",
                 "eval --compare " LAST " @/short/checkpoints/best.h5 --problems 4 task.links=6");
}
END_TEST

/* ---- other orders, times, marks ---- */

/* A policy decoding greedily answers the same prompt the same, so only problems that read differently can be answered
 * otherwise; the answers in the given order are those without --permute. */
START_TEST(permute_counts_problems_that_read_differently)
{
    json_t *plain = evaluate(LAST " task.links=6"), *json = evaluate(LAST " task.links=6 --permute");
    const double changed = number(json, "another_order.read_differently"),
                 same = number(json, "another_order.same_objective");
    ck_assert(changed > 0 && changed < 1);
    ck_assert(same >= 1 - changed && same <= 1);
    ck_assert_double_eq_tol(number(json, "another_order.same_objective_of_different"),
                            1 - (1 - same) / changed, 1e-12);
    ck_assert(number(json, "another_order.objective_ratio.mean") > 0);
    ck_assert_double_eq(number(json, "another_order.feasible"), 1);
    (void)json_object_del(json, "another_order");
    ck_assert(json_equal(json, plain));
    json_decref(plain);
    json_decref(json);
}
END_TEST

/* 100 references / field: by the policy's two figures, and the same beside any policy. */
START_TEST(reference_percentage_is_not_the_policys)
{
    json_t *json = evaluate(LAST " task.links=3"), *other = evaluate(MIXED " task.links=3 task.levels=2");
    ck_assert_double_eq_tol(number(json, "reference_percent_of_wmmse"),
                            number(json, "percent_of_wmmse") / number(json, "ratio_of_means"), 1e-9);
    ck_assert_double_eq(number(json, "reference_percent_of_wmmse"),
                        number(other, "reference_percent_of_wmmse"));
    json_decref(json);
    json_decref(other);
}
END_TEST

START_TEST(timing_adds_times_and_random_search_as_long)
{
    json_t *plain = evaluate(LAST), *json = evaluate(LAST " --timing");
    const double model = number(json, "model_seconds_per_problem");
    ck_assert(model > 0 && number(json, "reference_seconds_per_problem") > 0);
    ck_assert_double_eq(number(json, "field_algorithm_seconds_per_problem"),
                        number(json, "baselines.wmmse.seconds_per_problem"));
    /* 16 decisions of 4 links in all: thousands of random ones in the time of a transformer find the best */
    ck_assert(number(json, "random_in_model_time.tries") >= 16);
    ck_assert(number(json, "random_in_model_time.objective_ratio.mean") >
              number(json, "baselines.random.objective_ratio.mean"));
    ck_assert(json_equal(find(json, "objective_ratio"), find(plain, "objective_ratio")));
    ck_assert_ptr_null(json_object_get(plain, "model_seconds_per_problem"));
    ck_assert_ptr_null(json_object_get(plain, "random_in_model_time"));
    json_decref(plain);
    json_decref(json);
    program_succeed(&p, "eval " LAST " --problems 4 --timing");
    ck_assert_ptr_nonnull(strstr(p.out, "us/problem\n"));
}
END_TEST

START_TEST(table_marks_the_best_trivial_policy_and_has_three_gaps)
{
    json_t *json = evaluate(LAST);
    char star[80];
    const char *best = json_string_value(find(json, "best_trivial"));
    ck_assert_double_eq(fmax(fmax(number(json, "baselines.full.objective_ratio.mean"),
                                  number(json, "baselines.strongest.objective_ratio.mean")),
                             number(json, "baselines.constant.objective_ratio.mean")),
                        number(find(find(json, "baselines"), best), "objective_ratio.mean"));
    program_succeed(&p, "eval " LAST " --problems %d", PROBLEMS);
    (void)snprintf(star, sizeof star, "\n%s * ", best);
    ck_assert_ptr_nonnull(strstr(p.out, star));
    ck_assert_ptr_nonnull(strstr(p.out, "gap p50  gap p90  gap p99\n"));
    ck_assert_ptr_nonnull(strstr(p.out, "\n* the best trivial policy\n"));
    json_decref(json);
}
END_TEST

START_TEST(sampled_answers_are_called_so)
{
    static const char *const sampled[] = {"--temperature 0.5", "--best-of 2"};
    program_succeed(&p, "eval " LAST " --problems 4");
    ck_assert_ptr_nonnull(strstr(p.out, "\npolicy  "));
    for (size_t i = 0; i < 2; ++i) {
        program_succeed(&p, "eval " LAST " --problems 4 %s", sampled[i]);
        ck_assert_ptr_nonnull(strstr(p.out, "\npolicy, sampled  "));
        program_succeed(&p, "eval " LAST " --problems 4 --json %s", sampled[i]);
        ck_assert_ptr_nonnull(strstr(p.out, "\"decoding\": \"sampled\""));
    }
}
END_TEST

/* ---- problems of training ---- */

#define TWO "@/two/checkpoints/step-00000004.h5"
enum { SEEN_PROBLEMS = 200, TRAINED = 32 }; /* four steps of eight */

/* The numbers of a split's first problems, as `tasks export` states them. */
static json_t *exported(const char *split, int problems)
{
    program_succeed(&p,
                    "tasks export @/%s.jsonl --problems %d --split %s seed=7 task.name=water_filling "
                    "task.channels=2",
                    split, problems, split);
    char path[512], line[4096];
    (void)snprintf(path, sizeof path, "%s/%s.jsonl", p.where.directory, split);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    json_t *all = json_array();
    while (fgets(line, sizeof line, file) != NULL) {
        json_t *entry = json_loads(line, 0, NULL);
        ck_assert_ptr_nonnull(entry);
        ck_assert_int_eq(json_array_append(all, find(entry, "numbers")), 0);
        json_decref(entry);
    }
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_uint_eq(json_array_size(all), (size_t)problems);
    return all;
}

/* Two channels in whole decibels have so few problems that those of other splits come up in training: as many as the files of
 * both splits have in common, number for number. */
START_TEST(problems_of_training_are_counted)
{
    program_succeed(&p,
                    "train " TINY
                    " task.name=water_filling task.channels=2 seed=7 max_steps=4 generation_batch_size=64 "
                    "save_steps=0 output_dir=@/two");
    json_t *trained = exported("train", TRAINED), *tested = exported("test", SEEN_PROBLEMS);
    int seen = 0;
    for (size_t i = 0; i < SEEN_PROBLEMS; i++) {
        bool found = false;
        for (size_t j = 0; j < json_array_size(trained) && !found; j++)
            found = json_equal(json_array_get(tested, i), json_array_get(trained, j));
        seen += found;
    }
    json_decref(trained);
    json_decref(tested);
    ck_assert(seen > 0 && seen < SEEN_PROBLEMS);
    program_succeed(&p, "eval " TWO " --problems %d --json", SEEN_PROBLEMS);
    json_t *json = program_json(&p);
    ck_assert_double_eq_tol(number(json, "seen_in_training"), (double)seen / SEEN_PROBLEMS, 1e-12);
    const double all = number(json, "objective_ratio.mean"),
                 unseen = number(json, "unseen.objective_ratio.mean");
    ck_assert(unseen >= 0 && unseen * (SEEN_PROBLEMS - seen) <= all * SEEN_PROBLEMS * (1 + 1e-12));
    json_decref(json);
    program_succeed(&p, "eval " TWO " --problems %d", SEEN_PROBLEMS);
    ck_assert_ptr_nonnull(
        strstr(p.out, "% of these problems were among those of training; ratio of the policy"));
    program_succeed(&p, "eval " TWO " --problems %d --split train --json", TRAINED);
    json = program_json(&p);
    ck_assert_double_eq(number(json, "seen_in_training"), 1);
    ck_assert_ptr_null(json_object_get(json, "unseen"));
    json_decref(json);
    static const char *const uncounted[] = {"--no-seen", "task.snr_db=5", "task.channels=3"};
    for (size_t i = 0; i < sizeof uncounted / sizeof *uncounted; i++) {
        program_succeed(&p, "eval " TWO " --problems 4 --json %s", uncounted[i]);
        ck_assert_ptr_null(strstr(p.out, "seen_in_training"));
    }
}
END_TEST

/* ---- progress on a terminal ---- */

/* What the program writes to a terminal of 100 columns. */
static void run_on_terminal(char *shown, size_t size, const char *arguments)
{
    const struct winsize window = {.ws_row = 24, .ws_col = 100};
    size_t used = 0;
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    char command[1024];
    ck_assert_int_ge(terminal, 0);
    ck_assert(grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    const int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &window), 0);
    (void)snprintf(command, sizeof command, "cd '%s' && TERM=xterm NO_COLOR=1 '%s' %s >out",
                   p.where.directory, WZ_PROGRAM, arguments);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (dup2(slave, 2) < 0)
            _exit(99);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(99);
    }
    (void)close(slave); /* the child's end is the last: reading fails when it closes */
    for (ssize_t got = 1; got > 0 && used + 1 < size; used += got > 0 ? (size_t)got : 0)
        got = read(terminal, shown + used, size - 1 - used);
    shown[used] = '\0';
    (void)close(terminal);
    ck_assert_int_eq(program_wait(&p, child), 0);
}

/* One bar over all parts of all evaluations: its total is theirs, it ends full, and its line is left once. */
START_TEST(progress_spans_all_parts)
{
    static const struct {
        const char *arguments, *end;
    } cases[] = {
        {"mixed/checkpoints/step-00000012.h5", "] problem 48/48 100%"},
        {"--compare mixed/checkpoints/step-00000012.h5 run/checkpoints/step-00000012.h5",
         "] problem 96/96 100%"},
        {"run/checkpoints/step-00000012.h5 --grid task.links=3,70,4 --permute", "] problem 72/72 100%"},
        {"run/checkpoints/step-00000012.h5 --grid thinking_budget=0,5,18 max_completion_length=20",
         "] problem 72/72 100%"},
    };
    static char shown[1 << 14];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char arguments[512];
        (void)snprintf(arguments, sizeof arguments, "eval %s --problems %d --batch 4 device=cpu",
                       cases[i].arguments, PROBLEMS);
        run_on_terminal(shown, sizeof shown, arguments);
        const char *last = shown;
        for (const char *at = shown; (at = strstr(at, "] problem ")) != NULL; ++at)
            last = at;
        ck_assert_msg(strncmp(last, cases[i].end, strlen(cases[i].end)) == 0, "%s", shown);
        ck_assert_ptr_null(strstr(shown, "(null)"));
        const char *line = strchr(shown, '\n');
        ck_assert_msg(line != NULL && line[1] == '\0', "%s", shown);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("eval");
    TCase *tests = tcase_create("eval");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, train, remove_runs);
    tcase_add_test(tests, eval_forms_print_the_same_at_any_batch_size_and_threads);
    tcase_add_test(tests, eval_best_of_shows_the_greedy_answer_too);
    tcase_add_test(tests, compare_is_what_the_problems_one_by_one_say);
    tcase_add_test(tests, compare_scores_are_those_of_each_alone);
    tcase_add_test(tests, compare_and_permute_take_a_problem_set);
    tcase_add_test(tests, grid_rows_are_the_settings_alone);
    tcase_add_test(tests, grid_over_what_parts_differ_in_has_each_setting_once);
    tcase_add_test(tests, grid_names_what_its_figures_are_of);
    tcase_add_test(tests, grid_rows_that_cannot_be_evaluated_say_so);
    tcase_add_test(tests, grid_and_compare_misuse_exits_2);
    tcase_add_test(tests, permute_counts_problems_that_read_differently);
    tcase_add_test(tests, reference_percentage_is_not_the_policys);
    tcase_add_test(tests, timing_adds_times_and_random_search_as_long);
    tcase_add_test(tests, table_marks_the_best_trivial_policy_and_has_three_gaps);
    tcase_add_test(tests, problems_of_training_are_counted);
    tcase_add_test(tests, sampled_answers_are_called_so);
    tcase_add_test(tests, progress_spans_all_parts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
