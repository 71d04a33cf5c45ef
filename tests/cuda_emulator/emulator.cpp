/* Blocks of threads, run as fibers that take turns, and what they share. */
#include <cuda_runtime.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
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

const uint64_t *exchange_all(const char *operation, uint64_t bits)
{
    if (alive(running / WARP) != ~0u)
        stop("%s by a part of a warp", operation);
    return meet(~0u, operation, bits, false)->published;
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
} // namespace emulator
