#include <cuda_runtime.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator
{
place here;

namespace
{
constexpr unsigned WARP = 32;
constexpr size_t STACK = (size_t)128 << 10;

enum class state { ready, at_barrier, in_warp, done };

/* Where a stack goes on: a fiber begins by its ucontext, then _longjmp is faster, which asks nothing of the kernel. */
struct place_of_stack {
    ucontext_t context;
    jmp_buf jump;
    bool begun = false;
};

struct fiber {
    place_of_stack at;
    std::unique_ptr<char[]> stack;
    void *fake_stack = nullptr;
    dim3 thread;
    state now = state::ready;
};

struct warp_state {
    unsigned arrived, mask, phase, syncs;
    const char *operation;
    uint64_t bits[WARP], published[WARP];
    unsigned vote, published_vote;
};

std::vector<fiber> fibers;
std::vector<warp_state> warps;
std::vector<uint32_t> dynamic_words;
std::vector<touch> dynamic_touches;
place_of_stack scheduler;
void *scheduler_fake_stack;
const void *scheduler_stack;
size_t scheduler_stack_bytes;
size_t running, threads;
unsigned epoch;
const char *kernel_name = "none";
const std::function<void()> *kernel_body;

std::vector<shared_block *> &shared_blocks()
{
    static std::vector<shared_block *> blocks;
    return blocks;
}

/* AddressSanitizer must be told when the stack changes. */
void switch_fiber(place_of_stack *from, void **from_fake, place_of_stack *to, const void *to_stack,
                  size_t to_bytes)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(from_fake, to_stack, to_bytes);
#else
    (void)from_fake, (void)to_stack, (void)to_bytes;
#endif
    from->begun = true;
    if (_setjmp(from->jump) != 0)
        return;
    if (to->begun)
        _longjmp(to->jump, 1);
    setcontext(&to->context);
}

void after_switch(void *fake, bool from_scheduler)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, from_scheduler ? &scheduler_stack : nullptr,
                                    from_scheduler ? &scheduler_stack_bytes : nullptr);
#else
    (void)fake, (void)from_scheduler;
#endif
}

void yield()
{
    fiber &f = fibers[running];
    switch_fiber(&f.at, &f.fake_stack, &scheduler, scheduler_stack, scheduler_stack_bytes);
    after_switch(f.fake_stack, true);
}

void fiber_main()
{
    after_switch(nullptr, true);
    (*kernel_body)();
    fibers[running].now = state::done;
    switch_fiber(&fibers[running].at, nullptr, &scheduler, scheduler_stack, scheduler_stack_bytes);
}

/* Lanes of a warp that have not ended. */
unsigned alive(size_t warp)
{
    unsigned lanes = 0;
    for (size_t t = warp * WARP; t < threads && t < (warp + 1) * WARP; t++)
        if (fibers[t].now != state::done)
            lanes |= 1u << (t % WARP);
    return lanes;
}

bool release_barrier()
{
    size_t waiting = 0, left = 0;
    for (size_t t = 0; t < threads; t++) {
        waiting += fibers[t].now == state::at_barrier;
        left += fibers[t].now != state::done;
    }
    if (left == 0 || waiting != left)
        return false;
    epoch++;
    for (size_t t = 0; t < threads; t++)
        if (fibers[t].now == state::at_barrier)
            fibers[t].now = state::ready;
    return true;
}

std::vector<size_t> thread_order(std::mt19937 *random)
{
    const char *how = getenv("CUDA_EMULATOR_ORDER");
    std::vector<size_t> order(threads);
    for (size_t t = 0; t < threads; t++)
        order[t] = t;
    if (how != nullptr && strcmp(how, "descending") == 0)
        std::reverse(order.begin(), order.end());
    else if (how != nullptr && strcmp(how, "ascending") != 0)
        std::shuffle(order.begin(), order.end(), *random);
    return order;
}

void start(size_t t, dim3 block)
{
    fiber &f = fibers[t];
    if (f.stack == nullptr)
        f.stack.reset(new char[STACK]);
    f.thread =
        dim3((unsigned)(t % block.x), (unsigned)(t / block.x % block.y), (unsigned)(t / block.x / block.y));
    f.now = state::ready;
    f.at.begun = false;
    getcontext(&f.at.context);
    f.at.context.uc_stack.ss_sp = f.stack.get();
    f.at.context.uc_stack.ss_size = STACK;
    f.at.context.uc_link = nullptr;
    makecontext(&f.at.context, fiber_main, 0);
}

void run_block(dim3 block, std::mt19937 *random)
{
    for (size_t t = 0; t < threads; t++)
        start(t, block);
    for (warp_state &w : warps)
        w = warp_state();
    epoch = 1;
    for (shared_block *shared : shared_blocks())
        shared->forget();
    for (touch &t : dynamic_touches)
        t = touch{-1, -1, 0, 0, 0, 0, false};
    for (bool left = true; left;) {
        bool moved = false;
        left = false;
        for (size_t t : thread_order(random)) {
            fiber &f = fibers[t];
            if (f.now == state::ready) {
                running = t;
                here.thread = f.thread;
                switch_fiber(&scheduler, &scheduler_fake_stack, &f.at, f.stack.get(), STACK);
                after_switch(scheduler_fake_stack, false);
                moved = true;
            }
            left = left || f.now != state::done;
        }
        moved = release_barrier() || moved;
        if (left && !moved)
            stop("%s: threads wait for each other: not all reach the same barrier or warp operation",
                 kernel_name);
    }
}
} // namespace

void stop(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "CUDA emulator: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (kernel %s, block %u,%u,%u, thread %u,%u,%u)\n", kernel_name, here.block.x,
            here.block.y, here.block.z, here.thread.x, here.thread.y, here.thread.z);
    va_end(arguments);
    abort();
}

shared_block::shared_block()
{
    shared_blocks().push_back(this);
}

void *dynamic_memory(size_t word)
{
    if (word >= dynamic_words.size())
        stop("word %zu of %zu words of dynamic shared memory", word, dynamic_words.size());
    return &dynamic_words[word];
}

touch *dynamic_touch(size_t word)
{
    return &dynamic_touches[word];
}

unsigned lane()
{
    return (unsigned)(running % WARP);
}

void barrier()
{
    fibers[running].now = state::at_barrier;
    yield();
}

/* The lanes of the mask meet; the last one to come publishes what all brought. */
static warp_state *meet(unsigned mask, const char *operation, uint64_t bits, bool vote)
{
    warp_state *w = &warps[running / WARP];
    const unsigned me = 1u << lane();
    mask &= alive(running / WARP);
    if ((mask & me) == 0)
        stop("%s: lane %u is not in its own mask %08x", operation, lane(), mask);
    if (w->arrived == 0) {
        w->mask = mask;
        w->operation = operation;
        w->vote = 0;
    } else if (w->mask != mask || w->operation != operation) {
        stop("%s with mask %08x meets %s with mask %08x", operation, mask, w->operation, w->mask);
    }
    w->arrived |= me;
    w->bits[lane()] = bits;
    w->vote |= vote ? me : 0;
    if (w->arrived != mask) {
        const unsigned phase = w->phase;
        fibers[running].now = state::in_warp;
        while (w->phase == phase)
            yield();
        return w;
    }
    memcpy(w->published, w->bits, sizeof w->bits);
    w->published_vote = w->vote;
    w->arrived = 0;
    w->phase++;
    w->syncs++;
    for (size_t t = running / WARP * WARP; t < threads && t / WARP == running / WARP; t++)
        if (fibers[t].now == state::in_warp)
            fibers[t].now = state::ready;
    return w;
}

uint64_t exchange(unsigned mask, const char *operation, uint64_t bits, unsigned source)
{
    const uint64_t *published = meet(mask, operation, bits, false)->published;
    if ((mask >> source & 1u) == 0)
        stop("%s reads lane %u, which is not in mask %08x", operation, source, mask);
    return published[source];
}

unsigned votes(unsigned mask, bool mine)
{
    return meet(mask, "vote", 0, mine)->published_vote;
}

/* Whether an access at (thread, epoch, warp's syncs) is ordered before one that happens now. */
static bool before_now(int thread, unsigned at_epoch, unsigned at_sync)
{
    if (at_epoch != epoch || thread == (int)running)
        return true;
    return thread >= 0 && (size_t)thread / WARP == running / WARP && at_sync != warps[running / WARP].syncs;
}

void note_read(touch *t, const char *name, size_t index)
{
    if (!t->written)
        stop("shared %s[%zu] is read before it is written", name, index);
    if (!before_now(t->writer, t->write_epoch, t->write_sync))
        stop("shared %s[%zu] is read while thread %d writes it", name, index, t->writer);
    const bool others = t->read_epoch == epoch && t->reader != -1 && t->reader != (int)running;
    t->reader = others ? -2 : (int)running;
    t->read_epoch = epoch;
    t->read_sync = warps[running / WARP].syncs;
}

void note_write(touch *t, const char *name, size_t index)
{
    if (t->written && !before_now(t->writer, t->write_epoch, t->write_sync))
        stop("shared %s[%zu] is written by thread %d, too", name, index, t->writer);
    if (t->reader != -1 && !before_now(t->reader, t->read_epoch, t->read_sync))
        stop("shared %s[%zu] is written while thread %d reads it", name, index, t->reader);
    t->written = true;
    t->writer = (int)running;
    t->write_epoch = epoch;
    t->write_sync = warps[running / WARP].syncs;
    t->reader = -1;
}

static void run(dim3 grid, dim3 block, size_t dynamic_bytes, const char *kernel,
                const std::function<void()> &body)
{
    const char *how = getenv("CUDA_EMULATOR_ORDER");
    std::mt19937 random(how != nullptr ? (unsigned)strtoul(how, nullptr, 10) : 0);
    threads = (size_t)block.x * block.y * block.z;
    kernel_name = kernel;
    kernel_body = &body;
    fibers.resize(std::max(fibers.size(), threads));
    warps.resize((threads + WARP - 1) / WARP);
    dynamic_words.assign((dynamic_bytes + 3) / 4, 0x7fc0dead);
    dynamic_touches.resize(dynamic_words.size());
    here.grid = grid;
    here.block_size = block;
    for (here.block.z = 0; here.block.z < grid.z; here.block.z++)
        for (here.block.y = 0; here.block.y < grid.y; here.block.y++)
            for (here.block.x = 0; here.block.x < grid.x; here.block.x++)
                run_block(block, &random);
    kernel_name = "none";
}

void launch(dim3 grid, dim3 block, size_t dynamic_bytes, const char *kernel, std::function<void()> body)
{
    const size_t block_threads = (size_t)block.x * block.y * block.z;
    kernel_name = kernel;
    if (block_threads == 0 || block_threads > 1024 || (size_t)grid.x * grid.y * grid.z == 0 ||
        grid.y > 65535 || grid.z > 65535)
        stop("launch of %u,%u,%u blocks of %u,%u,%u threads", grid.x, grid.y, grid.z, block.x, block.y,
             block.z);
    if (dynamic_bytes > (size_t)227 << 10)
        stop("%zu bytes of shared memory", dynamic_bytes);
    count("launch", kernel);
    enqueue([=] { run(grid, block, dynamic_bytes, kernel, body); });
}

/* --- device memory: one region that only kernels and copies can touch --- */

namespace
{
constexpr size_t REGION = (size_t)1 << 30, RED_ZONE = 256;
char *region;
int open_count;
struct held {
    size_t whole, bytes; /* with red zones; asked for */
};
std::map<size_t, held> allocated; /* by offset */

void protect(bool open)
{
    if (region == nullptr) {
        region = (char *)mmap(nullptr, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED)
            stop("no address space for device memory");
    }
    if (mprotect(region, REGION, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
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
/* While one exists, device memory is open to the host. */
class on_device
{
  public:
    on_device()
    {
        if (open_count++ == 0)
            protect(true);
    }
    ~on_device()
    {
        if (--open_count == 0)
            protect(false);
    }
};
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
    const on_device open;
    for (const std::function<void()> &work : queued)
        work();
    queued.clear();
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
                                                      : "cudaErrorInvalidValue";
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess                       ? "no error"
           : error == cudaErrorMemoryAllocation       ? "out of memory"
           : error == cudaErrorInsufficientDriver     ? "driver too old"
           : error == cudaErrorNoDevice               ? "no device"
           : error == cudaErrorNoKernelImageForDevice ? "no kernel image"
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

/* CUDA_EMULATOR_MEMORY, else all there is. What is asked for counts, not what it is rounded to. */
static size_t memory_limit()
{
    const char *limit = getenv("CUDA_EMULATOR_MEMORY");
    return limit != nullptr ? (size_t)strtoull(limit, nullptr, 10) : REGION;
}

/* At the program's end, to the file CUDA_EMULATOR_REPORT: calls of cudaMalloc that gave memory, and most bytes at once. */
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
        return cudaErrorMemoryAllocation;
    on_device open;
    allocated[at] = held{whole, bytes};
    memory.calls++;
    memory.now += bytes;
    memory.peak = std::max(memory.peak, memory.now);
    poison(at, whole, true);
    poison(at + RED_ZONE, bytes, false);
    memset(region + at + RED_ZONE, 0xcd, bytes); /* not zero: device memory is not */
    *block = region + at + RED_ZONE;
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
    on_device open;
    poison(found->first, found->second.whole, true);
    memory.now -= found->second.bytes;
    allocated.erase(found);
    return cudaSuccess;
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
    return cudaSuccess;
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
    count("copy", kind == cudaMemcpyHostToDevice   ? "to the device"
                  : kind == cudaMemcpyDeviceToHost ? "to the host"
                                                   : "on the device");
    if (kind != cudaMemcpyDeviceToDevice)
        not_captured("cudaMemcpyAsync to or from the host");
    if (kind == cudaMemcpyHostToDevice) { /* the host may change its own as soon as this returns */
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
    enqueue([=] { memset(to, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    return has_fault("no_kernel") ? cudaErrorNoKernelImageForDevice : cudaSuccess;
}
