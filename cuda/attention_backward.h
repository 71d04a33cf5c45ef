/* Pieces of attention's backward pass. With p = exp(s - lse), s = scale q k^T, and D = dout . out:
 *     dv_j += p_j dout,   ds_j = p_j (dout . v_j - D),   dq = scale sum_j ds_j k_j,   dk_j += scale ds_j q.
 * (Dao et al. 2022, appendix B.) Each gradient has one owner that adds in a fixed order, so there are no atomics: a warp has
 * dq of 16 queries and walks the keys as the forward pass does (attention_backward.cu); a warp has dk and dv of 16 keys and
 * walks the queries that see them (attention_keys.cu). Scores are computed again by each. */
#ifndef WZ_CUDA_ATTENTION_BACKWARD_H
#define WZ_CUDA_ATTENTION_BACKWARD_H

#include "cuda/attention_walk.h"

/* What the kernels share. less_delta [rows][heads]: -D, by place in the list of rows; partial [lists.partials][kv_heads][64][dk,
 * dv][head_dim]. */
template <typename T> struct backward_view {
    matrix<T> dqkv, dout, out, qkv;
    const float *lse;
    float *less_delta, *partial;
    attention_lists lists;
    attention_shape shape;
};

/* s = a c^T and t += b d^T for 16 rows of two tiles. */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ void two_products(float *s, const fragment<T> *a, S c, float *t,
                                                    const fragment<T> *b, S d, int row, int lane)
{
    WZ_UNROLL
    for (int e = 0; e < 8; e++)
        s[e] = 0.0f;
    WZ_UNROLL
    for (int i = 0; i < WIDTH / SIDE; i++) {
        fragment<T> right;
        load_right<T, WIDTH, true>(&right, c, row, i * SIDE, lane);
        multiply_add(s, a[i], right);
        load_right<T, WIDTH, true>(&right, d, row, i * SIDE, lane);
        multiply_add(t, b[i], right);
    }
}

/* sum += left (16 rows of a tile). */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ void add_rows(float (*sum)[8], const fragment<T> &left, S rows, int row,
                                                int lane)
{
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        fragment<T> right;
        load_right<T, WIDTH, false>(&right, rows, row, d * SIDE, lane);
        multiply_add(sum[d], left, right);
    }
}

/* dk and dv of all rows, when delta is there; cuda/attention_keys.cu. */
template <typename T>
void cuda_key_gradients(cuda_backend *cuda, const backward_view<T> &b, const wz_attention *attention);

#endif
