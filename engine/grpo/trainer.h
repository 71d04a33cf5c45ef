/* The training step: roll out, verify, compare within groups, update the same weights the sampler reads. */
#ifndef WZ_GRPO_TRAINER_H
#define WZ_GRPO_TRAINER_H

#include "engine/grpo/batch.h"
#include "engine/grpo/curriculum.h"
#include "engine/grpo/loss.h"
#include "engine/grpo/mixture.h"
#include "rewards/reward.h"

typedef struct wz_trainer_options {
    wz_mixture mixture;
    wz_prompt_style style;
    uint64_t seed;
    int64_t max_steps;
    int64_t problems, generations, groups_per_pack;
    int64_t max_completion_length;
    wz_sampling sampling;
    int64_t num_iterations;
    wz_loss_options loss; /* entropy_coef is set from the schedule each step */
    double entropy_first, entropy_last;
    int entropy_schedule; /* wz_schedule */
    int scale_rewards;    /* wz_reward_scale */
    bool leave_one_out, mask_truncated;
    wz_reward_options reward;
    double grammar_coef;
    int64_t grammar_generations;
    wz_adamw adamw;
    double learning_rate, final_ratio;
    int schedule;
    int64_t warmup_steps;
    double max_grad_norm;
    bool reuse_activations;
    bool gradient_checkpointing; /* keep of a layer only its input and qkv */
    int64_t exactness_check_steps;
    bool curriculum_enabled;
    wz_curriculum_options curriculum; /* of each part; sizes are the part's */
} wz_trainer_options;

/* What a step measured of one part of the mixture. */
typedef struct wz_part_report {
    int64_t completions; /* 0: none in this step, and the rest is NaN */
    int64_t size;
    double ratio, feasible, exact_optimum, reward;
    bool size_grew;
} wz_part_report;

/* What a step measured; NaN: not measured in this step. */
typedef struct wz_step_report {
    double loss, policy_loss, grammar_loss, grad_norm, learning_rate, entropy_coef;
    double reward, reward_std, frac_reward_zero_std;
    double reward_mean[WZ_REWARD_FUNCS], reward_deviation[WZ_REWARD_FUNCS]; /* of each reward function */
    double shaping;                                                         /* mean of what it added */
    double ratio, feasible, exact_optimum; /* of sampled answers: mean objective ratio, shares */
    double entropy;
    double clip_low_mean, clip_low_min, clip_high_mean, clip_high_max;
    double mean_length, min_length, max_length, terminated_mean, terminated_min, terminated_max,
        clipped_ratio;
    double logp_difference_mean, logp_difference_max, ratio_min, ratio_mean, ratio_max;
    double tokens; /* completion and prompt tokens of the step */
    int64_t rows;  /* distinct rows computed */
    wz_part_report parts[WZ_MIXTURE_MAX];
    double rollout_s, verify_s, train_s; /* wall time */
} wz_step_report;

typedef struct wz_trainer wz_trainer;

/* The policy stays the caller's; its model must have been created for training. */
wz_status wz_trainer_create(wz_policy *policy, const wz_trainer_options *options, wz_trainer **out,
                            wz_error *err);
void wz_trainer_destroy(wz_trainer *trainer);

/* Whether the activations of all packs are held from rollout to update. */
bool wz_trainer_keeps_rollouts(const wz_trainer_options *options);

/* What a trainer needs at the task's full size beside the model, in bytes. */
typedef struct wz_trainer_memory {
    int64_t rows, entries;       /* of one pack */
    int64_t step_rows, requests; /* of one decode step that the device drives; 0: the host does */
    wz_op_bounds bounds;         /* of the trainer's ops, perhaps widened by others' */
    size_t activations;
    size_t backward; /* gradients of activations, and gradients kept apart */
    size_t vectors;  /* hidden vectors of decisions and lessons */
    size_t passing;  /* the largest of what comes and goes within a step */
} wz_trainer_memory;
wz_status wz_trainer_plan(wz_policy *policy, const wz_trainer_options *options, wz_trainer_memory *out,
                          wz_error *err);
/* Takes what was planned; else the steps do, when they need it. */
wz_status wz_trainer_reserve(wz_trainer *trainer, const wz_trainer_memory *memory, wz_error *err);

/* Step number `step` (0-based). On WZ_ERR_DIVERGED the weights are those before the update (of num_iterations). The batch
 * stays readable (wz_trainer_batch) until the next step. */
wz_status wz_trainer_step(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err);
const wz_batch *wz_trainer_batch(const wz_trainer *trainer);
const wz_trainer_options *wz_trainer_settings(const wz_trainer *trainer);
wz_curriculum *wz_trainer_curricula(wz_trainer *trainer); /* of each part, to save and restore */
int64_t *wz_trainer_updates(wz_trainer *trainer);         /* optimiser updates so far, likewise */

#endif
