/* `wavezero bench`: what it says it measured is what the shapes ask for. */
#include "tests/cuda_probe.h"
#include "tests/program.h"
#include "tests/suite.h"

#include <jansson.h>
#include <math.h>

#ifdef WZ_TEST_CUDA
#define BENCH "bench --json " WZ_TEST_DATA "/config/bench.yaml device=cuda"
#else
#define BENCH "bench --json " WZ_TEST_DATA "/config/bench.yaml device=cpu"
#endif

static program p;
static json_t *result;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    json_decref(result);
    program_destroy(&p);
}

static void read_result(void)
{
    result = json_loads(p.out, 0, NULL);
    ck_assert_msg(result != NULL, "no JSON: %s", p.out);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no %s", key);
    return json_number_value(value);
}

/* Numbers are written with all their digits; what is divided here is rounded thrice. */
static void assert_near(double got, double expected)
{
    ck_assert_msg(fabs(got - expected) <= 4.0 * 0x1p-52 * fabs(expected), "%.17g, not %.17g", got, expected);
}

/* 4 sequences, 13 + 1 .. 13 + 5 keys: 16 on average.
 * A layer: q and o 32 x 32 each, k and v 16 x 32 each, gate, up and down 64 x 32 each, two norms of 32. */
#define LAYER (2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32 + 2 * 32)

START_TEST(decode_counts_the_bytes_of_the_shape)
{
    program_succeed(&p, BENCH " --decode --sequences 4 --context 16 --tokens 6 --steps 1");
    read_result();
    const double layers = 4.0 * (2 * LAYER + 32), cache = 4.0 * 4 * 2 * (2 * 16) * 16;
    assert_near(number(result, "layer_bytes"), layers);
    assert_near(number(result, "cache_bytes"), cache);
    const double rate = number(result, "memory_rate");
    ck_assert(rate > 0.0 && isfinite(rate));
    for (int i = 0; i < 2; i++) {
        const json_t *way = json_object_get(result, i == 0 ? "free" : "answers");
        const double head = 4.0 * 32 * (i == 0 ? 2000 : 8), step_s = number(way, "step_s");
        ck_assert(step_s > 0.0 && number(way, "prompt_s") > 0.0);
        assert_near(number(way, "step_bytes"), layers + cache + head);
        assert_near(number(way, "tokens_per_s"), 4.0 / step_s);
        assert_near(number(way, "share_of_memory_rate"), (layers + cache + head) / step_s / rate);
    }
}
END_TEST

/* 2 groups of 4 completions: 6 prompt tokens, 3 tokens of which 2 are rows. */
START_TEST(sharing_counts_the_rows_of_both_layouts)
{
    program_succeed(&p, BENCH " --sharing --sequences 8 --prompt 6 --completion 3 --steps 1");
    read_result();
    for (int i = 0; i < 2; i++) {
        const json_t *layout = json_object_get(result, i == 0 ? "shared" : "unshared");
        const int groups = i == 0 ? 2 : 8, rows = groups * 6 + 8 * 2, sites = groups + 8 * 2;
        /* the last layer's o and MLP at sites only; 24 tokens of 8 allowed ones */
        const double products = 2.0 * rows * 32 * (32 + 2 * 16) +
                                (double)(rows + sites) * (32 * 32 + 3 * 64 * 32) + 24.0 * 8 * 32;
        /* keys: a prompt's rows 1 .. 6, of which the last layer has only the last; a completion's 7 and 8, twice */
        const double keys = groups * (6 * 7 / 2 + 6) + 8 * 2 * (7 + 8);
        assert_near(number(layout, "rows"), rows);
        assert_near(number(layout, "prompt_rows"), groups * 6);
        assert_near(number(layout, "train_flops"), 6.0 * products + 12.0 * keys * 32);
        assert_near(number(layout, "prompt_tokens_per_s"), 8 * 6 / number(layout, "prompt_s"));
        assert_near(number(layout, "train_tokens_per_s"), 8 * 9 / number(layout, "train_s"));
    }
    const double train_s[2] = {number(json_object_get(result, "unshared"), "train_s"),
                               number(json_object_get(result, "shared"), "train_s")};
    assert_near(number(result, "train_gain"), train_s[0] / train_s[1]);
}
END_TEST

/* One problem's step, timed once. */
START_TEST(whole_steps_are_timed)
{
    program_succeed(&p, BENCH " --steps 1 generation_batch_size=4");
    read_result();
    ck_assert(number(result, "share_of_sgemm_rate") > 0.0);
    assert_near(number(result, "completions_per_s"), 4.0 / number(result, "step_s"));
}
END_TEST

#ifndef WZ_TEST_CUDA
START_TEST(tasks_are_timed_family_by_family)
{
    program_succeed(&p, BENCH " --tasks --problems 3 task.links=4");
    read_result();
    ck_assert_uint_eq(json_array_size(result), 1);
    const json_t *one = json_array_get(result, 0);
    ck_assert_str_eq(json_string_value(json_object_get(one, "task")), "power_control");
    ck_assert_str_eq(json_string_value(json_object_get(one, "evaluation_reference")), "optimum");
    static const char *const times[] = {
        "generate_seconds", "print_seconds", "training_reference_seconds", "evaluation_reference_seconds",
        "verify_seconds",   "step_seconds"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        ck_assert(number(one, times[i]) > 0 && number(one, times[i]) < 100);
    ck_assert(number(one, "share_of_step") > 0 && number(one, "share_of_step") < 1);
    program_fail(&p, 2, "--problems goes with --tasks", BENCH " --problems 3");
}
END_TEST

START_TEST(whole_vocabulary_without_a_grammar)
{
    program_succeed(&p, BENCH " --sharing --sequences 4 --prompt 3 --completion 2 --steps 1 "
                              "answer_grammar=false");
    read_result();
    assert_near(number(result, "allowed_tokens"), 2000.0);
}
END_TEST

START_TEST(what_cannot_be_measured_is_refused)
{
    program_fail(&p, 2, "one at a time", BENCH " --decode --sharing");
    program_fail(&p, 2, "go with --decode", BENCH " --sharing --context 5");
    program_fail(&p, 2, "goes with --decode or --sharing", BENCH " --sequences 5");
    program_fail(&p, 2, "go with --sharing", BENCH " --decode --prompt 5");
    program_fail(&p, 2, "multiple of num_generations (4)", BENCH " --sharing --sequences 6");
    program_fail(&p, 2, "too short for --tokens 40", BENCH " --decode --context 16 --tokens 40");
    program_fail(&p, 2, "max_position_embeddings", BENCH " --decode --context 4000 --sequences 1");
    program_fail(&p, 2, "model.vocab_size is 100", BENCH " --decode model.vocab_size=100");
    program_fail(&p, 5, "lower --sequences", BENCH " --decode memory_limit_gb=0.02");
    program_fail(&p, 5, "lower --sequences", BENCH " --sharing memory_limit_gb=0.0001");
}
END_TEST
#endif

int main(void)
{
#ifdef WZ_TEST_CUDA
    if (!cuda_works())
        return 77;
#endif
    Suite *suite = suite_create("bench");
    TCase *tests = tcase_create("bench");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, decode_counts_the_bytes_of_the_shape);
    tcase_add_test(tests, sharing_counts_the_rows_of_both_layouts);
    tcase_add_test(tests, whole_steps_are_timed);
#ifndef WZ_TEST_CUDA
    tcase_add_test(tests, tasks_are_timed_family_by_family);
    tcase_add_test(tests, whole_vocabulary_without_a_grammar);
    tcase_add_test(tests, what_cannot_be_measured_is_refused);
#endif
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
