/* cublasLt, opened when a GPU is first used: a program that computes on the CPU starts without its half gigabyte, on
 * machines that have no CUDA, too. */
#ifndef WZ_CUDA_CUBLASLT_H
#define WZ_CUDA_CUBLASLT_H

#include <cublasLt.h>

extern "C" {
#include "engine/core/status.h"
}

#define CUBLASLT_CALLS(X)                                                                                    \
    X(Create)                                                                                                \
    X(Destroy)                                                                                               \
    X(GetStatusString)                                                                                       \
    X(GetVersion)                                                                                            \
    X(Matmul)                                                                                                \
    X(MatmulAlgoConfigGetAttribute)                                                                          \
    X(MatmulAlgoGetHeuristic)                                                                                \
    X(MatmulDescCreate)                                                                                      \
    X(MatmulDescDestroy)                                                                                     \
    X(MatmulDescSetAttribute)                                                                                \
    X(MatmulPreferenceCreate)                                                                                \
    X(MatmulPreferenceDestroy)                                                                               \
    X(MatmulPreferenceSetAttribute)                                                                          \
    X(MatrixLayoutCreate)                                                                                    \
    X(MatrixLayoutDestroy)

/* lt.Matmul is cublasLtMatmul. */
typedef struct cublaslt {
#define CUBLASLT_MEMBER(call) decltype(&cublasLt##call) call;
    CUBLASLT_CALLS(CUBLASLT_MEMBER)
#undef CUBLASLT_MEMBER
} cublaslt;

/* The library of the version this was compiled with, from where the loader looks or from the toolkit's folder. It stays
 * loaded. WZ_ERR_DEVICE where there is none. */
wz_status cublaslt_open(cublaslt *lt, wz_error *err);

#endif
