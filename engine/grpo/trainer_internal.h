/* A trainer's parts, shared by trainer.c (what it holds) and learn.c (what a step does). */
#ifndef WZ_GRPO_TRAINER_INTERNAL_H
#define WZ_GRPO_TRAINER_INTERNAL_H

#include "engine/grpo/apart.h"
#include "engine/grpo/trainer.h"

struct wz_trainer {
    wz_policy *policy;
    wz_trainer_options options;
    wz_curriculum curricula[WZ_MIXTURE_MAX];
    uint8_t *part; /* [problems] of the mixture */
    int64_t updates;
    wz_batch *batch;
    wz_activations **activations; /* one per pack when rollouts are kept until all are done, else one */
    int64_t activation_count;
    wz_backward *backward;
    wz_apart apart;
    double *reward, *advantage; /* [problems * generations] */
    uint8_t *flat, *left_out;   /* [problems], [problems * generations] */
};

/* Whether a pack's gradients follow its rollout at once, while its activations are in the processor's caches and
 * before the next pack overwrites them: nothing they are made of may span the batch. (The number of tokens does with
 * `dapo`; the sum of gradients is divided by it.) */
bool wz_trainer_packs_in_turn(const wz_trainer_options *options);
/* Where a pack's rollout leaves its activations. */
wz_activations *wz_trainer_activations(const wz_trainer *trainer, int64_t pack);
/* Samples the trainer's batch and updates the weights with it, num_iterations times. */
wz_status wz_trainer_learn(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err);

#endif
