/* Options of training that last from step to step, end to end: every cut into micro-batches and every resume ends in the same
 * bytes with all of them on; and each alone does what its formula says to the checkpoints. */
#include <math.h>

#include "tests/program.h"
#include "tests/suite.h"

#define EVERY WZ_TEST_DATA "/config/every_option.yaml"
#define STEPS 5
/* A pack's gradients behind its rollout, in place of all rollouts first. */
#define IN_TURN                                                                                              \
    " scale_rewards=none grammar_coef=0 steps_per_generation=0 gradient_accumulation_steps=1 "               \
    "top_entropy_quantile=1"

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* ---- all of them ---- */

START_TEST(every_option_is_the_same_run_for_every_cut)
{
    static const char *const orders[] = {"", IN_TURN};
    program_succeed(&p, "train " EVERY " output_dir=@/whole%s", orders[_i]);
    program_succeed(&p, "train " EVERY " output_dir=@/small per_device_train_batch_size=4%s", orders[_i]);
    program_succeed(&p, "train " EVERY " output_dir=@/middle per_device_train_batch_size=16 threads=1%s",
                    orders[_i]);
    assert_same_run(&p, "whole", "small", STEPS);
    assert_same_run(&p, "whole", "middle", STEPS);
}
END_TEST

START_TEST(every_option_resumes_to_the_whole_run)
{
    static const char *const orders[] = {"", IN_TURN};
    program_succeed(&p, "train " EVERY " output_dir=@/whole%s", orders[_i]);
    program_kill_at(&p,
                    program_begin(&p, "train " EVERY " output_dir=@/killed save_steps=1 save_total_limit=9%s",
                                  orders[_i]),
                    "killed", 1);
    program_kill_at(&p, program_begin(&p, "resume @/killed"), "killed", 3);
    program_succeed(&p, "resume @/killed");
    assert_same_run(&p, "whole", "killed", STEPS);
}
END_TEST

/* ---- each alone ---- */

#define SMALL                                                                                                \
    WZ_TEST_DATA "/config/tiny.yaml model.hidden_size=16 model.head_dim=8 warmup_steps=0 eval_steps=0 "      \
                 "eval_problems=8 lr_scheduler_type=constant save_steps=1 save_total_limit=99 "

/* A tensor of a run's checkpoint; *count receives its size. */
static float *tensor(const char *run, int step, const char *group, const char *name, size_t *count)
{
    char path[128];
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    float *data = NULL;
    (void)snprintf(path, sizeof path, "%s/checkpoints/step-%08d.h5", run, step);
    ck_assert_msg(wz_checkpoint_open(temporary_path(&p.where, path), &checkpoint, &err) == WZ_OK, "%s",
                  err.text);
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); ++i) {
        const wz_checkpoint_tensor *info = wz_checkpoint_tensor_info(checkpoint, i);
        if (strcmp(info->group, group) != 0 || strcmp(info->name, name) != 0)
            continue;
        *count = info->rank == 2 ? info->shape[0] * info->shape[1] : info->shape[0];
        data = malloc(*count * sizeof *data);
        ck_assert_ptr_nonnull(data);
        ck_assert_int_eq(wz_checkpoint_read(checkpoint, group, name, data, *count, &err), WZ_OK);
    }
    wz_checkpoint_close(checkpoint);
    ck_assert_msg(data != NULL, "%s: no %s/%s", path, group, name);
    return data;
}

/* group of `step` = share weights of `step` + (1 - share) group of `before`, to three roundings of floats. */
static void assert_blend(const char *run, const char *group, const char *name, int before, int step,
                         double share)
{
    size_t count = 0;
    float *old = tensor(run, before, group, name, &count), *now = tensor(run, step, group, name, &count),
          *weights = tensor(run, step, "weights", name, &count);
    for (size_t i = 0; i < count; i++) {
        const double a = share * (double)weights[i], b = (1.0 - share) * (double)old[i];
        ASSERT_EACH(fabs((double)now[i] - (a + b)) <= 4.0 * 0x1p-24 * (fabs(a) + fabs(b)),
                    "%s %s, step %d, %zu: %.9g, expected %.9g", group, name, step, i, (double)now[i], a + b);
    }
    free(old);
    free(now);
    free(weights);
}

/* A number of a run's metrics, of the row of `step` that has it; NaN: null. */
static double metric(const char *run, int step, const char *name)
{
    char path[128], *rest = NULL;
    wz_text text = {0};
    wz_error err = {{0}};
    double value = HUGE_VAL;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    ck_assert_int_eq(wz_file_read(temporary_path(&p.where, path), 1 << 24, &text, &err), WZ_OK);
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *found = json_object_get(row, name);
        if (json_integer_value(json_object_get(row, "step")) == step && found != NULL)
            value = json_is_null(found) ? (double)NAN : json_number_value(found);
        json_decref(row);
    }
    wz_text_clear(&text);
    ck_assert_msg(value != HUGE_VAL, "%s: no %s in step %d", run, name, step);
    return value;
}

START_TEST(reference_starts_as_the_policy_and_follows_it)
{
    static const char *const names[] = {"model.embed_tokens.weight", "lm_head.weight",
                                        "model.layers.1.mlp.down_proj.weight", "model.norm.weight"};
    program_succeed(&p, "train " SMALL "output_dir=@/run max_steps=5 beta=0.1 sync_ref_model=true "
                        "ref_model_sync_steps=2");
    for (size_t i = 0; i < 4; i++) {
        assert_blend("run", "reference", names[i], 0, 0, 1.0);
        for (int step = 1; step <= 5; step++)
            assert_blend("run", "reference", names[i], step - 1, step, step % 2 == 0 ? 0.6 : 0.0);
    }
    ck_assert_double_eq(metric("run", 1, "kl"), 0.0); /* the same bits as the policy's own */
    for (int step = 2; step <= 5; step++)
        ck_assert_double_gt(metric("run", step, "kl"), 0.0);
}
END_TEST

START_TEST(average_follows_the_weights_and_is_what_eval_ema_takes)
{
    char last[sizeof p.out];
    program_succeed(&p, "train " SMALL "output_dir=@/run max_steps=6 learning_rate=0.03 ema_decay=0.75");
    assert_blend("run", "average", "lm_head.weight", 0, 0, 1.0);
    for (int step = 1; step <= 6; step++)
        assert_blend("run", "average", "lm_head.weight", step - 1, step, 0.25);
    program_succeed(&p, "train " SMALL
                        "output_dir=@/averaged max_steps=6 learning_rate=0.03 ema_decay=0.75 eval_ema=true");
    assert_same_tensors(&p, "run", "averaged", 6); /* evaluating the average leaves the run alone */
    program_succeed(
        &p,
        "eval @/averaged/checkpoints/step-00000006.h5 --problems 40 --temperature 1 --json eval_ema=false");
    (void)snprintf(last, sizeof last, "%s", p.out);
    program_succeed(&p, "eval @/run/checkpoints/step-00000006.h5 --problems 40 --temperature 1 --json");
    ck_assert(strcmp(p.out, last) == 0);
    program_succeed(
        &p, "eval @/run/checkpoints/step-00000006.h5 --problems 40 --temperature 1 --json eval_ema=true");
    ck_assert(strcmp(p.out, last) != 0);
    program_succeed(&p, "train " SMALL "output_dir=@/none max_steps=1");
    program_fail(&p, 2, "holds no averaged weights",
                 "eval @/none/checkpoints/step-00000001.h5 --problems 4 eval_ema=true");
}
END_TEST

/* Adam's first update is lr g / (|g| + epsilon'), so at most lr and, where |g| is not tiny, about lr. */
static double largest_change(const char *run, const char *name)
{
    size_t count = 0;
    float *a = tensor(run, 0, "weights", name, &count), *b = tensor(run, 1, "weights", name, &count);
    double largest = 0.0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)b[i] - (double)a[i]));
    free(a);
    free(b);
    return largest;
}

START_TEST(parameter_groups_have_rates_and_decay_of_their_own)
{
    size_t count = 0;
    program_succeed(&p, "train " SMALL "output_dir=@/run max_steps=1 learning_rate=0.01 "
                        "model.zero_init_head=false adam_epsilon=1e-16 embedding_learning_rate_ratio=0.5 "
                        "head_learning_rate_ratio=2");
    ck_assert_double_eq_tol(largest_change("run", "lm_head.weight"), 0.02, 1e-6);
    ck_assert_double_eq_tol(largest_change("run", "model.embed_tokens.weight"), 0.005, 1e-6);
    ck_assert_double_eq_tol(largest_change("run", "model.layers.0.mlp.up_proj.weight"), 0.01, 1e-6);
    program_succeed(&p, "train " SMALL "output_dir=@/frozen max_steps=1 embedding_learning_rate_ratio=0");
    ck_assert_double_eq(largest_change("frozen", "model.embed_tokens.weight"), 0.0);
    /* The last token's row has no gradient: it shrinks by 1 - lr weight_decay alone; norms do not. */
    program_succeed(&p, "train " SMALL "output_dir=@/decayed max_steps=1 learning_rate=0.01 weight_decay=2 "
                        "weight_decay_embeddings=true");
    float *a = tensor("decayed", 0, "weights", "model.embed_tokens.weight", &count),
          *b = tensor("decayed", 1, "weights", "model.embed_tokens.weight", &count);
    for (size_t i = count - 16; i < count; i++)
        ASSERT_EACH(fabs((double)b[i] - 0.98 * (double)a[i]) <= 0x1p-22 * fabs((double)a[i]), "%g became %g",
                    (double)a[i], (double)b[i]);
    free(a);
    free(b);
    ck_assert_double_le(largest_change("decayed", "model.norm.weight"), 0.0100001);
}
END_TEST

/* Two completions of a problem are seldom one optimal and one not. Step 1 draws the same problems with and without. */
START_TEST(dynamic_sampling_replaces_problems_that_teach_nothing)
{
#define PAIRS                                                                                                \
    SMALL "generation_batch_size=128 num_generations=2 reward_funcs=optimum max_steps=1 "                    \
          "log_completions_steps=1 "
    program_succeed(&p, "train " PAIRS "output_dir=@/plain");
    program_succeed(&p,
                    "train " PAIRS "output_dir=@/once dynamic_sampling=true dynamic_sampling_max_tries=1");
    program_succeed(&p,
                    "train " PAIRS "output_dir=@/often dynamic_sampling=true dynamic_sampling_max_tries=6");
    program_succeed(&p, "train " PAIRS "output_dir=@/cut dynamic_sampling=true dynamic_sampling_max_tries=6 "
                        "per_device_train_batch_size=2");
    const double plain = metric("plain", 1, "frac_reward_zero_std"),
                 once = metric("once", 1, "frac_reward_zero_std"),
                 often = metric("often", 1, "frac_reward_zero_std");
    ck_assert_double_gt(plain, 0.5);
    ck_assert_double_lt(once, plain);
    ck_assert_double_lt(often, once);
    ck_assert_double_eq(metric("once", 1, "dynamic_sampling/tried"), plain);
    ck_assert_double_eq(metric("once", 1, "dynamic_sampling/replaced"), plain - once);
    ck_assert_double_eq(metric("often", 1, "dynamic_sampling/replaced"), plain - often);
    ck_assert_double_ge(metric("often", 1, "dynamic_sampling/tried"), plain + once);
    ck_assert_double_le(metric("often", 1, "dynamic_sampling/tried"), plain + 5.0 * once);
    assert_same_run(&p, "often", "cut", 1);
#undef PAIRS
}
END_TEST

static int64_t updates_of(const char *run, int step)
{
    char path[128];
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    wz_text text = {0};
    (void)snprintf(path, sizeof path, "%s/checkpoints/step-%08d.h5", run, step);
    ck_assert_int_eq(wz_checkpoint_open(temporary_path(&p.where, path), &checkpoint, &err), WZ_OK);
    ck_assert_int_eq(wz_checkpoint_read_text(checkpoint, "state", &text, &err), WZ_OK);
    json_t *state = json_loads(text.data, 0, NULL);
    const int64_t updates = json_integer_value(json_object_get(state, "updates"));
    json_decref(state);
    wz_text_clear(&text);
    wz_checkpoint_close(checkpoint);
    return updates;
}

/* TRL's meaning: steps_per_generation / gradient_accumulation_steps updates for each of num_iterations passes. */
START_TEST(slices_of_a_rollout_have_an_update_each)
{
#define HALVES SMALL "max_steps=2 loss_type=grpo log_completions_steps=1 "
    program_succeed(&p, "train " HALVES "output_dir=@/one");
    program_succeed(&p, "train " HALVES "output_dir=@/same steps_per_generation=4 "
                        "gradient_accumulation_steps=4");
    program_succeed(&p, "train " HALVES "output_dir=@/four steps_per_generation=4 num_iterations=3");
    assert_same_run(&p, "one", "same", 2);
    ck_assert_int_eq(updates_of("one", 2), 2);
    ck_assert_int_eq(updates_of("four", 2), 2 * 4 * 3);
    /* Weights that stand still: the mean loss of the slices is the loss of all, for as many completions are in each. */
    program_succeed(&p, "train " HALVES "output_dir=@/still learning_rate=0 num_iterations=2");
    program_succeed(&p, "train " HALVES "output_dir=@/slices learning_rate=0 num_iterations=2 "
                        "steps_per_generation=8 gradient_accumulation_steps=2");
    for (int step = 1; step <= 2; step++) {
        ck_assert_double_eq_tol(metric("slices", step, "loss"), metric("still", step, "loss"), 1e-12);
        ck_assert_double_eq(metric("slices", step, "sampling/importance_sampling_ratio/max"), 1.0);
        ck_assert_double_gt(metric("four", step, "sampling/importance_sampling_ratio/max"), 1.0);
    }
#undef HALVES
}
END_TEST

/* bnpo averages over what an update accumulates (TRL divides each slice's sum by its own tokens). Completions have one length
 * or another here, as a second candidate is tried or not, so that the cut shows. */
START_TEST(slices_of_an_update_are_micro_batches_of_bnpo)
{
#define BNPO "train " SMALL "max_steps=2 loss_type=bnpo verifier_tries=2 log_completions_steps=1 "
    program_succeed(&p, BNPO "output_dir=@/one");
    program_succeed(&p, BNPO "output_dir=@/four gradient_accumulation_steps=4");
    program_succeed(&p, BNPO "output_dir=@/cut per_device_train_batch_size=16");
    program_succeed(&p, BNPO "output_dir=@/given gradient_accumulation_steps=4 "
                             "per_device_train_batch_size=64");
    assert_same_run(&p, "four", "cut", 2);
    assert_same_run(&p, "one", "given", 2);
    ck_assert_double_ne(metric("four", 1, "loss"), metric("one", 1, "loss"));
    program_succeed(&p, BNPO "output_dir=@/eight steps_per_generation=8 gradient_accumulation_steps=4");
    program_succeed(&p, BNPO "output_dir=@/eighth steps_per_generation=8 gradient_accumulation_steps=4 "
                             "per_device_train_batch_size=8");
    assert_same_run(&p, "eight", "eighth", 2);
#undef BNPO
}
END_TEST

/* An answer of four links takes a token each and the closing tag: five. */
START_TEST(limit_that_cuts_every_answer_is_named)
{
    static const struct {
        const char *options, *limit, *remedy; /* NULL: nothing is said */
    } limits[] = {
        {"max_completion_length=4", "(4) cut 100% of the completions,", ": raise it\n"},
        {"max_completion_length=12 thinking_budget=8", "(12) cut ", ": raise it, or lower thinking_budget\n"},
        {"max_completion_length=5", NULL, NULL},
        {"max_completion_length=4 answer_grammar=false", NULL, NULL}, /* it may learn to be brief */
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        program_succeed(&p, "train " SMALL "max_steps=2 output_dir=@/run --overwrite %s", limits[i].options);
        const char *said = strstr(p.log, "step 1: max_completion_length");
        ck_assert_int_eq(said != NULL, limits[i].limit != NULL);
        if (said != NULL) {
            ck_assert_ptr_nonnull(strstr(said, limits[i].limit));
            ck_assert_ptr_nonnull(strstr(said, limits[i].remedy));
        }
    }
}
END_TEST

/* Those that clip in ways of their own. */
START_TEST(loss_variants_train)
{
    static const char *const variants[] = {"loss_type=cispo", "loss_type=sapo num_iterations=2"};
    program_succeed(&p, "train " SMALL "output_dir=@/run max_steps=2 %s", variants[_i]);
    ck_assert_double_gt(metric("run", 2, "grad_norm"), 0.0);
    if (_i > 0) /* the second pass is off-policy */
        ck_assert_double_gt(metric("run", 2, "sampling/importance_sampling_ratio/max"), 1.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training options");
    TCase *tests = tcase_create("training options");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, every_option_is_the_same_run_for_every_cut, 0, 2);
    tcase_add_loop_test(tests, every_option_resumes_to_the_whole_run, 0, 2);
    tcase_add_test(tests, reference_starts_as_the_policy_and_follows_it);
    tcase_add_test(tests, average_follows_the_weights_and_is_what_eval_ema_takes);
    tcase_add_test(tests, parameter_groups_have_rates_and_decay_of_their_own);
    tcase_add_test(tests, dynamic_sampling_replaces_problems_that_teach_nothing);
    tcase_add_test(tests, slices_of_a_rollout_have_an_update_each);
    tcase_add_test(tests, slices_of_an_update_are_micro_batches_of_bnpo);
    tcase_add_test(tests, limit_that_cuts_every_answer_is_named);
    tcase_add_loop_test(tests, loss_variants_train, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
