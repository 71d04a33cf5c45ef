#include "cuda/cublaslt.h"

#include <dlfcn.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define LIBRARY "libcublasLt.so." TEXT(CUBLAS_VER_MAJOR)

wz_status cublaslt_open(cublaslt *lt, wz_error *err)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        library = dlopen(WZ_CUDA_LIBRARY_DIR "/" LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return wz_fail(err, WZ_ERR_DEVICE,
                       LIBRARY " was not found (%s): install cuBLAS of CUDA " TEXT(
                           CUBLAS_VER_MAJOR) ", or put its folder on LD_LIBRARY_PATH",
                       dlerror());
#define CUBLASLT_FIND(call)                                                                                  \
    lt->call = (decltype(&cublasLt##call))dlsym(library, "cublasLt" #call);                                  \
    if (lt->call == NULL)                                                                                    \
        return wz_fail(err, WZ_ERR_DEVICE, LIBRARY " has no cublasLt" #call ": install a complete cuBLAS");
    CUBLASLT_CALLS(CUBLASLT_FIND)
#undef CUBLASLT_FIND
    return WZ_OK;
}
