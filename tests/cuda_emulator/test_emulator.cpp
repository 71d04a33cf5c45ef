/* The emulator finds what it says it finds: kernels with one fault each, and their mended twins. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda/device.h"
#include "tests/suite.h"

#define THREADS 64

static float *on_the_device(size_t count)
{
    void *block = nullptr;
    ck_assert_int_eq(cudaMalloc(&block, count * sizeof(float)), cudaSuccess);
    return (float *)block;
}

static __global__ void reverse(float *out, bool wait, bool fill)
{
    WZ_SHARED(float, tile, THREADS);
    if (fill || threadIdx.x != 3)
        tile[threadIdx.x] = (float)threadIdx.x;
    if (wait)
        __syncthreads();
    out[threadIdx.x] = tile[THREADS - 1 - threadIdx.x];
}

static void run_reverse(bool wait, bool fill)
{
    float *out = on_the_device(THREADS), host[THREADS];
    WZ_LAUNCH(reverse, dim3(2), dim3(THREADS), 0, (cudaStream_t) nullptr, out, wait, fill);
    cudaMemcpyAsync(host, out, sizeof host, cudaMemcpyDeviceToHost, nullptr);
    for (int i = 0; i < THREADS; i++)
        ck_assert_float_eq(host[i], (float)(THREADS - 1 - i));
    cudaFree(out);
}

START_TEST(shared_memory_with_a_barrier_passes)
{
    run_reverse(true, true);
}
END_TEST

START_TEST(shared_memory_without_a_barrier_aborts)
{
    run_reverse(false, true);
}
END_TEST

START_TEST(shared_memory_read_before_written_aborts)
{
    run_reverse(true, false);
}
END_TEST

static __global__ void write_after_read(float *out, bool wait)
{
    WZ_SHARED(float, last, 1);
    if (threadIdx.x == 0)
        last[0] = 1.0f;
    __syncthreads();
    out[threadIdx.x] = last[0];
    if (wait)
        __syncthreads();
    if (threadIdx.x == THREADS - 1)
        last[0] = 2.0f;
}

START_TEST(write_after_read_needs_a_barrier)
{
    float *out = on_the_device(THREADS);
    WZ_LAUNCH(write_after_read, dim3(1), dim3(THREADS), 0, (cudaStream_t) nullptr, out, _i == 1);
    cudaFree(out);
}
END_TEST

/* Three groups of a copy each by one thread, the second one of zeros; all but `left` are awaited. */
static __global__ void three_copies(float *out, const float *from, int left)
{
    WZ_DYNAMIC_SHARED(tile);
    for (int i = 0; i < 3; i++) {
        emulator::start_copy(tile + 4 * i, i == 1 ? nullptr : from + 4 * i);
        emulator::close_copies();
    }
    emulator::await_copies((size_t)left);
    for (int i = 0; i < 12; i++)
        out[i] = tile[i];
}

START_TEST(copies_to_shared_memory_arrive_when_awaited)
{
    float *out = on_the_device(12), *from = on_the_device(12),
          host[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    cudaMemcpyAsync(from, host, sizeof host, cudaMemcpyHostToDevice, nullptr);
    WZ_LAUNCH(three_copies, dim3(1), dim3(1), 12 * sizeof(float), (cudaStream_t) nullptr, out, from, _i);
    cudaMemcpyAsync(host, out, sizeof host, cudaMemcpyDeviceToHost, nullptr);
    for (int i = 0; i < 12; i++)
        ck_assert(i < 4 * (3 - _i) ? host[i] == (i / 4 == 1 ? 0.0f : (float)(i + 1)) : isnan(host[i]));
    cudaFree(out);
    cudaFree(from);
}
END_TEST

static __global__ void sums(float *out, bool leave)
{
    if (leave && threadIdx.x == 5)
        __syncthreads();
    else
        out[threadIdx.x] = warp_sum((float)threadIdx.x);
}

START_TEST(warp_sum_is_the_sum_on_every_lane)
{
    float *out = on_the_device(THREADS), host[THREADS];
    WZ_LAUNCH(sums, dim3(1), dim3(THREADS), 0, (cudaStream_t) nullptr, out, false);
    cudaMemcpyAsync(host, out, sizeof host, cudaMemcpyDeviceToHost, nullptr);
    for (int i = 0; i < THREADS; i++)
        ck_assert_float_eq(host[i], i < 32 ? 496.0f : 1520.0f);
    cudaFree(out);
}
END_TEST

START_TEST(lane_missing_from_a_shuffle_aborts)
{
    float *out = on_the_device(THREADS);
    WZ_LAUNCH(sums, dim3(1), dim3(THREADS), 0, (cudaStream_t) nullptr, out, true);
    cudaFree(out);
}
END_TEST

/* turns[0] of them so far, twice each thread's number. */
static __global__ void take_turns(float *turns)
{
    for (int i = 0; i < 2; i++) {
        turns[1 + (int)turns[0]] = (float)threadIdx.x;
        turns[0] += 1.0f;
        __syncthreads();
    }
}

typedef struct turns {
    float count, thread[2][THREADS];
} turns;

static turns turns_in_order(const char *order)
{
    turns host = {};
    float *device = on_the_device(sizeof host / sizeof(float));
    setenv("CUDA_EMULATOR_ORDER", order, 1);
    cudaMemcpyAsync(device, &host, sizeof host, cudaMemcpyHostToDevice, nullptr);
    WZ_LAUNCH(take_turns, dim3(1), dim3(THREADS), 0, (cudaStream_t) nullptr, device);
    cudaMemcpyAsync(&host, device, sizeof host, cudaMemcpyDeviceToHost, nullptr);
    cudaFree(device);
    ck_assert_float_eq(host.count, 2.0f * THREADS);
    return host;
}

START_TEST(threads_take_turns_in_the_order_asked_for)
{
    const turns up = turns_in_order("ascending"), down = turns_in_order("descending");
    for (int i = 0; i < 2 * THREADS; i++) {
        ck_assert_float_eq(up.thread[i / THREADS][i % THREADS], (float)(i % THREADS));
        ck_assert_float_eq(down.thread[i / THREADS][i % THREADS], (float)(THREADS - 1 - i % THREADS));
    }
}
END_TEST

/* All threads before the barrier, in other orders there, after it, and by another seed; warps get in between each other. */
START_TEST(threads_take_turns_as_drawn_by_the_seed)
{
    const turns one = turns_in_order("1"), again = turns_in_order("1"), two = turns_in_order("2");
    int seen[2][THREADS] = {}, changes = 0;
    for (int i = 0; i < 2 * THREADS; i++)
        seen[i / THREADS][(int)one.thread[i / THREADS][i % THREADS]]++;
    for (int i = 0; i < 2 * THREADS; i++)
        ck_assert_int_eq(seen[i / THREADS][i % THREADS], 1);
    for (int i = 1; i < THREADS; i++)
        changes += (int)one.thread[0][i] / WZ_WARP != (int)one.thread[0][i - 1] / WZ_WARP;
    ck_assert_int_gt(changes, THREADS / 8);
    ck_assert_mem_eq(&one, &again, sizeof one);
    ck_assert_mem_ne(&one, &two, sizeof one);
    ck_assert_mem_ne(one.thread[0], one.thread[1], sizeof one.thread[0]);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) /* which ends the program itself */
START_TEST(host_reading_device_memory_faults)
{
    volatile float *out = on_the_device(THREADS);
    ck_assert(out[0] == out[0]);
}
END_TEST
#endif

START_TEST(copy_in_the_wrong_direction_aborts)
{
    float host[THREADS] = {0}, *out = on_the_device(THREADS);
    cudaMemcpyAsync(out, host, sizeof host, cudaMemcpyDeviceToHost, nullptr);
}
END_TEST

#define COUNTED "test_emulator_counts.txt"

/* A process of its own, whose end writes the counts. */
static void count_in_a_child(void)
{
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("CUDA_EMULATOR_COUNT", COUNTED, 1);
        run_reverse(true, true);
        run_reverse(true, true);
        cudaStreamSynchronize(nullptr);
        exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(launches_copies_and_waits_are_counted)
{
    char text[200] = {0};
    (void)remove(COUNTED);
    count_in_a_child();
    FILE *file = fopen(COUNTED, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_str_eq(text, "copy\tto the host\t2\nlaunch\treverse\t2\nwait\tstream\t1\n");
    ck_assert_int_eq(remove(COUNTED), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("emulator");
    TCase *all = tcase_create("all");
    tcase_add_test(all, shared_memory_with_a_barrier_passes);
    tcase_add_test_raise_signal(all, shared_memory_without_a_barrier_aborts, SIGABRT);
    tcase_add_test_raise_signal(all, shared_memory_read_before_written_aborts, SIGABRT);
    tcase_add_loop_test_raise_signal(all, write_after_read_needs_a_barrier, SIGABRT, 0, 1);
    tcase_add_loop_test(all, write_after_read_needs_a_barrier, 1, 2);
    tcase_add_loop_test(all, copies_to_shared_memory_arrive_when_awaited, 0, 4);
    tcase_add_test(all, warp_sum_is_the_sum_on_every_lane);
    tcase_add_test(all, threads_take_turns_in_the_order_asked_for);
    tcase_add_test(all, threads_take_turns_as_drawn_by_the_seed);
    tcase_add_test_raise_signal(all, lane_missing_from_a_shuffle_aborts, SIGABRT);
#if !defined(__SANITIZE_ADDRESS__)
    tcase_add_test_raise_signal(all, host_reading_device_memory_faults, SIGSEGV);
#endif
    tcase_add_test_raise_signal(all, copy_in_the_wrong_direction_aborts, SIGABRT);
    tcase_add_test(all, launches_copies_and_waits_are_counted);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
