/* CUDA's execution model on the CPU, so that the kernels of cuda/ are compiled by the host's compiler and run through the
 * op table's tests on machines without a GPU. Blocks run one after another; the threads of a block are fibers that
 * take turns at barriers, warp shuffles and votes, in an order that CUDA_EMULATOR_ORDER picks (ascending, descending,
 * or a number: at each turn the next one is drawn, by that seed).
 *
 * What it checks: shared memory is written before it is read; no two threads touch one shared location between
 * barriers unless both only read; all threads of a block reach a barrier and all lanes of a mask the same warp
 * operation; the host stays out of device memory (which is unreadable to it but for copies); under AddressSanitizer
 * device memory has red zones. What it cannot check: caches and memory ordering, speed, tensor cores.
 *
 * CUDA_EMULATOR_COUNT=FILE: when the program ends, how often the host asked for what, a line each: kind (launch, product,
 * copy, fill, wait), tab, name, tab, number.
 *
 * This header takes the place of the toolkit's own: kernels include <cuda_runtime.h> and find this one first. */
#ifndef CUDA_EMULATOR_CUDA_RUNTIME_H
#define CUDA_EMULATOR_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

namespace emulator
{
struct place {
    dim3 thread, block, block_size, grid;
};
extern place here; /* of the running thread */

/* Work for the device, done when the host waits for it; while the stream is captured, when its graph is launched. */
void enqueue(std::function<void()> work);
void launch(dim3 grid, dim3 block, size_t dynamic_bytes, const char *kernel, std::function<void()> body);
void barrier();
/* Waits for the lanes of `mask`; returns the bits that lane `source` came with. */
uint64_t exchange(unsigned mask, const char *operation, uint64_t bits, unsigned source);
/* The same of the whole warp: what each lane came with, until the warp's next operation. */
const uint64_t *exchange_all(const char *operation, uint64_t bits);
/* Bit i: lane i of the mask came with true. */
unsigned votes(unsigned mask, bool mine);
unsigned lane();

/* A moment: barriers so far (of all blocks), the thread, and its warp's operations since the block began. */
constexpr unsigned THREAD_AT = 21, WARP_AT = THREAD_AT + 5, EPOCH_AT = 32;
constexpr uint64_t SYNCS = ((uint64_t)1 << THREAD_AT) - 1, SEVERAL = (uint64_t)2047 << THREAD_AT;
extern uint64_t now, block_began;

/* When one location of shared memory was written and read last; by SEVERAL threads, if they read it between the same barriers.
 * What earlier blocks left was before this one began. */
struct touch {
    uint64_t write, read;
};
[[noreturn]] void stop(const char *format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void stop_access(const char *name, size_t index, const char *is, uint64_t then,
                              const char *does);

/* Whether what a thread did then is ordered before what happens now. */
inline bool before_now(uint64_t then)
{
    const uint64_t differ = then ^ now;
    if (differ >> EPOCH_AT != 0 || differ >> THREAD_AT == 0)
        return true;
    return differ >> WARP_AT == 0 && (differ & SYNCS) != 0;
}

inline void note_read(touch *t, const char *name, size_t index)
{
    if (t->write < block_began)
        stop("shared %s[%zu] is read before it is written", name, index);
    if (!before_now(t->write))
        stop_access(name, index, "read", t->write, "writes");
    const uint64_t differ = t->read ^ now;
    const bool others = differ >> EPOCH_AT == 0 && differ >> THREAD_AT != 0;
    t->read = others ? now | SEVERAL : now;
}

inline void note_write(touch *t, const char *name, size_t index)
{
    if (!before_now(t->write))
        stop_access(name, index, "written", t->write, "writes");
    if (!before_now(t->read))
        stop_access(name, index, "written", t->read, "reads");
    t->write = now;
    t->read = 0;
}

template <typename T> class shared_reference
{
  public:
    shared_reference(T *value, touch *t, const char *name, size_t index)
        : value_(value), touch_(t), name_(name), index_(index)
    {
    }
    operator T() const
    {
        note_read(touch_, name_, index_);
        return *value_;
    }
    T operator=(T value) const
    {
        note_write(touch_, name_, index_);
        return *value_ = value;
    }
    T operator=(const shared_reference &other) const
    {
        return *this = (T)other;
    }
    T operator+=(T value) const
    {
        return *this = (T) * this + value;
    }

  private:
    T *value_;
    touch *touch_;
    const char *name_;
    size_t index_;
};

template <typename T, size_t N> class shared_array
{
  public:
    explicit shared_array(const char *name) : name_(name)
    {
    }
    shared_reference<T> operator[](int64_t i)
    {
        if (i < 0 || (size_t)i >= N)
            stop("shared %s[%lld] of %zu", name_, (long long)i, N);
        return shared_reference<T>(&value_[i], &touch_[i], name_, (size_t)i);
    }

  private:
    T value_[N];
    touch touch_[N] = {};
    const char *name_;
};

/* The launch's dynamic shared memory. */
extern uint32_t *dynamic_words;
extern touch *dynamic_touches;
extern size_t dynamic_count;

template <typename T> class dynamic_array
{
  public:
    dynamic_array(const char *name, int64_t first) : name_(name), first_(first)
    {
        static_assert(sizeof(T) == 4, "dynamic shared memory is tracked in words");
    }
    shared_reference<T> operator[](int64_t i) const
    {
        const size_t word = (size_t)(first_ + i); /* a negative one is beyond the end */
        if (word >= dynamic_count)
            stop("word %zu of %zu words of dynamic shared memory", word, dynamic_count);
        return shared_reference<T>((T *)&dynamic_words[word], &dynamic_touches[word], name_, (size_t)i);
    }
    dynamic_array operator+(int64_t i) const
    {
        return dynamic_array(name_, first_ + i);
    }

  private:
    const char *name_;
    int64_t first_;
};

/* Copies of 16 bytes to shared memory, which arrive when their thread awaits them (cp.async): until then there are NaNs.
 * from NULL: zeros. Those started since the last close_copies belong together; await_copies: all groups but the last `left`. */
void start_copy(const dynamic_array<float> &to, const void *from);
void close_copies();
void await_copies(size_t left);
} // namespace emulator

#define threadIdx (emulator::here.thread)
#define blockIdx (emulator::here.block)
#define blockDim (emulator::here.block_size)
#define gridDim (emulator::here.grid)

static inline void __syncthreads(void)
{
    emulator::barrier();
}

static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    (void)emulator::exchange(mask, "__syncwarp", 0, emulator::lane());
}

template <typename T>
static inline T emulated_shuffle(unsigned mask, const char *operation, T value, unsigned source)
{
    uint64_t bits = 0;
    static_assert(sizeof value <= sizeof bits, "shuffled values have at most 8 bytes");
    memcpy(&bits, &value, sizeof value);
    bits = emulator::exchange(mask, operation, bits, source);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename T> static inline T __shfl_sync(unsigned mask, T value, int source)
{
    return emulated_shuffle(mask, "__shfl_sync", value, (unsigned)source % 32u);
}

template <typename T> static inline T __shfl_xor_sync(unsigned mask, T value, int lanes)
{
    return emulated_shuffle(mask, "__shfl_xor_sync", value, emulator::lane() ^ (unsigned)lanes);
}

template <typename T> static inline T __shfl_up_sync(unsigned mask, T value, unsigned lanes)
{
    const unsigned from = emulator::lane() - lanes; /* wraps around below lane 0 */
    return emulated_shuffle(mask, "__shfl_up_sync", value, from < 32u ? from : emulator::lane());
}

template <typename T> static inline T __shfl_down_sync(unsigned mask, T value, unsigned lanes)
{
    const unsigned from = emulator::lane() + lanes;
    return emulated_shuffle(mask, "__shfl_down_sync", value, from < 32u ? from : emulator::lane());
}

static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    return emulator::votes(mask, predicate != 0);
}

static inline int __any_sync(unsigned mask, int predicate)
{
    return emulator::votes(mask, predicate != 0) != 0;
}

static inline int __all_sync(unsigned mask, int predicate)
{
    return emulator::votes(mask, predicate != 0) == mask;
}

static inline int __popc(unsigned bits)
{
    return __builtin_popcount(bits);
}

static inline unsigned min(unsigned x, unsigned y)
{
    return x < y ? x : y;
}

static inline unsigned __umulhi(unsigned x, unsigned y)
{
    return (unsigned)((uint64_t)x * y >> 32);
}

static inline unsigned __float_as_uint(float x)
{
    unsigned bits = 0;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __uint_as_float(unsigned bits)
{
    float x = 0.0f;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Rounded each for itself, as all is here: the build does not fuse products and sums. */
static inline float __fmul_rn(float x, float y)
{
    return x * y;
}

static inline float __fadd_rn(float x, float y)
{
    return x + y;
}

static inline float __fsub_rn(float x, float y)
{
    return x - y;
}

/* --- the part of the runtime's interface that the backend uses --- */

/* CUDA_EMULATOR_FAULT makes a machine on which CUDA cannot work: no_driver, old_driver, no_gpu, old_gpu (compute
 * capability 7.5), no_kernel (none for this GPU), no_memory. CUDA_EMULATOR_MEMORY=bytes is the device's memory;
 * CUDA_EMULATOR_REPORT=file receives, when the program ends, how often memory (pinned memory of the host, too) was taken and
 * the most of the device's at once. */

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorIllegalAddress = 700
} cudaError_t;
typedef enum cudaMemcpyKind {
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice
} cudaMemcpyKind;
typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
typedef struct emulated_graph *cudaGraph_t;
typedef struct emulated_graph *cudaGraphExec_t;
typedef enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 } cudaStreamCaptureMode;
typedef struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock;
    int major, minor, multiProcessorCount;
} cudaDeviceProp;

const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes);
cudaError_t cudaMalloc(void **block, size_t bytes);
cudaError_t cudaFree(void *block);
/* Pinned: copies to the device read it when their turn has come, others' memory when they are asked for. */
cudaError_t cudaMallocHost(void **block, size_t bytes);
cudaError_t cudaFreeHost(void *block);
cudaError_t cudaStreamCreate(cudaStream_t *stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *elapsed_ms, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream);
cudaError_t cudaGetLastError(void);
/* While a stream is captured, waits, allocations and copies to or from the host end the program. */
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
typedef enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 } cudaFuncAttribute;
template <typename F> static inline cudaError_t cudaFuncSetAttribute(F, cudaFuncAttribute, int bytes)
{
    return bytes <= 227 << 10 ? cudaSuccess : cudaErrorInvalidValue;
}

namespace emulator
{
/* One more of these, for CUDA_EMULATOR_COUNT; what a graph records counts when that is launched. */
void count(const char *kind, const char *name);
bool is_capturing();
} // namespace emulator

#endif
