/* A batch of problems on its way through a policy: problem -> prompt -> packs -> completions -> verdicts. */
#ifndef WZ_GRPO_BATCH_H
#define WZ_GRPO_BATCH_H

#include "engine/grpo/train_set.h"
#include "engine/rollout/policy.h"
#include "rewards/verifier.h"
#include "tasks/task.h"

typedef struct wz_batch_options {
    wz_prompt_style style;
    wz_effort effort; /* of the references */
    int64_t generations;
    int64_t groups_per_pack;         /* micro-batch; at least 1 */
    int64_t lessons;                 /* completions of a group that teach the grammar */
    const wz_known_reference *known; /* [groups] references that need not be found; NULL: none is known */
} wz_batch_options;

typedef struct wz_batch {
    wz_policy *policy;
    wz_prompt_style style;
    wz_effort effort;
    int64_t groups, generations;
    int64_t lessons;               /* completions of a group that teach the grammar */
    wz_problem *problems;          /* [groups] owned; of one family or several */
    const wz_verifier **verifiers; /* [groups] */
    wz_reference *references;      /* [groups] */
    unsigned *best;                /* [groups][WZ_MAX_SLOTS] the references' decisions, unused slots 0 */
    wz_ids *prompts;               /* [groups] token ids */
    wz_pattern_bounds *bounds;     /* [groups] */
    wz_grammar_state *starts;      /* [groups] theirs, side by side */
    wz_try_states *tries;          /* [groups] of candidates, where the policy tries */
    int64_t insertion;             /* tokens of the longest reply to a candidate */
    int64_t groups_per_pack, pack_count;
    wz_pack **packs;      /* [pack_count]; pack p holds groups from p * groups_per_pack */
    wz_text *completions; /* [groups * generations] text */
    wz_verdict *verdicts; /* [groups * generations] */
} wz_batch;

/* Problems first .. first + groups - 1 of a split. values: task options. */
wz_status wz_batch_generate(const wz_task *task, const double *values, uint64_t seed, wz_split split,
                            uint32_t first, int64_t groups, wz_problem **out, wz_error *err);
/* Copies of problems that are given. */
wz_status wz_batch_copy(const wz_problem *given, int64_t groups, wz_problem **out, wz_error *err);

/* Takes over the problems (an array from wz_alloc), also on failure. */
wz_status wz_batch_create(wz_policy *policy, const wz_batch_options *options, wz_problem *problems,
                          int64_t groups, wz_batch **out, wz_error *err);
void wz_batch_destroy(wz_batch *batch);

/* Appends the prompt of a group's problem as the policy reads it. */
wz_status wz_batch_print_prompt(const wz_batch *batch, int64_t group, wz_text *out, wz_error *err);
/* Puts a problem of another batch, from which it is taken with its reference, in place of group g's. */
wz_status wz_batch_replace(wz_batch *batch, int64_t g, wz_batch *from, int64_t other, wz_error *err);
/* Pack p as it was before its rollout, of the present problems of its groups. */
wz_status wz_batch_renew_pack(wz_batch *batch, int64_t p, wz_error *err);
/* Appends the prompt of a group's problem as the policy reads it, in its chat template. */
wz_status wz_batch_print_prompt(const wz_batch *batch, int64_t group, wz_text *out, wz_error *err);

/* Most rows of one pack, for sizing activations. */
int64_t wz_batch_rows(const wz_batch *batch);
/* Widens *bounds to what rollouts of such batches, and with `training` their gradients, call ops with: as if every group
 * were as long as the longest here. */
wz_status wz_batch_bounds(const wz_batch *batch, const wz_sampling *sampling, bool training,
                          wz_op_bounds *bounds, wz_error *err);
/* Rollouts without a backward pass. Bytes of the caller's memory that they take at once, *bounds widened by what they ask
 * of ops; and the activations for them, after which no rollout of such a batch takes more of a GPU's memory. */
wz_status wz_batch_decode_bytes(const wz_batch *batch, const wz_sampling *sampling, wz_op_bounds *bounds,
                                size_t *bytes, wz_error *err);
wz_status wz_batch_decode_memory(const wz_batch *batch, const wz_sampling *sampling, wz_activations **out,
                                 wz_error *err);
/* Bytes that activations take for decode steps that the device drives; 0: the host drives. */
size_t wz_batch_step_bytes(const wz_model *model, const wz_op_bounds *bounds);
/* Bytes that one rollout takes beside the activations. */
size_t wz_batch_rollout_bytes(const wz_op_bounds *bounds);
/* Samples pack p. */
wz_status wz_batch_rollout(wz_batch *batch, int64_t p, wz_activations *activations,
                           const wz_rollout_options *options, wz_error *err);
/* Texts and verdicts of pack p's completions; of all. */
wz_status wz_batch_verify_pack(wz_batch *batch, int64_t p, wz_error *err);
wz_status wz_batch_verify(wz_batch *batch, wz_error *err);
/* The decision that a completion writes down, after its thoughts. False: the verdict's reason says why there is none. */
bool wz_batch_read_decision(const wz_batch *batch, int64_t completion, unsigned decision[WZ_MAX_SLOTS],
                            wz_verdict *verdict);

#endif
