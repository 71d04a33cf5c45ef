/* Gradients of one pack. */
#ifndef WZ_GRPO_UPDATE_H
#define WZ_GRPO_UPDATE_H

#include "engine/grpo/apart.h"
#include "engine/grpo/loss.h"
#include "engine/rollout/pack.h"
#include "engine/rollout/rollout.h"

/* Per-decision results of one pack under the present weights. */
typedef struct wz_pack_scores {
    float *logp, *entropy; /* [decisions] */
    float *lesson_logp;    /* [lessons] log probability of the allowed set */
    float *lesson_weight;  /* [lessons] of -lesson_logp in the loss */
    wz_loss_sums *sums;    /* [completions] */
} wz_pack_scores;

typedef struct wz_pack_update {
    const wz_model *model;
    const wz_apart *apart;       /* of this model */
    wz_activations *activations; /* of this pack; computed anew first if `recompute` */
    wz_backward *backward;
    wz_pack *pack;
    bool recompute;
    bool rescore; /* score decisions again; else the sampled logp and entropy are the present ones */
    float temperature;
    const wz_loss_options *loss; /* NULL: wz_supervised_loss, of whose input only grammar_coef is left */
    const wz_loss_totals *totals;
    const float *ref_logp;   /* [decisions] under the reference; NULL where there is none */
    const double *advantage; /* [completions] */
    const uint8_t *left_out; /* [completions] or NULL */
    double
        grammar_coef; /* weight of the lessons' -log(probability of the allowed set), aggregated like the loss: a group's
                          * mean counts as its tokens do or, where the loss is no sum over tokens, as one of the groups */
} wz_pack_update;

/* Forward (if asked), loss, backward: adds to the model's gradients. scores are allocated here; free with
 * wz_pack_scores_clear. */
wz_status wz_pack_gradients(const wz_pack_update *update, wz_pack_scores *scores, wz_error *err);
void wz_pack_scores_clear(wz_pack_scores *scores);

/* Forward pass of a pack that was rolled out, and logp and entropy [decisions] of its decisions under the model; and the bytes
 * that this takes of the backend's memory for this many decisions. */
wz_status wz_pack_score(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                        float temperature, float *logp, float *entropy, wz_error *err);
size_t wz_pack_score_bytes(const wz_model_config *config, int64_t decisions);
/* Runs the pack's forward pass again in place and compares: number of decisions whose logp or entropy changed a bit,
 * and the largest and mean |difference| of logp. The activations are the same bytes afterwards if all is well. */
wz_status wz_pack_exactness(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                            float temperature, int64_t *changed, double *largest, double *sum, wz_error *err);

#endif
