/* RMSNorm of a row, and its backward pass. A row's lanes, a warp for a row of the stream and a part of one for a head,
 * have 16 bytes each of what is normed, all again while there is more of the row; a lane adds what it has in order, and the
 * lanes' sums are added by halves. So a row's result depends on that row alone, and not on how it is read. */
#ifndef WZ_CUDA_NORM_H
#define WZ_CUDA_NORM_H

#include "cuda/rows.h"

/* The elements that a lane has at once: a unit. Functions take how many units of a stretch of a row a lane reads together;
 * those of the last stretch stay for the second pass over the row: mostly all there are. */
template <typename T> constexpr int EACH = 16 / (int)sizeof(T);

/* A row's lanes, and which of them this is. */
typedef struct row_lanes {
    int count, lane;
} row_lanes;

/* The sum over a row's lanes, on each of them. */
static __device__ __forceinline__ float lanes_sum(float x, row_lanes lanes)
{
    for (int apart = lanes.count / 2; apart > 0; apart /= 2)
        x += __shfl_xor_sync(WZ_ALL_LANES, x, apart);
    return x;
}

/* Elements [c, c + N) of a row of n, 0 beyond its end. WHOLE: it is whole units that can be read at once. */
template <int N, bool WHOLE, typename T>
static __device__ __forceinline__ elements<N> read_part(const T *row, int64_t c, int64_t n)
{
    elements<N> x = {};
    if constexpr (WHOLE) {
        if (c < n)
            x = read_elements<N>(row + c);
    } else {
        WZ_UNROLL
        for (int i = 0; i < N; i++)
            if (c + i < n)
                x.at[i] = row[c + i];
    }
    return x;
}

template <int N, bool WHOLE, typename T>
static __device__ __forceinline__ void write_part(T *row, int64_t c, int64_t n, const elements<N> &x)
{
    if constexpr (WHOLE) {
        if (c < n)
            write_elements(row + c, x);
    } else {
        WZ_UNROLL
        for (int i = 0; i < N; i++)
            if (c + i < n)
                row[c + i] = x.at[i];
    }
}

/* The same of a lane's units of a stretch, from c on. */
template <int N, bool WHOLE, int UNITS, typename T>
static __device__ __forceinline__ void read_parts(elements<N> (&x)[UNITS], const T *row, int64_t c,
                                                  int64_t step, int64_t n)
{
    WZ_UNROLL
    for (int j = 0; j < UNITS; j++)
        x[j] = read_part<N, WHOLE>(row, c + j * step, n);
}

template <int N, bool WHOLE, int UNITS, typename T>
static __device__ __forceinline__ void write_parts(T *row, int64_t c, int64_t step, int64_t n,
                                                   const elements<N> (&x)[UNITS])
{
    WZ_UNROLL
    for (int j = 0; j < UNITS; j++)
        write_part<N, WHOLE>(row, c + j * step, n, x[j]);
}

/* Calls body(j, i) for the elements of an array of units. */
template <int N, int UNITS, typename F>
static __device__ __forceinline__ void over_parts(const elements<N> (&)[UNITS], const F &body)
{
    WZ_UNROLL
    for (int j = 0; j < UNITS; j++) {
        WZ_UNROLL
        for (int i = 0; i < N; i++)
            body(j, i);
    }
}

/* y = x rstd weight of a row of n elements; returns rstd, on every lane (Zhang & Sennrich 2019). before (NULL: none)
 * receives x, which may be y. */
template <int UNITS, bool WHOLE, typename T, typename X>
static __device__ __forceinline__ float row_forward(T *y, X *before, const X *x, int64_t n, row_lanes lanes,
                                                    const float *weight, float eps)
{
    constexpr int N = EACH<X>;
    const int64_t step = lanes.count * N, stretch = UNITS * step;
    int64_t c = lanes.lane * N;
    elements<N> part[UNITS], w[UNITS];
    float sum = 0.0f;
    for (int64_t end = stretch;; end += stretch, c += stretch) {
        read_parts<N, WHOLE>(part, x, c, step, n);
        over_parts(part, [&](int j, int i) { sum = fmaf(part[j].at[i], part[j].at[i], sum); });
        if (end >= n)
            break;
    }
    const float rstd = 1.0f / sqrtf(lanes_sum(sum, lanes) / (float)n + eps);
    for (;;) {
        read_parts<N, WHOLE>(w, weight, c, step, n);
        if (before != NULL)
            write_parts<N, WHOLE>(before, c, step, n, part);
        over_parts(part, [&](int j, int i) { part[j].at[i] = part[j].at[i] * rstd * w[j].at[i]; });
        write_parts<N, WHOLE>(y, c, step, n, part);
        if ((c -= stretch) < 0)
            return rstd;
        read_parts<N, WHOLE>(part, x, c, step, n);
    }
}

/* A stretch of what a row's gradient is made of: dy w, and h = x rstd. seen(dy, h, w) is called with a lane's units of it. */
template <int N, bool WHOLE, int UNITS, typename T, typename X, typename F>
static __device__ __forceinline__ void read_terms(elements<N> (&dyw)[UNITS], elements<N> (&h)[UNITS],
                                                  const T *dy, const X *x, float rstd, const float *weight,
                                                  int64_t c, int64_t step, int64_t n, const F &seen)
{
    elements<N> w[UNITS];
    read_parts<N, WHOLE>(dyw, dy, c, step, n);
    read_parts<N, WHOLE>(h, x, c, step, n);
    read_parts<N, WHOLE>(w, weight, c, step, n);
    over_parts(h, [&](int j, int i) { h[j].at[i] *= rstd; });
    seen(dyw, h, w);
    over_parts(w, [&](int j, int i) { dyw[j].at[i] *= w[j].at[i]; });
}

/* dx (+)= rstd (dy w - h mean(dy w h)); dx may be dy. copy (NULL: none) receives dx, too. seen(c, dy, h, w) is called once
 * with each stretch, from the lane's first column c. */
template <int UNITS, bool WHOLE, bool ACCUMULATE, typename D, typename T, typename X, typename F>
static __device__ __forceinline__ void row_backward(D *dx, T *copy, const T *dy, const X *x, float rstd,
                                                    const float *weight, int64_t n, row_lanes lanes,
                                                    const F &seen)
{
    constexpr int N = EACH<X>;
    const int64_t step = lanes.count * N, stretch = UNITS * step;
    int64_t c = lanes.lane * N;
    elements<N> dyw[UNITS], h[UNITS];
    float sum = 0.0f;
    for (int64_t end = stretch;; end += stretch, c += stretch) {
        read_terms<N, WHOLE>(
            dyw, h, dy, x, rstd, weight, c, step, n,
            [&](const auto &g, const auto &normed, const auto &w) { seen(c, g, normed, w); });
        over_parts(h, [&](int j, int i) { sum = fmaf(dyw[j].at[i], h[j].at[i], sum); });
        if (end >= n)
            break;
    }
    const float mean = lanes_sum(sum, lanes) / (float)n;
    for (;;) {
        over_parts(h, [&](int j, int i) { dyw[j].at[i] = rstd * (dyw[j].at[i] - h[j].at[i] * mean); });
        if constexpr (ACCUMULATE) {
            read_parts<N, WHOLE>(h, dx, c, step, n);
            over_parts(h, [&](int j, int i) { dyw[j].at[i] = h[j].at[i] + dyw[j].at[i]; });
        }
        write_parts<N, WHOLE>(dx, c, step, n, dyw);
        if (copy != NULL)
            write_parts<N, WHOLE>(copy, c, step, n, dyw);
        if ((c -= stretch) < 0)
            return;
        read_terms<N, WHOLE>(dyw, h, dy, x, rstd, weight, c, step, n,
                             [](const auto &, const auto &, const auto &) {});
    }
}

#endif
