/* The decoder once more, in double and without any of the engine's code: every completion is run on its own, prompt
 * and all, at positions 0, 1, ... (Vaswani et al. 2017; RMSNorm, RoPE, SwiGLU, grouped queries as in Llama 3.) */
#ifndef WZ_TESTS_MODEL_REFERENCE_H
#define WZ_TESTS_MODEL_REFERENCE_H

#include "engine/model/model.h"

/* Groups of completions, their token sets, and a loss: sum over completion tokens of w logp + v entropy. */
typedef struct example {
    int32_t groups, completions, tokens, sets;
    int32_t *prompt_ids, *prompt_offsets;         /* [..], [groups + 1] */
    int32_t *completion_ids, *completion_offsets; /* [tokens], [completions + 1] */
    int32_t *completion_group;                    /* [completions] */
    int32_t *set_ids, *set_offsets; /* set m = 1..sets: set_ids[set_offsets[m - 1] .. set_offsets[m]) */
    int32_t *set;                   /* [tokens] 0: every token */
    double *w, *v;                  /* [tokens] */
    double temperature;
} example;

/* Loss of the weights: flat, at the offsets of `layout`'s parameters. logits [tokens][vocab], logp, entropy [tokens] may
 * be NULL. */
double reference_loss(const wz_model *layout, const double *weights, const example *e, double *logits,
                      double *logp, double *entropy);

#endif
