/* Alarms: signs that a run does not learn what it is meant to, seen in its own rows of metrics.
 *
 * A state that is fed rows and evaluations in order and depends on nothing else, so that a resumed run, which feeds the rows
 * it finds, goes on as if it had never stopped. */
#ifndef WZ_RUN_ALARM_H
#define WZ_RUN_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/memory.h"

typedef enum wz_alarm_kind {
    WZ_ALARM_REWARD,  /* the reward rises, the held-out score does not */
    WZ_ALARM_ENTROPY, /* the policy stopped exploring */
    WZ_ALARM_ANSWERS, /* one answer to most problems */
    WZ_ALARM_LENGTH,  /* completions are cut by the length limit */
    WZ_ALARM_GROUPS,  /* groups teach nothing */
    WZ_ALARM_KINDS
} wz_alarm_kind;
extern const char *const wz_alarm_names[WZ_ALARM_KINDS];

typedef struct wz_alarm_options {
    bool enabled, watch_reward;
    int64_t first;        /* steps before GRPO's first: supervised ones, which have no samples to look at */
    int64_t max_steps;    /* with those */
    int64_t patience;     /* steps that a sign must last */
    double entropy_share; /* entropy / its largest so far */
    double answer_margin; /* commonest answer's share beyond the commonest best decision's */
    double clipped_ratio; /* completions at the length limit */
    double dead_groups;   /* groups of equal rewards that are not all optimal */
    double reward_rise;   /* since the best evaluation, as a share of the reward's range so far */
    int64_t evaluations;  /* without a better one */
    int64_t problems;     /* of each evaluation, at least 1 */
    double solved;        /* held-out score from which low entropy and like answers are as they should be */
    double before;        /* share of GRPO's steps after which the same holds */
} wz_alarm_options;

/* What alarms look at in a row of metrics. */
typedef struct wz_alarm_point {
    double step, reward, ratio, entropy, answer_share, reference_share, clipped_ratio, dead_groups;
} wz_alarm_point;

/* One of the signs that must last. */
typedef struct wz_alarm_watch {
    bool holds, is_raised;
    double since, gone_since; /* steps */
} wz_alarm_watch;

typedef struct wz_alarm {
    wz_alarm_options options;
    wz_alarm_point last;
    wz_alarm_watch watches[WZ_ALARM_KINDS];
    double largest_entropy;
    int64_t raised; /* so far */
    /* evaluations: the last, and the best */
    double score, score_step, best_score, best_step;
    int64_t since_best;
    /* means of the rows between evaluations; best: of those before the best evaluation, or, where there were none (it was of
     * supervised steps), before the next one. best_reward NaN: there were none yet */
    double reward_sum, ratio_sum, rows;
    double reward, ratio, best_reward, best_ratio, best_reward_step;
    double least_reward, largest_reward, least_ratio, largest_ratio; /* of those means */
} wz_alarm;

void wz_alarm_start(wz_alarm *alarm, const wz_alarm_options *options);
/* Takes in a row, or an evaluation of all held-out problems; bit k of the result: kind k is raised now. An alarm is raised
 * once, and again only after its sign was gone for as long as it must last. */
unsigned wz_alarm_add_step(wz_alarm *alarm, const wz_alarm_point *point);
unsigned wz_alarm_add_evaluation(wz_alarm *alarm, double step, double score);
/* Appends the evidence, and what may help. */
wz_status wz_alarm_explain(const wz_alarm *alarm, wz_alarm_kind kind, wz_text *out, wz_error *err);
/* Feeds the rows of a metrics.jsonl. */
wz_status wz_alarm_replay(wz_alarm *alarm, const char *path, wz_error *err);

#endif
