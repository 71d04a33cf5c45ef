/* What decoding asks of the host: nothing for each token. Counted by the emulator (CUDA_EMULATOR_COUNT). */
#include "tests/program.h"
#include "tests/suite.h"

static program p;
static char counts[600];
static char *environment[] = {counts, NULL};

static void make_place(void)
{
    program_create(&p);
    (void)snprintf(counts, sizeof counts, "CUDA_EMULATOR_COUNT=%s", temporary_path(&p.where, "counts"));
    p.environment = environment;
}

static void remove_place(void)
{
    program_destroy(&p);
}

typedef struct totals {
    long long graphs, within,
        others; /* launches of graphs, what is in them; launches, products, copies, fills and
                                       * waits beside them */
} totals;

/* Of the last run of the program: lines of kind, name and number, with tabs between. */
static totals read_totals(void)
{
    char text[16384], *rest = NULL;
    totals all = {0, 0, 0};
    program_read(&p, "counts", text, sizeof text);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const char *number = strrchr(line, '\t');
        ck_assert_ptr_nonnull(number);
        /* read_all and its events measure the memory's rate, as often as fits into the time */
        if (strstr(line, "\tread_all\t") != NULL || strstr(line, "\tevent\t") != NULL)
            continue;
        long long *to = strncmp(line, "graph\t", 6) == 0      ? &all.graphs
                        : strncmp(line, "in graph\t", 9) == 0 ? &all.within
                                                              : &all.others;
        *to += strtoll(number, NULL, 10);
    }
    return all;
}

/* Two ways to choose, the whole vocabulary and a grammar, each once to warm up and once timed: four steps for each token.
 * The first steps are run and recorded; the host asks after every 32 how many go on without a grammar. Longer runs have a
 * larger ring for host arrays, which may start anew, and give some again, at other places: a few calls, not one a step. */
static totals decode(int tokens, const char *overrides)
{
    program_succeed(&p,
                    "bench --decode --steps 1 --sequences 2 --context 40 --tokens %d device=cuda "
                    "model.hidden_size=16 model.intermediate_size=16 model.num_attention_heads=1 "
                    "model.num_key_value_heads=1 model.head_dim=16 %s",
                    tokens, overrides);
    return read_totals();
}

START_TEST(decode_step_is_one_graph_and_asks_nothing_of_the_host)
{
    const totals run[2] = {decode(10, "model.num_hidden_layers=1"), decode(20, "model.num_hidden_layers=1")};
    ck_assert_int_gt(run[0].others, 0);
    ck_assert_int_lt(llabs(run[1].others - run[0].others), 10);
    ck_assert_int_eq(run[1].graphs, run[0].graphs + 4 * 10LL);
}
END_TEST

/* Of a layer with biases: two norms, attention, SwiGLU, storing of rotated rows, and four products that add residuals and
 * biases themselves. */
START_TEST(decode_step_has_nine_kernels_for_a_layer)
{
    long long within[2], graphs[2];
    for (int many = 0; many < 2; many++) {
        char overrides[160];
        (void)snprintf(
            overrides, sizeof overrides,
            "precision=bf16 model.model_type=qwen2 model.attention_bias=true model.num_hidden_layers=%d",
            many != 0 ? 3 : 1);
        const totals run[2] = {decode(6, overrides), decode(8, overrides)}; /* a first step has no rows */
        within[many] = run[1].within - run[0].within;
        graphs[many] = run[1].graphs - run[0].graphs;
    }
    ck_assert_int_eq(graphs[0], 4 * 2);
    ck_assert_int_eq(graphs[1], graphs[0]);
    ck_assert_int_eq(within[1] - within[0], 2 * 9 * graphs[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_counts");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, decode_step_is_one_graph_and_asks_nothing_of_the_host);
    tcase_add_test(tests, decode_step_has_nine_kernels_for_a_layer);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
