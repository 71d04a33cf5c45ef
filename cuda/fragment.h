/* Products of 16 x 16 blocks by a warp, on tensor cores for bf16, and the tiles of rows in shared memory that they read.
 *
 * A lane has 8 elements of each block, in the layout of PTX's mma.m16n8k16. Element e of lane l is
 *     of a left factor and of a sum:  row 8 (e / 2 % 2) + l / 4,               column 8 (e / 4) + 2 (l % 4) + e % 2;
 *     of a right factor:              row 8 (e / 2 % 2) + 2 (l % 4) + e % 2,   column 8 (e / 4) + l / 4.
 * Factors are of type T, sums are fp32. An element of a sum depends on its row of the left factor and its column of the right
 * one alone, not on where in the block these stand, and products of zero leave it as it is: so tensor cores are known to
 * work, as far as they have been measured, though PTX leaves order and rounding open (tests/cuda_attention_tiles.c
 * looks). Where there are no tensor cores for it, the same is computed in plain C: for fp32, and on the emulator, which
 * so has the layouts' meaning. */
#ifndef WZ_CUDA_FRAGMENT_H
#define WZ_CUDA_FRAGMENT_H

#include "cuda/rows.h"

#define SIDE 16 /* rows and columns */

/* Elements 2 i and 2 i + 1 of type bf16 are word i, the first one in its lower half. */
template <typename T> struct fragment {
    uint32_t word[2 * sizeof(T)];
};

static __device__ __forceinline__ int fragment_row(int lane, int e)
{
    return 8 * (e / 2 % 2) + lane / 4;
}

static __device__ __forceinline__ int fragment_column(int lane, int e)
{
    return 8 * (e / 4) + 2 * (lane % 4) + e % 2;
}

static __device__ __forceinline__ int right_row(int lane, int e)
{
    return 8 * (e / 2 % 2) + 2 * (lane % 4) + e % 2;
}

static __device__ __forceinline__ int right_column(int lane, int e)
{
    return 8 * (e / 4) + lane / 4;
}

static __device__ __forceinline__ float element_of(const fragment<float> &f, int e)
{
    return __uint_as_float(f.word[e]);
}

static __device__ __forceinline__ float element_of(const fragment<bf16> &f, int e)
{
    return e % 2 == 0 ? bf16_first(f.word[e / 2]) : bf16_second(f.word[e / 2]);
}

/* Eight numbers as a factor. A sum's can become a left factor: the layouts are the same. */
static __device__ __forceinline__ void make_factor(fragment<float> *factor, const float *x)
{
    WZ_UNROLL
    for (int e = 0; e < 8; e++)
        factor->word[e] = __float_as_uint(x[e]);
}

static __device__ __forceinline__ void make_factor(fragment<bf16> *factor, const float *x)
{
    WZ_UNROLL
    for (int i = 0; i < 4; i++)
        factor->word[i] = bf16_pair(x[2 * i], x[2 * i + 1]);
}

/* Columns [first, first + 16) of the lane's two rows, as lie in device memory: `upper` is row l / 4, `lower` row l / 4 + 8, NULL:
 * zeros. Zeros from column `columns` on. `whole`: rows begin at multiples of 16 bytes, and so many are the columns'. */
template <typename T>
static __device__ __forceinline__ void load_left(fragment<T> *left, const T *upper, const T *lower, int first,
                                                 int columns, bool whole, int lane)
{
    constexpr int EACH = (int)sizeof(T) / 2; /* words of two elements */
    if (whole) {
        WZ_UNROLL
        for (int i = 0; i < 4; i++) {
            const T *row = i % 2 == 0 ? upper : lower;
            const int column = first + fragment_column(lane, 2 * i);
            bytes_at_once<4 *EACH> pair = {};
            if (row != NULL && column < columns)
                pair = read_bytes<4 * EACH>(row + column);
            WZ_UNROLL
            for (int k = 0; k < EACH; k++)
                left->word[i * EACH + k] = pair.word[k];
        }
        return;
    }
    float x[8];
    WZ_UNROLL
    for (int e = 0; e < 8; e++) {
        const T *row = e / 2 % 2 == 0 ? upper : lower;
        const int column = first + fragment_column(lane, e);
        x[e] = row != NULL && column < columns ? (float)row[column] : 0.0f;
    }
    make_factor(left, x);
}

/* The lane's part of sums of 16 x (16 BLOCKS) elements, each row times its factor, to device memory; NULL: nowhere. `whole`: as
 * above. */
template <int BLOCKS, typename T>
static __device__ __forceinline__ void store_sums(T *upper, T *lower, const float (*sum)[8],
                                                  const float *factor, int columns, bool whole, int lane)
{
    WZ_UNROLL
    for (int i = 0; i < 4 * BLOCKS; i++) {
        T *row = i % 2 == 0 ? upper : lower;
        const float *x = &sum[i / 4][i % 4 * 2];
        const int column = i / 4 * SIDE + fragment_column(lane, i % 4 * 2);
        const elements<2> pair = {{x[0] * factor[i % 2], x[1] * factor[i % 2]}};
        if (row == NULL || column >= columns)
            continue;
        if (whole) {
            write_elements(row + column, pair);
        } else {
            row[column] = pair.at[0];
            if (column + 1 < columns)
                row[column + 1] = pair.at[1];
        }
    }
}

/* --- tiles --- */

/* Rows of WIDTH elements, in words. 16 bytes between rows keep the lanes of a load off each other's banks. ABREAST lanes load a
 * row, 16 bytes each (UNITS in all). */
template <typename T, int WIDTH> struct tile {
    static constexpr int WORDS = WIDTH * (int)sizeof(T) / 4, STRIDE = WORDS + 4, UNITS = WORDS / 4,
                         ABREAST = UNITS < WZ_WARP ? UNITS : WZ_WARP;
};

/* Where a place in shared memory is for instructions of PTX. */
#if defined(__CUDACC__)
static __device__ __forceinline__ uint32_t shared_address(const float *words)
{
    return (uint32_t)__cvta_generic_to_shared(words);
}
#endif

/* Starts the copy of 16 bytes from device memory, or of zeros if they are not `there`. */
template <typename S>
static __device__ __forceinline__ void copy_unit(S words, int at, const void *from, bool there)
{
#if defined(__CUDACC__)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(words) + 4 * at),
                 "l"(from), "r"(there ? 16 : 0)
                 : "memory");
#else
    emulator::start_copy(words + at, there ? from : NULL);
#endif
}

/* N numbers of shared memory, from a word on whose number is a multiple of N. */
template <int N, typename S> static __device__ __forceinline__ void read_words(float *x, S words, int at)
{
#if defined(__CUDACC__)
    const bytes_at_once<4 *N> unit = read_bytes<4 * N>(words + at);
    WZ_UNROLL
    for (int i = 0; i < N; i++)
        x[i] = __uint_as_float(unit.word[i]);
#else
    for (int i = 0; i < N; i++)
        x[i] = words[at + i];
#endif
}

/* Copies started since the last call belong together. */
static __device__ __forceinline__ void close_copies(void)
{
#if defined(__CUDACC__)
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    emulator::close_copies();
#endif
}

/* Waits for the calling thread's copies but for the last LEFT groups. */
template <int LEFT> static __device__ __forceinline__ void await_copies(void)
{
#if defined(__CUDACC__)
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#else
    emulator::await_copies(LEFT);
#endif
}

static __device__ __forceinline__ float word_from(const float *row, int i, int columns)
{
    return i < columns ? row[i] : 0.0f;
}

static __device__ __forceinline__ float word_from(const bf16 *row, int i, int columns)
{
    const float first = 2 * i < columns ? (float)row[2 * i] : 0.0f,
                second = 2 * i + 1 < columns ? (float)row[2 * i + 1] : 0.0f;
    return __uint_as_float(bf16_pair(first, second));
}

/* Two tiles of `rows` rows: row j, from element `column` on, from addresses(j, column, &a, &b); zeros if it returns false and from
 * element `columns` on. By all threads of a block; `whole`: columns and addresses are multiples of 16 bytes. TOGETHER rows of a
 * thread's are loaded at once, of which the last ones may be zeros behind the tile's. */
template <typename T, int WIDTH, int TOGETHER, typename S, typename F>
static __device__ __forceinline__ void load_tiles(S a, S b, int rows, int columns, bool whole, int thread,
                                                  int threads, const F &addresses)
{
    constexpr int WORDS = tile<T, WIDTH>::WORDS, STRIDE = tile<T, WIDTH>::STRIDE, EACH = 16 / (int)sizeof(T),
                  ABREAST = tile<T, WIDTH>::ABREAST;
    const T *from_a[TOGETHER], *from_b[TOGETHER];
    bool there[TOGETHER];
    if (whole) {
        const int step = threads / ABREAST, unit = thread & (ABREAST - 1);
        for (int j = thread / ABREAST; j < rows; j += TOGETHER * step) {
            WZ_UNROLL
            for (int k = 0; k < TOGETHER; k++)
                there[k] = addresses(j + k * step, unit * EACH, &from_a[k], &from_b[k]);
            WZ_UNROLL
            for (int i = 0; i < TOGETHER * tile<T, WIDTH>::UNITS / ABREAST; i++) {
                const int k = i % TOGETHER, u = unit + i / TOGETHER * ABREAST;
                const bool within = there[k] && u * EACH < columns;
                copy_unit(a + 4 * u, (j + k * step) * STRIDE, from_a[k] + (u - unit) * EACH, within);
                copy_unit(b + 4 * u, (j + k * step) * STRIDE, from_b[k] + (u - unit) * EACH, within);
            }
        }
    } else {
        for (int e = thread; e < rows * WORDS; e += threads) {
            const int j = e / WORDS, i = e % WORDS;
            there[0] = addresses(j, 0, &from_a[0], &from_b[0]);
            a[j * STRIDE + i] = there[0] ? word_from(from_a[0], i, columns) : 0.0f;
            b[j * STRIDE + i] = there[0] ? word_from(from_b[0], i, columns) : 0.0f;
        }
    }
}

static __device__ __forceinline__ bool is_bad(uint32_t word, float)
{
    return (word & 0x7f800000u) == 0x7f800000u;
}

static __device__ __forceinline__ bool is_bad(uint32_t word, bf16)
{
    return is_bad(word, 0.0f) || (word & 0x7f80u) == 0x7f80u;
}

/* Puts zeros for words of a tile that have a number that is not finite; the caller waits. Row j is thread j's, which notes
 * behind it whether there were any. */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ void drop_bad(S words, int rows, int thread, int threads)
{
    constexpr int WORDS = tile<T, WIDTH>::WORDS, STRIDE = tile<T, WIDTH>::STRIDE;
    for (int j = thread; j < rows; j += threads) {
        bool any = false;
        for (int i = 0; i < WORDS; i++)
            if (is_bad(__float_as_uint(words[j * STRIDE + i]), T())) {
                words[j * STRIDE + i] = 0.0f;
                any = true;
            }
        words[j * STRIDE + WORDS] = any ? 1.0f : 0.0f;
    }
}

/* The first row in which drop_bad() found some; `rows`: none. */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ int first_bad(S words, int rows, int lane)
{
    constexpr int WORDS = tile<T, WIDTH>::WORDS, STRIDE = tile<T, WIDTH>::STRIDE;
    for (int first = 0; first < rows; first += WZ_WARP) {
        const int j = first + lane;
        const unsigned bad = __ballot_sync(WZ_ALL_LANES, j < rows && words[j * STRIDE + WORDS] != 0.0f);
        if (bad != 0)
            return first + __popc((bad & (~bad + 1u)) - 1u);
    }
    return rows;
}

template <typename S>
static __device__ __forceinline__ float tile_element(S words, int stride, int row, int column, float)
{
    return words[row * stride + column];
}

template <typename S>
static __device__ __forceinline__ float tile_element(S words, int stride, int row, int column, bf16)
{
    const uint32_t pair = __float_as_uint(words[row * stride + column / 2]);
    return column % 2 == 0 ? bf16_first(pair) : bf16_second(pair);
}

#if defined(__CUDACC__)
/* Four 8 x 8 matrices of bf16, whose 16-byte rows begin where lanes 0 to 31 say; lane l receives elements 2 (l % 4) and the
 * next one of row l / 4, or TRANSPOSED, of column l / 4. */
template <bool TRANSPOSED>
static __device__ __forceinline__ void load_matrices(fragment<bf16> *out, uint32_t at)
{
    if (TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(out->word[0]), "=r"(out->word[1]), "=r"(out->word[2]), "=r"(out->word[3])
                     : "r"(at)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(out->word[0]), "=r"(out->word[1]), "=r"(out->word[2]), "=r"(out->word[3])
                     : "r"(at)
                     : "memory");
}
#endif

/* A right factor from 16 x 16 elements of a tile, [row, row + 16) x [column, column + 16). The tile's rows are the factor's
 * rows, or TRANSPOSED, its columns. */
template <typename T, int WIDTH, bool TRANSPOSED, typename S>
static __device__ __forceinline__ void load_right(fragment<T> *right, S words, int row, int column, int lane)
{
    constexpr int STRIDE = tile<T, WIDTH>::STRIDE;
#if defined(__CUDACC__)
    if constexpr (sizeof(T) == sizeof(bf16)) { /* lanes 8 m to 8 m + 7 have the rows of matrix m, words m */
        const int odd = 8 * (lane / 8 % 2), second = 8 * (lane / 16), lower = TRANSPOSED ? second : odd;
        const uint32_t first =
            shared_address(words) + 4 * ((lower + lane % 8) * STRIDE + (odd + second - lower) / 2);
        load_matrices<!TRANSPOSED>(right, first + 4 * (row * STRIDE + column / 2));
    } else
#endif
    {
        float x[8];
        WZ_UNROLL
        for (int e = 0; e < 8; e++) {
            const int i = right_row(lane, e), j = right_column(lane, e);
            x[e] =
                tile_element(words, STRIDE, row + (TRANSPOSED ? j : i), column + (TRANSPOSED ? i : j), T());
        }
        make_factor(right, x);
    }
}

/* --- sum += left right, by all lanes of a warp --- */

#if defined(__CUDACC__)
static __device__ __forceinline__ void multiply_add(float *sum, const fragment<bf16> &left,
                                                    const fragment<bf16> &right)
{
    WZ_UNROLL
    for (int half = 0; half < 2; half++)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(sum[4 * half]), "+f"(sum[4 * half + 1]), "+f"(sum[4 * half + 2]), "+f"(sum[4 * half + 3])
            : "r"(left.word[0]), "r"(left.word[1]), "r"(left.word[2]), "r"(left.word[3]),
              "r"(right.word[2 * half]), "r"(right.word[2 * half + 1]));
}

static __device__ __forceinline__ void multiply_add(float *sum, const fragment<float> &left,
                                                    const fragment<float> &right)
{
    const int lane = (int)threadIdx.x % WZ_WARP;
    /* holder: a lane of four, which has inner indices 2 holder + 0, 1, 8 and 9; not unrolled: compiling takes minutes then */
    WZ_UNROLL_BY(1)
    for (int holder = 0; holder < 4; holder++) {
        const int of_row = lane / 4 * 4 + holder;
        WZ_UNROLL
        for (int k = 0; k < 4; k++) {
            const int e = 4 * (k / 2) + k % 2, f = 2 * (k / 2) + k % 2;
            const float upper = __uint_as_float(__shfl_sync(WZ_ALL_LANES, left.word[e], of_row)),
                        lower = __uint_as_float(__shfl_sync(WZ_ALL_LANES, left.word[e + 2], of_row));
            WZ_UNROLL
            for (int c = 0; c < 4; c++) {
                const int of_column = (2 * (lane % 4) + c % 2) * 4 + holder, at = 4 * (c / 2) + c % 2;
                const float x =
                    __uint_as_float(__shfl_sync(WZ_ALL_LANES, right.word[4 * (c / 2) + f], of_column));
                sum[at] = fmaf(upper, x, sum[at]);
                sum[at + 2] = fmaf(lower, x, sum[at + 2]);
            }
        }
    }
}
#else
template <typename T>
static inline void multiply_add(float *sum, const fragment<T> &left, const fragment<T> &right)
{
    struct factors {
        const fragment<T> *left, *right;
    };
    const factors mine = {&left, &right};
    const uint64_t *all = emulator::exchange_all("multiply_add", (uint64_t)(uintptr_t)&mine);
    const int lane = (int)threadIdx.x % WZ_WARP;
    const auto of = [all](int l) { return (const factors *)(uintptr_t)all[l]; };
    for (int e = 0; e < 8; e++) {
        const int row = fragment_row(lane, e), column = fragment_column(lane, e);
        for (int k = 0; k < SIDE; k++) {
            const float x = element_of(*of(row % 8 * 4 + k % 8 / 2)->left,
                                       4 * (k / 8) + 2 * (row / 8) + k % 2),
                        y = element_of(*of(column % 8 * 4 + k % 8 / 2)->right,
                                       4 * (column / 8) + 2 * (k / 8) + k % 2);
            sum[e] = fmaf(x, y, sum[e]);
        }
    }
    __syncwarp(); /* the factors are the lanes' own */
}
#endif

#endif
