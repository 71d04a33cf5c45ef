/* Alarms: silent on runs that learn, raised with their evidence on runs that do not. */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "engine/run/alarm.h"
#include "tests/suite.h"
#include "tests/temporary.h"

#define STEPS 400
#define EVERY 50 /* steps between evaluations */

static const wz_alarm_options usual = {.enabled = true,
                                       .watch_reward = true,
                                       .max_steps = STEPS,
                                       .patience = 50,
                                       .entropy_share = 0.02,
                                       .answer_margin = 0.4,
                                       .clipped_ratio = 0.5,
                                       .dead_groups = 0.7,
                                       .reward_rise = 0.1,
                                       .evaluations = 3,
                                       .problems = 1000,
                                       .solved = 0.98,
                                       .before = 0.75};
static wz_error err;

/* A history: what the row of a step says, and the held-out score. */
typedef struct scene {
    const char *name;
    void (*row)(double step, wz_alarm_point *point);
    double (*score)(double step);
} scene;

/* A run as it should be: from 0.5 to 0.97, entropy from 2 to 0.2. */
static void learns(double step, wz_alarm_point *p)
{
    const double share = step / STEPS;
    *p = (wz_alarm_point){.step = step,
                          .reward = 0.5 + 0.47 * sqrt(share),
                          .ratio = 0.5 + 0.47 * sqrt(share),
                          .entropy = 2.0 * (1.0 - 0.9 * share),
                          .answer_share = 0.1 + 0.3 * share,
                          .reference_share = 0.4,
                          .dead_groups = 0.3 * share};
}

static double rises(double step)
{
    return 0.6 + 0.38 * sqrt(step / STEPS);
}

/* The greedy score is level early; sampled answers still come nearer to it. */
static double saturates(double step)
{
    return step < 100.0 ? 0.9 : 0.975;
}

static double level(double step)
{
    (void)step;
    return 0.6;
}

static double falls(double step)
{
    return step < 100.0 ? 0.8 : 0.8 - 0.3 * (step - 100.0) / STEPS;
}

/* The reward rises for something else than the objective. */
static void hacks(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->ratio = 0.6;
}

static void collapses(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->entropy = step < 100.0 ? 2.0 : 0.03;
}

static void repeats(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->answer_share = step < 120.0 ? 0.2 : 0.95;
}

static void is_cut(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->clipped_ratio = step < 200.0 ? 0.1 : 0.8;
}

static void dies(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->dead_groups = step < 150.0 ? 0.2 : 0.85;
}

/* A sign that comes and goes, never for as long as alarm.patience. */
static void flickers(double step, wz_alarm_point *p)
{
    learns(step, p);
    if ((int)step % 50 != 0) {
        p->entropy = 0.01;
        p->clipped_ratio = 1.0;
        p->dead_groups = 1.0;
        p->answer_share = 1.0;
    }
}

/* Kinds raised over the whole history; *first: the step of the first; *count: how often any was. */
static unsigned play(const wz_alarm_options *options, const scene *s, wz_alarm *a, double *first, int *count)
{
    unsigned all = 0;
    *first = NAN;
    *count = 0;
    wz_alarm_start(a, options);
    for (int step = 1; step <= STEPS; step++) {
        wz_alarm_point point;
        s->row(step, &point);
        unsigned now = wz_alarm_add_step(a, &point);
        if (step % EVERY == 0)
            now |= wz_alarm_add_evaluation(a, step, s->score(step));
        if (now != 0 && all == 0)
            *first = step;
        for (int kind = 0; kind < WZ_ALARM_KINDS; kind++)
            *count += (now >> kind & 1u) != 0;
        all |= now;
    }
    return all;
}

START_TEST(alarm_of_a_run_that_learns_is_silent)
{
    static const scene scenes[] = {
        {"learns", learns, rises}, {"saturates", learns, saturates}, {"flickers", flickers, rises}};
    double first = 0.0;
    int count = 0;
    wz_alarm a;
    ck_assert_msg(play(&usual, &scenes[_i], &a, &first, &count) == 0, "%s: at step %g", scenes[_i].name,
                  first);
}
END_TEST

START_TEST(alarm_of_a_run_that_goes_wrong_is_raised_once_with_evidence)
{
    /* the step: that of the sign and 50 more; of evaluations: the third after the best */
    static const struct {
        scene scene;
        wz_alarm_kind kind;
        double first;
        const char *evidence[3];
    } cases[] = {
        {{"hacks", hacks, level},
         WZ_ALARM_REWARD,
         200.0,
         {"reward rose from", "0.6000 at step 50", "3 evaluations"}},
        {{"by heart", learns, falls},
         WZ_ALARM_REWARD,
         200.0,
         {"0.8000 at step 50", "0.7250 at step 200", "from"}},
        {{"collapses", collapses, level},
         WZ_ALARM_ENTROPY,
         150.0,
         {"0.03 of at most 2", "step 100", "0.6000"}},
        {{"repeats", repeats, level}, WZ_ALARM_ANSWERS, 170.0, {"95%", "40%", "step 120"}},
        {{"is cut", is_cut, rises}, WZ_ALARM_LENGTH, 250.0, {"80%", "50%", "step 200"}},
        {{"dies", dies, level}, WZ_ALARM_GROUPS, 200.0, {"85%", "70%", "step 150"}},
    };
    double first = 0.0;
    int count = 0;
    wz_alarm a;
    wz_text text = {0};
    wz_alarm_options alone = usual; /* scenes with a level score would raise the first alarm, too */
    alone.watch_reward = cases[_i].kind == WZ_ALARM_REWARD;
    const unsigned raised = play(&alone, &cases[_i].scene, &a, &first, &count);
    ck_assert_msg(raised == 1u << cases[_i].kind, "%s: %x", cases[_i].scene.name, raised);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(a.raised, 1);
    ck_assert_double_eq(first, cases[_i].first);
    /* the evidence as it stood then */
    wz_alarm_start(&a, &alone);
    for (int step = 1; step <= (int)first; step++) {
        wz_alarm_point point;
        cases[_i].scene.row(step, &point);
        (void)wz_alarm_add_step(&a, &point);
        if (step % EVERY == 0)
            (void)wz_alarm_add_evaluation(&a, step, cases[_i].scene.score(step));
    }
    ck_assert_int_eq(wz_alarm_explain(&a, cases[_i].kind, &text, &err), WZ_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(strstr(text.data, cases[_i].evidence[i]) != NULL, "no '%s' in: %s",
                      cases[_i].evidence[i], text.data);
    wz_text_clear(&text);
}
END_TEST

/* A constant answer, sampled ever more surely: reward and verified ratio end at what its greedy score of 0.9 on other problems
 * would be but for noise. Ratios have a deviation of some 0.15 a problem, so that 0.01 is less than that of the mean of 100
 * problems (0.015), and three times that of 2,000 (0.003): the last 50 steps have 0.91 in the mean. */
static void settles(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->reward = p->ratio = 0.916 - 0.2 * (1.0 - sqrt(step / STEPS));
}

static double settled(double step)
{
    (void)step;
    return 0.9;
}

START_TEST(alarm_of_rewards_allows_for_the_noise_of_few_problems)
{
    static const scene run = {"settles", settles, settled};
    wz_alarm_options options = usual;
    double first = 0.0;
    int count = 0;
    wz_alarm a;
    options.problems = 100;
    ck_assert_uint_eq(play(&options, &run, &a, &first, &count), 0);
    options.problems = 2000;
    ck_assert_uint_eq(play(&options, &run, &a, &first, &count), 1u << WZ_ALARM_REWARD);
}
END_TEST

/* Where there is nothing left to learn or no time to, a policy that explores no more is as it should be. */
START_TEST(alarm_of_a_solved_task_or_a_run_that_ends_is_silent)
{
    const scene s = {"collapses", collapses, saturates};
    double first = 0.0;
    int count = 0;
    wz_alarm a;
    wz_alarm_options options = usual;
    options.solved = 0.97;
    ck_assert_uint_eq(play(&options, &s, &a, &first, &count), 0);
    options = usual;
    options.before = 0.3; /* the sign would have lasted until step 150 */
    ck_assert_uint_eq(play(&options, &s, &a, &first, &count), 0);
    options = usual;
    options.enabled = false;
    ck_assert_uint_eq(play(&options, &s, &a, &first, &count), 0);
    ck_assert_uint_eq(play(&usual, &s, &a, &first, &count), 1u << WZ_ALARM_ENTROPY);
}
END_TEST

/* The sign goes for 60 steps, for 10 steps. */
static void comes_twice(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->clipped_ratio = step < 100.0 || (step > 200.0 && step < 261.0) ? 0.0 : 0.9;
}

static void pauses(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->clipped_ratio = step < 100.0 || (step > 200.0 && step < 211.0) ? 0.0 : 0.9;
}

START_TEST(alarm_is_raised_again_only_after_it_was_gone_for_long)
{
    const scene s = {"comes twice", comes_twice, rises}, t = {"pauses", pauses, rises};
    double first = 0.0;
    int count = 0;
    wz_alarm a;
    ck_assert_uint_eq(play(&usual, &s, &a, &first, &count), 1u << WZ_ALARM_LENGTH);
    ck_assert_int_eq(count, 2);
    ck_assert_uint_eq(play(&usual, &t, &a, &first, &count), 1u << WZ_ALARM_LENGTH);
    ck_assert_int_eq(count, 1);
}
END_TEST

static void WZ_PRINTF(2, 3) add_text(wz_text *rows, const char *format, ...)
{
    char text[800];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    ck_assert_int_eq(wz_text_append(rows, text, strlen(text), &err), WZ_OK);
}

static void add_row(wz_text *rows, int step, const wz_alarm_point *p)
{
    add_text(rows,
             "{\"step\": %d, \"reward\": %.17g, \"optimality/ratio\": %.17g, \"entropy\": %.17g, "
             "\"answers/top_share\": %.17g, \"answers/reference_top_share\": %.17g, "
             "\"completions/clipped_ratio\": %.17g, \"groups/dead\": %.17g}\n",
             step, p->reward, p->ratio, p->entropy, p->answer_share, p->reference_share, p->clipped_ratio,
             p->dead_groups);
}

/* Rows read back leave the state that the rows themselves left: what a resumed run goes on from. */
START_TEST(alarm_replay_of_its_rows_gives_the_same_state)
{
    temporary where;
    wz_text rows = {0};
    wz_alarm fed, replayed;
    wz_alarm_start(&fed, &usual);
    for (int step = 1; step <= 180; step++) {
        wz_alarm_point p;
        repeats(step, &p);
        if (wz_alarm_add_step(&fed, &p) != 0)
            add_text(&rows, "{\"step\": %d, \"alarm\": \"answers\"}\n", step);
        add_row(&rows, step, &p);
        if (step % EVERY != 0)
            continue;
        (void)wz_alarm_add_evaluation(&fed, step, level(step));
        add_text(&rows, "{\"step\": %d, \"eval_objective_ratio\": %.17g}\n", step, level(step));
    }
    ck_assert_int_eq(fed.raised, 1);
    temporary_create(&where);
    temporary_write(temporary_path(&where, "metrics.jsonl"), rows.data, rows.length);
    wz_alarm_start(&replayed, &usual);
    ck_assert_msg(wz_alarm_replay(&replayed, where.path, &err) == WZ_OK, "%s", err.text);
    ck_assert_int_eq(memcmp(&fed, &replayed, sizeof fed), 0);
    temporary_remove(&where);
    wz_text_clear(&rows);
}
END_TEST

/* ---- a supervised start ---- */

#define SUPERVISED 100 /* steps, evaluated at 50 and 100 */

static double was_taught(double step)
{
    return step <= SUPERVISED ? 0.9 + 0.0005 * step : 0.7;
}

static double was_taught_and_learns(double step)
{
    return step <= SUPERVISED ? 0.9 + 0.0005 * step : 0.95 + 0.02 * (step - SUPERVISED) / STEPS;
}

/* A run's rows as they are written, fed to one state and, as text, read back by another. */
static void play_supervised(const scene *s, int last, wz_alarm *fed, wz_alarm *replayed,
                            int raised[WZ_ALARM_KINDS])
{
    temporary where;
    wz_text rows = {0};
    memset(raised, 0, WZ_ALARM_KINDS * sizeof *raised);
    for (int step = 1; step <= last; step++) {
        wz_alarm_point p = {0};
        unsigned now = 0;
        if (step > SUPERVISED) {
            s->row(step, &p);
            now = wz_alarm_add_step(fed, &p);
            add_row(&rows, step, &p);
        } else
            add_text(&rows, "{\"step\": %d, \"sft_loss\": %.17g, \"sft_token_accuracy\": 0.25}\n", step,
                     1.0 / step);
        if (step % EVERY == 0) {
            now |= wz_alarm_add_evaluation(fed, step, s->score(step));
            add_text(&rows, "{\"step\": %d, \"eval_objective_ratio\": %.17g}\n", step, s->score(step));
        }
        for (int kind = 0; kind < WZ_ALARM_KINDS; kind++)
            raised[kind] = (now >> kind & 1u) != 0 ? step : raised[kind];
    }
    temporary_create(&where);
    temporary_write(temporary_path(&where, "metrics.jsonl"), rows.data, rows.length);
    ck_assert_msg(wz_alarm_replay(replayed, where.path, &err) == WZ_OK, "%s", err.text);
    temporary_remove(&where);
    wz_text_clear(&rows);
}

/* The score that the supervised steps left is what GRPO must not fall below while the reward rises: of its evaluations at 150,
 * 200 and 250 none is better. Resumed in between, in supervised steps and after them, the state is the same. */
START_TEST(alarm_after_a_supervised_start_holds_scores_against_its_own)
{
    const scene falls_back = {"falls back", learns, was_taught},
                goes_on = {"goes on", learns, was_taught_and_learns};
    static const int lasts[] = {70, SUPERVISED, 180, STEPS};
    wz_alarm_options options = usual;
    wz_alarm fed, replayed;
    wz_text text = {0};
    int raised[WZ_ALARM_KINDS];
    options.first = SUPERVISED;
    for (size_t i = 0; i < 4; i++) {
        wz_alarm_start(&fed, &options);
        wz_alarm_start(&replayed, &options);
        play_supervised(&falls_back, lasts[i], &fed, &replayed, raised);
        ck_assert_mem_eq(&fed, &replayed, sizeof fed);
        ck_assert_int_eq(raised[WZ_ALARM_REWARD], lasts[i] == STEPS ? 250 : 0);
        ck_assert_int_eq(fed.raised, lasts[i] == STEPS);
    }
    wz_alarm_start(&fed, &options);
    wz_alarm_start(&replayed, &options);
    play_supervised(&falls_back, 250, &fed, &replayed, raised);
    ck_assert_int_eq(wz_alarm_explain(&fed, WZ_ALARM_REWARD, &text, &err), WZ_OK);
    ck_assert_msg(strstr(text.data, "(up to step 150) to") != NULL &&
                      strstr(text.data, "did not: 0.9500 at step 100, 0.7000 at step 250") != NULL,
                  "%s", text.data);
    wz_alarm_start(&fed, &options);
    wz_alarm_start(&replayed, &options);
    play_supervised(&goes_on, STEPS, &fed, &replayed, raised);
    ck_assert_int_eq(fed.raised, 0);
    wz_text_clear(&text);
}
END_TEST

static void collapses_late(double step, wz_alarm_point *p)
{
    learns(step, p);
    p->entropy = step <= 310.0 ? 2.0 : 0.03;
}

/* The share of the run after which a low entropy is as it should be is one of GRPO's steps: from 301 to 400, three in four. */
START_TEST(alarm_after_a_supervised_start_counts_grpo_steps_alone)
{
    wz_alarm_options options = usual;
    for (int first = 0; first <= 300; first += 300) {
        int raised = 0;
        wz_alarm a;
        options.first = first;
        wz_alarm_start(&a, &options);
        for (int step = 301; step <= STEPS; step++) {
            wz_alarm_point p;
            collapses_late(step, &p);
            raised = wz_alarm_add_step(&a, &p) == 1u << WZ_ALARM_ENTROPY ? step : raised;
        }
        ck_assert_int_eq(raised, first > 0 ? 361 : 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alarm");
    TCase *tests = tcase_create("alarm");
    tcase_add_loop_test(tests, alarm_of_a_run_that_learns_is_silent, 0, 3);
    tcase_add_loop_test(tests, alarm_of_a_run_that_goes_wrong_is_raised_once_with_evidence, 0, 6);
    tcase_add_test(tests, alarm_of_rewards_allows_for_the_noise_of_few_problems);
    tcase_add_test(tests, alarm_of_a_solved_task_or_a_run_that_ends_is_silent);
    tcase_add_test(tests, alarm_is_raised_again_only_after_it_was_gone_for_long);
    tcase_add_test(tests, alarm_replay_of_its_rows_gives_the_same_state);
    tcase_add_test(tests, alarm_after_a_supervised_start_holds_scores_against_its_own);
    tcase_add_test(tests, alarm_after_a_supervised_start_counts_grpo_steps_alone);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
