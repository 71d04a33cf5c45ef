/* The distribution of one decision, shared by sampling and scoring so that both give the same bits. */
#ifndef WZ_BACKEND_CPU_HEAD_H
#define WZ_BACKEND_CPU_HEAD_H

#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cpu/vec.h"
#include "engine/backend/token_sets.h"

#define VOCAB_CHUNK 512 /* vocabulary columns of one sgemm call over the whole head; a multiple of WZ_LANES */

/* Running log-sum-exp over chunks of logits: sum = sum e^(l - largest), weighted = sum l e^(l - largest). */
typedef struct softmax_state {
    float largest, sum, weighted;
} softmax_state;

void softmax_begin(softmax_state *state);
/* Takes in logits[0 .. count), scaled by `scale` first (in place). logits has room up to a multiple of 16. */
void softmax_add(softmax_state *state, float *logits, int64_t count, float scale);
/* log sum exp and entropy. */
void softmax_end(const softmax_state *state, float *lse, float *entropy);

/* Overwrites scaled logits [0, count) by the gradient of  dlogp logp(target) + dentropy entropy  with respect to
 * the unscaled logits; target < 0: not among these. With p = e^(l - lse):
 *     scale (dlogp (1[target] - p) - dentropy p (l - lse + entropy)) */
void softmax_gradient(float *logits, int64_t count, float scale, float lse, float entropy, float dlogp,
                      float dentropy, int64_t target);

/* logits[i] = head[tokens[i]] . hidden; room up to a multiple of 16. */
void gather_logits(float *logits, const float *hidden, wz_tensor head, const uint32_t *tokens, int64_t count);

/* Largest set of a table (set 0, the whole vocabulary, aside). */
int64_t largest_set(const wz_mask_table *masks);

/* The head walked chunk by chunk for tiles of rows. Plans are for the whole chunks and for the last one. */
typedef struct vocab_walk {
    cpu_backend *cpu;
    wz_tensor hidden, head;
    gemm_plan plan[2];
    int64_t chunks;
} vocab_walk;
/* Floats of scratch of one walk: a tile, its logits, and behind these a chunk of the head where it must be widened. */
int64_t vocab_walk_floats(wz_tensor head);

bool vocab_walk_begin(vocab_walk *walk, cpu_backend *cpu, wz_tensor hidden, wz_tensor head);
/* Gathers hidden rows index[0 .. rows), rows <= TILE_MAX, into tile, zero rows below. */
void vocab_walk_gather(const vocab_walk *walk, float *tile, const int32_t *index, int64_t rows);
/* y += a head[token]. */
void add_head_row(float *y, float a, wz_tensor head, uint32_t token);
/* logits [TILE_MAX][VOCAB_CHUNK] of the tile's rows for one chunk; returns the chunk's width. */
int64_t vocab_walk_logits(const vocab_walk *walk, float *logits, const float *tile, int64_t rows,
                          int64_t chunk);
/* That chunk of the head [width, hidden], as vocab_walk_logits read it. */
gemm_operand vocab_walk_chunk(const vocab_walk *walk, const float *logits, int64_t chunk);

#endif
