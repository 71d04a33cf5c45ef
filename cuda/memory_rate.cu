/* How fast the GPU reads its memory: the yardstick of decoding. */
#include <math.h>

#include "cuda/cuda_backend.h"

#define THREADS 256
#define EACH 4 /* reads of 16 bytes that a thread has under way at once */

/* The block is zero: nothing is written, but the compiler does not know. */
static __global__ void read_all(const sixteen_bytes *from, int64_t count, uint32_t *out)
{
    const int64_t first = (int64_t)blockIdx.x * (THREADS * EACH) + threadIdx.x;
    uint32_t bits = 0;
    WZ_UNROLL
    for (int i = 0; i < EACH; i++)
        if (first + i * THREADS < count) {
            const sixteen_bytes b = from[first + i * THREADS];
            bits |= b.word[0] | b.word[1] | b.word[2] | b.word[3];
        }
    if (bits != 0)
        *out = bits;
}

typedef struct zero_block {
    sixteen_bytes *data;
    int64_t count;
} zero_block;

static void read_block(cuda_backend *cuda, const void *what)
{
    const zero_block *block = (const zero_block *)what;
    const int64_t each = THREADS * EACH;
    WZ_LAUNCH(read_all, dim3((unsigned)((block->count + each - 1) / each)), dim3(THREADS), 0, cuda->stream,
              block->data, block->count, (uint32_t *)(block->data + block->count));
    CUDA_LAUNCHED(cuda, "memory_rate", 1, block->count);
}

double cuda_memory_rate(wz_backend *backend, size_t bytes, double seconds)
{
    cuda_backend *cuda = cuda_of(backend);
    zero_block block = {NULL, (int64_t)(bytes / sizeof(sixteen_bytes)) + 1};
    void *memory = NULL;
    double rate = NAN;
    const size_t whole = (size_t)(block.count + 1) * sizeof(sixteen_bytes);
    if (!CUDA_CHECK(cuda, cudaMalloc(&memory, whole), "memory_rate"))
        return NAN;
    block.data = (sixteen_bytes *)memory;
    if (CUDA_CHECK(cuda, cudaMemsetAsync(memory, 0, whole, cuda->stream), "memory_rate"))
        rate = cuda_best_rate(cuda, read_block, &block, (double)block.count * sizeof(sixteen_bytes), seconds,
                              "memory_rate");
    CUDA_CHECK(cuda, cudaFree(memory), "memory_rate");
    return rate;
}
