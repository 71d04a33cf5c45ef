/* Examples for tests of the model: read from a fixture or made up; laid out as a pack; run forward and backward. */
#ifndef WZ_TESTS_MODEL_EXAMPLE_H
#define WZ_TESTS_MODEL_EXAMPLE_H

#include "engine/grpo/apart.h"
#include "engine/rollout/pack.h"
#include "tests/model_reference.h"

/* tests/data/model_NAME.h5, see tests/tools/make_model_fixtures.py: what PyTorch computed in float64. */
typedef struct fixture {
    wz_model_config config;
    example e;
    double *logits, *logp, *entropy; /* [tokens][vocab], [tokens], [tokens] */
    double loss;
    char path[256];
} fixture;

void fixture_open(fixture *f, const char *name);
void fixture_close(fixture *f);
/* Dataset group/name as doubles; its number of elements. Free with free(). */
double *fixture_read(const fixture *f, const char *group, const char *name, int64_t *count);
/* Every weight of the model from weights/NAME. */
void fixture_load_weights(const fixture *f, wz_model *model);

/* A small random example over `vocab` tokens. */
void example_make(example *e, int32_t vocab, double temperature);
void example_clear(example *e);

/* Groups [first, last) of an example as a pack on a model; decision i is the example's token token[i]. */
typedef struct packed {
    const example *e;
    const wz_model *model;
    wz_pack *pack;
    wz_activations *activations;
    int32_t *token;
    int64_t blocks,
        *block; /* rows [block[i], block[i + 1]) were appended together: all prompts, then step by step */
    float *hidden, *rstd, *logp, *entropy; /* of decisions; on the backend, logp and entropy on the host */
} packed;

void packed_create(packed *p, const wz_model *model, const example *e, int32_t first, int32_t last,
                   wz_keep keep);
void packed_destroy(packed *p);
/* Rows in one call, or (stepwise) block by block as a rollout appends them; then logp and entropy of the decisions. */
void packed_forward(packed *p, bool stepwise);
/* Adds the loss's gradients to the model's. apart (or NULL): also those of sum w log(probability of the set), kept apart
 * as a trainer does. */
void packed_backward(packed *p, const wz_apart *apart);
/* The model's gradients, on the host; free with free(). */
float *gradients_of(const wz_model *model);

/* A model with training state; a configuration with every feature of a type, small enough for central differences. */
wz_model *model_create_with(const wz_model_config *config, wz_backend *be);
wz_model_config model_tiny_config(int type);

#endif
