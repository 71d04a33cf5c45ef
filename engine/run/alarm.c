#include "engine/run/alarm.h"

#include <math.h>
#include <string.h>

#include "engine/core/json.h"
#include "engine/core/lines.h"

/* A held-out score is better by this much, or it is the same: less than the noise of a thousand problems. */
#define BETTER 0.002
#define BETTER_PROBLEMS 1000.0

const char *const wz_alarm_names[WZ_ALARM_KINDS] = {"reward", "entropy", "answers", "length", "groups"};

void wz_alarm_start(wz_alarm *a, const wz_alarm_options *options)
{
    *a = (wz_alarm){.options = *options,
                    .score = NAN,
                    .best_score = NAN,
                    .best_reward = NAN,
                    .least_reward = INFINITY,
                    .largest_reward = -INFINITY,
                    .least_ratio = INFINITY,
                    .largest_ratio = -INFINITY};
}

/* ---- signs that must last ---- */

/* Whether the policy still has something to learn and the time to. A policy that is right explores no more. */
static bool is_unfinished(const wz_alarm *a, const wz_alarm_point *p)
{
    const wz_alarm_options *o = &a->options;
    const double score = isnan(a->score) ? p->ratio : a->score;
    const double steps = (double)(o->max_steps - o->first);
    return score < o->solved && p->step - (double)o->first < o->before * steps;
}

static unsigned watch(wz_alarm *a, wz_alarm_kind kind, bool holds, double step, double lasting)
{
    wz_alarm_watch *w = &a->watches[kind];
    if (!holds) {
        w->gone_since = w->holds ? step : w->gone_since;
        w->holds = false;
        w->is_raised = w->is_raised && step - w->gone_since < lasting; /* what flickers is one alarm */
        return 0;
    }
    if (!w->holds && !w->is_raised)
        w->since = step;
    w->holds = true;
    if (w->is_raised || step - w->since < lasting)
        return 0;
    w->is_raised = true;
    a->raised++;
    return 1u << kind;
}

unsigned wz_alarm_add_step(wz_alarm *a, const wz_alarm_point *p)
{
    const wz_alarm_options *o = &a->options;
    const double lasting = (double)o->patience;
    if (!o->enabled)
        return 0;
    a->last = *p;
    a->reward_sum += p->reward;
    a->ratio_sum += p->ratio;
    a->rows += 1.0;
    a->largest_entropy = fmax(a->largest_entropy, p->entropy);
    const bool unfinished = is_unfinished(a, p);
    return watch(a, WZ_ALARM_ENTROPY, unfinished && p->entropy <= o->entropy_share * a->largest_entropy,
                 p->step, lasting) |
           watch(a, WZ_ALARM_ANSWERS, unfinished && p->answer_share - p->reference_share >= o->answer_margin,
                 p->step, lasting) |
           watch(a, WZ_ALARM_LENGTH, p->clipped_ratio >= o->clipped_ratio, p->step, lasting) |
           watch(a, WZ_ALARM_GROUPS, unfinished && p->dead_groups >= o->dead_groups, p->step, lasting);
}

/* ---- reward against score ---- */

/* Sampled answers get better as the policy explores less, and greedy ones need not: no sign, as long as the sampled ones,
 * verified like these, are no better than these and their rise goes with the reward's. The scores are of different problems:
 * of few held-out ones their difference is noise that goes as 1 / sqrt(problems). rise: the reward's, of its range. */
static bool is_explained(const wz_alarm *a, double rise)
{
    const double fewer = sqrt(BETTER_PROBLEMS / fmin((double)a->options.problems, BETTER_PROBLEMS));
    const double range = a->largest_ratio - a->least_ratio;
    return a->ratio - a->best_ratio >= 0.5 * rise * range && range > 0.0 &&
           a->ratio <= a->score + 2.0 * BETTER * fewer;
}

/* Closes the rows since the last evaluation. */
static void take_means(wz_alarm *a)
{
    a->reward = a->reward_sum / a->rows;
    a->ratio = a->ratio_sum / a->rows;
    a->reward_sum = a->ratio_sum = a->rows = 0.0;
    a->least_reward = fmin(a->least_reward, a->reward);
    a->largest_reward = fmax(a->largest_reward, a->reward);
    a->least_ratio = fmin(a->least_ratio, a->ratio);
    a->largest_ratio = fmax(a->largest_ratio, a->ratio);
}

static void keep_means(wz_alarm *a, double step)
{
    a->best_reward = a->reward;
    a->best_ratio = a->ratio;
    a->best_reward_step = step;
}

/* Whether this score is the best so far. */
static bool take_score(wz_alarm *a, double step, double score)
{
    a->score = score;
    a->score_step = step;
    if (!isnan(a->best_score) && score <= a->best_score + BETTER)
        return false;
    a->best_score = score;
    a->best_step = step;
    a->since_best = 0;
    return true;
}

unsigned wz_alarm_add_evaluation(wz_alarm *a, double step, double score)
{
    const wz_alarm_options *o = &a->options;
    if (!o->enabled)
        return 0;
    const bool is_best = take_score(a, step, score);
    if (is_best)
        a->best_reward = NAN;
    if (a->rows == 0.0) /* nothing sampled since the last one: its means are those of the next rows */
        return 0;
    take_means(a);
    a->since_best += !is_best;
    if (isnan(a->best_reward))
        keep_means(a, step);
    const double range = a->largest_reward - a->least_reward;
    const double rise = range > 0.0 ? (a->reward - a->best_reward) / range : 0.0;
    return watch(a, WZ_ALARM_REWARD,
                 o->watch_reward && rise > 0.0 && rise >= o->reward_rise && a->since_best >= o->evaluations &&
                     !is_explained(a, rise),
                 step, 0.0);
}

/* ---- evidence ---- */

static wz_status explain_reward(const wz_alarm *a, wz_text *out, wz_error *err)
{
    return wz_text_printf(out, err,
                          "between evaluations the mean reward rose from %.4g (up to step %.0f) to %.4g (up "
                          "to step %.0f), but the "
                          "held-out score did not: %.4f at step %.0f, %.4f at step %.0f, no better one in "
                          "%lld evaluations; the verified "
                          "ratio of sampled answers went from %.4f to %.4f: look in completions.jsonl for "
                          "what the reward pays for",
                          a->best_reward, a->best_reward_step, a->reward, a->score_step, a->best_score,
                          a->best_step, a->score, a->score_step, (long long)a->since_best, a->best_ratio,
                          a->ratio);
}

wz_status wz_alarm_explain(const wz_alarm *a, wz_alarm_kind kind, wz_text *out, wz_error *err)
{
    const wz_alarm_point *p = &a->last;
    const double since = a->watches[kind].since;
    const double score = isnan(a->score) ? p->ratio : a->score;
    switch (kind) {
    case WZ_ALARM_REWARD:
        return explain_reward(a, out, err);
    case WZ_ALARM_ENTROPY:
        return wz_text_printf(
            out, err,
            "entropy is %.3g of at most %.3g, below %.0f%% since step %.0f, with a score of %.4f "
            "and %.0f%% of the run to go: the policy explores no more; raise entropy_coef or "
            "lower learning_rate",
            p->entropy, a->largest_entropy, 100.0 * a->options.entropy_share, since, score,
            100.0 * (1.0 - p->step / (double)a->options.max_steps));
    case WZ_ALARM_ANSWERS:
        return wz_text_printf(
            out, err,
            "one answer is %.0f%% of all, while of the best decisions of the same problems no one is "
            "more than %.0f%%, so since step %.0f, with a score of %.4f: the policy ignores the "
            "problem; raise entropy_coef or lower learning_rate",
            100.0 * p->answer_share, 100.0 * p->reference_share, since, score);
    case WZ_ALARM_LENGTH:
        return wz_text_printf(
            out, err,
            "%.0f%% of completions are cut at max_completion_length, at least %.0f%% since step "
            "%.0f: raise it, or set mask_truncated_completions",
            100.0 * p->clipped_ratio, 100.0 * a->options.clipped_ratio, since);
    default:
        return wz_text_printf(
            out, err,
            "in %.0f%% of groups all rewards are equal though not every answer is optimal, at "
            "least %.0f%% since step %.0f, with a score of %.4f: they teach nothing; raise "
            "num_generations, entropy_coef or temperature",
            100.0 * p->dead_groups, 100.0 * a->options.dead_groups, since, score);
    }
}

/* ---- rows that were written before ---- */

static double number_of(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void replay_row(wz_alarm *a, const json_t *row)
{
    const double step = number_of(row, "step");
    if (json_object_get(row, "reward") != NULL) {
        const wz_alarm_point point = {.step = step,
                                      .reward = number_of(row, "reward"),
                                      .ratio = number_of(row, "optimality/ratio"),
                                      .entropy = number_of(row, "entropy"),
                                      .answer_share = number_of(row, "answers/top_share"),
                                      .reference_share = number_of(row, "answers/reference_top_share"),
                                      .clipped_ratio = number_of(row, "completions/clipped_ratio"),
                                      .dead_groups = number_of(row, "groups/dead")};
        (void)wz_alarm_add_step(a, &point);
    } else if (json_object_get(row, "eval_objective_ratio") != NULL)
        (void)wz_alarm_add_evaluation(a, step, number_of(row, "eval_objective_ratio"));
}

wz_status wz_alarm_replay(wz_alarm *a, const char *path, wz_error *err)
{
    wz_lines lines;
    char *line = NULL;
    size_t length = 0;
    wz_status status = wz_lines_open(&lines, path, 1u << 20, err);
    if (status != WZ_OK)
        return status;
    while (status == WZ_OK && (status = wz_lines_next(&lines, &line, &length, err)) == WZ_OK &&
           line != NULL) {
        json_t *row = NULL;
        status = wz_json_parse_from(path, lines.number, line, length, &row, err);
        if (status == WZ_OK)
            replay_row(a, row);
        json_decref(row);
    }
    wz_lines_close(&lines);
    return status;
}
