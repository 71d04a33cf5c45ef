/* Inside the CPU backend. */
#ifndef WZ_BACKEND_CPU_CPU_H
#define WZ_BACKEND_CPU_CPU_H

#include <pthread.h>

#include "engine/backend/backend.h"
#include "engine/core/memory.h"
#include "engine/core/pool.h"

/* Greatest height of a row tile, the M of every sgemm call over rows. On Debian 12's OpenBLAS 0.3.21 a
 * row's result is the same at every position of a 128-row tile with the AVX-512 kernels, but not with
 * the Haswell kernels (rows 0-5 and 6-11 of each 12 round differently), where only up to 8 rows agree.
 * So each weight shape is probed at first use, see gemm_plan_for. */
#define TILE_MAX 128
#define TAIL_STEP 16

/* With AVX-512 kernels OpenBLAS multiplies without copying its operands first where m n k is at most this and B stands
 * as [in, out] (kernel/x86_64/sgemm_small_kernel_permit_skylakex.c). At the shapes of a 128-wide model, walking through
 * activations that lie in memory, such calls ran at 92 to 98 GF/s, 128-row calls at 75 to 87 (EPYC, Cooperlake kernels). */
#define SMALL_GEMM 1000000
#define SMALL_ROWS 16   /* rows of such a call */
#define SMALL_DEPTH 480 /* most of its inner dimension: columns are then 128 or more */

/* How the second operand of A [m, in] B [in, out] is given. */
typedef enum gemm_form {
    GEMM_PLAIN,      /* [in, out] */
    GEMM_TRANSPOSED, /* [out, in] */
    GEMM_SLICED /* slices of gemm_plan.columns columns one after another, each [in, columns of the slice] */
} gemm_form;

/* The second operand as it is stored. Numbers of type WZ_BF16 are widened block by block, and the blocks multiplied. */
typedef struct gemm_operand {
    const void *data;
    int64_t stride; /* not read with GEMM_SLICED */
    wz_dtype type;
} gemm_operand;

/* How a product over rows is cut into sgemm calls: a function of shape, form, type and OpenBLAS's kernels alone. Plans that
 * differ in the type alone give the same bits. */
typedef struct gemm_plan {
    int64_t in, out;
    gemm_form form;
    wz_dtype type;                /* of the second operand */
    int64_t tile;                 /* most rows at once */
    int64_t tail;                 /* fewer rows may come in any multiple of this, bit for bit the same */
    int64_t rows, columns, depth; /* of one call; the calls of a row's depths add up in order */
} gemm_plan;

typedef struct cpu_backend {
    wz_backend base;
    wz_pool *pool;
    wz_arena *scratch; /* [threads] per-thread, grown between ops */
    float *shared;     /* scratch of one op, all threads */
    size_t shared_bytes;
    pthread_mutex_t mutex; /* of what follows: ops within a row block run on several threads at once */
    gemm_plan *plans;
    size_t plan_count, plan_capacity;
    wz_status failed; /* first failure since the last sync */
    wz_error failure;
} cpu_backend;

static inline cpu_backend *cpu_of(wz_backend *backend)
{
    return (cpu_backend *)backend;
}

/* Records a failure for the next sync. */
void cpu_fail(cpu_backend *cpu, wz_status status, const wz_error *err);
/* Makes the scratch of every thread (within a row block: of this one) at least this large; false (and a recorded
 * failure) on no memory. */
bool cpu_scratch_reserve(cpu_backend *cpu, size_t bytes_per_thread);
static inline float *cpu_scratch(cpu_backend *cpu, size_t thread)
{
    return (float *)(void *)cpu->scratch[thread].base;
}
/* One block for the op, shared by its threads; NULL on no memory. Not for ops that a row block may call. */
float *cpu_shared_reserve(cpu_backend *cpu, size_t bytes);

static inline float *row_of(wz_tensor tensor, int64_t row)
{
    return (float *)tensor.data + row * tensor.stride;
}

/* Row-wise ops and head entries are shared out in pieces of 64: the tasks of `rows` rows, and where one ends. */
#define ROWS_PER_TASK 64
static inline size_t row_tasks(int64_t rows)
{
    return (size_t)((rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
}

static inline int64_t task_end(size_t task, int64_t rows)
{
    int64_t end = (int64_t)(task + 1) * ROWS_PER_TASK;
    return end < rows ? end : rows;
}

/* The plan of a shape; probes it when new. false on no memory. */
bool gemm_plan_for(cpu_backend *cpu, int64_t in, int64_t out, gemm_form form, wz_dtype type, gemm_plan *plan);
/* C [m, out] (+)= A [m, in] B; m is a height that the plan allows. room: gemm_room(plan) floats. */
void gemm_rows(const gemm_plan *plan, int64_t m, const float *a, int64_t lda, gemm_operand b, float *room,
               bool accumulate, float *c, int64_t ldc);
/* Floats that widening takes of a thread's scratch memory. */
int64_t gemm_room(const gemm_plan *plan);
/* Whether OpenBLAS's kernels on this machine have the calls of SMALL_GEMM. */
bool gemm_has_small(void);
/* The size of a part when `count` is cut into as few as `most` allows, as evenly as multiples of `step` do. */
int64_t gemm_part(int64_t count, int64_t most, int64_t step);
/* Rows rounded up to a height the plan allows (rows <= plan->tile). */
int64_t gemm_height(const gemm_plan *plan, int64_t rows);
/* The same for any number of rows: those that the plan does not allow alone are computed beside rows of zeros. room:
 * gemm_product_room(plan) floats. */
void gemm_product(const gemm_plan *plan, int64_t rows, const float *a, int64_t lda, gemm_operand b,
                  float *room, bool accumulate, float *c, int64_t ldc);
int64_t gemm_product_room(const gemm_plan *plan);
/* to[0 .. n) = the bf16 numbers from[0 .. n). */
void widen_floats(float *to, const uint16_t *from, int64_t n);
/* Row `row` of a matrix of either type; room [columns] is used where it must be widened. */
const float *widened_row(wz_tensor tensor, int64_t row, float *room);

/* The most work per second that a task done by every thread, `*calls` times each, reaches within `seconds`; `work` is that of
 * all threads in one call. */
double cpu_best_rate(cpu_backend *cpu, wz_pool_task task, void *job, int64_t *calls, double work,
                     double seconds);
double cpu_gemm_rate(wz_backend *backend, const wz_gemm_shape *shape, double seconds);
double cpu_memory_rate(wz_backend *backend, size_t bytes, double seconds);
void cpu_embedding_forward(wz_backend *backend, wz_tensor y, wz_tensor table, const int32_t *token);
void cpu_embedding_backward(wz_backend *backend, wz_tensor dtable, wz_tensor dy, const int32_t *token,
                            const wz_row_groups *groups);
void cpu_rmsnorm_forward(wz_backend *backend, wz_tensor y, float *rstd, wz_tensor x, const int32_t *gather,
                         const float *weight, float eps);
void cpu_rmsnorm_backward(wz_backend *backend, wz_tensor dx, wz_tensor copy, wz_tensor y, float *dweight,
                          wz_tensor dy, wz_tensor x, const int32_t *gather, const float *rstd,
                          const float *weight, const wz_row_groups *groups);
size_t cpu_prepared_bytes(const wz_backend *backend, const wz_linear *linear);
void cpu_prepare(wz_backend *backend, void *to, const wz_linear *linear);
void cpu_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                        wz_tensor residual);
void cpu_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear);
void cpu_linear_backward_weight(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                const wz_row_groups *groups);
void cpu_linear_backward_pairs(wz_backend *backend, const wz_linear *gradient, const wz_linear *linear,
                               wz_tensor dy, wz_tensor x, const wz_row_groups *groups);
void cpu_qk_norm_forward(wz_backend *backend, wz_tensor qkv, wz_tensor raw, float *rstd,
                         const wz_attention *attention, const float *q_weight, const float *k_weight,
                         float eps);
void cpu_qk_norm_backward(wz_backend *backend, wz_tensor dqkv, float *dq_weight, float *dk_weight,
                          wz_tensor raw, const float *rstd, const wz_attention *attention,
                          const float *q_weight, const float *k_weight, const wz_row_groups *groups);
void cpu_rope(wz_backend *backend, wz_tensor qkv, const int32_t *position, const float *table,
              const wz_attention *attention, bool inverse);
void cpu_attention_forward(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                           const wz_segments *segments, int64_t row0, int64_t row1, bool at_sites,
                           const wz_attention *attention);
void cpu_attention_backward(wz_backend *backend, wz_tensor dqkv, wz_tensor dout, wz_tensor out,
                            const float *lse, wz_tensor qkv, const wz_segments *segments, bool at_sites,
                            const wz_attention *attention);
void cpu_swiglu_forward(wz_backend *backend, wz_tensor y, wz_tensor gate_up);
void cpu_swiglu_backward(wz_backend *backend, wz_tensor dgate_up, wz_tensor y, wz_tensor dy,
                         wz_tensor gate_up);
void cpu_head_score_forward(wz_backend *backend, float *logp, float *entropy, wz_tensor hidden,
                            const wz_linear *head, const int32_t *target, const uint32_t *mask,
                            const wz_mask_table *masks, float temperature);
void cpu_head_score_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                             const float *dentropy, const float *logp, const float *entropy, wz_tensor hidden,
                             const wz_linear *head, const int32_t *target, const uint32_t *mask,
                             const wz_mask_table *masks, float temperature, const wz_row_groups *groups);
wz_status cpu_head_sample(wz_backend *backend, wz_sample_result *result, uint32_t *kept_tokens,
                          int64_t kept_stride, wz_tensor hidden, const wz_linear *head,
                          const wz_sample_request *request, int64_t requests, const wz_mask_table *masks,
                          const wz_sampling *sampling, wz_error *err);
void cpu_head_allowed_forward(wz_backend *backend, float *logp, wz_tensor hidden, const wz_linear *head,
                              const uint32_t *mask, const wz_mask_table *masks);
void cpu_head_allowed_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                               wz_tensor hidden, const wz_linear *head, const uint32_t *mask,
                               const wz_mask_table *masks, const wz_row_groups *groups);
double cpu_sum_squares(wz_backend *backend, const float *values, int64_t count);
void cpu_adamw(wz_backend *backend, float *weight, float *m, float *v, const float *gradient, int64_t count,
               float gradient_scale, const wz_adamw *adamw);
void cpu_blend(wz_backend *backend, float *to, const float *from, int64_t count, float share);

#endif
