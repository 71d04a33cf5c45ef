/* Which algorithms multiply on an emulated GPU: one that does not keep a row's bits is found out, and what is used is
 * recorded. */
#define WZ_TEST_EMULATED
#include "tests/program.h"
#include "tests/suite.h"

#ifdef WZ_SANITIZED /* ten times as slow: only what goes through the most code */
enum { PLAIN = 0 };
#else
enum { PLAIN = 1 };
#endif

static program p;
static char fault[64];
static char *environment[] = {fault, NULL};

static void make_place(void)
{
    program_create(&p);
    p.environment = NULL;
}

static void remove_place(void)
{
    program_destroy(&p);
}

static void set_fault(const char *name)
{
    (void)snprintf(fault, sizeof fault, "CUDA_EMULATOR_FAULT=%s", name);
    p.environment = environment;
}

START_TEST(train_exact_measures_no_gap_and_train_inexact_logs_one)
{
    double largest = 0.0;
    program_succeed(&p, "train " TINY " output_dir=@/exact");
    ck_assert_uint_eq(metrics_with(&p, "exact", METRIC_GAP, &largest), TINY_STEPS);
    ck_assert_double_eq(largest, 0.0);
    program_succeed(&p, "train " TINY " output_dir=@/fast exact=false");
    ck_assert_uint_eq(metrics_with(&p, "fast", METRIC_GAP, &largest), TINY_STEPS);
    ck_assert_double_gt(largest, 0.0);
}
END_TEST

static const char *const faults[2][2] = {
    {"no_exact_product", "the same bits whatever the number of rows: set exact: false"},
    {"no_exact_gradient", "the same bits twice: set exact: false"}};

START_TEST(train_where_no_algorithm_holds_says_so)
{
    set_fault(faults[_i][0]);
    program_fail(&p, 6, faults[_i][1], "train " TINY " output_dir=@/run");
    program_succeed(&p, "train " TINY " output_dir=@/fast exact=false max_steps=1");
}
END_TEST

/* Every product was chosen past the first candidate, which does not hold. */
static void assert_recorded(const json_t *json)
{
    size_t i, kinds[2] = {0};
    const json_t *line, *lines = json_object_get(json, "algorithms");
    json_array_foreach(lines, i, line)
    {
        const char *text = json_string_value(line);
        ck_assert_msg(strstr(text, ": id 0") != NULL, "%s", text);
        ++kinds[text[0] == 'T'];
    }
    for (size_t kind = 0; kind < 2; ++kind)
        ck_assert_uint_ge(kinds[kind], 4); /* of q, k and v; o; gate and up; down */
}

START_TEST(algorithms_are_recorded_and_compared_on_resume)
{
    static const char note[] = "matrix products use other algorithms";
    wz_text text = {0};
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=1");
    json_t *json = json_load_file(temporary_path(&p.where, "run/env.json"), 0, NULL);
    assert_recorded(json);
    json_decref(json);
    ck_assert_int_eq(
        wz_checkpoint_open(temporary_path(&p.where, "run/checkpoints/step-00000001.h5"), &checkpoint, &err),
        WZ_OK);
    ck_assert_int_eq(wz_checkpoint_read_text(checkpoint, "env", &text, &err), WZ_OK);
    wz_checkpoint_close(checkpoint);
    json = json_loadb(text.data, text.length, 0, NULL);
    assert_recorded(json);
    json_decref(json);
    wz_text_clear(&text);
    program_succeed(&p, "resume @/run --extend max_steps=2");
    ck_assert_ptr_null(strstr(p.log, note));
    set_fault("other_product");
    program_succeed(&p, "resume @/run --extend max_steps=3");
    ck_assert_ptr_nonnull(strstr(p.log, note));
}
END_TEST

START_TEST(head_dim_beyond_the_kernels_is_refused)
{
    program_fail(&p, 2, "it can be 256 at most",
                 "train " TINY " output_dir=@/run model.head_dim=258 model.num_attention_heads=1 "
                 "model.num_key_value_heads=1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_exact");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, train_exact_measures_no_gap_and_train_inexact_logs_one, 0, PLAIN);
    tcase_add_loop_test(tests, train_where_no_algorithm_holds_says_so, 0, 2 * PLAIN);
    tcase_add_test(tests, algorithms_are_recorded_and_compared_on_resume);
    tcase_add_test(tests, head_dim_beyond_the_kernels_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
