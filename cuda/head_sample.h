/* One head sample call: requests in head_sample.cu, draws in head_draw.cu, what top-k, top-p and min-p leave in head_cut.cu. */
#ifndef WZ_CUDA_HEAD_SAMPLE_H
#define WZ_CUDA_HEAD_SAMPLE_H

#include "cuda/head.h"

/* A request. Its pairs of token and logit: tokens set .. set + count, logits first .. first + count of its batch's. */
typedef struct sample_entry {
    wz_draw_key key;
    int32_t row; /* in hidden */
    int32_t set, first, count;
    int32_t number; /* of the request */
} sample_entry;

/* Requests that are sampled together; all on the device. */
typedef struct sample_batch {
    int64_t rows, pairs;
    const sample_entry *entries; /* [rows] */
    const uint32_t *tokens;      /* NULL: an entry's pair j is token j */
    float *logits;               /* [pairs] unscaled */
} sample_batch;

typedef struct draw_rule {
    float scale; /* 1 / temperature */
    int32_t greedy;
} draw_rule;

typedef struct sample_value {
    uint32_t token;
    float logp, entropy;
} sample_value;

/* The token of largest (scaled logit + noise) so far; ties to the lowest token. */
typedef struct winner {
    double value;
    uint32_t token;
    float logit; /* scaled */
} winner;

/* What is known of one request over the whole vocabulary after some chunks. */
typedef struct sample_state {
    winner best;
    softmax_sums sums;
} sample_state;

/* Where the next array of a block begins: where a product may want it, however many rows there are, since its algorithm
 * depends on that. */
static inline size_t place(size_t *end, size_t bytes)
{
    const size_t begin = *end;
    *end += cuda_whole_steps(bytes);
    return begin;
}

/* Results below [rows] and logits are on the device. */

/* Logits of the batch's pairs. */
void gather_batch(cuda_backend *cuda, const sample_batch *batch, wz_tensor hidden, wz_tensor head);
/* Those, and a draw for each entry; one without pairs is left alone. */
void draw_sets(cuda_backend *cuda, sample_value *values, const sample_batch *batch, wz_tensor hidden,
               wz_tensor head, const draw_rule *rule);
/* What draws over the whole vocabulary need for a tile of entries. */
typedef struct draw_memory {
    float *logits;        /* [rows][columns] */
    int64_t columns;      /* whole chunks */
    wz_tensor hidden;     /* [rows, width] of the working type */
    sample_state *states; /* [rows] */
} draw_memory;

/* A draw over the whole vocabulary for each of memory->hidden.rows entries, TILE_ROWS at most; head: as products read
 * it. */
void draw_tile(cuda_backend *cuda, const draw_memory *memory, sample_value *values,
               const sample_entry *entries, wz_tensor hidden, wz_tensor head, const draw_rule *rule);

/* Of an entry's pairs those above `threshold` stay, and the first `ties` of those at it; see key_of in head_cut.cu. */
typedef struct sample_cut {
    uint32_t threshold;
    int32_t ties, kept;
} sample_cut;

/* Cuts as transformers does: top-k, then top-p, then min-p, each on the distribution left by the one before. At least one
 * token stays; a row with NaN or infinity loses nothing to top-p. */
bool find_cuts(cuda_backend *cuda, sample_cut *cuts, const sample_batch *batch, const wz_sampling *sampling);
/* The tokens that stay, ascending: those of entry i to kept[to[i].first .. to[i].first + to[i].count), where count is
 * cuts[i].kept, or 0: not wanted. */
bool take_kept(cuda_backend *cuda, uint32_t *kept, const sample_entry *to, const sample_cut *cuts,
               const sample_batch *batch);

#endif
