/* The decoder: RMSNorm, RoPE, grouped-query attention, SwiGLU; written once, in backend ops.
 *
 * Parameters live in one flat fp32 array with a table of named views. Names, shapes and [out, in] layout are
 * Hugging Face's; q, k, v (and gate, up) stand next to each other so that one linear op does all of them.
 *
 * With adapters (config.lora.rank > 0) these stand first, in the array and in the table, under PEFT's names; gradients and
 * moments exist of them alone, and all else is frozen. Frozen matrices may be stored as bf16: wz_model_get_param and
 * wz_model_set_param read and write a parameter however it is stored. */
#ifndef WZ_MODEL_MODEL_H
#define WZ_MODEL_MODEL_H

#include "engine/backend/backend.h"
#include "engine/core/memory.h"
#include "engine/model/config.h"

typedef struct wz_param {
    char name[80];
    size_t rank;
    int64_t shape[2];      /* [out, in], or [n] */
    int64_t offset, count; /* numbers in model->weights, or, of type WZ_BF16, in model->halves */
    wz_dtype type;
    bool is_frozen; /* not trained: has no gradient and no moments */
    bool decays;    /* weight decay applies: matrices, not norms, biases or embeddings */
} wz_param;

typedef struct wz_layer_offsets {
    int64_t input_norm, qkv, qkv_bias, q_norm, k_norm, o, post_norm, gate_up, down;
    int64_t pair[WZ_LORA_TARGETS][2]; /* A and B of the adapters that there are */
} wz_layer_offsets;

#define WZ_LINEARS 4 /* linear layers of a layer */

typedef struct wz_model {
    wz_model_config config;
    wz_backend *backend;
    wz_param *params;
    size_t param_count;
    size_t adapter_params; /* the first of params: A and B of each adapter in turn */
    int64_t floats;        /* of the flat array, padding included */
    int64_t
        trained; /* the first of these, which gradients and moments are kept of; all, where nothing is frozen */
    void *halves; /* frozen matrices in bf16, on the backend; NULL: there are none */
    int64_t half_count;
    bool freezes;                        /* parameters added to the table from now on are frozen */
    int64_t embedding, final_norm, head; /* offsets; head = embedding when tied */
    int64_t tokens; /* rows of the head that stand for tokens; those after them (padding) are never sampled */
    wz_layer_offsets *layers;
    float *weights, *gradients, *adam_m,
        *adam_v; /* flat, on the backend; the last three [trained], NULL without training */
    /* Where the backward pass adds the gradients of the head, the final norm and the embedding: within `gradients`, unless
     * a trainer keeps a part of them apart (engine/grpo/apart.h); NULL: frozen. */
    float *head_gradient, *final_norm_gradient, *embedding_gradient;
    float *rope_table; /* [max_position_embeddings][head_dim], on the backend */
    /* Copies of the weights of linear layers, layer by layer, and then of the head, as the backend's `prepare` makes them;
     * NULL: none. The head has one where the working type is not WZ_F32. */
    void *prepared;
    size_t prepared_end
        [WZ_LINEARS]; /* within a layer's, of each linear layer's; one that ends where it begins is none */
    size_t prepared_layer_bytes, prepared_head_bytes;
} wz_model;

typedef struct wz_layer_linears {
    wz_linear qkv, o, gate_up, down;
} wz_layer_linears;

/* Allocates parameters (zero) and the RoPE table. training: gradients and AdamW moments too; without, and with adapters,
 * matrices are stored as config->frozen_dtype says. */
wz_status wz_model_create(const wz_model_config *config, wz_backend *backend, bool training, wz_model **out,
                          wz_error *err);
/* Names, shapes and places of its parameters alone: no array is allocated, and it computes nothing. */
wz_status wz_model_describe(const wz_model_config *config, wz_backend *backend, wz_model **out,
                            wz_error *err);
void wz_model_destroy(wz_model *model);
/* The parameters that a model of these sizes has, without making one; free *out with free(). */
wz_status wz_model_list_params(const wz_model_config *config, wz_param **out, size_t *count, wz_error *err);
const wz_param *wz_model_find_param(const wz_model *model, const char *name);
int64_t wz_model_parameter_count(const wz_model *model); /* without padding and adapters */
int64_t wz_model_trained_count(const wz_model *model);   /* of what is trained */
size_t wz_model_bytes(const wz_model *model);
size_t wz_model_prepared_bytes(const wz_model *model); /* of that, copies of weights that products read */
/* host [param->count] from and to the backend; to a bf16 parameter rounded to nearest, ties to even. After setting,
 * wz_model_weights_changed is due. */
void wz_model_get_param(const wz_model *model, const wz_param *param, float *host);
/* Numbers [first, first + count) of it. */
void wz_model_get_numbers(const wz_model *model, const wz_param *param, int64_t first, int64_t count,
                          float *host);
void wz_model_set_param(const wz_model *model, const wz_param *param, const float *host);
void wz_model_set_numbers(const wz_model *model, const wz_param *param, int64_t first, int64_t count,
                          const float *host);
/* The linear layers of layer `layer` in model->weights or in model->gradients. */
wz_layer_linears wz_model_linears(const wz_model *model, float *flat, int64_t layer);
/* Within wz_model_create: room for the copies of weights, where the backend wants such. */
wz_status wz_model_allocate_prepared(wz_model *model, wz_error *err);
/* To be called after every change of model->weights, before the next forward pass: makes those copies anew. */
void wz_model_weights_changed(const wz_model *model);

/* RoPE's frequency (radians a position) after llama3 scaling: transformers' _compute_llama3_parameters. */
double wz_model_rope_frequency(const wz_model_config *config, double frequency);
/* A row of the table: cosines and sines (head_dim / 2 each; either may be NULL) of a position's angles. */
void wz_model_rope_angles(const wz_model_config *config, int64_t position, float *cosines, float *sines);

/* Random weights: linear layers N(0, initializer_range^2), norms 1, biases 0, head zero if so configured, embeddings
 * N(0, embedding_range^2); with smooth_number_embeddings the token of integer n (integer[token] = n, else -1)
 * gets [sin(n/tau), cos(n/tau)], tau = 2, 4, 8, 16, 32, 64, times one 12 x hidden Gaussian matrix of standard
 * deviation 0.1/sqrt(6). A function of the seed and names' order alone. */
wz_status wz_model_init_weights(wz_model *model, uint64_t seed, const int64_t *integer, wz_error *err);

/* Adapters as PEFT starts them: A uniform in +-1/sqrt(in) (Kaiming with a = sqrt(5)), B zero, so that the model computes what
 * it would without them (in bf16 on a GPU to within the last bits of other products' algorithms). A function of the seed and
 * the adapter's place alone. */
wz_status wz_model_init_adapters(wz_model *model, uint64_t seed, wz_error *err);

/* A low-rank adapter, for those that write or show them: the layer computes W x + scale B (A x). */
typedef struct wz_adapter {
    const wz_param *a, *b; /* [rank, in], [out, rank], under PEFT's names */
    const wz_param *base;  /* W [out, in] */
    int64_t layer;
    wz_lora_target target;
    int64_t rank;
    double alpha, scale; /* scale = alpha / rank */
} wz_adapter;
size_t wz_model_adapter_count(const wz_model *model);
void wz_model_adapter(const wz_model *model, size_t index, wz_adapter *out);
/* The model without its adapters: a view that shares everything, for forward passes and for reading parameters. */
wz_model wz_model_without_adapters(const wz_model *model);
/* host = rows [row0, row0 + rows) of a parameter with its adapter folded in, where it has one: W + scale B A, in fp32; products
 * and their sums over the rank in double, rounded once. What exports write. Fails on no memory only. */
wz_status wz_model_get_merged(const wz_model *model, const wz_param *param, int64_t row0, int64_t rows,
                              float *host, wz_error *err);

/* What a forward pass keeps of each layer; layers share buffers for the rest. The backward pass computes what is missing
 * again with the same ops, so gradients have the same bits either way. */
typedef enum wz_keep {
    WZ_KEEP_CACHE, /* keys and values: no backward pass */
    WZ_KEEP_ALL, /* all but norm1, norm2 and swiglu, which cost less to compute again than to write and read */
    WZ_KEEP_INPUTS, /* the input, its rstd and qkv: gradient checkpointing */
} wz_keep;

/* Everything a forward pass computes. Of the last layer, what comes after qkv is indexed by site. The
 * residual stream (x, middle, final) and what norms and softmaxes need again are fp32; void *: of the backend's working
 * type. */
typedef struct wz_layer_activations {
    float *x;               /* [rows][hidden] input of the layer */
    void *norm1;            /* [rows][hidden] */
    float *rstd1;           /* [rows] */
    void *qkv;              /* [rows][(heads + 2 kv) head_dim] after norm and RoPE: the KV cache */
    void *qk_raw;           /* QK-norm only: [rows][(heads + kv) head_dim] */
    float *qk_rstd;         /* [rows][heads + kv] */
    void *attention;        /* [rows][heads head_dim] */
    float *lse;             /* [rows][heads] */
    float *middle;          /* [rows][hidden] after attention */
    void *norm2;            /* [rows][hidden] */
    float *rstd2;           /* [rows] */
    void *gate_up, *swiglu; /* [rows][2 intermediate], [rows][intermediate] */
} wz_layer_activations;

typedef struct wz_activations {
    wz_backend *backend;
    int64_t rows; /* capacity */
    wz_keep keep;
    void *block;
    size_t bytes;
    wz_layer_activations *layers;
    float *final; /* [sites][hidden] output of the last layer */
    /* Decode steps that the device lays out: their rows' activations, and the hidden states that tokens are drawn from.
     * NULL until wz_activations_make_step. */
    struct wz_activations *step;
    float *step_hidden, *step_rstd; /* [step_requests][hidden], [step_requests] */
    int64_t step_requests;
} wz_activations;

size_t wz_activations_bytes(const wz_model *model, int64_t rows, wz_keep keep);
wz_status wz_activations_create(const wz_model *model, int64_t rows, wz_keep keep, wz_activations **out,
                                wz_error *err);
/* Room for decode steps of this many rows (at least 1) and requests, and its bytes. */
size_t wz_activations_step_bytes(const wz_model *model, int64_t rows, int64_t requests);
wz_status wz_activations_make_step(const wz_model *model, wz_activations *activations, int64_t rows,
                                   int64_t requests, wz_error *err);
void wz_activations_destroy(wz_activations *activations);

/* Gradients that flow backward through one layer after another. */
typedef struct wz_backward {
    wz_backend *backend;
    int64_t rows;
    void *block;
    size_t bytes;
    float *dfinal; /* [sites][hidden]: of the last layer's output, summed over the head's entries */
    float *dx;     /* [rows][hidden]: of the residual stream */
    void *dstream; /* [rows][hidden]: its copy as products read it; unused where the working type is WZ_F32 */
    void *dnorm, *dqkv, *dattention, *dgate_up, *dswiglu; /* of the working type */
    float *entries; /* kept from step to step, see wz_backward_entries */
    int64_t entry_capacity;
} wz_backward;

size_t wz_backward_bytes(const wz_model *model, int64_t rows);
wz_status wz_backward_create(const wz_model *model, int64_t rows, wz_backward **out, wz_error *err);
void wz_backward_destroy(wz_backward *backward);

/* Vectors of the head's entries (decisions or lessons): contents are undefined. */
typedef struct wz_entry_vectors {
    float *hidden, *dhidden; /* [count][hidden_size] */
    float *rstd;             /* [count] */
} wz_entry_vectors;
/* Room for `count` entries, valid until the next call; taken where an earlier call took less. */
size_t wz_backward_entry_bytes(const wz_model_config *config, int64_t count);
wz_status wz_backward_entries(const wz_model *model, wz_backward *backward, int64_t count,
                              wz_entry_vectors *out, wz_error *err);

/* Rows [row0, row1) of a pack through all layers; earlier rows' keys and values are read from the activations. */
void wz_model_forward(const wz_model *model, wz_activations *activations, const wz_segments *segments,
                      const int32_t *token, int64_t row0, int64_t row1);
/* The rows of one decode step that the device lays out (engine/backend/decode.h): computed in `step`, which has room for
 * size->rows, and stored in the pack's activations `cache`. Buffers of `step` are those of inference. */
void wz_model_decode_step(const wz_model *model, wz_activations *cache, const wz_activations *step,
                          const wz_decode_view *view, const wz_decode_size *size);
/* hidden[i] = final norm of site site[i]; rstd [count] kept for the backward pass. */
void wz_model_final_norm(const wz_model *model, const wz_activations *activations, const int32_t *site,
                         int64_t count, float *hidden, float *rstd);
/* Starts a backward pass: no entry of the head has contributed yet. */
void wz_model_backward_begin(const wz_model *model, wz_backward *backward, const wz_segments *segments);
/* dfinal of site[i] += gradient through the final norm of entry i; groups list entries. */
void wz_model_final_norm_backward(const wz_model *model, const wz_activations *activations,
                                  wz_backward *backward, const int32_t *site, int64_t count,
                                  const float *dhidden, const float *rstd, const wz_row_groups *entry_groups);
/* All layers and the embedding, from backward->dfinal down; gradients are added to model->gradients. `rows` and
 * `sites` list the pack's rows and sites by group. activations->keep: not WZ_KEEP_CACHE. */
void wz_model_backward(const wz_model *model, const wz_activations *activations, wz_backward *backward,
                       const wz_segments *segments, const int32_t *token, const wz_row_groups *rows,
                       const wz_row_groups *sites);

wz_attention wz_model_attention(const wz_model_config *config);
/* Sets the widths in *bounds. */
void wz_model_op_bounds(const wz_model_config *config, wz_op_bounds *bounds);
/* The head over the model's tokens [tokens, hidden], for sampling and scores: softmaxes know of no other row, nor do their
 * gradients. And over all rows [vocab_size, hidden], as other programs will read it: what lessons of the grammar are about. */
wz_linear wz_model_head(const wz_model *model);
wz_tensor wz_model_embedding(const wz_model *model);
/* A vector (norm) at this offset of the flat gradients; NULL: frozen. */
static inline float *wz_model_gradient(const wz_model *model, int64_t offset)
{
    return model->config.lora.rank > 0 ? NULL : model->gradients + offset;
}
wz_tensor wz_model_head_gradient(const wz_model *model);
wz_linear wz_model_whole_head(const wz_model *model);
wz_tensor wz_model_whole_head_gradient(const wz_model *model);
static inline wz_tensor wz_matrix(float *data, int64_t rows, int64_t columns)
{
    return (wz_tensor){data, rows, columns, columns, WZ_F32};
}
/* Rows [row0, row0 + rows) of a matrix of the backend's working type. */
static inline wz_tensor wz_working(const wz_backend *backend, void *data, int64_t row0, int64_t rows,
                                   int64_t columns)
{
    const wz_dtype type = backend->working_type;
    return (wz_tensor){(char *)data + (size_t)(row0 * columns) * wz_type_bytes(type), rows, columns, columns,
                       type};
}

#endif
