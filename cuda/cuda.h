/* The CUDA backend as the rest of the engine sees it. */
#ifndef WZ_CUDA_CUDA_H
#define WZ_CUDA_CUDA_H

#include "engine/backend/backend.h"

typedef struct wz_cuda_options {
    bool exact; /* a row's result depends on that row alone; false: products are as fast as they get */
    wz_dtype precision; /* the working type: WZ_F32 or WZ_BF16 */
} wz_cuda_options;

/* On the first GPU. WZ_ERR_DEVICE where there is none, its driver or architecture is too old, or the program was built
 * without CUDA; WZ_ERR_RESOURCE where its memory is taken. */
wz_status wz_backend_cuda_create(const wz_cuda_options *options, wz_backend **out, wz_error *err);

#endif
