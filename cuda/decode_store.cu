/* Storing a decode step's rows in the pack's activations, which are the KV cache: q and k are rotated on their way. */
#include "cuda/decode.h"
#include "cuda/rows.h"

#define STORE_THREADS 128

typedef struct stored_rows {
    char *to;
    const char *from;
    int64_t to_stride, from_stride, bytes, unit; /* bytes; unit: copied at once */
    bool at_sites;
} stored_rows;

typedef struct stored_list {
    stored_rows each[WZ_STORED];
    int count;
} stored_list;

/* wz_rotation as the kernel takes it; 2^log2 lanes have the pairs of a head (rope in elementwise.cu). */
typedef struct stored_rotation {
    const int32_t *position;
    const float *table; /* NULL: nothing is rotated */
    int64_t heads, head_dim;
    int log2;
} stored_rotation;

/* The step's row r of qkv: q and k rotated, v as it is. */
template <typename T, int N>
static __device__ void rotate_row(T *to, const T *from, int64_t width, const stored_rotation &t, int64_t r)
{
    const int64_t half = t.head_dim / 2;
    const float *angles = t.table + (int64_t)t.position[r] * t.head_dim;
    for (int64_t unit = threadIdx.x; (unit >> t.log2) < t.heads; unit += STORE_THREADS) {
        const int64_t d = (unit & (((int64_t)1 << t.log2) - 1)) * N, at = (unit >> t.log2) * t.head_dim + d;
        if (d >= half)
            continue;
        elements<N> a = read_elements<N>(from + at), b = read_elements<N>(from + at + half);
        rotate_pairs(&a, &b, read_elements<N>(angles + d), read_elements<N>(angles + half + d), 1.0f);
        write_elements(to + at, a);
        write_elements(to + at + half, b);
    }
    for (int64_t c = t.heads * t.head_dim + threadIdx.x * N; c < width; c += STORE_THREADS * N)
        write_elements(to + c, read_elements<N>(from + c));
}

template <typename T> static __device__ void copy_row(char *to, const char *from, int64_t bytes)
{
    for (int64_t i = threadIdx.x; i < bytes / (int64_t)sizeof(T); i += STORE_THREADS)
        ((T *)to)[i] = ((const T *)from)[i];
}

/* A block has a row of the step. T: the type of qkv, and N the elements of its units. */
template <typename T, int N>
static __global__ void store_rows(stored_list list, stored_rotation rotation, const decode_settings *settings,
                                  const decode_counts *counts)
{
    const int64_t r = blockIdx.x, row = counts->base + r,
                  site = row - settings->prompt_rows + settings->groups;
    if (r >= counts->rows)
        return;
    for (int i = 0; i < list.count; i++) {
        const stored_rows &s = list.each[i];
        char *to = s.to + (s.at_sites ? site : row) * s.to_stride;
        const char *from = s.from + r * s.from_stride;
        if (i == 0 && rotation.table != NULL)
            rotate_row<T, N>((T *)to, (const T *)from, s.bytes / (int64_t)sizeof(T), rotation, r);
        else if (s.unit == 16)
            copy_row<sixteen_bytes>(to, from, s.bytes);
        else if (s.unit == 4)
            copy_row<uint32_t>(to, from, s.bytes);
        else
            copy_row<uint16_t>(to, from, s.bytes);
    }
}

static stored_rows stored_of(const wz_stored *s)
{
    const int64_t size = (int64_t)wz_type_bytes(s->from.type);
    stored_rows out = {(char *)s->to.data,
                       (const char *)s->from.data,
                       s->to.stride * size,
                       s->from.stride * size,
                       s->from.columns * size,
                       2,
                       s->at_sites};
    const uint64_t all = (uint64_t)(uintptr_t)out.to | (uint64_t)(uintptr_t)out.from |
                         (uint64_t)out.to_stride | (uint64_t)out.from_stride | (uint64_t)out.bytes;
    out.unit = all % 16 == 0 ? 16 : all % 4 == 0 ? 4 : 2;
    return out;
}

static stored_rotation rotation_of(const wz_rotation *rotation, int n)
{
    if (rotation == NULL)
        return stored_rotation{};
    const wz_attention *a = &rotation->attention;
    return stored_rotation{rotation->position, rotation->table, a->heads + a->kv_heads, a->head_dim,
                           lanes_log2(a->head_dim / 2 / n)};
}

void decode_store(wz_backend *backend, const wz_stored *stored, int count, const wz_rotation *rotation)
{
    cuda_backend *cuda = cuda_of(backend);
    const decode_memory *m = &cuda->decode->memory;
    stored_list list = {};
    for (int i = 0; i < count; i++)
        list.each[list.count++] = stored_of(&stored[i]);
    if (count == 0 || stored[0].from.rows == 0)
        return;
    const int64_t rows = stored[0].from.rows, pairs = rotation != NULL ? rotation->attention.head_dim / 2 : 0;
    with_type(stored[0].from.type, [&](auto element) {
        using T = decltype(element);
        with_units<16 / (int)sizeof(T)>(
            [&](auto n) {
                constexpr int N = n;
                WZ_LAUNCH((store_rows<T, N>), dim3((unsigned)rows), dim3(STORE_THREADS), 0, cuda->stream,
                          list, rotation_of(rotation, N), m->settings, m->counts);
            },
            stored[0].from, stored[0].to, vector_of(rotation != NULL ? rotation->table : NULL, pairs));
    });
    CUDA_LAUNCHED(cuda, "decoding, storing rows", rows, count);
}
