/* Inside the CUDA backend. Arithmetic is fp32; tensors of the working type may be bf16 (device.h).
 *
 * One stream; ops return before the device has done them. Host arrays that an op reads (tokens, groups, segments) are
 * copied to the device when the op is called, so they may change as soon as it returns. */
#ifndef WZ_CUDA_CUDA_BACKEND_H
#define WZ_CUDA_CUDA_BACKEND_H

#include "cuda/device.h"
#include "cuda/staging.h"

extern "C" {
#include "cuda/cuda.h"
#include "engine/core/memory.h"
}

#define CUDA_MOST_HEAD_DIM 256 /* of attention: a warp has its queries and sums in registers */

typedef struct cuda_gemm cuda_gemm; /* products and their algorithms */

typedef struct cuda_block {
    void *data; /* on the device */
    size_t bytes;
} cuda_block;

/* Short-lived blocks lie in memory that is taken once. Used ranges ascend. */
#define CUDA_PASSING 16 /* blocks at once */
typedef struct cuda_pool {
    cuda_block memory;
    struct {
        size_t begin, end;
    } used[CUDA_PASSING];
    int count;
} cuda_pool;

struct cuda_decode; /* cuda/decode.h */

typedef struct cuda_backend {
    wz_backend base;
    char name[320];      /* of the device, with its compute capability */
    char kernels[64];    /* that multiply: cublasLt's version */
    int driver, runtime; /* CUDA versions, 1000 major + 10 minor */
    cudaStream_t stream;
    bool stream_made;
    cuda_gemm *gemm;
    cuda_block scratch; /* of one op */
    cuda_block widened; /* an operand of one product */
    cuda_ring ring;     /* copies of host arrays */
    cuda_pool passing;
    bool exact;
    bool recording;             /* what is called now is recorded as a graph */
    struct cuda_decode *decode; /* NULL: nothing was decoded yet */
    wz_status failed;           /* first failure since the last sync */
    wz_error failure;
} cuda_backend;

static inline cuda_backend *cuda_of(wz_backend *backend)
{
    return (cuda_backend *)backend;
}

/* Records a failure of an op for the next sync; true: all went well. */
bool cuda_check(cuda_backend *cuda, cudaError_t error, const char *what, const char *file, int line);
#define CUDA_CHECK(cuda, call, what) cuda_check(cuda, call, what, __FILE__, __LINE__)
/* The same of a kernel's launch over [rows, columns]. */
bool cuda_launched(cuda_backend *cuda, const char *what, int64_t rows, int64_t columns, const char *file,
                   int line);
#define CUDA_LAUNCHED(cuda, what, rows, columns) cuda_launched(cuda, what, rows, columns, __FILE__, __LINE__)
void cuda_fail(cuda_backend *cuda, wz_status status, const wz_error *err);

/* Lets a kernel have this much shared memory of a launch: more than 48 KiB must be asked for. */
template <typename F> bool cuda_allow_shared(cuda_backend *cuda, F kernel, size_t bytes, const char *what)
{
    return bytes <= (size_t)48 << 10 ||
           CUDA_CHECK(cuda,
                      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
                      what);
}

/* --- memory; cuda/memory.cu --- */
#define CUDA_LESS_MEMORY                                                                                     \
    "; lower per_device_train_batch_size, use a smaller model, or end what else uses the GPU (nvidia-smi)"
#define CUDA_BROKEN                                                                                          \
    "; a process that has met this cannot use the GPU any more: start it again (wavezero resume); if it "    \
    "comes "                                                                                                 \
    "back, see nvidia-smi and dmesg, and run scripts/gpu-check.sh memcheck"
void cuda_memory_clear(cuda_backend *cuda);
size_t cuda_own_bytes(const wz_backend *backend, const wz_op_bounds *bounds);
wz_status cuda_reserve(wz_backend *backend, const wz_op_bounds *bounds, size_t passing, wz_error *err);
wz_status cuda_alloc(wz_backend *backend, size_t bytes, const char *what, void **out, wz_error *err);
void cuda_release(wz_backend *backend, void *block);
/* What the ops of one file take of cuda_scratch at most, and of the ring for all that one pack gives them. */
typedef struct cuda_need {
    size_t scratch, staged;
} cuda_need;
cuda_need cuda_attention_need(const wz_op_bounds *bounds);
cuda_need cuda_elementwise_need(const wz_op_bounds *bounds);
cuda_need cuda_head_sample_need(const wz_op_bounds *bounds, wz_dtype working_type);
cuda_need cuda_head_score_need(const wz_op_bounds *bounds);
cuda_need cuda_head_vocab_need(const wz_op_bounds *bounds, wz_dtype working_type);
/* Columns of a chunk of the logits that products make, 0: none do; elements from row to row of logits, at most. */
int64_t cuda_head_chunk(const wz_op_bounds *bounds);
int64_t cuda_head_stride(const wz_op_bounds *bounds);
cuda_need cuda_linear_need(const wz_op_bounds *bounds, wz_dtype working_type);
cuda_need cuda_norm_need(const wz_op_bounds *bounds);
cuda_need cuda_optimizer_need(const wz_op_bounds *bounds);
/* Makes a block as large as this, if it is smaller; what it held is lost. False on no memory. */
bool cuda_grow(cuda_backend *cuda, cuda_block *block, size_t bytes, const char *what);
/* Scratch memory of one op, valid until the next op; NULL (and a recorded failure) on no memory. */
void *cuda_scratch(cuda_backend *cuda, size_t bytes, const char *what);
/* Waits for what is queued and copies from the device; false: failed, and recorded. */
bool cuda_fetch(cuda_backend *cuda, void *host, const void *from, size_t bytes, const char *what);

/* A tensor as kernels take it. T: float or bf16. */
template <typename T> struct matrix {
    T *data;
    int64_t rows, columns, stride;
};

template <typename T> static inline matrix<T> matrix_of(wz_tensor tensor)
{
    return matrix<T>{(T *)tensor.data, tensor.rows, tensor.columns, tensor.stride};
}

template <typename T> static __device__ __forceinline__ T *row_of(const matrix<T> &m, int64_t row)
{
    return m.data + row * m.stride;
}

/* Calls run(element) with an element of the type: [&](auto element) { using T = decltype(element); ... }. */
template <typename F> static inline void with_type(wz_dtype type, const F &run)
{
    if (type == WZ_BF16)
        run(bf16{});
    else
        run(0.0f);
}

/* --- products (row-major); cuda/gemm_choice.cu --- */
wz_status cuda_gemm_create(cudaStream_t stream, bool exact, wz_dtype working_type, cuda_gemm **out,
                           wz_error *err);
void cuda_gemm_destroy(cuda_gemm *gemm); /* NULL: nothing */
void cuda_gemm_name(const cuda_gemm *gemm, char *out, size_t size);
/* Algorithms chosen so far, a line for each shape: the shape, ": ", the algorithm. */
const char *cuda_gemm_record(const cuda_gemm *gemm);
/* Device memory: for products within bounds, taking it, what is taken. */
size_t cuda_gemm_bytes(const cuda_gemm *gemm, const wz_op_bounds *bounds);
wz_status cuda_gemm_reserve(cuda_gemm *gemm, const wz_op_bounds *bounds, wz_error *err);
size_t cuda_gemm_taken(const cuda_gemm *gemm);
/* C [m, n] = scale op(A) op(B) + added + bias; sums in fp32. */
typedef struct cuda_product {
    const void *a, *b;
    void *c;
    const void *added; /* laid out as C, which it may be; NULL: none */
    const void *bias;  /* [n], of C's type; NULL: none */
    int64_t m, n, k, lda, ldb, ldc;
    bool a_transposed, b_transposed;
    wz_dtype type, c_type; /* of A and B, of C: WZ_F32 or WZ_BF16 */
    int64_t
        chunk; /* C is some of many columns, whole chunks of so many: they have the same bits however many; 0: no */
    float scale = 1.0f;  /* no algorithm depends on it */
    bool widens = false; /* B lies there as bf16, a frozen matrix, where the type is WZ_F32 (cuda/widen.cu) */
} cuda_product;
/* accumulate: C is added. The type is A's. */
static inline cuda_product cuda_product_of(wz_tensor c, wz_tensor a, bool a_transposed, wz_tensor b,
                                           bool b_transposed, bool accumulate)
{
    return cuda_product{a.data,       b.data,
                        c.data,       accumulate ? c.data : NULL,
                        NULL,         c.rows,
                        c.columns,    a_transposed ? a.rows : a.columns,
                        a.stride,     b.stride,
                        c.stride,     a_transposed,
                        b_transposed, a.type,
                        c.type,       0,
                        1.0f,         a.type == WZ_F32 && b.type == WZ_BF16};
}
/* A shape's first product chooses its algorithm, for which it waits for the device. */
void cuda_multiply(cuda_backend *cuda, const cuda_product *product, const char *what);
/* The same of one that widens: B goes, as a whole or in whole chunks, into a block of the backend's own. */
void cuda_multiply_widened(cuda_backend *cuda, const cuda_product *product, const char *what);
/* Bytes of that block: of the largest matrix that is widened at once; 0: none is. */
size_t cuda_widened_bytes(const wz_op_bounds *bounds, wz_dtype working_type);

/* --- sums over rows in a fixed order --- */
/* sum[column] += the rows of partial [parts][stride]. */
void cuda_add_parts(cuda_backend *cuda, float *sum, const float *partial, int64_t parts, int64_t stride,
                    int64_t columns);
#define ROWS_PER_PART 64 /* rows that one block sums */
static inline int64_t part_count(int64_t rows)
{
    return (rows + ROWS_PER_PART - 1) / ROWS_PER_PART;
}

static __device__ __forceinline__ int64_t part_end(int64_t part, int64_t rows)
{
    const int64_t end = (part + 1) * ROWS_PER_PART;
    return end < rows ? end : rows;
}

/* Rows that are added to others, by where they go: target[t] receives order[begin[t] .. begin[t + 1]) in that order, so
 * that no two threads add to one place. On the device, staged. */
typedef struct cuda_scatter {
    int64_t targets;
    const int32_t *target, *begin, *order;
} cuda_scatter;
/* Row list[k] (list NULL: k) goes to to[row], for k in 0 .. count; false on no memory. */
bool cuda_make_scatter(cuda_backend *cuda, const int32_t *to, const int32_t *list, int64_t count,
                       cuda_scatter *out);
/* The same, found again where both arrays (to [rows]) are what they were. */
bool cuda_find_scatter(cuda_backend *cuda, const int32_t *to, int64_t rows, const int32_t *list,
                       int64_t count, cuda_scatter *out);
/* What the two take of the ring. */
static inline size_t made_scatter_room(int64_t count)
{
    return cuda_whole_steps((size_t)(3 * count + 1) * sizeof(int32_t));
}
static inline size_t scatter_room(int64_t rows, int64_t count)
{
    return cuda_whole_steps((size_t)rows * sizeof(int32_t)) +
           cuda_whole_steps((size_t)count * sizeof(int32_t)) + made_scatter_room(count);
}

/* --- decoding on the device; cuda/decode.h --- */
const wz_decode_ops *cuda_decode_table(void);
size_t cuda_decode_bytes(const wz_op_bounds *bounds);
size_t cuda_decode_taken(const cuda_backend *cuda);
wz_status cuda_decode_reserve(cuda_backend *cuda, const wz_op_bounds *bounds, wz_error *err);
cuda_need cuda_decode_need(const wz_op_bounds *bounds, wz_dtype type);
bool cuda_decode_holds(const cuda_backend *cuda, const void *place); /* whether it is in its memory */
void cuda_decode_destroy(cuda_backend *cuda);

/* --- ops --- */
/* The most work per second that run(cuda, what), again and again, reaches within `seconds`; NaN: failed, and recorded. */
double cuda_best_rate(cuda_backend *cuda, void (*run)(cuda_backend *cuda, const void *what), const void *what,
                      double work, double seconds, const char *name);
double cuda_gemm_rate(wz_backend *backend, const wz_gemm_shape *shape, double seconds);
double cuda_memory_rate(wz_backend *backend, size_t bytes, double seconds);
void cuda_embedding_forward(wz_backend *backend, wz_tensor y, wz_tensor table, const int32_t *token);
void cuda_embedding_backward(wz_backend *backend, wz_tensor dtable, wz_tensor dy, const int32_t *token,
                             const wz_row_groups *groups);
void cuda_rmsnorm_forward(wz_backend *backend, wz_tensor y, float *rstd, wz_tensor x, const int32_t *gather,
                          const float *weight, float eps);
void cuda_rmsnorm_backward(wz_backend *backend, wz_tensor dx, wz_tensor copy, wz_tensor y, float *dweight,
                           wz_tensor dy, wz_tensor x, const int32_t *gather, const float *rstd,
                           const float *weight, const wz_row_groups *groups);
void cuda_convert(wz_backend *backend, wz_tensor to, wz_tensor from);
/* The weights as products with a tensor of this type read them: as they are, or their copy. Frozen ones that are bf16 serve
 * both types: products of fp32 widen them. */
wz_tensor cuda_weight_for(const wz_linear *linear, wz_dtype type);
size_t cuda_prepared_bytes(const wz_backend *backend, const wz_linear *linear);
void cuda_prepare(wz_backend *backend, void *to, const wz_linear *linear);
void cuda_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                         wz_tensor residual);
void cuda_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear);
void cuda_linear_backward_weight(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                 const wz_row_groups *groups);
/* Beside the layer's own products; cuda/low_rank.cu. begins: what they come to is written, else added. */
void cuda_pairs_forward(cuda_backend *cuda, wz_tensor y, wz_tensor x, const wz_linear *linear, bool begins);
void cuda_pairs_backward_input(cuda_backend *cuda, wz_tensor dx, wz_tensor dy, const wz_linear *linear,
                               bool begins);
size_t cuda_pair_bytes(int64_t rows, int64_t rank, wz_dtype type);
/* Copies of all pairs' matrices in the working type: their bytes, making them, and where they are. */
size_t cuda_pairs_prepared_bytes(const wz_backend *backend, const wz_linear *linear);
void cuda_prepare_pairs(wz_backend *backend, char *to, const wz_linear *linear);
const char *cuda_pair_copies(const wz_backend *backend, const wz_linear *linear);
void cuda_linear_backward_pairs(wz_backend *backend, const wz_linear *gradient, const wz_linear *linear,
                                wz_tensor dy, wz_tensor x, const wz_row_groups *groups);
void cuda_qk_norm_forward(wz_backend *backend, wz_tensor qkv, wz_tensor raw, float *rstd,
                          const wz_attention *attention, const float *q_weight, const float *k_weight,
                          float eps);
void cuda_qk_norm_backward(wz_backend *backend, wz_tensor dqkv, float *dq_weight, float *dk_weight,
                           wz_tensor raw, const float *rstd, const wz_attention *attention,
                           const float *q_weight, const float *k_weight, const wz_row_groups *groups);
void cuda_rope(wz_backend *backend, wz_tensor qkv, const int32_t *position, const float *table,
               const wz_attention *attention, bool inverse);
void cuda_attention_forward(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                            const wz_segments *segments, int64_t row0, int64_t row1, bool at_sites,
                            const wz_attention *attention);
void cuda_attention_backward(wz_backend *backend, wz_tensor dqkv, wz_tensor dout, wz_tensor out,
                             const float *lse, wz_tensor qkv, const wz_segments *segments, bool at_sites,
                             const wz_attention *attention);
void cuda_swiglu_forward(wz_backend *backend, wz_tensor y, wz_tensor gate_up);
void cuda_swiglu_backward(wz_backend *backend, wz_tensor dgate_up, wz_tensor y, wz_tensor dy,
                          wz_tensor gate_up);
void cuda_head_score_forward(wz_backend *backend, float *logp, float *entropy, wz_tensor hidden,
                             const wz_linear *head, const int32_t *target, const uint32_t *mask,
                             const wz_mask_table *masks, float temperature);
void cuda_head_score_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                              const float *dentropy, const float *logp, const float *entropy,
                              wz_tensor hidden, const wz_linear *head, const int32_t *target,
                              const uint32_t *mask, const wz_mask_table *masks, float temperature,
                              const wz_row_groups *groups);
wz_status cuda_head_sample(wz_backend *backend, wz_sample_result *result, uint32_t *kept_tokens,
                           int64_t kept_stride, wz_tensor hidden, const wz_linear *head,
                           const wz_sample_request *request, int64_t requests, const wz_mask_table *masks,
                           const wz_sampling *sampling, wz_error *err);
void cuda_head_allowed_forward(wz_backend *backend, float *logp, wz_tensor hidden, const wz_linear *head,
                               const uint32_t *mask, const wz_mask_table *masks);
void cuda_head_allowed_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                                wz_tensor hidden, const wz_linear *head, const uint32_t *mask,
                                const wz_mask_table *masks, const wz_row_groups *groups);
double cuda_sum_squares(wz_backend *backend, const float *values, int64_t count);
void cuda_adamw(wz_backend *backend, float *weight, float *m, float *v, const float *gradient, int64_t count,
                float gradient_scale, const wz_adamw *adamw);
void cuda_blend(wz_backend *backend, float *to, const float *from, int64_t count, float share);

#endif
