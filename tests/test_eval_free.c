/* Decoding without the answer grammar: `eval --free`, `generate --free` and what a model card says of it, one against the other. */
#include <math.h>
#include <regex.h>

#include "tests/program.h"
#include "tests/suite.h"

enum { PROBLEMS = 40, CHUNK = 10, STEPS = 30, LOOKED_AT = 5 };
#define RUN "@/run/checkpoints/"
#define LAST RUN "step-00000005.h5"

static program p;

/* A run with a checkpoint after every step, in whose first steps the grammar is learnt, forgotten and learnt again; another whose
 * completions propose candidates; adapters. */
static void train(void)
{
    program_create(&p);
    program_succeed(&p,
                    "train " TINY " grammar_coef=0.1 learning_rate=0.01 max_steps=%d save_steps=1 "
                    "save_total_limit=40 eval_steps=1 max_completion_length=24 output_dir=@/run",
                    STEPS);
    program_succeed(&p, "train " TINY " max_steps=2 verifier_tries=2 init_from=" LAST " output_dir=@/tries");
    program_succeed(&p, "train " TINY " max_steps=2 lora_rank=2 max_completion_length=24 init_from=" LAST
                        " output_dir=@/adapters");
}

static void remove_runs(void)
{
    program_destroy(&p);
}

static json_t *evaluate(const char *arguments)
{
    program_succeed(&p, "eval %s --problems %d --json", arguments, PROBLEMS);
    return program_json(&p);
}

/* What K answers to each problem come to, counted one by one. */
typedef struct counts {
    double first, best;             /* mean ratio of the first answer, of the best of all */
    double first_valid, some_valid; /* share of problems */
} counts;

/* Takes in the answers to CHUNK problems. An answer is valid if POSIX's regular expressions say that it matches what the card says
 * answers match: four links, each on or off. */
static void count_chunk(const char *arguments, int problem, int samples, const regex_t *answer, counts *c)
{
    char *rest = NULL;
    int lines = 0;
    double best = 0;
    bool some = false;
    program_succeed(&p, "generate %s --problem %d --count %d --samples %d --json", arguments, problem, CHUNK,
                    samples);
    for (char *line = strtok_r(p.out, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL); /* of any bytes */
        const bool is_first = lines++ % samples == 0;
        const double ratio = program_number(json, "objective_ratio", NULL);
        const bool valid =
            regexec(answer, json_string_value(json_object_get(json, "completion")), 0, NULL, 0) == 0;
        ck_assert(json_is_false(json_object_get(json, "answer_grammar")));
        ck_assert(valid || ratio == 0);
        c->first += is_first ? ratio / PROBLEMS : 0;
        c->first_valid += is_first ? (double)valid / PROBLEMS : 0;
        best = is_first ? ratio : fmax(best, ratio);
        some = valid || (some && !is_first);
        if (lines % samples == 0) {
            c->best += best / PROBLEMS;
            c->some_valid += (double)some / PROBLEMS;
        }
        json_decref(json);
    }
    ck_assert_int_eq(lines, CHUNK * samples);
}

/* Of `generate`, which knows nothing of evaluations. */
static counts count_answers(const char *arguments, int samples)
{
    counts c = {0};
    regex_t answer;
    ck_assert_int_eq(regcomp(&answer, "^( (A|a))( (B|b))( (C|c))( (D|d))</answer>$", REG_EXTENDED), 0);
    for (int problem = 0; problem < PROBLEMS; problem += CHUNK)
        count_chunk(arguments, problem, samples, &answer, &c);
    regfree(&answer);
    return c;
}

/* Sums of 40 numbers up to 1, in any order: 40 roundings of 2^-53. */
#define SUM_ERROR 1e-14

START_TEST(eval_free_is_what_the_answers_one_by_one_say)
{
    static const char *const policies[] = {RUN "step-00000000.h5", RUN "step-00000001.h5",
                                           RUN "step-00000004.h5", LAST,
                                           "@/adapters/checkpoints/step-00000002.h5"};
    double least = 1, most = 0;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        char arguments[256];
        (void)snprintf(arguments, sizeof arguments, "%s --free", policies[i]);
        const counts greedy = count_answers(arguments, 1);
        json_t *json = evaluate(arguments);
        ck_assert_double_eq_tol(program_number(json, "objective_ratio", "mean"), greedy.first, SUM_ERROR);
        ck_assert_double_eq_tol(program_number(json, "valid", NULL), greedy.first_valid, SUM_ERROR);
        ck_assert(json_is_false(json_object_get(json, "answer_grammar")));
        json_decref(json);
        least = fmin(least, greedy.first_valid);
        most = fmax(most, greedy.first_valid);
    }
    ck_assert(least == 0 && most > 0.5); /* or there was nothing to tell */
}
END_TEST

START_TEST(eval_free_best_of_is_what_the_samples_say)
{
    const counts sampled = count_answers(RUN "step-00000030.h5 --free --temperature 0.5", 3),
                 greedy = count_answers(RUN "step-00000030.h5 --free", 1);
    json_t *json = evaluate(RUN "step-00000030.h5 --free --temperature 0.5 --best-of 3");
    const json_t *best = json_object_get(json, "best_of"), *one = json_object_get(json, "greedy");
    ck_assert_double_eq_tol(program_number(json, "objective_ratio", "mean"), sampled.first, SUM_ERROR);
    ck_assert_double_eq_tol(program_number(json, "valid", NULL), sampled.first_valid, SUM_ERROR);
    ck_assert_double_eq_tol(program_number(best, "objective_ratio", "mean"), sampled.best, SUM_ERROR);
    ck_assert_double_eq_tol(program_number(best, "valid", NULL), sampled.some_valid, SUM_ERROR);
    ck_assert_double_eq_tol(program_number(one, "objective_ratio", "mean"), greedy.first, SUM_ERROR);
    ck_assert_double_eq_tol(program_number(one, "valid", NULL), greedy.first_valid, SUM_ERROR);
    ck_assert(sampled.some_valid > sampled.first_valid); /* of samples, some are not */
    json_decref(json);
}
END_TEST

/* The same weights in a checkpoint whose configuration has no grammar answer with it just so. */
START_TEST(eval_free_is_that_of_a_policy_without_a_grammar)
{
    static const char *const more[] = {"",
                                       "--temperature 1 --best-of 2",
                                       "--permute task.links=5",
                                       "thinking_budget=6",
                                       "--grid thinking_budget=0,5 --grid task.snr_db=0,10",
                                       "prompt_style=full max_completion_length=40"};
    char free[256], bare[256];
    program_succeed(&p,
                    "train " TINY " max_steps=0 answer_grammar=false max_completion_length=24 init_from=" LAST
                    " output_dir=@/bare --overwrite");
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        (void)snprintf(free, sizeof free, LAST " --no-seen --free %s", more[i]);
        (void)snprintf(bare, sizeof bare, "@/bare/checkpoints/step-00000000.h5 --no-seen %s", more[i]);
        json_t *a = evaluate(free), *b = evaluate(bare);
        ck_assert_msg(json_equal(a, b), "%s", more[i]);
        json_decref(a);
        json_decref(b);
    }
    program_succeed(&p, "eval @/bare/checkpoints/step-00000000.h5 --problems 4 --free");
    ck_assert_ptr_nonnull(strstr(p.out, "4 problems, answered without an answer grammar; ratio"));
}
END_TEST

/* Out to transformers' files and in again: the same weights and tokenizer, asked the same. */
START_TEST(eval_free_of_an_imported_model_is_that_of_the_exported)
{
    program_succeed(&p, "export " LAST " --format hf --eval-problems 0 -o @/hf");
    program_succeed(&p, "import @/hf -o @/imported.h5");
    json_t *own = evaluate(LAST " --free --no-seen"),
           *imported = evaluate(
               "@/imported.h5 --free --no-seen task.links=4 task.levels=2 task.snr_db=0 "
               "seed=3 prompt_style=compact max_completion_length=24"); /* not as models of language */
    ck_assert_double_gt(program_number(own, "valid", NULL), 0);
    ck_assert(json_equal(own, imported));
    json_decref(own);
    json_decref(imported);
}
END_TEST

START_TEST(eval_free_of_two_and_of_settings_is_that_of_each)
{
    json_t *both = evaluate("--compare " LAST " " RUN "step-00000001.h5 --free"),
           *a = evaluate(LAST " --free"), *b = evaluate(RUN "step-00000001.h5 --free");
    static const char *const members[] = {"objective_ratio", "valid", "feasible"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert(json_equal(json_object_get(json_object_get(both, "a"), members[i]),
                             json_object_get(a, members[i])));
        ck_assert(json_equal(json_object_get(json_object_get(both, "b"), members[i]),
                             json_object_get(b, members[i])));
    }
    ck_assert(json_is_false(json_object_get(both, "a_answer_grammar")));
    ck_assert(json_is_false(json_object_get(both, "b_answer_grammar")));
    json_decref(both);
    json_decref(a);
    json_decref(b);
    json_t *rows = evaluate(LAST " --free --grid task.links=4,3");
    a = evaluate(LAST " --free --no-seen task.links=3");
    ck_assert(json_equal(json_object_get(json_array_get(rows, 1), "valid"), json_object_get(a, "valid")));
    ck_assert(json_is_false(json_object_get(json_array_get(rows, 1), "answer_grammar")));
    json_decref(rows);
    json_decref(a);
    program_succeed(&p, "eval " LAST " --free --problems 4 --grid task.links=4");
    ck_assert_ptr_nonnull(strstr(p.out, "4 problems each, answered without an answer grammar; ratio"));
    ck_assert_ptr_nonnull(strstr(p.out, "%    valid  feasible"));
    program_succeed(&p, "eval --compare " LAST " " LAST " --free --problems 4");
    ck_assert_ptr_nonnull(strstr(p.out, "step-00000005.h5, without an answer grammar\n"));
    a = evaluate(LAST);
    ck_assert(json_is_true(json_object_get(a, "answer_grammar")));
    ck_assert_double_eq(program_number(a, "valid", NULL), 1); /* what the grammar is for */
    json_decref(a);
}
END_TEST

/* Candidates can only be read under the grammar: the policy answers at once, and the log says so. */
START_TEST(without_a_grammar_no_candidates_are_tried)
{
    static const char tries[] = "@/tries/checkpoints/step-00000002.h5";
    char arguments[256];
    (void)snprintf(arguments, sizeof arguments, "%s --free", tries);
    json_t *json = evaluate(arguments);
    ck_assert_ptr_nonnull(strstr(p.log, "no candidate could be read: none is tried\n"));
    (void)snprintf(arguments, sizeof arguments, "%s --free verifier_tries=0", tries);
    json_t *none = evaluate(arguments);
    ck_assert_ptr_null(strstr(p.log, "candidate"));
    ck_assert(json_equal(json, none));
    json_decref(json);
    json_decref(none);
    (void)snprintf(arguments, sizeof arguments, "%s --free --grid verifier_tries=0,2", tries);
    json = evaluate(arguments);
    ck_assert_ptr_null(json_object_get(json_array_get(json, 0), "not_evaluated"));
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(json_array_get(json, 1), "not_evaluated")),
                                 "needs candidates that can be read"));
    json_decref(json);
}
END_TEST

START_TEST(generate_free_answers_given_channels_and_shows_what_is_no_answer)
{
    static const char gains[] = "50,1,2,1\n1,40,3,2\n2,2,30,1\n1,1,1,20\n";
    temporary_write(temporary_path(&p.where, "gains.csv"), gains, sizeof gains - 1);
    program_succeed(&p,
                    "generate " RUN "step-00000000.h5 --free --gains @/gains.csv max_completion_length=12");
    ck_assert_ptr_nonnull(strstr(p.out, "\ncompletion  "));
    ck_assert_ptr_nonnull(strstr(p.out, "\nverdict     no_answer: "));
    program_succeed(&p, "generate " LAST " --free --gains @/gains.csv");
    ck_assert_ptr_nonnull(strstr(p.out, "\nverdict     feasible: "));
    ck_assert_ptr_nonnull(strstr(p.out, "rows"));
    program_succeed(&p, "generate " LAST " --json");
    ck_assert_ptr_nonnull(strstr(p.out, "\"answer_grammar\": true"));
    program_fail(&p, 2, "eval and generate decode without the grammar with --free",
                 "eval " LAST " answer_grammar=false");
}
END_TEST

/* ---- the card ---- */

/* Keeps to it, in part, not at all: by the share of valid answers that `generate` gives, each in its words. */
START_TEST(the_card_says_what_free_decoding_came_to)
{
    bool seen[3] = {false};
    static char card[1 << 16];
    for (int step = 0; step <= LOOKED_AT; step++) {
        char arguments[64], expected[512];
        (void)snprintf(arguments, sizeof arguments, RUN "step-%08d.h5 --free", step);
        const counts c = count_answers(arguments, 1);
        const int kind = c.first_valid >= 0.99 ? 0 : c.first_valid >= 0.5 ? 1 : 2;
        static const char *const words[] = {"keeps to it", "keeps to it in part", "does not keep to it"};
        program_succeed(&p, "eval " RUN "step-%08d.h5 --problems %d --json", step, PROBLEMS);
        json_t *json = program_json(&p);
        (void)snprintf(expected, sizeof expected,
                       " Decoding freely it %s: of %d answers %.1f%% are valid, and they score %.4f (under "
                       "the grammar %.4f).%s",
                       words[kind], PROBLEMS, 100 * c.first_valid, c.first,
                       program_number(json, "objective_ratio", "mean"),
                       kind == 0 ? "\n" : " Give the runtime the grammar (`answer.gbnf`), or ");
        json_decref(json);
        program_succeed(&p,
                        "export " RUN "step-%08d.h5 --format safetensors --grammar --eval-problems %d "
                        "--overwrite -o @/card",
                        step, PROBLEMS);
        program_read(&p, "card/README.md", card, sizeof card);
        ck_assert_msg(strstr(card, expected) != NULL, "no '%s' in %s", expected, card);
        ck_assert_int_eq(strstr(card, "The policy was asked under this grammar.") != NULL, step == 0);
        (void)snprintf(expected, sizeof expected, "The weights are those after step %d of the %d that", step,
                       STEPS);
        ck_assert_int_eq(strstr(card, expected) != NULL, step > 0);
        seen[kind] = true;
    }
    ck_assert(seen[0] && seen[1] && seen[2]);
}
END_TEST

/* Where none of the first 50 answers is valid, no more are asked for: each would go on to the length limit. */
START_TEST(the_card_of_an_untaught_policy_takes_few_answers)
{
    static const struct {
        const char *step, *said;
    } cases[] = {{"step-00000000.h5", "Decoding freely it does not keep to it: of 50 answers 0.0%"},
                 {"step-00000005.h5", " of 60 answers "}};
    static char card[1 << 16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_succeed(&p, "export " RUN "%s --format safetensors --eval-problems 60 --overwrite -o @/few",
                        cases[i].step);
        program_read(&p, "few/README.md", card, sizeof card);
        ck_assert_msg(strstr(card, cases[i].said) != NULL, "no '%s' in %s", cases[i].said, card);
    }
}
END_TEST

/* Not measured, nothing is claimed; of a policy that thinks, --grammar is not recommended, which it refuses. */
START_TEST(the_card_claims_nothing_unmeasured)
{
    static char card[1 << 16];
    program_succeed(&p, "export " LAST " --format safetensors --eval-problems 0 -o @/bare_card");
    program_read(&p, "bare_card/README.md", card, sizeof card);
    ck_assert_ptr_nonnull(strstr(card,
                                 "Whether it keeps to it decoding freely was not measured. Give the "
                                 "runtime the grammar (`wavezero export --grammar` writes it as GBNF)"));
    ck_assert_ptr_null(strstr(card, "Decoding freely it"));
    program_succeed(&p, "export @/tries/checkpoints/step-00000002.h5 --format safetensors --eval-problems 10 "
                        "task.links=6 -o @/tries_card");
    program_read(&p, "tries_card/README.md", card, sizeof card);
    ck_assert_ptr_nonnull(strstr(card, "Decoding freely it does not keep to it: of 10 answers "));
    ck_assert_ptr_null(strstr(card, "--grammar"));
    ck_assert_ptr_nonnull(strstr(card, " A runtime that does not append the tags"));
}
END_TEST

/* best.h5 is written again where a later score is higher, not where it is equal. */
START_TEST(the_card_says_which_step_best_is)
{
    static char card[1 << 16];
    char expected[200];
    program_succeed(&p, "inspect " RUN "best.h5 --json");
    json_t *json = program_json(&p);
    const int step = (int)program_number(json, "step", NULL);
    json_decref(json);
    ck_assert_int_lt(step, STEPS); /* of this run */
    program_succeed(&p, "export " RUN "best.h5 --format safetensors --eval-problems 0 -o @/best_card");
    program_read(&p, "best_card/README.md", card, sizeof card);
    (void)snprintf(expected, sizeof expected,
                   "The weights are those after step %d of the %d that the run was set to: `best.h5` keeps "
                   "the step of the best held-out score, the first of equal ones.\n",
                   step, STEPS);
    ck_assert_msg(strstr(card, expected) != NULL, "%s", card);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("eval_free");
    TCase *tests = tcase_create("eval_free");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, train, remove_runs);
    tcase_add_test(tests, eval_free_is_what_the_answers_one_by_one_say);
    tcase_add_test(tests, eval_free_best_of_is_what_the_samples_say);
    tcase_add_test(tests, eval_free_is_that_of_a_policy_without_a_grammar);
    tcase_add_test(tests, eval_free_of_an_imported_model_is_that_of_the_exported);
    tcase_add_test(tests, eval_free_of_two_and_of_settings_is_that_of_each);
    tcase_add_test(tests, without_a_grammar_no_candidates_are_tried);
    tcase_add_test(tests, generate_free_answers_given_channels_and_shows_what_is_no_answer);
    tcase_add_test(tests, the_card_says_what_free_decoding_came_to);
    tcase_add_test(tests, the_card_of_an_untaught_policy_takes_few_answers);
    tcase_add_test(tests, the_card_claims_nothing_unmeasured);
    tcase_add_test(tests, the_card_says_which_step_best_is);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
