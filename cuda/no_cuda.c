/* The CUDA backend of a program that was built without one. */
#include "cuda/cuda.h"

wz_status wz_backend_cuda_create(const wz_cuda_options *options, wz_backend **out, wz_error *err)
{
    (void)options;
    *out = NULL;
    return wz_fail(err, WZ_ERR_DEVICE,
                   "this program was built without CUDA: build it where nvcc is, with -DWZ_CUDA=ON");
}
