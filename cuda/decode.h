/* Decoding on the device: a pack's state there. Memory and tables in decode.cu, a step in decode_step.cu, graphs in
 * decode_graph.cu, storing its rows in decode_store.cu. */
#ifndef WZ_CUDA_DECODE_H
#define WZ_CUDA_DECODE_H

#include "cuda/attention.h"
#include "cuda/head_sample.h"

#define DECODE_ENDED (-1)

/* What a pack's steps read. On the device, so that a recorded step serves other packs. */
typedef struct decode_settings {
    uint64_t seed;
    uint32_t rollout_step, purpose; /* of the draw keys */
    uint32_t end_tokens[WZ_DECODE_ENDS];
    int32_t end_token_count;
    int32_t groups, generations, completions;
    int32_t prompt_rows, longest, lessons;
    int32_t vocab, largest; /* tokens of the largest choice */
    bool chooses;           /* there are choices: a grammar */
} decode_settings;

/* What the steps so far have come to. */
typedef struct decode_counts {
    int32_t step;           /* number of the next one */
    int32_t base, rows;     /* rows before the step, and its own */
    int32_t requests;       /* completions that ask for a token */
    int32_t rows_left_over; /* rows for which a step had no room: a fault of ours */
} decode_counts;

/* Where a completion stands. */
typedef struct decode_place {
    int32_t choice; /* or DECODE_ENDED */
    int32_t length, rows;
    int32_t request; /* its number in the step */
} decode_place;

/* The most there has been of each: memory is laid out for that, so that its addresses change seldom. */
typedef struct decode_room {
    int64_t groups, completions, longest, recorded, step_rows, items;
} decode_room;

/* Arrays on the device. The first ones are filled by the host for each pack. */
typedef struct decode_memory {
    decode_settings *settings;
    decode_counts *counts;
    int32_t *prompt_start, *prompt_length; /* [groups] */
    int32_t *start;                        /* [groups] edge */
    uint32_t *problem;                     /* [groups] */
    decode_place *places;                  /* [completions] */
    int32_t *first_row;                    /* [completions + 1] within the step */
    uint32_t *tokens;                      /* [completions][longest] */
    int32_t *completion_rows;              /* [completions][longest] as in wz_segments */
    int64_t longest;
    /* the step: */
    int32_t *token, *position;     /* [step_rows] */
    int32_t *site;                 /* [completions] */
    attention_row *attention_rows; /* [step_rows] */
    attention_item *items;         /* [items] */
    sample_entry *entries;         /* [completions] */
    sample_value *values;          /* [completions] */
    wz_sample_result *record;      /* [steps][completions] */
} decode_memory;

/* wz_decode_paths on the device. */
typedef struct decode_tables {
    const int32_t *first, *run, *next;
    const uint32_t *token, *forced;
} decode_tables;

/* What the host must know of a pack to launch its steps. */
typedef struct decode_pack {
    int64_t groups, completions, largest; /* as in decode_settings */
    int64_t chooses;                      /* 0 or 1 */
    int64_t item_rows;                    /* of attention's items */
    draw_rule rule;
} decode_pack;

typedef struct decode_graphs decode_graphs;

typedef struct cuda_decode {
    cuda_block block, table_block;
    decode_room room;
    decode_memory memory;
    decode_tables tables;
    char tables_digest[WZ_DIGEST_HEX]; /* empty: none are there */
    decode_pack pack;
    decode_graphs *graphs;
} cuda_decode;

/* What the host gives the device of a pack, in one copy. */
size_t decode_given_bytes(const wz_op_bounds *bounds);

void decode_run(wz_backend *backend, const wz_decode_size *size, const void *owner,
                void (*body)(void *context), void *context);
void decode_rows(wz_backend *backend, const wz_decode_size *size);
void decode_store(wz_backend *backend, const wz_stored *stored, int count, const wz_rotation *rotation);
void decode_attention(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                      const wz_decode_size *size, const wz_attention *attention);
void decode_sample(wz_backend *backend, wz_tensor hidden, const wz_linear *head, const wz_decode_size *size);
void decode_forget(wz_backend *backend, const void *owner);
void decode_drop_graphs(cuda_backend *cuda);

/* Items of attention that a group may need for this many rows. */
static __host__ __device__ inline int64_t item_slots(int64_t group_rows, int64_t item_rows)
{
    return (group_rows + item_rows - 1) / item_rows;
}

#endif
