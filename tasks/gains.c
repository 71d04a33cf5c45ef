#include "tasks/gains.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/core/file.h"
#include "tasks/csv.h"
#include "tasks/gains_internal.h"

/* ---- arrays ---- */

static void describe_shape(const wz_raw_array *array, char out[128])
{
    size_t used = (size_t)snprintf(out, 128, "(");
    for (size_t d = 0; d < array->rank && used < 100; d++)
        used += (size_t)snprintf(out + used, 128 - used, "%s%zu", d > 0 ? ", " : "", array->shape[d]);
    (void)snprintf(out + used, 128 - used, array->rank == 1 ? ",)" : ")");
}

wz_status wz_gains_measure(const wz_raw_array *array, bool coefficients, size_t *count, wz_error *err)
{
    char shape[128];
    describe_shape(array, shape);
    if (array->rank != 2 && array->rank != 3)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: an array of shape %s; gains are a matrix (rows, columns) or a stack of them "
                       "(problems, rows, columns)",
                       array->name, shape);
    if (array->is_complex && !coefficients)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: complex numbers are channel coefficients h, and power gains are wanted: store "
                       "|h|^2 (abs(h).^2, numpy.abs(h)**2), or say --coefficients",
                       array->name);
    *count = 1;
    for (size_t d = 0; d < array->rank; d++)
        if (!wz_size_multiply(*count, array->shape[d], count) || *count > WZ_GAINS_MAX)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: an array of shape %s; %zu numbers are possible",
                           array->name, shape, WZ_GAINS_MAX);
    if (*count == 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: an array of shape %s has no numbers", array->name, shape);
    return WZ_OK;
}

static wz_status check_gains(const wz_raw_array *array, const wz_gains *gains, wz_error *err)
{
    const size_t area = gains->rows * gains->columns;
    char problem[48] = "";
    for (size_t k = 0; k < gains->count * area; k++) {
        const double value = gains->data[k];
        if (isfinite(value) && value >= 0)
            continue;
        if (array->rank == 3)
            (void)snprintf(problem, sizeof problem, "problem %zu, ", k / area + 1);
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: %srow %zu, column %zu is %g; %s", array->name, problem,
                       k % area / gains->columns + 1, k % gains->columns + 1, value,
                       isfinite(value) ? "a linear power gain cannot be negative (convert dB with 10^(dB/10))"
                                       : "every gain must be a finite linear power gain");
    }
    return WZ_OK;
}

static double gain_of(const double *value, bool is_complex, bool coefficients)
{
    if (!coefficients)
        return *value;
    return is_complex ? value[0] * value[0] + value[1] * value[1] : *value * *value;
}

wz_status wz_gains_arrange(const wz_raw_array *array, bool coefficients, const double *values, wz_gains *out,
                           wz_error *err)
{
    const size_t lead = array->rank - 2, width = array->is_complex ? 2 : 1,
                 *shape = array->shape + lead; /* of one matrix */
    const size_t count = lead > 0 ? array->shape[0] : 1;
    void *data = NULL;
    *out = (wz_gains){.count = count, .rows = shape[0], .columns = shape[1]};
    wz_status status = wz_alloc(&data, count * out->rows * out->columns, sizeof(double), "gains", err);
    if (status != WZ_OK)
        return status;
    out->data = data;
    const size_t area = out->rows * out->columns;
    const size_t strides[][3] = {[WZ_ROW_MAJOR] = {area, out->columns, 1},
                                 [WZ_COLUMN_MAJOR] = {1, count, count * out->rows},
                                 [WZ_MATLAB_ORDER] = {area, 1, out->rows}};
    const size_t *stride = strides[array->order];
    double *to = out->data;
    for (size_t n = 0; n < count; n++)
        for (size_t i = 0; i < out->rows; i++)
            for (size_t j = 0; j < out->columns; j++)
                *to++ = gain_of(values + (n * stride[0] + i * stride[1] + j * stride[2]) * width,
                                array->is_complex, coefficients);
    status = check_gains(array, out, err);
    if (status != WZ_OK) {
        free(out->data);
        *out = (wz_gains){0};
    }
    return status;
}

/* ---- files ---- */

static wz_status read_csv(const char *path, bool coefficients, wz_gains *out, wz_error *err)
{
    wz_table table = {0};
    size_t count = 0;
    wz_status status = wz_csv_read(path, &table, err);
    if (status != WZ_OK)
        return status;
    const wz_raw_array array = {.name = path, .rank = 2, .shape = {table.rows, table.columns}};
    status = wz_gains_measure(&array, coefficients, &count, err);
    if (status == WZ_OK)
        status = wz_gains_arrange(&array, coefficients, table.data, out, err);
    free(table.data);
    return status;
}

typedef enum file_kind { KIND_UNKNOWN, KIND_CSV, KIND_NPY, KIND_NPZ, KIND_HDF5 } file_kind;

static file_kind kind_of_name(const char *path)
{
    static const struct {
        const char *ending;
        file_kind kind;
    } endings[] = {{".csv", KIND_CSV}, {".npy", KIND_NPY},   {".npz", KIND_NPZ},
                   {".h5", KIND_HDF5}, {".hdf5", KIND_HDF5}, {".mat", KIND_HDF5}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++)
        if (strcasecmp(dot, endings[i].ending) == 0)
            return endings[i].kind;
    return KIND_UNKNOWN;
}

/* HDF5's signature stands at 0, or behind a user block of 512, 1024, ... bytes. */
static bool is_hdf5(const char *bytes, size_t length)
{
    for (size_t at = 0; at < length && length - at >= 8; at = at == 0 ? 512 : 2 * at)
        if (memcmp(bytes + at, "\x89HDF\r\n\x1a\n", 8) == 0)
            return true;
    return false;
}

static file_kind kind_of_bytes(const wz_text *bytes)
{
    if (bytes->length >= 6 && memcmp(bytes->data, "\x93NUMPY", 6) == 0)
        return KIND_NPY;
    if (bytes->length >= 4 && memcmp(bytes->data, "PK\3\4", 4) == 0)
        return KIND_NPZ;
    return is_hdf5(bytes->data, bytes->length) ? KIND_HDF5 : KIND_CSV;
}

/* Cuts "file:inner" where no file has the whole name but one that of the part before a colon: *inner, NULL without. */
static wz_status split_path(const char *path, wz_text *file, const char **inner, wz_error *err)
{
    *inner = NULL;
    wz_status status = wz_text_append(file, path, strlen(path), err);
    for (size_t at = file->length; status == WZ_OK && !wz_path_exists(path) && at-- > 1;) {
        if (path[at] != ':')
            continue;
        file->data[at] = '\0';
        if (wz_path_exists(file->data)) {
            file->length = at;
            *inner = path + at + 1;
            return WZ_OK;
        }
        file->data[at] = ':';
    }
    return status;
}

static wz_status read_file(const char *path, const char *inner, bool coefficients, wz_gains *out,
                           wz_error *err)
{
    wz_text bytes = {0};
    file_kind kind = kind_of_name(path);
    wz_status status = WZ_OK;
    if (kind == KIND_NPY || kind == KIND_NPZ || kind == KIND_UNKNOWN)
        status = wz_file_read(path, WZ_GAINS_BYTES_MAX, &bytes, err);
    if (status == WZ_OK && kind == KIND_UNKNOWN)
        kind = kind_of_bytes(&bytes);
    if (status == WZ_OK && inner != NULL && kind != KIND_NPZ && kind != KIND_HDF5)
        status = wz_fail(err, WZ_ERR_USAGE, "%s holds one array: leave out ':%s'", path, inner);
    const unsigned char *data = (const unsigned char *)bytes.data;
    if (status == WZ_OK && kind == KIND_NPY)
        status = wz_npy_parse(path, data, bytes.length, coefficients, out, err);
    else if (status == WZ_OK && kind == KIND_NPZ)
        status = wz_npz_parse(path, data, bytes.length, inner, coefficients, out, err);
    else if (status == WZ_OK && kind == KIND_HDF5)
        status = wz_gains_read_hdf5(path, inner, coefficients, out, err);
    else if (status == WZ_OK)
        status = read_csv(path, coefficients, out, err);
    wz_text_clear(&bytes);
    return status;
}

wz_status wz_gains_read(const char *path, bool coefficients, wz_gains *out, wz_error *err)
{
    wz_text file = {0};
    const char *inner = NULL;
    *out = (wz_gains){0};
    wz_status status = split_path(path, &file, &inner, err);
    if (status == WZ_OK)
        status = wz_file_check_regular(file.data, err);
    if (status == WZ_OK)
        status = read_file(file.data, inner, coefficients, out, err);
    wz_text_clear(&file);
    return status;
}

/* ---- problems ---- */

static wz_status fail_no_import(const wz_task *task, wz_error *err)
{
    char names[400] = "";
    for (size_t t = 0, used = 0; wz_tasks[t] != NULL; t++)
        if (wz_tasks[t]->import != NULL && used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "",
                                     wz_tasks[t]->name);
    return wz_fail(err, WZ_ERR_USAGE, "task %s takes no channels from a file; these do: %s", task->name,
                   names);
}

wz_status wz_gains_problems(const wz_task *task, const double *values, const char *path, bool coefficients,
                            wz_problem **out, size_t *count, wz_error *err)
{
    wz_gains gains;
    void *block = NULL;
    *out = NULL;
    *count = 0;
    if (task->import == NULL)
        return fail_no_import(task, err);
    wz_status status = wz_gains_read(path, coefficients, &gains, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, gains.count, sizeof(wz_problem), "problems", err);
    wz_problem *problems = block;
    size_t made = 0;
    for (; status == WZ_OK && made < gains.count; made++) {
        const double *data = gains.data + made * gains.rows * gains.columns;
        status = task->import(values, gains.rows, gains.columns, data, (uint32_t)made, &problems[made], err);
        if (status != WZ_OK && gains.count > 1)
            status = wz_fail_prefix(err, status, "problem %zu: ", made + 1);
        if (status != WZ_OK) {
            status = wz_fail_prefix(err, status, "%s: ", path);
            break;
        }
    }
    free(gains.data);
    if (status != WZ_OK) {
        while (made-- > 0)
            wz_problem_clear(&problems[made]);
        free(block);
        return status;
    }
    *out = problems;
    *count = gains.count;
    return WZ_OK;
}
