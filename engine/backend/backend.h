/* The op table: everything a transformer's forward and backward pass asks of a device.
 *
 * A backend is one const table of functions over its own state. Memory handed to ops belongs to the
 * backend (alloc/release; upload and download copy from and to the host); index arrays (tokens, segment
 * table, masks; but those of a wz_decode_view) and the head's numbers per entry (logp, entropy, and their gradients) are host
 * arrays.
 *
 * Conventions. A tensor is a view: row-major, `stride` elements from row to row. Ops never allocate
 * result memory; outputs may not alias inputs unless an op says so. Every op is deterministic: the bytes
 * of a result depend on its inputs only, never on the number of threads, and a row of a row-wise result
 * depends on that row's inputs only, never on how many rows there are or where in the batch it stands.
 * Sums over rows (weight gradients) run per group in row order, then over groups in order, each added
 * to the accumulator in turn, so that cutting a batch between groups and calling again changes nothing.
 * (The CUDA backend adds the rows of one call in a fixed order of its own: there a cut changes last bits.)
 * NaN and infinity go through ops as IEEE arithmetic has them; nothing is clamped. (In the CUDA backend's attention a number
 * that is not finite may make NaN of more: of a whole head's result for a row that sees it, and of gradients within its group.)
 *
 * Types. A backend has a working type, WZ_F32 or WZ_BF16. Tensors marked [w] below may be of it, as their `type` says; all
 * others are WZ_F32. Whatever the types, ops compute in fp32 and round (to nearest, ties to even) only where a tensor
 * of type WZ_BF16 is written, or a number becomes a factor of a product of type WZ_BF16: weights of attention and their
 * gradients, gradients of logits, what stands between a low-rank pair's products. Products read two tensors of one type:
 * where that is WZ_BF16, of weights that are WZ_F32 the copy in `prepared`, which is required then. Weights that are trained
 * are WZ_F32; matrices that are not (linear layers, embedding, head) may be stored as WZ_BF16, whatever the working type:
 * results have the bits that they have with the same numbers stored as WZ_F32. */
#ifndef WZ_BACKEND_BACKEND_H
#define WZ_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/philox.h"
#include "engine/core/status.h"

typedef enum wz_dtype { WZ_F32, WZ_BF16, WZ_F16 } wz_dtype;

static inline size_t wz_type_bytes(wz_dtype type)
{
    return type == WZ_F32 ? 4 : 2;
}

typedef struct wz_tensor {
    void *data;
    int64_t rows, columns, stride; /* elements */
    wz_dtype type;
} wz_tensor;

/* Where rows stand: which rows a row attends to, and which rows belong to one group. Rows are numbered
 * in order of creation. A prompt row attends to the prompt rows of its group up to itself; a completion
 * row attends to its group's whole prompt, then to the rows of its own completion up to itself. */
typedef struct wz_segments {
    int64_t rows, groups, completions;
    const int32_t *row_group;       /* [rows] */
    const int32_t *row_completion;  /* [rows] -1: a prompt row */
    const int32_t *row_index;       /* [rows] index within the prompt or within the completion */
    const int32_t *row_position;    /* [rows] RoPE position */
    const int32_t *prompt_start;    /* [groups] first row; prompt rows are contiguous */
    const int32_t *prompt_length;   /* [groups] */
    const int32_t *completion_rows; /* [completions][completion_stride] the completion's rows, ascending */
    int64_t completion_stride;
    const int32_t *group_rows;   /* [groups][group_stride] all rows of a group, ascending */
    const int32_t *group_length; /* [groups] rows in the group */
    int64_t group_stride;
    /* Sites: the rows that something is predicted from, the last row of each prompt and every completion row, numbered in
     * row order. The last layer's output is wanted at sites only. */
    int64_t sites;
    const int32_t *row_site; /* [rows] -1: none */
    const int32_t *site_row; /* [sites] */
} wz_segments;

/* Which rows of an op's input belong to which group: group g has rows index[offset[g] .. offset[g+1]). */
typedef struct wz_row_groups {
    int64_t groups;
    const int64_t *offset; /* [groups + 1] */
    const int32_t *index;
} wz_row_groups;

/* A low-rank pair beside a range of a linear layer's outputs: y[:, first .. first + b.rows) += scale (x a^T) b^T. */
typedef struct wz_low_rank {
    wz_tensor a; /* [r, in] */
    wz_tensor b; /* [outputs, r] */
    int64_t first;
} wz_low_rank;

#define WZ_LOW_RANK_PAIRS 3 /* of one linear layer: its parts (q, k, v; gate, up) have pairs of their own */

/* A linear layer's weights: y = x w^T + bias (+ its pairs' products). */
typedef struct wz_linear {
    wz_tensor weight; /* [out, in] */
    const void
        *prepared;  /* the same weights as `prepare` lays them out; NULL: the backend reads `weight` itself */
    wz_tensor bias; /* [1, out]; data NULL: none */
    wz_low_rank pair[WZ_LOW_RANK_PAIRS]; /* of disjoint outputs, ascending; fp32 */
    int pairs;                           /* 0: none */
    float pair_scale;
} wz_linear;

/* Attention geometry; q, k, v are column ranges of one [rows, (heads + 2 kv_heads) head_dim] tensor. */
typedef struct wz_attention {
    int64_t heads, kv_heads, head_dim;
    float scale; /* 1 / sqrt(head_dim) */
} wz_attention;

/* Token sets. Set 0 is "every token"; set i >= 1 has tokens[offset[i] .. offset[i+1]), ascending. */
typedef struct wz_mask_table {
    uint32_t count;         /* sets, set 0 included */
    const uint32_t *offset; /* [count + 1] */
    const uint32_t *tokens;
} wz_mask_table;

/* How logits become a distribution: l/temperature over the allowed tokens. Temperature 0 samples the
 * argmax (ties to the lowest token) and reports logp at temperature 1. */
typedef struct wz_sampling {
    float temperature;
    int64_t top_k; /* 0: off */
    float top_p;   /* 1: off */
    float min_p;   /* 0: off */
} wz_sampling;

/* One decision to sample. Input row `row` of the hidden tensor, token set `mask`, and the random draws. */
typedef struct wz_sample_request {
    int32_t row;
    uint32_t mask;
    wz_draw_key key;
} wz_sample_request;

/* The kept set of top-k / top-p / min-p sampling: tokens [0, count) of the caller's row buffer. */
typedef struct wz_sample_result {
    uint32_t token;
    float logp;
    float entropy;
    uint32_t kept; /* tokens kept; equal to the allowed count when nothing was cut */
} wz_sample_result;

typedef struct wz_adamw {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
    int64_t step; /* 1 for the first update: bias correction */
} wz_adamw;

/* C [m, n] (+)= op(A) op(B), row-major. */
typedef struct wz_gemm_shape {
    int64_t m, n, k;
    bool a_transposed, b_transposed, accumulate;
} wz_gemm_shape;

/* What a backend runs on, for the environment of a run, the memory plan, `doctor` and benchmarks. Strings live as long
 * as the backend. */
typedef struct wz_backend_info {
    const char *kernels;   /* family of matrix kernels: OpenBLAS's core name, cublasLt and its version */
    int64_t threads;       /* of the host that compute */
    int64_t row_tile;      /* most rows of one matrix product */
    int64_t micro_batch;   /* completions of a micro-batch where the configuration says nothing */
    int64_t most_head_dim; /* of attention; 0: any */
    const char *gpu;       /* its name; NULL: the host computes in its own memory, and what follows is 0 */
    int driver, runtime;   /* CUDA's version that the driver is for, and the program; 1000 major + 10 minor */
    size_t memory, memory_free; /* the GPU's, bytes */
    size_t memory_taken;        /* of that, by the backend itself, beside the caller's memory */
    /* Of matrix products, where they are chosen: a line for each shape met so far, the shape, ": ", the algorithm. Valid
     * until the next op. NULL: there is no choice. */
    const char *algorithms;
    bool inexact; /* a row's result may depend on the rows beside it: exact: false on a GPU */
} wz_backend_info;

typedef struct wz_backend wz_backend;

#include "engine/backend/decode.h"

/* The most that ops of a run are called with: what they need beside the caller's memory depends on it. */
typedef struct wz_op_bounds {
    wz_attention attention;
    int64_t hidden, intermediate, vocab;                  /* hidden_size, ... */
    int64_t rank;                                         /* of low-rank pairs; 0: there are none */
    wz_dtype frozen_type;                                 /* of matrices that are not trained */
    int64_t floats;                                       /* of one flat array of parameters */
    int64_t rows, groups, completions, completion_stride; /* of a pack, as in wz_segments */
    int64_t entries;  /* of one head call that scores; 0: forward passes and sampling only */
    int64_t requests; /* of one head call that samples */
    int64_t set;      /* tokens of a token set, but for set 0 */
    int64_t table;    /* tokens of a mask table of head_allowed; 0: that is not called */
    bool whole;       /* decisions are over set 0, too */
    bool cuts;        /* ... and sampling cuts it */
    wz_decode_bounds decode;
} wz_op_bounds;

typedef void (*wz_row_block)(void *context, int64_t row0, int64_t row1);

typedef struct wz_backend_ops {
    const char *name;
    void (*destroy)(wz_backend *backend);
    void (*describe)(const wz_backend *backend, wz_backend_info *out);
    /* Operations per second of plain matrix products of one shape on the whole backend, each host thread on matrices of
     * its own: the best of the rounds that fit into `seconds`. NaN: out of memory. */
    double (*gemm_rate)(wz_backend *backend, const wz_gemm_shape *shape, double seconds);
    /* Bytes per second in which the whole backend reads a block of this size from end to end, each host thread a part of
     * its own: the best of the rounds that fit into `seconds`. NaN: out of memory. */
    double (*memory_rate)(wz_backend *backend, size_t bytes, double seconds);

    /* Bytes that the backend takes beside the caller's memory: libraries' workspaces, and scratch memory of ops within
     * these bounds, about on the CPU and exactly on a GPU. */
    size_t (*own_bytes)(const wz_backend *backend, const wz_op_bounds *bounds);
    /* Takes them, and room for `passing` bytes of short-lived blocks: as long as ops stay within the bounds and blocks
     * within the room, nothing more is taken of a GPU's memory. What a call asks for that is there already is not taken
     * again. */
    wz_status (*reserve)(wz_backend *backend, const wz_op_bounds *bounds, size_t passing, wz_error *err);
    wz_status (*alloc)(wz_backend *backend, size_t bytes, const char *what, void **out,
                       wz_error *err); /* zeroed */
    void (*release)(wz_backend *backend, void *block);
    void (*upload)(wz_backend *backend, void *to, const void *host, size_t bytes);
    void (*download)(wz_backend *backend, void *host, const void *from, size_t bytes);
    void (*fill_zero)(wz_backend *backend, void *block, size_t bytes);
    /* Waits for all ops; the first failure since the last sync. */
    wz_status (*sync)(wz_backend *backend, wz_error *err);

    /* Calls body(context, row0, row1) for blocks that cover [0, rows), perhaps several at once: what a chain of ops
     * leaves of one block stays in a core's cache. Only ops whose result rows depend on the same input rows may be
     * called within: embedding_forward, rmsnorm_forward, linear_forward, linear_backward_input, qk_norm_forward, rope,
     * swiglu. A backend without such caches calls body once. */
    void (*for_row_blocks)(wz_backend *backend, int64_t rows, wz_row_block body, void *context);

    /* y[i] = table[token[i]]. */
    void (*embedding_forward)(wz_backend *backend, wz_tensor y, wz_tensor table, const int32_t *token);
    /* dtable[token[r]] += dy[r] for the rows of each group in order. */
    void (*embedding_backward)(wz_backend *backend, wz_tensor dtable, wz_tensor dy, const int32_t *token,
                               const wz_row_groups *groups);

    /* to [w] = from; may be NULL where the working type is WZ_F32. */
    void (*convert)(wz_backend *backend, wz_tensor to, wz_tensor from);

    /* y [w] = x / sqrt(mean(x^2) + eps) * weight; rstd [rows] keeps 1/sqrt(...). gather (NULL: none) takes input row
     * gather[i] for output row i. */
    void (*rmsnorm_forward)(wz_backend *backend, wz_tensor y, float *rstd, wz_tensor x, const int32_t *gather,
                            const float *weight, float eps);
    /* dx[gather[i]] += d/dx for output rows i in order; dweight += over groups (of output rows). dy [w]. Without gather,
     * and where data is not NULL: copy [w] (not of type WZ_F32) receives dx as it is then, y [w] the forward pass's
     * result again. */
    void (*rmsnorm_backward)(wz_backend *backend, wz_tensor dx, wz_tensor copy, wz_tensor y, float *dweight,
                             wz_tensor dy, wz_tensor x, const int32_t *gather, const float *rstd,
                             const float *weight, const wz_row_groups *groups);

    /* A copy of a layer's weights (and bias and pairs) in the form that products read fastest, or in the working type, which
     * what is stored in it needs none of: its size (0: none is wanted), and making it, which the caller does again whenever
     * the weights have changed. A layer's results may differ in the last bits with and without it, so one model always uses
     * it or never. The copy of a layer with pairs serves the layer without them, too. */
    size_t (*prepared_bytes)(const wz_backend *backend, const wz_linear *linear);
    void (*prepare)(wz_backend *backend, void *to, const wz_linear *linear);
    /* y [w] = residual + x w^T + bias + pairs, x [w]; residual.data NULL: 0. residual may be y itself, and is of its type and
     * stride. To a y of type WZ_BF16 the others are added in fp32, the bias rounded to it, too, and what pairs add: one with
     * pairs has no residual. */
    void (*linear_forward)(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                           wz_tensor residual);
    /* dx [w] = dy w + sum over pairs of scale (dy_p b) a, dy_p being the pair's columns of dy; dy [w]. To a dx of type
     * WZ_BF16 the sum is rounded before the rest is added, and after each pair. */
    void (*linear_backward_input)(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear);
    /* dw += dy^T x and dbias += column sums of dy, per group in order; dy, x [w]. gradient->weight.data NULL: frozen. */
    void (*linear_backward_weight)(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                   const wz_row_groups *groups);
    /* Of each pair: da += scale (dy_p b)^T x and db += scale dy_p^T (x a^T), per group in order; dy, x [w]. gradient->pair are
     * laid out as linear->pair; nothing else of gradient is read. */
    void (*linear_backward_pairs)(wz_backend *backend, const wz_linear *gradient, const wz_linear *linear,
                                  wz_tensor dy, wz_tensor x, const wz_row_groups *groups);

    /* Per-head RMSNorm of q and k in place, keeping 1/rms [rows][heads + kv_heads] and the input in raw
     * [rows, (heads + kv_heads) head_dim]; qkv, raw, dqkv [w]. */
    void (*qk_norm_forward)(wz_backend *backend, wz_tensor qkv, wz_tensor raw, float *rstd,
                            const wz_attention *attention, const float *q_weight, const float *k_weight,
                            float eps);
    /* dq_weight and dk_weight may be NULL: frozen. */
    void (*qk_norm_backward)(wz_backend *backend, wz_tensor dqkv, float *dq_weight, float *dk_weight,
                             wz_tensor raw, const float *rstd, const wz_attention *attention,
                             const float *q_weight, const float *k_weight, const wz_row_groups *groups);

    /* Rotates q and k of qkv [w] in place, half-split form: (x1, x2) -> (x1 c - x2 s, x2 c + x1 s); table [positions][head_dim] =
     * cosines then sines of the head_dim/2 angles. inverse: the transpose, which is the backward pass. */
    void (*rope)(wz_backend *backend, wz_tensor qkv, const int32_t *position, const float *table,
                 const wz_attention *attention, bool inverse);

    /* Attention of rows [row0, row1) over the whole pack's qkv. out and lse ([][heads]: log sum exp of the scaled scores)
     * are indexed by row of the pack; with at_sites, only sites are computed and out and lse are indexed by site.
     * All tensors [w]. */
    void (*attention_forward)(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                              const wz_segments *segments, int64_t row0, int64_t row1, bool at_sites,
                              const wz_attention *attention);
    /* dqkv (written, all rows) from dout, out, lse, qkv; at_sites as in the forward pass. */
    void (*attention_backward)(wz_backend *backend, wz_tensor dqkv, wz_tensor dout, wz_tensor out,
                               const float *lse, wz_tensor qkv, const wz_segments *segments, bool at_sites,
                               const wz_attention *attention);

    /* gate_up [rows, 2F] = gate then up; y [rows, F] = gate sigmoid(gate) up. All tensors [w]. */
    void (*swiglu_forward)(wz_backend *backend, wz_tensor y, wz_tensor gate_up);
    /* y (data NULL: not wanted) receives the forward pass's result again. */
    void (*swiglu_backward)(wz_backend *backend, wz_tensor dgate_up, wz_tensor y, wz_tensor dy,
                            wz_tensor gate_up);

    /* Head score: logp[i] = log softmax(l/temperature over set mask[i])[target[i]] and the entropy of that
     * distribution, l = head hidden[i]. Rows x vocabulary is never materialised. Where the working type is WZ_BF16,
     * logits of the whole vocabulary are made from the head in it and from hidden rounded alike, and their gradients are
     * rounded for the products with both; those of a set (mask[i] >= 1) are fp32. The head has no bias. */
    void (*head_score_forward)(wz_backend *backend, float *logp, float *entropy, wz_tensor hidden,
                               const wz_linear *head, const int32_t *target, const uint32_t *mask,
                               const wz_mask_table *masks, float temperature);
    /* dhidden[i] = dlogp[i] d logp/dh + dentropy[i] d entropy/dh; dhead (data NULL: frozen) += per group in order. logp and
     * entropy are what head_score_forward or head_sample gave for the same entries: a backend may use them, or compute
     * them again. */
    void (*head_score_backward)(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                                const float *dentropy, const float *logp, const float *entropy,
                                wz_tensor hidden, const wz_linear *head, const int32_t *target,
                                const uint32_t *mask, const wz_mask_table *masks, float temperature,
                                const wz_row_groups *groups);
    /* Samples request i from hidden row request[i].row with the arithmetic of head_score_forward: logp and
     * entropy are its bits. kept_tokens [requests][kept_stride] (NULL when none is cut) receives the kept set of a request
     * that keeps fewer tokens than it was allowed. */
    wz_status (*head_sample)(wz_backend *backend, wz_sample_result *result, uint32_t *kept_tokens,
                             int64_t kept_stride, wz_tensor hidden, const wz_linear *head,
                             const wz_sample_request *request, int64_t requests, const wz_mask_table *masks,
                             const wz_sampling *sampling, wz_error *err);
    /* Grammar term: logp[i] = log of the probability that the softmax over the whole vocabulary (temperature
     * 1) gives to set mask[i] (>= 1). */
    void (*head_allowed_forward)(wz_backend *backend, float *logp, wz_tensor hidden, const wz_linear *head,
                                 const uint32_t *mask, const wz_mask_table *masks);
    void (*head_allowed_backward)(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                                  wz_tensor hidden, const wz_linear *head, const uint32_t *mask,
                                  const wz_mask_table *masks, const wz_row_groups *groups);

    /* Sum of squares of count floats in a fixed order, in double. Non-finite input gives a non-finite result. */
    double (*sum_squares)(wz_backend *backend, const float *values, int64_t count);
    /* AdamW (Loshchilov & Hutter 2019) on count parameters, gradient scaled by gradient_scale first. */
    void (*adamw)(wz_backend *backend, float *weight, float *m, float *v, const float *gradient,
                  int64_t count, float gradient_scale, const wz_adamw *adamw);
    /* to = (1 - share) to + share from, count floats: an average that follows. */
    void (*blend)(wz_backend *backend, float *to, const float *from, int64_t count, float share);

    const wz_decode_ops *decode; /* NULL: the host drives decoding, step by step */
} wz_backend_ops;

struct wz_backend {
    const wz_backend_ops *ops;
    wz_dtype working_type; /* of activations and of the copies of weights that products read */
};

/* CPU backend over OpenBLAS; threads 0: one per processor. */
wz_status wz_backend_cpu_create(size_t threads, wz_backend **out, wz_error *err);
const char *wz_backend_cpu_core_name(void); /* OpenBLAS's kernel family */
/* The family that OPENBLAS_CORETYPE should name: OpenBLAS, which knows processors by their numbers, has taken one for
 * processors without AVX and this one has AVX2 or AVX-512. NULL: its own choice will do, or cannot be changed. */
const char *wz_backend_cpu_better_core(void);

#endif
