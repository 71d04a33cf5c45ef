/* The reference policy of the KL term: the weights a run started from, frozen or following the policy slowly. */
#ifndef WZ_GRPO_REF_MODEL_H
#define WZ_GRPO_REF_MODEL_H

#include "engine/model/model.h"
#include "engine/rollout/pack.h"

typedef struct wz_ref_model_options {
    double mixup_alpha; /* weights = alpha policy + (1 - alpha) weights, */
    int64_t sync_steps; /* every so many optimiser updates; 0: never */
} wz_ref_model_options;

typedef struct wz_ref_model {
    wz_model *model; /* of its own, for forward passes only */
    wz_activations *activations;
} wz_ref_model;

/* Bytes of backend memory: beside the policy, and of activations for packs of up to `rows` rows. */
size_t wz_ref_model_bytes(const wz_model *policy, int64_t rows);
/* Copies the policy's present weights. */
wz_status wz_ref_model_create(const wz_model *policy, wz_ref_model *out, wz_error *err);
/* Takes the policy's present weights again. */
void wz_ref_model_take(const wz_ref_model *reference, const wz_model *policy);
void wz_ref_model_clear(wz_ref_model *reference); /* also of {0} */
/* Room for packs of this many rows. */
wz_status wz_ref_model_reserve(wz_ref_model *reference, int64_t rows, wz_error *err);

/* logp [decisions] of a pack that was rolled out: the same rows, sets and arithmetic that score the policy. */
wz_status wz_ref_model_score(wz_ref_model *reference, const wz_pack *pack, float temperature, float *logp,
                             wz_error *err);
/* After update number `updates` of the policy. */
void wz_ref_model_follow(const wz_ref_model *reference, const wz_model *policy,
                         const wz_ref_model_options *options, int64_t updates);

#endif
