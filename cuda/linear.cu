/* Linear layers: products, and biases around them. */
#include <assert.h>

#include "cuda/rows.h"

/* Copies in a working type that is not fp32: of the weights, unless these are frozen and stored in it; of the bias; of
 * pairs. Where those of bias and pairs begin: */
typedef struct copy_places {
    size_t bias, pairs;
} copy_places;

static copy_places places_of(const wz_backend *backend, const wz_linear *linear)
{
    const wz_tensor weight = linear->weight;
    const int64_t weights = weight.type == backend->working_type ? 0 : weight.rows * weight.columns,
                  biases = linear->bias.data == NULL ? 0 : linear->bias.columns;
    const size_t size = wz_type_bytes(backend->working_type), bias = cuda_whole_steps((size_t)weights * size);
    return copy_places{bias, bias + cuda_whole_steps((size_t)biases * size)};
}

size_t cuda_prepared_bytes(const wz_backend *backend, const wz_linear *linear)
{
    return backend->working_type == WZ_F32
               ? 0
               : places_of(backend, linear).pairs + cuda_pairs_prepared_bytes(backend, linear);
}

const char *cuda_pair_copies(const wz_backend *backend, const wz_linear *linear)
{
    return (const char *)linear->prepared + places_of(backend, linear).pairs;
}

static wz_tensor copy_at(void *data, wz_tensor of, wz_dtype type)
{
    return wz_tensor{data, of.rows, of.columns, of.columns, type};
}

void cuda_prepare(wz_backend *backend, void *to, const wz_linear *linear)
{
    const copy_places at = places_of(backend, linear);
    const wz_dtype type = backend->working_type;
    if (at.bias > 0)
        cuda_convert(backend, copy_at(to, linear->weight, type), linear->weight);
    if (linear->bias.data != NULL)
        cuda_convert(backend, copy_at((char *)to + at.bias, linear->bias, type), linear->bias);
    cuda_prepare_pairs(backend, (char *)to + at.pairs, linear);
}

wz_tensor cuda_weight_for(const wz_linear *linear, wz_dtype type)
{
    const wz_tensor w = linear->weight;
    return type == WZ_F32 || type == w.type ? w : copy_at((void *)linear->prepared, w, type);
}

/* The bias as products with a result of this type read it. */
static const void *bias_for(const wz_backend *backend, const wz_linear *linear, wz_dtype type)
{
    if (linear->bias.data == NULL || type == linear->bias.type)
        return linear->bias.data;
    return (const char *)linear->prepared + places_of(backend, linear).bias;
}

/* Whether pairs come before the layer's own product, which is then added to what they give. To a result of bf16 that is
 * complete they could add nothing that is less than half its last place: what adapters learn first. */
static bool pairs_begin(wz_tensor result, const wz_linear *linear)
{
    return linear->pairs > 0 && result.type != WZ_F32;
}

void cuda_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                         wz_tensor residual)
{
    cuda_backend *cuda = cuda_of(backend);
    const bool begin = pairs_begin(y, linear);
    assert(!begin || residual.data == NULL);
    if (y.rows == 0)
        return;
    if (begin)
        cuda_pairs_forward(cuda, y, x, linear, true);
    cuda_product product = cuda_product_of(y, x, false, cuda_weight_for(linear, x.type), true, begin);
    if (!begin)
        product.added = residual.data;
    product.bias = bias_for(backend, linear, y.type);
    cuda_multiply(cuda, &product, "linear forward");
    if (!begin)
        cuda_pairs_forward(cuda, y, x, linear, false);
}

void cuda_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    cuda_backend *cuda = cuda_of(backend);
    const bool begin = pairs_begin(dx, linear);
    if (dx.rows == 0)
        return;
    if (begin)
        cuda_pairs_backward_input(cuda, dx, dy, linear, true);
    const cuda_product product =
        cuda_product_of(dx, dy, false, cuda_weight_for(linear, dy.type), false, begin);
    cuda_multiply(cuda, &product, "linear backward, input");
    if (!begin)
        cuda_pairs_backward_input(cuda, dx, dy, linear, false);
}

/* partial[part][column] = the part's rows of dy, added in order. */
template <typename T> static __global__ void bias_parts(float *partial, matrix<T> dy)
{
    const int64_t column = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y;
    if (column >= dy.columns)
        return;
    const int64_t end = part_end(part, dy.rows);
    float sum = 0.0f;
    for (int64_t i = part * ROWS_PER_PART; i < end; i++)
        sum += row_of(dy, i)[column];
    partial[part * dy.columns + column] = sum;
}

/* Of biases (q, k and v have the only ones), and of pairs. */
cuda_need cuda_linear_need(const wz_op_bounds *b, wz_dtype type)
{
    const int64_t width = (b->attention.heads + 2 * b->attention.kv_heads) * b->attention.head_dim;
    const size_t bias = (size_t)(part_count(b->rows) * width) * sizeof(float),
                 pairs = cuda_pair_bytes(b->rows, b->rank, type);
    return cuda_need{bias > pairs ? bias : pairs, 0};
}

void cuda_linear_backward_weight(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                 const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    (void)groups;
    if (gradient->weight.data == NULL || dy.rows == 0)
        return;
    const cuda_product product = cuda_product_of(gradient->weight, dy, true, x, false, true);
    cuda_multiply(cuda, &product, "linear backward, weight");
    if (gradient->bias.data == NULL)
        return;
    const int64_t parts = part_count(dy.rows);
    float *partial =
        (float *)cuda_scratch(cuda, (size_t)(parts * dy.columns) * sizeof(float), "linear backward");
    if (partial == NULL)
        return;
    const dim3 grid((unsigned)((dy.columns + 127) / 128), (unsigned)parts);
    with_type(dy.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(bias_parts<T>, grid, dim3(128), 0, cuda->stream, partial, matrix_of<T>(dy));
    });
    CUDA_LAUNCHED(cuda, "linear backward, bias", dy.rows, dy.columns);
    cuda_add_parts(cuda, (float *)gradient->bias.data, partial, parts, dy.columns, dy.columns);
}
