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
    tcase_add_test(all, warp_sum_is_the_sum_on_every_lane);
    tcase_add_test_raise_signal(all, lane_missing_from_a_shuffle_aborts, SIGABRT);
#if !defined(__SANITIZE_ADDRESS__)
    tcase_add_test_raise_signal(all, host_reading_device_memory_faults, SIGSEGV);
#endif
    tcase_add_test_raise_signal(all, copy_in_the_wrong_direction_aborts, SIGABRT);
    tcase_add_test(all, launches_copies_and_waits_are_counted);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
