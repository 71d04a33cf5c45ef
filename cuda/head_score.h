/* One head score call, forward or backward: small sets in head_score.cu, the whole vocabulary in head_vocab.cu. */
#ifndef WZ_CUDA_HEAD_SCORE_H
#define WZ_CUDA_HEAD_SCORE_H

#include "cuda/head.h"

/* Host arrays belong to the caller. */
typedef struct score_call {
    cuda_backend *cuda;
    float *logp, *entropy; /* forward; entropy NULL with `allowed` */
    wz_tensor dhidden, dhead, hidden, head;
    wz_tensor working_head;                  /* the head as products over the whole vocabulary read it */
    wz_dtype working_type;                   /* of these products */
    const float *dlogp, *dentropy;           /* backward; dentropy NULL with `allowed` */
    const float *known_logp, *known_entropy; /* the same, as forward gave them; NULL with `allowed` */
    const int32_t *target;                   /* NULL with `allowed` */
    const uint32_t *mask;
    const wz_mask_table *masks;
    float scale;
    bool allowed;
} score_call;

/* One entry. Over a small set: pairs first .. first + count, target its place in the set. Over the whole vocabulary: target
 * the token, and with `allowed` the set is tokens[first .. first + count). */
typedef struct score_entry {
    int32_t row, target; /* row: in hidden */
    int32_t first, count;
    float dlogp, dentropy, logp, entropy;
} score_entry;

typedef struct score_pair {
    float logp, entropy;
} score_pair;

/* What the host prepares, in the caller's order of entries. */
typedef struct score_lists {
    void *block;
    score_entry *small, *whole;
    int64_t smalls, wholes, pairs;
    int32_t *pair_token, *pair_row; /* [pairs] */
} score_lists;

/* Copies the entries' results to the caller's host arrays. */
void fetch_scores(const score_call *call, const score_pair *from, int64_t count, const score_entry *entries);

/* The entries over the whole vocabulary. */
void score_whole(const score_call *call, const score_lists *lists, bool backward);

#endif
