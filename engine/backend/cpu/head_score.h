/* One head score call, forward or backward: small sets in head_score.c, the whole vocabulary in head_vocab.c. */
#ifndef WZ_BACKEND_CPU_HEAD_SCORE_H
#define WZ_BACKEND_CPU_HEAD_SCORE_H

#include "engine/backend/cpu/head.h"

typedef struct score_job {
    cpu_backend *cpu;
    float *logp, *entropy;         /* forward results */
    wz_tensor dhidden, dhead;      /* backward results */
    const float *dlogp, *dentropy; /* backward input; dentropy NULL with `allowed` */
    wz_tensor hidden, head;
    const int32_t *target; /* NULL with `allowed` */
    const uint32_t *mask;
    const wz_mask_table *masks;
    const wz_row_groups *groups;
    float scale;  /* 1 / temperature */
    bool allowed; /* logp is that of the set mask[i] in the whole softmax, and all entries count */
    float *slope; /* head_score.c's scratch; NULL with `allowed` and forward */
    int64_t *slope_offset;
    void *lists; /* vocab_lists_bytes of scratch; NULL: head_vocab.c reserves its own */
} score_job;

/* Place of a token in a set, or -1. */
int64_t set_place(const wz_mask_table *masks, uint32_t set, uint32_t token);

/* Adds the small sets' share of dhead, of group g: tokens in [first, last), columns [column, column + width). */
void small_sets_gradient(const score_job *job, int64_t g, int64_t first, int64_t last, int64_t column,
                         int64_t width);

/* Is there an entry whose set is 0 (any entry, with `allowed`)? These are head_vocab.c's. */
bool vocab_score_any(const score_job *job);
size_t vocab_lists_bytes(const score_job *job);
void vocab_score_forward(score_job *job);
/* dhead of each group: first the small sets, then the entries of this file. */
void vocab_score_backward(score_job *job);

#endif
