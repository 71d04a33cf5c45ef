/* The pack: groups of completions laid out as token rows, each prompt once.
 *
 * Rows are stored in order of creation: all prompts, then one block per decode step of the completions
 * still going. The segment table says what a row attends to. The same pack serves prefill, decode,
 * scoring and training: its activations are the KV cache. */
#ifndef WZ_ROLLOUT_PACK_H
#define WZ_ROLLOUT_PACK_H

#include "engine/backend/backend.h"
#include "engine/core/memory.h"

/* Where a completion's token came from. */
typedef enum wz_origin {
    WZ_ORIGIN_SAMPLED, /* one of several allowed tokens: counts in loss, entropy and KL */
    WZ_ORIGIN_FORCED,  /* the only allowed token */
    WZ_ORIGIN_INSERTED /* appended by a callback */
} wz_origin;

/* One sampled token: what the loss is made of. Parallel arrays, in order of sampling. */
typedef struct wz_decisions {
    int64_t count, capacity;
    int32_t *site;   /* site whose hidden state predicts the token */
    int32_t *target; /* the token */
    uint32_t *mask;  /* token set it was chosen from, in the pack's mask table */
    int32_t *completion;
    int32_t *place;        /* index within the completion */
    float *logp, *entropy; /* as sampled */
} wz_decisions;

/* One place where the grammar is taught: -log(probability the full softmax gives to the allowed set). */
typedef struct wz_lessons {
    int64_t count, capacity;
    int32_t *site;
    uint32_t *mask;
    int32_t *completion;
} wz_lessons;

typedef struct wz_pack {
    int64_t groups, generations; /* completion g * generations + j is sample j of group g */
    int64_t completions;
    int64_t row_capacity;
    wz_segments segments; /* read-only view of the arrays below; segments.rows grows */
    void *block;          /* all arrays of fixed size */
    int32_t *row_token;
    int32_t *row_group, *row_completion, *row_index, *row_position;
    int32_t *row_site, *site_row; /* as in wz_segments */
    int32_t *prompt_start, *prompt_length, *completion_rows, *completion_row_count, *group_rows,
        *group_length;
    uint32_t *problem;         /* [groups] problem index: names the random draws */
    int64_t completion_stride; /* longest completion, tokens */
    uint32_t *tokens;          /* [completions][completion_stride] */
    uint8_t *origins;          /* [completions][completion_stride] wz_origin */
    uint32_t *masks; /* [completions][completion_stride] set each token was taken from; 0: every token, or one
                                  that was appended without asking the grammar */
    int32_t *length; /* [completions] */
    uint8_t *finished;     /* [completions] reached the end by itself, not the length limit */
    int32_t *think_length; /* [completions] tokens of thinking, without a closing that was appended */
    int32_t *tries;        /* [completions] candidates among them */
    uint8_t *think_cut;    /* [completions] the thinking ended with its budget */
    wz_decisions decisions;
    wz_lessons lessons;
    /* mask table: set 0 is every token */
    wz_mask_table mask_table;
    uint32_t *mask_offset, *mask_tokens;
    size_t mask_offset_capacity, mask_token_count, mask_token_capacity;
} wz_pack;

/* What one group needs; sums decide the pack's size. */
typedef struct wz_pack_group {
    uint32_t problem;
    const uint32_t *prompt;
    int64_t prompt_length;
    int64_t longest; /* tokens of its longest completion */
    int64_t rows;    /* most rows of all its completions together */
} wz_pack_group;

wz_status wz_pack_create(const wz_pack_group *groups, int64_t group_count, int64_t generations, wz_pack **out,
                         wz_error *err);
void wz_pack_destroy(wz_pack *pack);
size_t wz_pack_bytes(const wz_pack *pack);

/* Adds the next row of a completion (its token number `index`). */
void wz_pack_add_row(wz_pack *pack, int64_t completion, uint32_t token);
/* ... and all rows up to its first `count` tokens. */
void wz_pack_add_rows(wz_pack *pack, int64_t completion, int32_t count);
/* Adds a set of ascending tokens; an equal set added before is found again among the last few. */
wz_status wz_pack_add_mask(wz_pack *pack, const uint32_t *tokens, uint32_t count, uint32_t *id,
                           wz_error *err);
wz_status wz_pack_add_decision(wz_pack *pack, int64_t completion, int32_t site, uint32_t token, uint32_t mask,
                               float logp, float entropy, wz_error *err);
wz_status wz_pack_add_lesson(wz_pack *pack, int64_t completion, int32_t site, uint32_t mask, wz_error *err);
/* A lesson for every token of a completion for which the grammar spoke; all of them but the last must be rows. */
wz_status wz_pack_teach(wz_pack *pack, int64_t completion, wz_error *err);

/* The site that predicts token `place` of a completion. */
int32_t wz_pack_site(const wz_pack *pack, int64_t completion, int64_t place);

/* Lists of rows, sites, decisions or lessons by group, for the backward pass. Free with wz_groups_clear. */
typedef struct wz_groups {
    wz_row_groups view;
    int64_t *offset;
    int32_t *index;
} wz_groups;
wz_status wz_pack_row_groups(const wz_pack *pack, wz_groups *out, wz_error *err);
wz_status wz_pack_site_groups(const wz_pack *pack, wz_groups *out, wz_error *err);
/* By completion number of each entry. */
wz_status wz_pack_entry_groups(const wz_pack *pack, const int32_t *completion, int64_t count, wz_groups *out,
                               wz_error *err);
void wz_groups_clear(wz_groups *groups);

#endif
