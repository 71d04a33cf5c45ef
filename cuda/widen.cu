/* From one type to another: copies in the working type, and frozen matrices that lie there as bf16 where products are of fp32.
 * These are widened into a block of the backend's own and multiplied from there, a matrix at a time: a product then has the
 * operands, the shape and so the algorithm and the bits that it has of a matrix stored as fp32. Of the head, whose logits
 * come in chunks that have the same bits however many are made at once, as many chunks at a time as the block takes. */
#include "cuda/rows.h"

template <typename To, typename From, int N> static __global__ void convert(matrix<To> to, matrix<From> from)
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
        with_type(from.type, [&](auto from_element) {
            using To = decltype(element);
            using From = decltype(from_element);
            with_units<16 / (int)sizeof(From)>(
                [&](auto n) {
                    constexpr int N = n;
                    WZ_LAUNCH((convert<To, From, N>), row_blocks(to.columns / N, to.rows),
                              row_threads(to.rows), 0, cuda->stream, matrix_of<To>(to),
                              matrix_of<From>(from));
                },
                to, from);
        });
    });
    CUDA_LAUNCHED(cuda, "convert", to.rows, to.columns);
}

/* Rows of B that are widened at once. */
static int64_t rows_at_once(const cuda_backend *cuda, const cuda_product *p, int64_t rows, int64_t columns)
{
    const int64_t room = (int64_t)(cuda->widened.bytes / sizeof(float)) / columns;
    if (p->chunk == 0 || rows <= p->chunk)
        return rows;
    return room < p->chunk ? p->chunk : room / p->chunk * p->chunk;
}

void cuda_multiply_widened(cuda_backend *cuda, const cuda_product *p, const char *what)
{
    const int64_t rows = p->b_transposed ? p->n : p->k, columns = p->b_transposed ? p->k : p->n,
                  most = rows_at_once(cuda, p, rows, columns);
    if (!cuda_grow(cuda, &cuda->widened, (size_t)(most * columns) * sizeof(float), what))
        return;
    for (int64_t row = 0; row < rows; row += most) {
        const int64_t count = rows - row < most ? rows - row : most;
        const wz_tensor from = {(bf16 *)p->b + row * p->ldb, count, columns, p->ldb, WZ_BF16},
                        to = {cuda->widened.data, count, columns, columns, WZ_F32};
        cuda_product part = *p;
        cuda_convert(&cuda->base, to, from);
        part.widens = false;
        part.b = to.data;
        part.ldb = columns;
        if (p->chunk > 0) { /* columns of C, to which nothing is added */
            part.c = (char *)p->c + (size_t)row * wz_type_bytes(p->c_type);
            part.n = count;
        }
        cuda_multiply(cuda, &part, what);
    }
}

size_t cuda_widened_bytes(const wz_op_bounds *b, wz_dtype working_type)
{
    const int64_t q = b->attention.heads * b->attention.head_dim,
                  qkv = q + 2 * b->attention.kv_heads * b->attention.head_dim, chunk = cuda_head_chunk(b);
    const int64_t matrices[] = {qkv * b->hidden, b->hidden * q, 2 * b->intermediate * b->hidden,
                                (chunk < b->vocab ? chunk : b->vocab) * b->hidden};
    int64_t most = 0;
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
        most = matrices[i] > most ? matrices[i] : most;
    return b->frozen_type == WZ_F32 || working_type != WZ_F32 ? 0 : (size_t)most * sizeof(float);
}
