/* Inside the products: what picks algorithms (gemm_choice.cu), what tries them (gemm_trial.cu) and the library that has them
 * (gemm.cu: cublasLt; in the emulator tests/cuda_emulator/gemm.cpp). */
#ifndef WZ_CUDA_GEMM_H
#define WZ_CUDA_GEMM_H

#include "cuda/cuda_backend.h"

#define GEMM_ALIGNMENT 16 /* bytes, of every row of the operands of fast kernels */
#define MANY_CHUNKS 4     /* of columns, where an algorithm is chosen for any number of them */

typedef struct gemm_library gemm_library;

/* One of the library's ways to multiply: its own bytes (cublasLtMatmulAlgo_t). */
typedef struct gemm_algorithm {
    uint64_t data[8];
} gemm_algorithm;

wz_status gemm_library_create(cudaStream_t stream, gemm_library **out, wz_error *err);
void gemm_library_destroy(gemm_library *library); /* NULL: nothing */
void gemm_library_name(const gemm_library *library, char *out, size_t size);
size_t gemm_library_bytes(void); /* of the device's memory that it takes */

/* Candidates for a product, best first, at most `most`; aligned: all rows begin on 16 bytes. Without may_split an element
 * is one sum over the whole inner dimension. */
wz_status gemm_library_find(gemm_library *library, const cuda_product *product, bool aligned, bool may_split,
                            gemm_algorithm *found, int most, int *count, wz_error *err);
wz_status gemm_library_run(gemm_library *library, const cuda_product *product,
                           const gemm_algorithm *algorithm, wz_error *err);
/* What tells one algorithm from another, for the record: a few words. */
void gemm_library_describe(const gemm_library *library, const gemm_algorithm *algorithm, char *out,
                           size_t size);

/* Bytes of the device's memory that trying algorithms for a product takes, whatever its number of rows; making the memory so
 * large. */
size_t gemm_trial_bytes(const cuda_product *like);
wz_status gemm_grow_probe(cuda_block *probe, size_t bytes, wz_error *err);
/* The first of the candidates that gives a row (and, in chunks, a column) the bits that it has in other products of its kind,
 * or a weight gradient the same bits again; *best = count: none. */
wz_status gemm_first_that_holds(cuda_backend *cuda, gemm_library *library, cuda_block *probe,
                                const cuda_product *like, const gemm_algorithm *found, int count, int *best,
                                wz_error *err);

#endif
