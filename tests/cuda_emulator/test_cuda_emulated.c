/* Machines on which CUDA cannot work, as the emulator makes them: the backend says what is wrong and what to do. What it
 * computes is tested with the other backends (WZ_TEST_CUDA). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "tests/suite.h"

static const wz_cuda_options options = {.precision = WZ_F32, .exact = true};

static const struct {
    const char *fault;
    wz_status status;
    const char *what, *remedy;
} faults[] = {
    {"no_driver", WZ_ERR_DEVICE, "no NVIDIA driver", "install one"},
    {"old_driver", WZ_ERR_DEVICE, "for CUDA 12.2, this program needs 13.0", "update the driver"},
    {"no_gpu", WZ_ERR_DEVICE, "no NVIDIA GPU", "CUDA_VISIBLE_DEVICES"},
    {"old_gpu", WZ_ERR_DEVICE, "compute capability 7.5: at least 8.0", "another GPU"},
    {"no_kernel", WZ_ERR_DEVICE, "no kernels for it", "-DCMAKE_CUDA_ARCHITECTURES=90"},
};

START_TEST(device_that_cannot_serve_is_refused_with_a_remedy)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    ck_assert_int_eq(setenv("CUDA_EMULATOR_FAULT", faults[_i].fault, 1), 0);
    ck_assert_int_eq(wz_backend_cuda_create(&options, &be, &err), faults[_i].status);
    ck_assert_ptr_null(be);
    ck_assert_msg(strstr(err.text, faults[_i].what) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, faults[_i].remedy) != NULL, "%s", err.text);
    ck_assert_int_eq(unsetenv("CUDA_EMULATOR_FAULT"), 0);
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    be->ops->destroy(be);
}
END_TEST

/* Memory that runs out under an op, not in alloc(): the op has no result to return, the next sync has. */
START_TEST(memory_that_runs_out_in_an_op_is_reported_by_sync)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    void *block = NULL;
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    ck_assert_int_eq(be->ops->alloc(be, sizeof(float) * 100000, "values", &block, &err), WZ_OK);
    ck_assert_int_eq(setenv("CUDA_EMULATOR_FAULT", "no_memory", 1), 0);
    (void)be->ops->sum_squares(be, block, 100000);
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_RESOURCE);
    ck_assert_msg(strstr(err.text, "sum of squares") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "lower per_device_train_batch_size") != NULL, "%s", err.text);
    ck_assert_int_eq(unsetenv("CUDA_EMULATOR_FAULT"), 0);
    ck_assert_double_eq(be->ops->sum_squares(be, block, 100000), 0.0);
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
    be->ops->release(be, block);
    be->ops->destroy(be);
}
END_TEST

/* A launch that fails in an op: the next sync names the op, its shape and the file. */
START_TEST(launch_that_fails_is_reported_with_op_shape_and_file)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    void *block = NULL;
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    ck_assert_int_eq(be->ops->alloc(be, sizeof(float) * 3 * 14, "values", &block, &err), WZ_OK);
    const wz_tensor gate_up = {block, 3, 14, 14, WZ_F32}, y = {block, 3, 7, 7, WZ_F32};
    ck_assert_int_eq(setenv("CUDA_EMULATOR_FAULT", "no_kernel", 1), 0);
    be->ops->swiglu_forward(be, y, gate_up);
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_DEVICE);
    ck_assert_msg(strstr(err.text, "swiglu forward [3, 7] failed") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "cuda/elementwise.cu:") != NULL, "%s", err.text);
    ck_assert_int_eq(unsetenv("CUDA_EMULATOR_FAULT"), 0);
    be->ops->release(be, block);
    be->ops->destroy(be);
}
END_TEST

/* A kernel that went astray: every later call fails, and the next sync says what a user can do. */
START_TEST(sticky_error_is_reported_with_a_remedy)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    ck_assert_int_eq(setenv("CUDA_EMULATOR_FAULT", "sticky", 1), 0);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_DEVICE);
        ck_assert_msg(strstr(err.text, "illegal memory access") != NULL, "%s", err.text);
        ck_assert_msg(strstr(err.text, "wavezero resume") != NULL, "%s", err.text);
    }
    ck_assert_int_eq(unsetenv("CUDA_EMULATOR_FAULT"), 0);
    be->ops->destroy(be);
}
END_TEST

/* What failed once and was reported is not told to those who come after. */
START_TEST(failure_does_not_outlive_its_report)
{
    wz_backend *be = NULL, *next = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    ck_assert(isnan(be->ops->memory_rate(be, (size_t)1 << 50, 0.02)));
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_RESOURCE);
    ck_assert_msg(wz_backend_cuda_create(&options, &next, &err) == WZ_OK, "%s", err.text);
    next->ops->destroy(next);
    be->ops->destroy(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_emulated");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, device_that_cannot_serve_is_refused_with_a_remedy, 0,
                        (int)(sizeof faults / sizeof faults[0]));
    tcase_add_test(all, memory_that_runs_out_in_an_op_is_reported_by_sync);
    tcase_add_test(all, launch_that_fails_is_reported_with_op_shape_and_file);
    tcase_add_test(all, sticky_error_is_reported_with_a_remedy);
    tcase_add_test(all, failure_does_not_outlive_its_report);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
