/* Low-rank pairs beside linear layers, y_p += scale (x a^T) b^T, and their gradients: two products each, of the working type,
 * as is what stands between them. A and B are trained in fp32; products of bf16 read the copies behind their layer's
 * (linear.cu). */
#include "cuda/cuda_backend.h"

static wz_tensor place_of(const void *data, wz_tensor like, wz_dtype type)
{
    return wz_tensor{(void *)data, like.rows, like.columns, like.columns, type};
}

static size_t bytes_of(wz_tensor tensor, wz_dtype type)
{
    return cuda_whole_steps((size_t)(tensor.rows * tensor.columns) * wz_type_bytes(type));
}

static size_t pair_bytes(const wz_low_rank *pair, wz_dtype type)
{
    return bytes_of(pair->a, type) + bytes_of(pair->b, type);
}

/* The copies of a pair, which follow those of the pairs before it. */
static wz_low_rank copies_of(const wz_linear *linear, int number, const char *copies, wz_dtype type)
{
    const wz_low_rank *pair = &linear->pair[number];
    for (int p = 0; p < number; p++)
        copies += pair_bytes(&linear->pair[p], type);
    return wz_low_rank{place_of(copies, pair->a, type),
                       place_of(copies + bytes_of(pair->a, type), pair->b, type), pair->first};
}

size_t cuda_pairs_prepared_bytes(const wz_backend *backend, const wz_linear *linear)
{
    size_t bytes = 0;
    for (int p = 0; p < linear->pairs; p++)
        bytes += pair_bytes(&linear->pair[p], backend->working_type);
    return bytes;
}

void cuda_prepare_pairs(wz_backend *backend, char *to, const wz_linear *linear)
{
    for (int p = 0; p < linear->pairs; p++) {
        const wz_low_rank copies = copies_of(linear, p, to, backend->working_type);
        cuda_convert(backend, copies.a, linear->pair[p].a);
        cuda_convert(backend, copies.b, linear->pair[p].b);
    }
}

/* A pair as products with a tensor of this type read it. */
static wz_low_rank pair_for(const cuda_backend *cuda, const wz_linear *linear, int number, wz_dtype type)
{
    return type == WZ_F32 ? linear->pair[number]
                          : copies_of(linear, number, cuda_pair_copies(&cuda->base, linear), type);
}

/* What a pair takes of scratch memory: what stands between its products. */
size_t cuda_pair_bytes(int64_t rows, int64_t rank, wz_dtype type)
{
    return (size_t)(rows * rank) * wz_type_bytes(type);
}

/* Its place [rows, rank]. */
static bool open_inner(cuda_backend *cuda, wz_tensor x, int64_t rank, wz_tensor *out)
{
    void *memory = cuda_scratch(cuda, cuda_pair_bytes(x.rows, rank, x.type), "low-rank pairs");
    *out = wz_tensor{memory, x.rows, rank, rank, x.type};
    return memory != NULL;
}

/* The pair's columns of y or dy. */
static wz_tensor part_of(wz_tensor y, const wz_low_rank *pair)
{
    char *data = (char *)y.data + (size_t)pair->first * wz_type_bytes(y.type);
    return wz_tensor{data, y.rows, pair->b.rows, y.stride, y.type};
}

static void multiply(cuda_backend *cuda, wz_tensor c, wz_tensor a, bool a_transposed, wz_tensor b,
                     bool b_transposed, bool accumulate, float scale)
{
    cuda_product product = cuda_product_of(c, a, a_transposed, b, b_transposed, accumulate);
    product.scale = scale;
    cuda_multiply(cuda, &product, "low-rank pairs");
}

static void zero_columns(cuda_backend *cuda, wz_tensor y, int64_t first, int64_t end)
{
    const size_t size = wz_type_bytes(y.type);
    if (first < end)
        CUDA_CHECK(cuda,
                   cudaMemset2DAsync((char *)y.data + (size_t)first * size, (size_t)y.stride * size, 0,
                                     (size_t)(end - first) * size, (size_t)y.rows, cuda->stream),
                   "low-rank pairs");
}

/* The columns that no pair has. */
static void zero_others(cuda_backend *cuda, wz_tensor y, const wz_linear *linear)
{
    int64_t end = 0;
    for (int p = 0; p < linear->pairs; p++) {
        zero_columns(cuda, y, end, linear->pair[p].first);
        end = linear->pair[p].first + linear->pair[p].b.rows;
    }
    zero_columns(cuda, y, end, y.columns);
}

void cuda_pairs_forward(cuda_backend *cuda, wz_tensor y, wz_tensor x, const wz_linear *linear, bool begins)
{
    wz_tensor inner;
    if (begins)
        zero_others(cuda, y, linear);
    for (int p = 0; p < linear->pairs; p++) {
        const wz_low_rank pair = pair_for(cuda, linear, p, x.type);
        if (!open_inner(cuda, x, pair.a.rows, &inner))
            return;
        multiply(cuda, inner, x, false, pair.a, true, false, linear->pair_scale);
        multiply(cuda, part_of(y, &pair), inner, false, pair.b, true, !begins, 1.0f);
    }
}

void cuda_pairs_backward_input(cuda_backend *cuda, wz_tensor dx, wz_tensor dy, const wz_linear *linear,
                               bool begins)
{
    wz_tensor inner;
    for (int p = 0; p < linear->pairs; p++) {
        const wz_low_rank pair = pair_for(cuda, linear, p, dy.type);
        if (!open_inner(cuda, dy, pair.a.rows, &inner))
            return;
        multiply(cuda, inner, part_of(dy, &pair), false, pair.b, false, false, linear->pair_scale);
        multiply(cuda, dx, inner, false, pair.a, false, !begins || p > 0, 1.0f);
    }
}

void cuda_linear_backward_pairs(wz_backend *backend, const wz_linear *gradient, const wz_linear *linear,
                                wz_tensor dy, wz_tensor x, const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    wz_tensor inner;
    (void)groups;
    for (int p = 0; p < linear->pairs && dy.rows > 0; p++) {
        const wz_low_rank pair = pair_for(cuda, linear, p, x.type), *to = &gradient->pair[p];
        const wz_tensor part = part_of(dy, &pair);
        if (!open_inner(cuda, x, pair.a.rows, &inner))
            return;
        multiply(cuda, inner, part, false, pair.b, false, false, linear->pair_scale);
        multiply(cuda, to->a, inner, true, x, false, true, 1.0f);
        multiply(cuda, inner, x, false, pair.a, true, false, linear->pair_scale);
        multiply(cuda, to->b, part, true, inner, false, true, 1.0f);
    }
}
