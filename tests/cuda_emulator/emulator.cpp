/* Blocks of threads, run as fibers that take turns, and what they share. */
#include <cuda_runtime.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator
{
place here;
uint64_t now, block_began;
uint32_t *dynamic_words;
touch *dynamic_touches;
size_t dynamic_count;

namespace
{
constexpr unsigned WARP = 32, MOST_THREADS = 1024;
/* Stacks begin so far apart that those of a warp do not compete for the same sets of the cache. */
constexpr size_t STACK = (size_t)128 << 10, APART = 9 * 64;

/* Where a stack goes on. A fiber begins by its ucontext; then the compiler's own longjmp is faster, which asks nothing of
 * the kernel or the C library. */
struct stack {
    void *jump[5];
    bool begun;
    const void *bottom; /* these are AddressSanitizer's */
    size_t bytes;
    void *fake;
};

struct pending_copy {
    dynamic_array<float> to;
    const void *from;
};

struct fiber {
    stack at;
    std::vector<pending_copy> copies;
    std::vector<size_t> groups; /* where each ends among the copies */
    std::unique_ptr<char[]> memory;
    dim3 thread;
};

/* Sets of lanes: those that can run, wait at the block's barrier, have not ended; have come to the warp operation, whose
 * mask and name the first of them brought. */
struct warp_state {
    unsigned ready, at_barrier, alive;
    unsigned arrived, mask, syncs;
    const char *operation;
    uint64_t bits[WARP], published[WARP];
    unsigned vote, published_vote;
};

enum class turns { ascending, descending, drawn };

fiber fibers[MOST_THREADS];
warp_state warps[MOST_THREADS / WARP];
unsigned ready_warps; /* those with a lane that can run */
stack host{{}, true, nullptr, 0, nullptr}, *left_stack;
size_t running, threads;
uint64_t epoch; /* blocks begun and barriers passed */
turns order;
uint64_t random_state;
const char *kernel_name = "none";
const std::function<void()> *kernel_body;

/* Not instrumented: to AddressSanitizer, what does not return gives up its stack. */
__attribute__((noinline, noreturn, no_sanitize_address)) void resume(stack *to)
{
    __builtin_longjmp(to->jump, 1);
}

void fiber_main();

__attribute__((noinline, noreturn, no_sanitize_address)) void begin(stack *to)
{
    ucontext_t context;
    to->begun = true;
    getcontext(&context);
    context.uc_stack.ss_sp = (void *)to->bottom;
    context.uc_stack.ss_size = to->bytes;
    context.uc_link = nullptr;
    makecontext(&context, fiber_main, 0);
    setcontext(&context);
    abort();
}

/* AddressSanitizer must be told when the stack changes. */
void after_switch(void *fake)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, &left_stack->bottom, &left_stack->bytes);
#else
    (void)fake;
#endif
}

__attribute__((noinline, no_sanitize_address)) void switch_stack(stack *from, stack *to)
{
    left_stack = from;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->bytes);
#endif
    if (__builtin_setjmp(from->jump) == 0) {
        if (to->begun)
            resume(to);
        begin(to);
    }
    after_switch(from->fake);
}

/* Whose turn it is of a set of lanes or warps. */
unsigned pick(unsigned set)
{
    if (order == turns::ascending)
        return (unsigned)__builtin_ctz(set);
    if (order == turns::descending)
        return WARP - 1 - (unsigned)__builtin_clz(set);
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    for (uint64_t skip = (random_state >> 33) % (uint64_t)__builtin_popcount(set); skip > 0; skip--)
        set &= set - 1; /* without its lowest */
    return (unsigned)__builtin_ctz(set);
}

void set_now()
{
    now = epoch << EPOCH_AT | (uint64_t)running << THREAD_AT | (warps[running / WARP].syncs & SYNCS);
}

void make_ready(size_t warp, unsigned lanes)
{
    warps[warp].ready |= lanes;
    if (lanes != 0)
        ready_warps |= 1u << warp;
}

/* Where all threads wait that have not ended. */
void release_barrier()
{
    for (size_t w = 0; w < (threads + WARP - 1) / WARP; w++)
        if (warps[w].at_barrier != warps[w].alive)
            stop("%s: threads wait for each other: not all reach the same barrier or warp operation",
                 kernel_name);
    epoch++;
    for (size_t w = 0; w < (threads + WARP - 1) / WARP; w++) {
        make_ready(w, warps[w].at_barrier);
        warps[w].at_barrier = 0;
    }
}

/* The next thread's stack; the host's if all have ended. */
stack *next()
{
    if (ready_warps == 0)
        release_barrier();
    if (ready_warps == 0)
        return &host;
    const unsigned warp = pick(ready_warps);
    running = warp * WARP + pick(warps[warp].ready);
    here.thread = fibers[running].thread;
    set_now();
    return &fibers[running].at;
}

/* Others run until this thread is made ready again. */
void wait()
{
    warp_state *w = &warps[running / WARP];
    stack *mine = &fibers[running].at;
    w->ready &= ~(1u << lane());
    if (w->ready == 0)
        ready_warps &= ~(1u << running / WARP);
    switch_stack(mine, next());
}

/* A fiber serves the thread of its number in one block after the other. */
void fiber_main()
{
    for (after_switch(nullptr);;) {
        (*kernel_body)();
        fibers[running].copies.clear();
        fibers[running].groups.clear();
        warps[running / WARP].alive &= ~(1u << lane());
        wait();
    }
}

void prepare_fibers(dim3 block)
{
    for (size_t t = 0; t < threads; t++) {
        fiber &f = fibers[t];
        f.thread = dim3((unsigned)(t % block.x), (unsigned)(t / block.x % block.y),
                        (unsigned)(t / block.x / block.y));
        if (f.memory == nullptr) {
            f.memory.reset(new char[STACK]);
            f.at.bottom = f.memory.get();
            f.at.bytes = STACK - t % WARP * APART;
        }
    }
}

void run_block()
{
    block_began = ++epoch << EPOCH_AT;
    for (size_t first = 0; first < threads; first += WARP) {
        const size_t lanes = std::min(threads - first, (size_t)WARP);
        warp_state *w = &warps[first / WARP];
        w->alive = (unsigned)(((uint64_t)1 << lanes) - 1);
        w->arrived = w->syncs = 0;
        make_ready(first / WARP, w->alive);
    }
    switch_stack(&host, next());
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

void stop_access(const char *name, size_t index, const char *is, uint64_t then, const char *does)
{
    if ((then & SEVERAL) == SEVERAL)
        stop("shared %s[%zu] is %s while several threads read it", name, index, is);
    stop("shared %s[%zu] is %s while thread %u %s it", name, index, is,
         (unsigned)((then & SEVERAL) >> THREAD_AT), does);
}

unsigned lane()
{
    return (unsigned)(running % WARP);
}

void barrier()
{
    warps[running / WARP].at_barrier |= 1u << lane();
    wait();
}

/* The lanes of the mask meet; the last one to come publishes what all brought. */
static warp_state *meet(unsigned mask, const char *operation, uint64_t bits)
{
    warp_state *w = &warps[running / WARP];
    const unsigned me = 1u << lane();
    mask &= w->alive;
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
    w->vote |= bits != 0 ? me : 0;
    if (w->arrived != mask) {
        wait();
        return w;
    }
    memcpy(w->published, w->bits, sizeof w->bits);
    w->published_vote = w->vote;
    w->arrived = 0;
    w->syncs++;
    set_now();
    make_ready(running / WARP, mask);
    return w;
}

uint64_t exchange(unsigned mask, const char *operation, uint64_t bits, unsigned source)
{
    const uint64_t *published = meet(mask, operation, bits)->published;
    if ((mask >> source & 1u) == 0)
        stop("%s reads lane %u, which is not in mask %08x", operation, source, mask);
    return published[source];
}

const uint64_t *exchange_all(const char *operation, uint64_t bits)
{
    if (warps[running / WARP].alive != ~0u)
        stop("%s by a part of a warp", operation);
    return meet(~0u, operation, bits)->published;
}

unsigned votes(unsigned mask, bool mine)
{
    return meet(mask, "vote", mine)->published_vote;
}

static void choose_order()
{
    const char *how = getenv("CUDA_EMULATOR_ORDER");
    order = how == nullptr || strcmp(how, "ascending") == 0 ? turns::ascending
            : strcmp(how, "descending") == 0                ? turns::descending
                                                            : turns::drawn;
    random_state = order == turns::drawn ? strtoull(how, nullptr, 10) : 0;
}

/* Grows; what earlier launches left in it counts as unwritten. */
static void prepare_dynamic_memory(size_t words)
{
    static std::vector<uint32_t> values;
    static std::vector<touch> touches;
    values.resize(std::max(values.size(), words));
    touches.resize(values.size());
    dynamic_words = values.data();
    dynamic_touches = touches.data();
    dynamic_count = words;
}

void start_copy(const dynamic_array<float> &to, const void *from)
{
    for (int i = 0; i < 4; i++)
        to[i] = NAN;
    fibers[running].copies.push_back({to, from});
}

void close_copies()
{
    fibers[running].groups.push_back(fibers[running].copies.size());
}

void await_copies(size_t left)
{
    fiber &f = fibers[running];
    if (f.groups.size() <= left)
        return;
    const size_t count = f.groups.size() - left, end = f.groups[count - 1];
    for (size_t k = 0; k < end; k++) {
        float words[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (f.copies[k].from != NULL)
            memcpy(words, f.copies[k].from, sizeof words);
        for (int i = 0; i < 4; i++)
            f.copies[k].to[i] = words[i];
    }
    f.copies.erase(f.copies.begin(), f.copies.begin() + (ptrdiff_t)end);
    f.groups.erase(f.groups.begin(), f.groups.begin() + (ptrdiff_t)count);
    for (size_t &group : f.groups)
        group -= end;
}

static void run(dim3 grid, dim3 block, size_t dynamic_bytes, const char *kernel,
                const std::function<void()> &body)
{
    threads = (size_t)block.x * block.y * block.z;
    kernel_name = kernel;
    kernel_body = &body;
    choose_order();
    prepare_fibers(block);
    prepare_dynamic_memory((dynamic_bytes + 3) / 4);
    here.grid = grid;
    here.block_size = block;
    for (here.block.z = 0; here.block.z < grid.z; here.block.z++)
        for (here.block.y = 0; here.block.y < grid.y; here.block.y++)
            for (here.block.x = 0; here.block.x < grid.x; here.block.x++)
                run_block();
    kernel_name = "none";
}

void launch(dim3 grid, dim3 block, size_t dynamic_bytes, const char *kernel, std::function<void()> body)
{
    const size_t block_threads = (size_t)block.x * block.y * block.z;
    kernel_name = kernel;
    if (block_threads == 0 || block_threads > MOST_THREADS || (size_t)grid.x * grid.y * grid.z == 0 ||
        grid.y > 65535 || grid.z > 65535)
        stop("launch of %u,%u,%u blocks of %u,%u,%u threads", grid.x, grid.y, grid.z, block.x, block.y,
             block.z);
    if (dynamic_bytes > (size_t)227 << 10)
        stop("%zu bytes of shared memory", dynamic_bytes);
    count("launch", kernel);
    enqueue([=] { run(grid, block, dynamic_bytes, kernel, body); });
}
} // namespace emulator
