/* A trainer's parts, shared by trainer.c (what it holds), trainer_memory.c, learn.c (what a step does), sample.c
 * and optimise.c (its parts). */
#ifndef WZ_GRPO_TRAINER_INTERNAL_H
#define WZ_GRPO_TRAINER_INTERNAL_H

#include "engine/grpo/apart.h"
#include "engine/grpo/report.h"
#include "engine/grpo/trainer.h"

#define WZ_SUPERVISED_REQUESTS 64 /* decisions whose likeliest token is asked for at once */

/* A problem of the batch, as it was drawn. */
typedef struct wz_slot {
    bool is_replayed; /* from the pool */
    bool is_replaced; /* by dynamic sampling */
    uint8_t level;    /* of the curriculum: its size or its stage; 0 of a training set */
    uint32_t number;  /* of its draw, or in the training set */
    double success;   /* share of its completions that solved it; where there is a pool */
} wz_slot;

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
    const wz_mixture *now;      /* this step's: that of its stage */
    int64_t stage;              /* of this step */
    wz_slot *slots;             /* [problems] */
    wz_known_reference *known;  /* [problems] of problems on their way into a batch */
    wz_replay replay;           /* empty where there is no pool */
    size_t *chosen;             /* [problems] of its items */
    uint32_t *order;            /* [problems of the set] of epoch number `epoch`; -1: of none yet */
    int64_t epoch, taken, next; /* problems of the set's epochs so far; after this step */
    int64_t rejected, unfiltered, skipped; /* this step's draws, by the filters */
    wz_ref_model ref_model;                /* empty where beta is 0 */
    float **ref_logp;                      /* [packs][decisions] */
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
    int64_t tokens; /* of the rollout that count, so far */
    double divisor; /* what the gradients and sums of losses must still be divided by */
    size_t flat;
    int64_t replaced, tried; /* problems, by dynamic sampling */
    bool check;              /* that the trainer repeats the sampler's bits */
    int64_t changed, decisions;
    double largest, difference; /* of log-probabilities; the sum of all */
    wz_step_report *report;
} wz_step_state;

/* The curriculum of a part of the mixture; with stages, of all. */
wz_curriculum_options wz_trainer_curriculum_of(const wz_trainer_options *options, size_t part);
size_t wz_trainer_curriculum_count(const wz_trainer_options *options);
/* Whether a pack's gradients follow its rollout at once, while its activations are in the processor's caches and
 * before the next pack overwrites them: nothing they are made of may span the batch. (The number of tokens does with
 * `dapo`; the sum of gradients is divided by it.) */
bool wz_trainer_packs_in_turn(const wz_trainer_options *options);
/* Whether the first update reads the activations that the rollout left: it must be the only one at the rollout's weights. */
bool wz_trainer_reuses_rollouts(const wz_trainer_options *options);
int64_t wz_trainer_pack_count(const wz_trainer_options *options);
/* Room for the trainer's batch. */
wz_status wz_trainer_reserve_batch(wz_trainer *trainer, wz_error *err);
/* Where a pack's rollout leaves its activations. */
wz_activations *wz_trainer_activations(const wz_trainer *trainer, int64_t pack);
/* ... with room for this many rows; what it held is lost if it had less. */
wz_status wz_trainer_make_activations(wz_trainer *trainer, int64_t pack, int64_t rows, wz_error *err);
/* The stage or the sizes that a step trains. */
void wz_trainer_choose_levels(wz_trainer *trainer, int64_t step);
/* Part, level and, of those to be trained again, number of each of the step's problems. */
void wz_trainer_assign(wz_trainer *trainer, int64_t step);
/* Whether it is noted how problems were solved. */
bool wz_trainer_has_pool(const wz_trainer_options *options);
/* Share of the completions of the batch's group g that solved its problem. */
double wz_trainer_success(const wz_trainer *trainer, int64_t g);
/* Takes in how the step's problems were solved. */
void wz_trainer_observe(wz_trainer *trainer, int64_t step);
/* Numbers of generated problems that are set aside for each problem of a step. */
int64_t wz_trainer_numbers_each(const wz_trainer_options *options);
/* The problems that these slots (NULL: the first ones) of the batch draw in a step, and what is known of their references in
 * trainer->known; `attempt` > 0: others in their place. */
wz_status wz_trainer_draw_problems(wz_trainer *trainer, int64_t step, int64_t attempt, const int64_t *slot,
                                   int64_t count, wz_problem **out, wz_error *err);
wz_status wz_trainer_begin_batch(wz_trainer *trainer, int64_t step, wz_error *err);
wz_batch_options wz_trainer_batch_options(const wz_trainer_options *options, const wz_known_reference *known);
/* A batch of what was drawn last. Takes the problems over. */
wz_status wz_trainer_make_batch(const wz_trainer *trainer, wz_problem *problems, int64_t count,
                                wz_batch **out, wz_error *err);

/* Samples pack p and rewards its completions; replaces problems whose rewards are equal, if so asked. */
wz_status wz_trainer_sample_pack(wz_trainer *trainer, wz_step_state *s, int64_t p, wz_error *err);
/* Samples the trainer's batch and updates the weights with it, num_iterations times. Here and below, steps are GRPO's own. */
wz_status wz_trainer_learn(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err);
/* One update of the weights with the accumulated gradients, and of what follows the weights. */
wz_status wz_trainer_update(wz_trainer *trainer, const wz_step_state *s, int64_t step, wz_error *err);

#endif
