/* The part of CUDA's runtime interface that the backend uses: device memory, the stream and its graphs, errors, and devices
 * that cannot serve (CUDA_EMULATOR_FAULT). Kernels are run by emulator.cpp. */
#include <cuda_runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator
{
/* --- device memory: one region that only kernels and copies can touch --- */

namespace
{
constexpr size_t REGION = (size_t)1 << 30, RED_ZONE = 256;
char *region;
struct held {
    size_t whole, bytes; /* with red zones; asked for */
};
std::map<size_t, held> allocated; /* by offset */

void map_region()
{
    if (region != nullptr)
        return;
    region = (char *)mmap(nullptr, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        stop("no address space for device memory");
}

void protect(int protection)
{
    map_region();
    if (mprotect(region, REGION, protection) != 0)
        stop("mprotect failed");
}

void poison(size_t from, size_t bytes, bool poisoned)
{
#if defined(__SANITIZE_ADDRESS__)
    if (poisoned)
        ASAN_POISON_MEMORY_REGION(region + from, bytes);
    else
        ASAN_UNPOISON_MEMORY_REGION(region + from, bytes);
#else
    (void)from, (void)bytes, (void)poisoned;
#endif
}
} // namespace
} // namespace emulator

using namespace emulator;

/* --- graphs: what a stream was given to do, to be done again --- */

struct emulated_graph {
    std::vector<std::function<void()>> work;
};

static emulated_graph *captured; /* nullptr: no stream is captured */

/* What the device is behind the host: it does that at once, device memory being opened for it only once. */
static std::vector<std::function<void()>> queued;
constexpr size_t MOST_QUEUED = 256;

static void finish_queue()
{
    if (queued.empty())
        return;
    protect(PROT_READ | PROT_WRITE);
    for (const std::function<void()> &work : queued)
        work();
    queued.clear();
    protect(PROT_NONE);
}

bool emulator::is_capturing()
{
    return captured != nullptr;
}

void emulator::enqueue(std::function<void()> work)
{
    (captured != nullptr ? captured->work : queued).push_back(std::move(work));
    if (queued.size() >= MOST_QUEUED)
        finish_queue();
}

static void not_captured(const char *call)
{
    if (captured != nullptr)
        stop("%s while a stream is captured", call);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode)
{
    not_captured("cudaStreamBeginCapture");
    captured = new emulated_graph();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph)
{
    *graph = captured;
    captured = nullptr;
    return *graph != nullptr ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    *exec = new emulated_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t)
{
    not_captured("cudaGraphLaunch");
    count("graph", "launch");
    for (size_t i = 0; i < exec->work.size(); i++)
        count("in graph", "kernel, product or copy");
    for (const std::function<void()> &work : exec->work)
        enqueue(work);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}

const char *cudaGetErrorName(cudaError_t error)
{
    return error == cudaSuccess                       ? "cudaSuccess"
           : error == cudaErrorMemoryAllocation       ? "cudaErrorMemoryAllocation"
           : error == cudaErrorInsufficientDriver     ? "cudaErrorInsufficientDriver"
           : error == cudaErrorNoDevice               ? "cudaErrorNoDevice"
           : error == cudaErrorNoKernelImageForDevice ? "cudaErrorNoKernelImageForDevice"
           : error == cudaErrorIllegalAddress         ? "cudaErrorIllegalAddress"
                                                      : "cudaErrorInvalidValue";
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess                       ? "no error"
           : error == cudaErrorMemoryAllocation       ? "out of memory"
           : error == cudaErrorInsufficientDriver     ? "driver too old"
           : error == cudaErrorNoDevice               ? "no device"
           : error == cudaErrorNoKernelImageForDevice ? "no kernel image"
           : error == cudaErrorIllegalAddress         ? "an illegal memory access was encountered"
                                                      : "invalid argument";
}

static bool has_fault(const char *name)
{
    const char *fault = getenv("CUDA_EMULATOR_FAULT");
    return fault != nullptr && strcmp(fault, name) == 0;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 0;
    if (has_fault("no_driver") || has_fault("old_driver"))
        return cudaErrorInsufficientDriver;
    if (has_fault("no_gpu"))
        return cudaErrorNoDevice;
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    *properties = cudaDeviceProp();
    snprintf(properties->name, sizeof properties->name, "emulated on the CPU");
    properties->totalGlobalMem = REGION;
    properties->sharedMemPerBlock = (size_t)48 << 10;
    properties->major = has_fault("old_gpu") ? 7 : 9;
    properties->minor = has_fault("old_gpu") ? 5 : 0;
    properties->multiProcessorCount = 1;
    return cudaSetDevice(device);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = has_fault("no_driver") ? 0 : has_fault("old_driver") ? 12020 : 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = 13000;
    return cudaSuccess;
}

/* Stays until it is asked for. */
static cudaError_t last_error = cudaSuccess;

/* CUDA_EMULATOR_MEMORY, else all there is. What is asked for counts, not what it is rounded to. */
static size_t memory_limit()
{
    const char *limit = getenv("CUDA_EMULATOR_MEMORY");
    return limit != nullptr ? (size_t)strtoull(limit, nullptr, 10) : REGION;
}

/* At the program's end, to the file CUDA_EMULATOR_REPORT: calls of cudaMalloc and cudaMallocHost that gave memory, and most
 * bytes of the device's at once. */
struct memory_report {
    size_t calls = 0, now = 0, peak = 0;
    ~memory_report()
    {
        const char *path = getenv("CUDA_EMULATOR_REPORT");
        FILE *file = path != nullptr ? fopen(path, "w") : nullptr;
        if (file == nullptr)
            return;
        fprintf(file, "%zu %zu\n", calls, peak);
        fclose(file);
    }
};
static memory_report memory;

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *total_bytes = memory_limit();
    *free_bytes = *total_bytes - memory.now;
    return cudaSuccess;
}

/* First fit; what is left of a block keeps a red zone on both sides. */
cudaError_t cudaMalloc(void **block, size_t bytes)
{
    not_captured("cudaMalloc");
    const size_t whole = (bytes + 2 * RED_ZONE + 255) / 256 * 256;
    size_t at = 0;
    for (const auto &other : allocated) {
        if (other.first - at >= whole)
            break;
        at = other.first + other.second.whole;
    }
    *block = nullptr;
    if (whole > REGION - at || bytes > memory_limit() - memory.now || has_fault("no_memory"))
        return last_error = cudaErrorMemoryAllocation;
    map_region();
    allocated[at] = held{whole, bytes};
    memory.calls++;
    memory.now += bytes;
    memory.peak = std::max(memory.peak, memory.now);
    poison(at, whole, true);
    poison(at + RED_ZONE, bytes, false);
    char *given = region + at + RED_ZONE;
    enqueue([=] { memset(given, 0xcd, bytes); }); /* not zero: device memory is not */
    *block = given;
    return cudaSuccess;
}

cudaError_t cudaFree(void *block)
{
    not_captured("cudaFree");
    finish_queue();
    if (block == nullptr)
        return cudaSuccess;
    const auto found = allocated.find((size_t)((char *)block - region) - RED_ZONE);
    if (found == allocated.end())
        stop("cudaFree of what cudaMalloc did not give");
    poison(found->first, found->second.whole, true);
    memory.now -= found->second.bytes;
    allocated.erase(found);
    return cudaSuccess;
}

static std::map<const char *, size_t> pinned; /* bytes, by address */

cudaError_t cudaMallocHost(void **block, size_t bytes)
{
    not_captured("cudaMallocHost");
    *block = has_fault("no_memory") ? nullptr : malloc(bytes);
    if (*block == nullptr)
        return last_error = cudaErrorMemoryAllocation;
    memset(*block, 0xcd, bytes);
    pinned[(const char *)*block] = bytes;
    memory.calls++;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *block)
{
    not_captured("cudaFreeHost");
    finish_queue();
    if (block != nullptr && pinned.erase((const char *)block) == 0)
        stop("cudaFreeHost of what cudaMallocHost did not give");
    free(block);
    return cudaSuccess;
}

static bool is_pinned(const void *p)
{
    const auto after = pinned.upper_bound((const char *)p);
    if (after == pinned.begin())
        return false;
    const auto block = std::prev(after);
    return (const char *)p < block->first + block->second;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    *stream = nullptr;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    count("wait", "stream");
    not_captured("cudaStreamSynchronize");
    finish_queue();
    return has_fault("sticky") ? cudaErrorIllegalAddress : cudaSuccess;
}

struct emulated_event {
    std::chrono::steady_clock::time_point at;
};

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    *event = new emulated_event();
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t)
{
    enqueue([=] { event->at = std::chrono::steady_clock::now(); });
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
    count("wait", "event");
    finish_queue();
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *elapsed_ms, cudaEvent_t from, cudaEvent_t to)
{
    *elapsed_ms = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

static bool is_device(const void *p)
{
    return region != nullptr && (const char *)p >= region && (const char *)p < region + REGION;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t)
{
    if (bytes > 0 && (is_device(to) != (kind != cudaMemcpyDeviceToHost) ||
                      is_device(from) != (kind != cudaMemcpyHostToDevice)))
        stop("cudaMemcpyAsync in the wrong direction");
    count("copy", kind == cudaMemcpyHostToDevice
                      ? is_pinned(from) ? "to the device" : "to the device, pageable"
                  : kind == cudaMemcpyDeviceToHost ? "to the host"
                                                   : "on the device");
    if (kind != cudaMemcpyDeviceToDevice)
        not_captured("cudaMemcpyAsync to or from the host");
    if (bytes == 0)
        return cudaSuccess;
    if (kind == cudaMemcpyHostToDevice && is_pinned(from)) {
        enqueue([=] { memcpy(to, from, bytes); });
    } else if (kind == cudaMemcpyHostToDevice) { /* the host may change its own as soon as this returns */
        const std::vector<char> copy((const char *)from, (const char *)from + bytes);
        enqueue([=] { memcpy(to, copy.data(), copy.size()); });
    } else {
        enqueue([=] { memmove(to, from, bytes); });
        if (kind == cudaMemcpyDeviceToHost)
            finish_queue();
    }
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t)
{
    if (bytes > 0 && !is_device(to))
        stop("cudaMemsetAsync of host memory");
    count("fill", "memory");
    if (bytes > 0)
        enqueue([=] { memset(to, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height, cudaStream_t)
{
    if (width > 0 && height > 0 && !is_device(to))
        stop("cudaMemset2DAsync of host memory");
    count("fill", "memory");
    for (size_t row = 0; row < height && width > 0; row++)
        enqueue([=] { memset((char *)to + row * pitch, value, width); });
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = has_fault("no_kernel") ? cudaErrorNoKernelImageForDevice : last_error;
    last_error = cudaSuccess;
    return error;
}
