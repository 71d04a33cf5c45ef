/* What the files of the forward and the backward pass share. */
#ifndef WZ_MODEL_PASS_H
#define WZ_MODEL_PASS_H

#include "engine/model/model.h"

/* Rows [row0, row0 + rows) of a buffer. */
static inline wz_tensor block(float *data, int64_t row0, int64_t rows, int64_t columns)
{
    return wz_matrix(data + row0 * columns, rows, columns);
}

/* Which rows a pass goes over. Tensors of a layer's first half (up to qkv) are indexed by row, those of the last layer's
 * second half by site: nothing is predicted from the other rows, and no later layer reads them. */
typedef struct pass {
    const wz_model *model;
    const wz_activations *activations;
    wz_backward *backward; /* backward pass only */
    const wz_segments *segments;
    const int32_t *token;
    int64_t layer;
    int64_t row0, site0; /* first row, and first site from it on */
    wz_tensor dy;        /* backward pass: the residual stream's gradient as products read it */
    bool is_step;        /* a decode step: every row is a site, and q and k are rotated as they are stored */
} pass;

static inline bool is_last(const pass *p, int64_t l)
{
    return l + 1 == p->model->config.num_hidden_layers;
}

/* Up to the layer's keys, queries and values, for rows [row0, row0 + rows). */
void wz_pass_begin_layer(const pass *p, int64_t l, int64_t row0, int64_t rows);
/* Attention of layer p->layer for rows [row0, row1). */
void wz_pass_attend(const pass *p, int64_t row0, int64_t row1);
/* From attention's result to gate_up, for rows (of the last layer: sites) [row0, row0 + rows). */
void wz_pass_continue_layer(const pass *p, int64_t l, int64_t row0, int64_t rows);

#endif
