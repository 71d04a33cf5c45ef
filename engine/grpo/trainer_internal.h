/* A trainer's parts, shared by trainer.c (what it holds), trainer_memory.c, learn.c (what a step does), sample.c
 * and optimise.c (its parts). */
#ifndef WZ_GRPO_TRAINER_INTERNAL_H
#define WZ_GRPO_TRAINER_INTERNAL_H

#include "engine/grpo/apart.h"
#include "engine/grpo/report.h"
#include "engine/grpo/trainer.h"

#define WZ_SUPERVISED_REQUESTS 64 /* decisions whose likeliest token is asked for at once */

struct wz_trainer {
    wz_policy *policy;
    wz_trainer_options options;
    wz_curriculum curricula[WZ_MIXTURE_MAX];
    int64_t sizes[WZ_MIXTURE_MAX]; /* that this step trains, of each part */
    uint8_t *part;                 /* [problems] of the mixture */
    int64_t updates;
    wz_batch *batch;
    wz_activations **activations; /* one per pack when rollouts are kept until all are done, else one */
    int64_t activation_count;
    wz_backward *backward;
    wz_apart apart;
    double *reward, *advantage; /* [problems * generations] */
    uint8_t *flat, *left_out;   /* [problems], [problems * generations] */
    uint64_t *answers;          /* [problems * generations] for wz_report_answers */
    double *drawn_ratio;        /* [problems] sum over completions, before any problem was replaced */
    wz_ref_model ref_model;     /* empty where beta is 0 */
    float **ref_logp;           /* [packs][decisions] */
    int64_t ref_logp_count;
    float *average; /* of the weights, flat, on the backend; NULL: none */
    wz_entropy_control entropy;
    int64_t most_rows; /* that were planned of a pack; 0: not yet */
};

/* A step under way. */
typedef struct wz_step_state {
    wz_rollout_options rollout;
    wz_loss_options loss;
    wz_loss_totals totals;
    wz_report_sums sums;
    int64_t lessons, tokens; /* of the optimiser batch; tokens of the rollout that count, so far */
    double divisor;          /* what the gradients and sums of losses must still be divided by */
    size_t flat;
    int64_t replaced, tried; /* problems, by dynamic sampling */
    bool check;              /* that the trainer repeats the sampler's bits */
    int64_t changed, decisions;
    double largest, difference; /* of log-probabilities; the sum of all */
    wz_step_report *report;
} wz_step_state;

/* The curriculum of a part of the mixture. */
wz_curriculum_options wz_trainer_curriculum_of(const wz_trainer_options *options, size_t part);
/* Whether a pack's gradients follow its rollout at once, while its activations are in the processor's caches and
 * before the next pack overwrites them: nothing they are made of may span the batch. (The number of tokens does with
 * `dapo`; the sum of gradients is divided by it.) */
bool wz_trainer_packs_in_turn(const wz_trainer_options *options);
/* Whether the first update reads the activations that the rollout left: it must be the only one at the rollout's weights. */
bool wz_trainer_reuses_rollouts(const wz_trainer_options *options);
int64_t wz_trainer_pack_count(const wz_trainer_options *options);
/* A batch as large as any of the run: problems of the largest sizes, of every part. */
wz_status wz_trainer_largest_batch(wz_policy *policy, const wz_trainer_options *options, wz_batch **out,
                                   wz_error *err);
/* Room for the trainer's batch. */
wz_status wz_trainer_reserve_batch(wz_trainer *trainer, wz_error *err);
/* Where a pack's rollout leaves its activations. */
wz_activations *wz_trainer_activations(const wz_trainer *trainer, int64_t pack);
/* ... with room for this many rows; what it held is lost if it had less. */
wz_status wz_trainer_make_activations(wz_trainer *trainer, int64_t pack, int64_t rows, wz_error *err);
/* The problem that slot g of the batch draws in a step; `attempt` > 0: another in its place. */
wz_status wz_trainer_draw_problem(const wz_trainer *trainer, int64_t step, int64_t g, int64_t attempt,
                                  wz_problem *out, wz_error *err);
/* Takes the problems over. */
wz_status wz_trainer_make_batch(const wz_trainer *trainer, wz_problem *problems, int64_t count,
                                wz_batch **out, wz_error *err);

/* Samples pack p and rewards its completions; replaces problems whose rewards are equal, if so asked. */
wz_status wz_trainer_sample_pack(wz_trainer *trainer, wz_step_state *s, int64_t p, wz_error *err);
/* Samples the trainer's batch and updates the weights with it, num_iterations times. Here and below, steps are GRPO's own. */
wz_status wz_trainer_learn(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err);
/* One update of the weights with the accumulated gradients, and of what follows the weights. */
wz_status wz_trainer_update(wz_trainer *trainer, const wz_step_state *s, int64_t step, wz_error *err);

#endif
