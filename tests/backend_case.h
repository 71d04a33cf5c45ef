/* One table of op cases for every backend: shapes, a plain double-precision formula, and how to call the op.
 *
 * A case owns fields (named matrices). The harness fills the inputs with uniform numbers from (-1, 1), lays
 * them out on the backend with the case's padding between rows, runs the op, and compares
 *   - outputs with the formula evaluated in double,
 *   - gradients with central differences of that formula, step 1e-5: truncation (1e-10 f'''/6) and rounding
 *     (1e-16 f / 1e-5) are 1e-10 or so, four orders below the bounds.
 * Bounds. With u = 2^-24, n = the op's longest chain of roundings (`terms`), J = dy/dx:
 *   |y_k - exact| <= n u (unit + |y_k| + sum_j |J_kj x_j|): every step is backward stable, that is, its result is
 *     exact for inputs changed by a few u (Higham 2002, sections 3.1, 3.5); `unit` is the absolute error, in
 *     n u, of a logarithm or of a difference of logarithms;
 *   |g_j - exact| <= 4 n u max(1, unit) max_j' sum_k |dy_k J_kj'|: a gradient is a sum of dy_k J_kj, each J a product
 *     of at most three computed factors, plus the sum's own rounding.
 * With working type bf16, v = 2^-8: bf16 has 8 significant bits, so numbers in [2^e, 2^(e+1)) are 2^(e-7) apart, and rounding
 * one to nearest errs by at most 2^(e-8) <= v |x|. Inputs and upstream gradients are rounded to bf16 beforehand, so that op
 * and formula see the same numbers and products of two are exact in fp32; ops compute in fp32. What is left:
 *   a result of type bf16, known to within B before, is rounded once: B + v (|y| + B);
 *   where an op reads or makes bf16 on the way (`inner`), |error| <= v * (sum of absolute values of the terms with it), in
 *     outputs and in gradients.
 * Outputs and gradients that an op writes start as NaN, gradients that it adds to start at a constant, so an
 * element missed or added wrongly shows; padding holds a sentinel that must survive. */
#ifndef WZ_TESTS_BACKEND_CASE_H
#define WZ_TESTS_BACKEND_CASE_H

#include "engine/backend/backend.h"
#include "engine/rollout/pack.h"

#define MAX_FIELDS 8
#define UNIT_ROUNDOFF 0x1p-24
#define BF16_ROUNDOFF 0x1p-8

typedef enum gradient_kind { NO_GRADIENT, WRITTEN, ADDED } gradient_kind;

typedef struct field {
    const char *name;
    int64_t rows, columns; /* rows 0: absent */
    bool packed;           /* no padding between rows (vectors, tables) */
    bool on_host;          /* a host array */
    bool output;
    bool kept;              /* an output that only serves the backward pass: no upstream gradient */
    gradient_kind gradient; /* of an input */
    wz_dtype type, gradient_type;
} field;

typedef enum mask_pattern { WHOLE, SMALL, MIXED } mask_pattern;

typedef struct shape {
    wz_dtype type;         /* the working type */
    wz_dtype frozen_type;  /* of a matrix that is not trained */
    int64_t rows, in, out; /* rows; input and output width (or whatever the op calls so) */
    int64_t pad;           /* elements between rows */
    int64_t groups;
    int64_t heads, kv_heads, head_dim;
    int64_t vocab;
    int64_t prompt[4]; /* attention: prompt lengths, 0 ends; completion lengths below */
    int64_t completion[4][3];
    bool bias, residual, aliased, gathered, inverse, frozen, prepared;
    float temperature;
    mask_pattern masks;
} shape;

typedef struct bench bench;

typedef struct op_kind {
    const char *name;
    size_t (*fields)(const shape *s, field *out);
    void (*reference)(const bench *b, double *const *at); /* at[f]: field f, rows x columns; writes outputs */
    void (*forward)(bench *b);
    void (*backward)(bench *b); /* NULL: none */
    int64_t (*terms)(const shape *s);
    double (*unit)(const shape *s); /* NULL: 0 */
    /* Adds to out [rows x columns], for the gradient of field f, or for the output f: see above; at: the exact values. NULL:
     * nothing. */
    void (*inner)(const bench *b, double *const *at, size_t f, double *out);
    bool typed;   /* it knows other working types than fp32 */
    bool grouped; /* its backward pass goes by groups */
} op_kind;

typedef struct op_case {
    const op_kind *op;
    shape shape;
    bool large; /* for the promises only: differences would take too long */
} op_case;

/* A case laid out on a backend. */
struct bench {
    const op_case *test;
    const shape *s;
    wz_backend *be;
    size_t field_count;
    field fields[MAX_FIELDS];
    void *value[MAX_FIELDS], *gradient[MAX_FIELDS]; /* on the backend, rows x stride */
    float *host[MAX_FIELDS];    /* inputs; for outputs, the upstream gradient; rows x columns */
    wz_row_groups groups, part; /* part: what backward is told */
    bool resumed;               /* backward goes on with another part */
    int64_t *group_offset;
    int32_t *group_index, *row_group;
    int32_t *token, *target, *gather;
    uint32_t *mask;
    wz_mask_table masks;
    uint32_t *mask_offset, *mask_tokens;
    wz_pack *pack; /* attention */
    wz_groups pack_groups;
};

extern const op_case backend_cases[];
extern const size_t backend_case_count;

/* Writes "op rows=.. .." */
void case_name(const op_case *test, char *out, size_t size);

void bench_create(bench *b, const op_case *test, wz_backend *be);
void bench_destroy(bench *b);
/* Values and gradients as they are before an op. */
void bench_reset(bench *b);
wz_tensor bench_tensor(const bench *b, size_t field);
wz_tensor bench_gradient(const bench *b, size_t field);
void bench_copy(const bench *b, void *to, const void *from, size_t field);
/* A field's rows without padding, on the host; checks that the padding is untouched. Free with free(). */
float *bench_fetch(const bench *b, size_t field, bool gradient);
/* Bytes of a fetched field. */
size_t bench_bytes(const bench *b, size_t field);
wz_attention bench_attention(const bench *b);
/* Random numbers in (-1, 1), a function of (what, index). */
void fill_uniform(float *values, int64_t count, uint32_t what);
/* The same, rounded to the type; for free(). */
float *uniform_numbers(int64_t count, uint32_t what, wz_dtype type);
uint32_t random_below(uint32_t limit, uint32_t what, uint64_t index);

/* The nearest bf16 number, ties to even; within the range of normal numbers. */
float bf16_nearest(float x);
/* Numbers as they lie in memory from floats that have the type's precision, and back. */
void encode_numbers(void *to, const float *values, int64_t count, wz_dtype type);
void decode_numbers(float *to, const void *values, int64_t count, wz_dtype type);
/* The copy of a layer's weights that the backend's products want, for its release(); NULL: none. */
void *backend_prepare(wz_backend *be, const wz_linear *linear);
/* A copy of host numbers on the backend, for its release(); and back, for free(). */
float *backend_place(wz_backend *be, const float *values, int64_t count);
float *backend_fetch(wz_backend *be, const float *from, int64_t count);

/* Runs the case on the backend, once for each CUDA_EMULATOR_ORDER of the list that NULL ends, and checks it as described
 * above. */
void case_check(const op_case *test, wz_backend *be, const char *const *orders);

#endif
