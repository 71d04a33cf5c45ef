/* RMSNorm of each head of q and k: some lanes of a warp have a head (norm.h). */
#include "cuda/norm.h"

#define STRETCH 1 /* 256 elements of bf16 */

/* The heads of a row that are normed, and their lanes: 2^log2 each. */
typedef struct head_rows {
    int64_t q_heads, heads, head_dim;
    int log2;
} head_rows;

static head_rows heads_of(const wz_attention *a, int each)
{
    const int log2 = lanes_log2((a->head_dim + each - 1) / each);
    return head_rows{a->heads, a->heads + a->kv_heads, a->head_dim, log2 < 5 ? log2 : 5};
}

/* A thread's head, and the elements it has: 0 beyond the last head, whose lanes stay for the others' sums. */
typedef struct head_place {
    int64_t head, elements;
    row_lanes lanes;
} head_place;

static __device__ __forceinline__ head_place head_of_thread(const head_rows &r)
{
    const int64_t h = unit_of_thread() >> r.log2;
    const int count = 1 << r.log2;
    return head_place{h < r.heads ? h : 0, h < r.heads ? r.head_dim : 0,
                      row_lanes{count, (int)threadIdx.x & (count - 1)}};
}

template <typename T, bool WHOLE>
static __global__ void head_norm_forward(matrix<T> qkv, matrix<T> raw, float *rstd_out, head_rows r,
                                         const float *q_weight, const float *k_weight, float eps)
{
    const head_place at = head_of_thread(r);
    const float *weight = at.head < r.q_heads ? q_weight : k_weight;
    over_rows(qkv.rows, [&](int64_t i) {
        T *x = row_of(qkv, i) + at.head * r.head_dim, *before = row_of(raw, i) + at.head * r.head_dim;
        const float rstd = row_forward<STRETCH, WHOLE>(x, before, x, at.elements, at.lanes, weight, eps);
        if (at.lanes.lane == 0 && at.elements > 0)
            rstd_out[i * r.heads + at.head] = rstd;
    });
}

void cuda_qk_norm_forward(wz_backend *backend, wz_tensor qkv, wz_tensor raw, float *rstd,
                          const wz_attention *attention, const float *q_weight, const float *k_weight,
                          float eps)
{
    cuda_backend *cuda = cuda_of(backend);
    if (qkv.rows == 0)
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        const head_rows r = heads_of(attention, EACH<T>);
        with_units<EACH<T>>(
            [&](auto n) {
                constexpr bool WHOLE = n > 1;
                WZ_LAUNCH((head_norm_forward<T, WHOLE>), row_blocks(r.heads << r.log2, qkv.rows),
                          row_threads(qkv.rows), 0, cuda->stream, matrix_of<T>(qkv), matrix_of<T>(raw), rstd,
                          r, q_weight, k_weight, eps);
            },
            qkv, raw, vector_of(q_weight, r.head_dim), vector_of(k_weight, r.head_dim));
    });
    CUDA_LAUNCHED(cuda, "qk_norm forward", qkv.rows, qkv.columns);
}

/* partial[part][2][head_dim]: q's and k's weight gradient over the part's rows and their heads, in order; before
 * head_norm_backward overwrites dqkv. */
template <typename T>
static __global__ void head_norm_weight_parts(float *partial, matrix<T> dqkv, matrix<T> raw,
                                              const float *rstd, int64_t q_heads, int64_t heads,
                                              int64_t head_dim)
{
    const int64_t d = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y;
    if (d >= 2 * head_dim)
        return;
    const bool is_k = d >= head_dim;
    const int64_t column = is_k ? d - head_dim : d, h0 = is_k ? q_heads : 0, h1 = is_k ? heads : q_heads;
    const int64_t end = part_end(part, dqkv.rows);
    float sum = 0.0f;
    for (int64_t i = part * ROWS_PER_PART; i < end; i++)
        for (int64_t h = h0; h < h1; h++)
            sum = fmaf(row_of(dqkv, i)[h * head_dim + column],
                       row_of(raw, i)[h * head_dim + column] * rstd[i * heads + h], sum);
    partial[part * 2 * head_dim + d] = sum;
}

template <typename T, bool WHOLE>
static __global__ void head_norm_backward(matrix<T> dqkv, matrix<T> raw, const float *rstd, head_rows r,
                                          const float *q_weight, const float *k_weight)
{
    const head_place at = head_of_thread(r);
    const float *weight = at.head < r.q_heads ? q_weight : k_weight;
    over_rows(dqkv.rows, [&](int64_t i) {
        T *d = row_of(dqkv, i) + at.head * r.head_dim;
        row_backward<STRETCH, WHOLE, false>(d, (T *)NULL, d, row_of(raw, i) + at.head * r.head_dim,
                                            rstd[i * r.heads + at.head], weight, at.elements, at.lanes,
                                            [](int64_t, const auto &, const auto &, const auto &) {});
    });
}

void cuda_qk_norm_backward(wz_backend *backend, wz_tensor dqkv, float *dq_weight, float *dk_weight,
                           wz_tensor raw, const float *rstd, const wz_attention *attention,
                           const float *q_weight, const float *k_weight, const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t heads = attention->heads + attention->kv_heads, hd = attention->head_dim;
    const int64_t parts = part_count(dqkv.rows);
    (void)groups;
    if (dqkv.rows == 0)
        return;
    float *partial =
        (float *)cuda_scratch(cuda, (size_t)(parts * 2 * hd) * sizeof(float), "qk_norm backward");
    if (partial == NULL)
        return;
    const dim3 grid((unsigned)((2 * hd + 127) / 128), (unsigned)parts);
    with_type(dqkv.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(head_norm_weight_parts<T>, grid, dim3(128), 0, cuda->stream, partial, matrix_of<T>(dqkv),
                  matrix_of<T>(raw), rstd, attention->heads, heads, hd);
    });
    CUDA_LAUNCHED(cuda, "qk_norm backward", dqkv.rows, dqkv.columns);
    if (dq_weight != NULL)
        cuda_add_parts(cuda, dq_weight, partial, parts, 2 * hd, hd);
    if (dk_weight != NULL)
        cuda_add_parts(cuda, dk_weight, partial + hd, parts, 2 * hd, hd);
    with_type(dqkv.type, [&](auto element) {
        using T = decltype(element);
        const head_rows r = heads_of(attention, EACH<T>);
        with_units<EACH<T>>(
            [&](auto n) {
                constexpr bool WHOLE = n > 1;
                WZ_LAUNCH((head_norm_backward<T, WHOLE>), row_blocks(r.heads << r.log2, dqkv.rows),
                          row_threads(dqkv.rows), 0, cuda->stream, matrix_of<T>(dqkv), matrix_of<T>(raw),
                          rstd, r, q_weight, k_weight);
            },
            dqkv, raw, vector_of(q_weight, hd), vector_of(k_weight, hd));
    });
    CUDA_LAUNCHED(cuda, "qk_norm backward", dqkv.rows, dqkv.columns);
}
