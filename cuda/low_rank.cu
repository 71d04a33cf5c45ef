/* Low-rank pairs beside linear layers, in fp32: y_p += scale (x a^T) b^T, and its gradients. The scale goes into a copy of one of
 * a pair's matrices, which is small. */
#include "cuda/rows.h"

template <int N> static __global__ void scaled(matrix<float> to, matrix<float> from, float factor)
{
    over_units<N>(to.rows, to.columns, [&](int64_t row, int64_t column) {
        for (int i = 0; i < N; i++)
            row_of(to, row)[column + i] = factor * row_of(from, row)[column + i];
    });
}

static wz_tensor place_of(void *data, int64_t rows, int64_t columns)
{
    return wz_tensor{data, rows, columns, columns, WZ_F32};
}

static size_t bytes_of(int64_t rows, int64_t columns)
{
    return cuda_whole_steps((size_t)(rows * columns) * sizeof(float));
}

/* What a pair takes of scratch memory: the copy of a matrix, and what stands between its products. */
size_t cuda_pair_bytes(int64_t rows, int64_t widest, int64_t rank)
{
    return rank == 0 ? 0 : bytes_of(widest, rank) + bytes_of(rows, rank);
}

typedef struct pair_place {
    char *copy;
    wz_tensor inner; /* [rows, rank] */
} pair_place;

static bool open_pair(cuda_backend *cuda, const wz_low_rank *pair, int64_t rows, pair_place *out)
{
    const int64_t rank = pair->a.rows,
                  widest = pair->a.columns > pair->b.rows ? pair->a.columns : pair->b.rows;
    out->copy = (char *)cuda_scratch(cuda, cuda_pair_bytes(rows, widest, rank), "low-rank pairs");
    if (out->copy == NULL)
        return false;
    out->inner = place_of(out->copy + bytes_of(widest, rank), rows, rank);
    return true;
}

/* factor * from, in the place for it. */
static wz_tensor scaled_copy(cuda_backend *cuda, const pair_place *place, wz_tensor from, float factor)
{
    const wz_tensor to = place_of(place->copy, from.rows, from.columns);
    with_units<4>(
        [&](auto n) {
            constexpr int N = n;
            WZ_LAUNCH((scaled<N>), row_blocks(to.columns / N, to.rows), row_threads(to.rows), 0, cuda->stream,
                      matrix_of<float>(to), matrix_of<float>(from), factor);
        },
        to, from);
    CUDA_LAUNCHED(cuda, "low-rank pairs", to.rows, to.columns);
    return to;
}

/* The pair's columns of y or dy. */
static wz_tensor part_of(wz_tensor y, const wz_low_rank *pair)
{
    return wz_tensor{(float *)y.data + pair->first, y.rows, pair->b.rows, y.stride, y.type};
}

static void multiply(cuda_backend *cuda, wz_tensor c, wz_tensor a, bool a_transposed, wz_tensor b,
                     bool b_transposed, bool accumulate)
{
    const cuda_product product = cuda_product_of(c, a, a_transposed, b, b_transposed, accumulate);
    cuda_multiply(cuda, &product, "low-rank pairs");
}

void cuda_pairs_forward(cuda_backend *cuda, wz_tensor y, wz_tensor x, const wz_linear *linear)
{
    pair_place place;
    for (int p = 0; p < linear->pairs; p++) {
        const wz_low_rank *pair = &linear->pair[p];
        if (!open_pair(cuda, pair, x.rows, &place))
            return;
        multiply(cuda, place.inner, x, false, scaled_copy(cuda, &place, pair->a, linear->pair_scale), true,
                 false);
        multiply(cuda, part_of(y, pair), place.inner, false, pair->b, true, true);
    }
}

void cuda_pairs_backward_input(cuda_backend *cuda, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    pair_place place;
    for (int p = 0; p < linear->pairs; p++) {
        const wz_low_rank *pair = &linear->pair[p];
        if (!open_pair(cuda, pair, dy.rows, &place))
            return;
        multiply(cuda, place.inner, part_of(dy, pair), false,
                 scaled_copy(cuda, &place, pair->b, linear->pair_scale), false, false);
        multiply(cuda, dx, place.inner, false, pair->a, false, true);
    }
}

void cuda_linear_backward_pairs(wz_backend *backend, const wz_linear *gradient, const wz_linear *linear,
                                wz_tensor dy, wz_tensor x, const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    pair_place place;
    (void)groups;
    for (int p = 0; p < linear->pairs && dy.rows > 0; p++) {
        const wz_low_rank *pair = &linear->pair[p], *to = &gradient->pair[p];
        const wz_tensor part = part_of(dy, pair);
        if (!open_pair(cuda, pair, dy.rows, &place))
            return;
        multiply(cuda, place.inner, part, false, scaled_copy(cuda, &place, pair->b, linear->pair_scale),
                 false, false);
        multiply(cuda, to->a, place.inner, true, x, false, true);
        multiply(cuda, place.inner, x, false, scaled_copy(cuda, &place, pair->a, linear->pair_scale), true,
                 false);
        multiply(cuda, to->b, part, true, place.inner, false, true);
    }
}
