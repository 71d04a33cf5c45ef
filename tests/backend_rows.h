/* Tests of rows share: blocks of numbers on a backend, and matrices of them. */
#ifndef WZ_TESTS_BACKEND_ROWS_H
#define WZ_TESTS_BACKEND_ROWS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

#define MANY 300 /* rows */

/* Uniform numbers on the backend. */
static inline float *placed(wz_backend *be, int64_t count, uint32_t what)
{
    float *values = uniform_numbers(count, what, WZ_F32), *there = backend_place(be, values, count);
    free(values);
    return there;
}

static inline void release(wz_backend *be, float *const *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        be->ops->release(be, blocks[i]);
}

/* Whether `count` floats on the backend are those of another place there. */
static inline bool same(wz_backend *be, const float *one, const float *two, int64_t count)
{
    float *a = backend_fetch(be, one, count), *b = backend_fetch(be, two, count);
    const bool equal = memcmp(a, b, (size_t)count * sizeof(float)) == 0;
    free(a);
    free(b);
    return equal;
}

static inline wz_tensor matrix(float *data, int64_t rows, int64_t columns)
{
    return (wz_tensor){data, rows, columns, columns, WZ_F32};
}

/* Rows row0 .. row0 + rows of a matrix of the type. */
static inline wz_tensor rows_of(wz_dtype type, void *data, int64_t row0, int64_t rows, int64_t columns)
{
    return (wz_tensor){(char *)data + (size_t)(row0 * columns) * wz_type_bytes(type), rows, columns, columns,
                       type};
}

/* Uniform numbers of the backend's working type. */
static inline void *placed_working(wz_backend *be, int64_t count, uint32_t what)
{
    float *values = placed(be, count, what);
    void *copy = NULL;
    if (be->working_type == WZ_F32)
        return values;
    ck_assert_int_eq(be->ops->alloc(be, (size_t)count * sizeof(float), "a test", &copy, NULL), WZ_OK);
    be->ops->convert(be, rows_of(be->working_type, copy, 0, 1, count), matrix(values, 1, count));
    be->ops->release(be, values);
    return copy;
}

#endif
