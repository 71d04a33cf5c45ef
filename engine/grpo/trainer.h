/* The training step: roll out, verify, compare within groups, update the same weights the sampler reads. */
#ifndef WZ_GRPO_TRAINER_H
#define WZ_GRPO_TRAINER_H

#include "engine/grpo/completions.h"
#include "engine/grpo/curriculum.h"
#include "engine/grpo/entropy.h"
#include "engine/grpo/loss.h"
#include "engine/grpo/mixture.h"
#include "engine/grpo/ref_model.h"
#include "engine/grpo/replay.h"
#include "engine/grpo/supervise.h"
#include "engine/grpo/train_set.h"

typedef struct wz_trainer_options {
    wz_mixture mixture;
    wz_prompt_style style;
    uint64_t seed;
    wz_sft_options sft; /* steps before GRPO's */
    int64_t max_steps;  /* GRPO's own: its schedules are laid out over them */
    int64_t problems, generations, groups_per_pack;
    int64_t max_completion_length;
    wz_sampling sampling;
    int64_t num_iterations;
    int64_t slices;        /* optimiser batches that a rollout is cut into; their number divides problems */
    int64_t dynamic_tries; /* problems tried in place of one whose rewards are equal; 0: it stays */
    wz_loss_options loss;  /* entropy_coef is set for each update */
    double top_entropy_quantile; /* 1: all tokens */
    wz_entropy_options entropy;
    wz_ref_model_options reference; /* where loss.beta > 0 */
    int scale_rewards;              /* wz_reward_scale */
    bool leave_one_out, mask_truncated;
    wz_reward_options reward;
    double grammar_coef;
    int64_t grammar_generations;
    wz_adamw adamw;
    double embedding_rate,
        head_rate; /* shares of the learning rate; the head's where it is not the embedding */
    bool decay_embeddings;
    double ema_decay; /* 0: no average of the weights */
    double learning_rate, final_ratio;
    int schedule;
    int64_t warmup_steps;
    double max_grad_norm;
    bool reuse_activations;
    bool gradient_checkpointing; /* keep of a layer only its input and qkv */
    int64_t exactness_check_steps;
    int64_t report_steps; /* gradients of layer groups are measured in every such step; 0: never */
    bool curriculum_enabled;
    wz_curriculum_options curriculum; /* of each part; sizes are the part's */
    const wz_stages *stages;          /* what the curriculum goes through in place of sizes; NULL: sizes */
    const wz_train_set *set;          /* NULL: problems are generated */
    wz_replay_options replay;
    double replay_fraction,
        success_ratio;    /* of a batch; of the reference, from which a completion has solved */
    int64_t filter_tries; /* generated problems tried for one within these bounds; 0: no filter */
    double headroom_min, headroom_max;
    int64_t skips_max; /* of the set's problems for one whose success lies within the replay's bounds */
} wz_trainer_options;

/* What a step measured of one part of the mixture. */
typedef struct wz_part_report {
    int64_t completions; /* 0: none in this step, and the rest is NaN */
    int64_t size;
    double ratio, feasible, exact_optimum, reward;
    int64_t drawn; /* completions of problems that were drawn anew, before others took the place of some */
    double drawn_ratio; /* theirs: what the curriculum goes by */
    bool size_grew;
} wz_part_report;

/* Layers whose gradients are reported together. */
typedef enum wz_layer_group {
    WZ_LAYERS_EMBEDDING,
    WZ_LAYERS_ATTENTION,
    WZ_LAYERS_MLP,
    WZ_LAYERS_NORMS,
    WZ_LAYERS_HEAD,
    WZ_LAYERS_GROUPS
} wz_layer_group;

/* Scores of the problems of one size. */
typedef struct wz_size_report {
    size_t part;
    int64_t size, completions;
    double ratio;
} wz_size_report;

#define WZ_SIZES_MAX 64      /* sizes of all parts in one step; what is beyond is not reported by size */
#define WZ_ENTROPY_PLACES 10 /* tenths of a completion */

/* What a step measured; NaN: not measured in this step. */
typedef struct wz_step_report {
    double loss, policy_loss, grammar_loss, grad_norm, learning_rate, entropy_coef;
    wz_completion_figures completions; /* but their entropy, which is below */
    double reward_std, frac_reward_zero_std;
    double ratio, feasible, exact_optimum; /* of sampled answers: mean objective ratio, shares */
    double entropy;
    double kl;
    int64_t stage; /* that the step trained */
    bool stage_ended;
    double epoch; /* of the training set, after the step */
    /* Problems in the pool and their mean success; share of the step's that are trained again; shares of groups with equal
     * rewards among these and among the others. */
    double pool, pool_success, again, flat_again, flat_anew;
    double rejected, unfiltered,
        skipped;            /* draws a filter refused, and let pass at last; passed over: a problem */
    double replaced, tried; /* problems that dynamic sampling replaced, and tried for it, as shares of all */
    /* Mean entropy by place: of the n-th decision in completions of up to WZ_ENTROPY_PLACES decisions, else of each tenth of
     * them; of the first and the last decision. */
    double entropy_at[WZ_ENTROPY_PLACES], entropy_start, entropy_end;
    double group_grad_norm[WZ_LAYERS_GROUPS];
    /* Shares of groups: all rewards equal though not every answer is the optimum; every answer is it; none is feasible. */
    double groups_dead, groups_solved, groups_failed;
    /* Share of the commonest answer, and of the commonest decision among these problems' references; of the part of the
     * mixture where the two differ the most. */
    double answer_share, reference_share;
    wz_size_report sizes[WZ_SIZES_MAX];
    size_t size_count;
    double clip_low_mean, clip_low_min, clip_high_mean, clip_high_max;
    double think_length, think_clipped_ratio, tries; /* means; of thinking, the share that its budget cut */
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
    size_t backward;           /* gradients of activations, and gradients kept apart */
    size_t vectors;            /* hidden vectors of decisions and lessons */
    size_t passing;            /* the largest of what comes and goes within a step */
    size_t reference, average; /* the reference policy's and the averaged weights; 0: there are none */
} wz_trainer_memory;
wz_status wz_trainer_plan(wz_policy *policy, const wz_trainer_options *options, wz_trainer_memory *out,
                          wz_error *err);
/* Takes what was planned; else the steps do, when they need it. */
wz_status wz_trainer_reserve(wz_trainer *trainer, const wz_trainer_memory *memory, wz_error *err);

/* Supervised step number `step` (0-based), below options.sft.steps. */
wz_status wz_trainer_supervise(wz_trainer *trainer, int64_t step, wz_sft_report *report, wz_error *err);
/* Step number `step` (0-based) of the run, from options.sft.steps on. GRPO counts from its own first one: there the reference
 * policy is taken anew, and problems, draws and schedules are those of a run that starts from these weights. On WZ_ERR_DIVERGED the weights are those before the update (of num_iterations). The batch
 * stays readable (wz_trainer_batch) until the next step. */
wz_status wz_trainer_step(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err);
const wz_batch *wz_trainer_batch(const wz_trainer *trainer);
const wz_trainer_options *wz_trainer_settings(const wz_trainer *trainer);
wz_curriculum *
wz_trainer_curricula(wz_trainer *trainer);        /* of each part, or of the stages, to save and restore */
int64_t *wz_trainer_updates(wz_trainer *trainer); /* optimiser updates so far, likewise */
wz_entropy_control *wz_trainer_entropy(wz_trainer *trainer);
wz_replay *wz_trainer_replay(wz_trainer *trainer);
int64_t *wz_trainer_taken(wz_trainer *trainer); /* problems of the training set's epochs so far */
/* Flat arrays on the backend, to save and restore; NULL: there are none. After the reference's weights have been written,
 * wz_trainer_ref_weights_changed. */
float *wz_trainer_ref_weights(const wz_trainer *trainer);
void wz_trainer_ref_weights_changed(const wz_trainer *trainer);
float *wz_trainer_average(const wz_trainer *trainer);
/* The policy's weights become the averaged ones, and these those, until the next call. */
wz_status wz_trainer_exchange_average(wz_trainer *trainer, wz_error *err);

#endif
