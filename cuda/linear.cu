/* Linear layers: products, and biases around them. */
#include "cuda/rows.h"

template <typename T, int N> static __global__ void convert(matrix<T> to, matrix<float> from)
{
    over_units<N>(to.rows, to.columns, [&](int64_t row, int64_t column) {
        write_elements(row_of(to, row) + column, read_elements<N>(row_of(from, row) + column));
    });
}

void cuda_convert(wz_backend *backend, wz_tensor to, wz_tensor from)
{
    cuda_backend *cuda = cuda_of(backend);
    if (to.rows == 0)
        return;
    with_type(to.type, [&](auto element) {
        using T = decltype(element);
        with_units<4>(
            [&](auto n) {
                constexpr int N = n;
                WZ_LAUNCH((convert<T, N>), row_blocks(to.columns / N, to.rows), row_threads(to.rows), 0,
                          cuda->stream, matrix_of<T>(to), matrix_of<float>(from));
            },
            to, from);
    });
    CUDA_LAUNCHED(cuda, "convert", to.rows, to.columns);
}

/* The copy of a bias follows that of its weights. */
static size_t prepared_weight_bytes(const wz_backend *backend, const wz_linear *linear)
{
    return cuda_whole_steps((size_t)(linear->weight.rows * linear->weight.columns) *
                            wz_type_bytes(backend->working_type));
}

size_t cuda_prepared_bytes(const wz_backend *backend, const wz_linear *linear)
{
    const size_t bias = linear->bias.data == NULL ? 0 : (size_t)linear->bias.columns;
    if (backend->working_type == WZ_F32)
        return 0;
    return prepared_weight_bytes(backend, linear) + bias * wz_type_bytes(backend->working_type);
}

void cuda_prepare(wz_backend *backend, void *to, const wz_linear *linear)
{
    const wz_tensor weight = linear->weight, bias = linear->bias;
    const wz_dtype type = backend->working_type;
    cuda_convert(backend, wz_tensor{to, weight.rows, weight.columns, weight.columns, type}, weight);
    if (bias.data != NULL)
        cuda_convert(backend,
                     wz_tensor{(char *)to + prepared_weight_bytes(backend, linear), 1, bias.columns,
                               bias.columns, type},
                     bias);
}

wz_tensor cuda_weight_for(const wz_linear *linear, wz_dtype type)
{
    const wz_tensor w = linear->weight;
    return type == w.type ? w : wz_tensor{(void *)linear->prepared, w.rows, w.columns, w.columns, type};
}

/* The bias as products with a result of this type read it. */
static const void *bias_for(const wz_backend *backend, const wz_linear *linear, wz_dtype type)
{
    if (linear->bias.data == NULL || type == linear->bias.type)
        return linear->bias.data;
    return (const char *)linear->prepared + prepared_weight_bytes(backend, linear);
}

void cuda_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                         wz_tensor residual)
{
    if (y.rows == 0)
        return;
    cuda_product product = cuda_product_of(y, x, false, cuda_weight_for(linear, x.type), true, false);
    product.added = residual.data;
    product.bias = bias_for(backend, linear, y.type);
    cuda_multiply(cuda_of(backend), &product, "linear forward");
    cuda_pairs_forward(cuda_of(backend), y, x, linear);
}

void cuda_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    if (dx.rows == 0)
        return;
    const cuda_product product =
        cuda_product_of(dx, dy, false, cuda_weight_for(linear, dy.type), false, false);
    cuda_multiply(cuda_of(backend), &product, "linear backward, input");
    cuda_pairs_backward_input(cuda_of(backend), dx, dy, linear);
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
cuda_need cuda_linear_need(const wz_op_bounds *b)
{
    const int64_t q = b->attention.heads * b->attention.head_dim,
                  width = q + 2 * b->attention.kv_heads * b->attention.head_dim;
    const int64_t inner = b->intermediate > q ? b->intermediate : q,
                  widest = inner > b->hidden ? inner : b->hidden;
    const size_t bias = (size_t)(part_count(b->rows) * width) * sizeof(float),
                 pairs = cuda_pair_bytes(b->rows, widest, b->rank);
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
