/* Gain matrices from HDF5 files, MATLAB's v7.3 ones included (they have a user block, which the library skips). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "tasks/gains_hdf5.h"

#define PACKED_MOST 1032u                /* times a deflated chunk can grow at most */
#define CHUNK_MAX ((hsize_t)256 << 20)   /* bytes: the library unpacks a whole chunk */
#define MATLAB_TRANSPOSES "MATLAB_class" /* datasets with this attribute have their dimensions in reverse */

typedef struct hdf5_array {
    const char *path;
    hid_t file, dataset, type;
    char name[512]; /* "file:/path" */
    wz_raw_array array;
} hdf5_array;

static wz_status complain(const hdf5_array *a, const char *what, wz_error *err)
{
    (void)H5Eclear2(H5E_DEFAULT);
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s", a->name, what);
}

/* ---- what it is ---- */

bool wz_gains_is_number(hid_t type)
{
    const H5T_class_t kind = H5Tget_class(type);
    return kind == H5T_FLOAT || kind == H5T_INTEGER || kind == H5T_COMPOUND;
}

/* Complex numbers: a compound of two floating point members, MATLAB's "real" and "imag" or h5py's "r" and "i". */
static bool is_complex(hid_t type, const char *names[2])
{
    static const char *const pairs[][2] = {{"real", "imag"}, {"r", "i"}};
    if (H5Tget_nmembers(type) != 2)
        return false;
    for (size_t p = 0; p < 2; p++) {
        const int real = H5Tget_member_index(type, pairs[p][0]),
                  imag = H5Tget_member_index(type, pairs[p][1]);
        if (real >= 0 && imag >= 0 && H5Tget_member_class(type, (unsigned)real) == H5T_FLOAT &&
            H5Tget_member_class(type, (unsigned)imag) == H5T_FLOAT) {
            memcpy(names, pairs[p], sizeof pairs[p]);
            return true;
        }
    }
    return false;
}

/* What MATLAB says that its numbers are: characters, truth values and indices of cells are stored as integers, too. */
static wz_status check_matlab_class(const hdf5_array *a, bool *transposes, wz_error *err)
{
    static const char *const numeric[] = {"double", "single", "int8",   "uint8", "int16",
                                          "uint16", "int32",  "uint32", "int64", "uint64"};
    char class[32] = "", shown[32], what[160];
    *transposes = H5Aexists(a->dataset, MATLAB_TRANSPOSES) > 0;
    if (H5Aexists(a->dataset, "MATLAB_sparse") > 0)
        return complain(a, "part of a sparse matrix: store full() of it", err);
    if (!*transposes)
        return WZ_OK;
    if (!wz_hdf5_read_string(a->dataset, MATLAB_TRANSPOSES, class, sizeof class))
        return complain(a, "its attribute " MATLAB_TRANSPOSES " is no string, as MATLAB writes it", err);
    for (size_t i = 0; i < sizeof numeric / sizeof numeric[0]; i++)
        if (strcmp(class, numeric[i]) == 0)
            return WZ_OK;
    wz_gains_show_name(class, shown, sizeof shown);
    (void)snprintf(what, sizeof what, "a MATLAB array of class %s; gains are numbers: store double() of it",
                   shown);
    return complain(a, what, err);
}

static wz_status read_shape(hdf5_array *a, wz_error *err)
{
    hsize_t shape[H5S_MAX_RANK];
    wz_raw_array *array = &a->array;
    hid_t space = H5Dget_space(a->dataset);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, shape, NULL);
    (void)wz_hdf5_close(H5Sclose, space);
    if (rank < 0)
        return complain(a, "damaged: it has no shape", err);
    array->rank = (size_t)rank;
    for (int d = 0; d < rank; d++)
        array->shape[d] = (size_t)shape[d];
    if (H5Aexists(a->dataset, "MATLAB_empty") > 0)
        return complain(a, "an empty matrix", err);
    bool transposes = false;
    const wz_status status = check_matlab_class(a, &transposes, err);
    if (status != WZ_OK)
        return status;
    if (transposes && rank >= 2) {
        array->order = WZ_MATLAB_ORDER;
        array->shape[rank - 2] = (size_t)shape[rank - 1];
        array->shape[rank - 1] = (size_t)shape[rank - 2];
    }
    return WZ_OK;
}

static bool chunks_fit(hid_t properties, size_t element)
{
    hsize_t chunk[H5S_MAX_RANK], bytes = element;
    const int rank = H5Pget_chunk(properties, H5S_MAX_RANK, chunk);
    for (int d = 0; d < rank; d++)
        if (chunk[d] == 0 || bytes > CHUNK_MAX / chunk[d])
            return false;
        else
            bytes *= chunk[d];
    return rank > 0;
}

/* Compression that the library lacks; LZF is h5py's own. */
static wz_status check_filters(const hdf5_array *a, hid_t properties, wz_error *err)
{
    for (int i = 0; i < H5Pget_nfilters(properties); i++) {
        unsigned flags = 0, config = 0;
        size_t values = 0;
        char name[64] = "", shown[64], what[160];
        const H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &values, NULL, sizeof name, name, &config);
        if (filter < 0 || H5Zfilter_avail(filter) > 0)
            continue;
        wz_gains_show_name(name, shown, sizeof shown);
        (void)snprintf(what, sizeof what,
                       "compressed with filter %d (%s), which this HDF5 library lacks: store it with gzip",
                       (int)filter,
                       filter == 32000   ? "lzf"
                       : name[0] != '\0' ? name
                                         : "unknown");
        return complain(a, what, err);
    }
    return WZ_OK;
}

/* Data in this file, as many as the shape promises: a few bytes could claim gigabytes. */
static wz_status check_storage(hdf5_array *a, size_t count, wz_error *err)
{
    const size_t element = H5Tget_size(a->type);
    hid_t properties = H5Dget_create_plist(a->dataset);
    if (properties < 0)
        return complain(a, "damaged: nothing says how it is stored", err);
    const H5D_layout_t layout = H5Pget_layout(properties);
    const bool is_inside = (layout == H5D_CHUNKED || layout == H5D_CONTIGUOUS || layout == H5D_COMPACT) &&
                           H5Pget_external_count(properties) == 0;
    const bool fits = layout != H5D_CHUNKED || chunks_fit(properties, element);
    const bool is_packed = layout == H5D_CHUNKED && H5Pget_nfilters(properties) > 0;
    const wz_status status = check_filters(a, properties, err);
    (void)wz_hdf5_close(H5Pclose, properties);
    if (status != WZ_OK)
        return status;
    if (!is_inside)
        return complain(a, "its numbers stand in other files, which are not read", err);
    if (!fits)
        return complain(a, "its chunks are larger than 256 MiB", err);
    const hsize_t stored = H5Dget_storage_size(a->dataset);
    if (element == 0 || stored < count * element / (is_packed ? PACKED_MOST : 1))
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: %llu bytes are stored where its shape asks for %zu numbers of %zu bytes", a->name,
                       (unsigned long long)stored, count, element);
    return WZ_OK;
}

/* The type to read elements as: a double, or two. */
static hid_t memory_type(const hdf5_array *a, const char *const names[2])
{
    if (!a->array.is_complex)
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    hid_t type = H5Tcreate(H5T_COMPOUND, 2 * sizeof(double));
    if (type >= 0 && H5Tinsert(type, names[0], 0, H5T_NATIVE_DOUBLE) >= 0 &&
        H5Tinsert(type, names[1], sizeof(double), H5T_NATIVE_DOUBLE) >= 0)
        return type;
    (void)wz_hdf5_close(H5Tclose, type);
    return -1;
}

static wz_status read_array(hdf5_array *a, bool coefficients, wz_gains *out, wz_error *err)
{
    const char *names[2] = {NULL, NULL};
    size_t count = 0;
    void *values = NULL;
    a->type = H5Dget_type(a->dataset);
    if (a->type < 0 || !wz_gains_is_number(a->type))
        return complain(a, "not numbers, which gains are", err);
    a->array.name = a->name;
    a->array.is_complex = H5Tget_class(a->type) == H5T_COMPOUND;
    if (a->array.is_complex && !is_complex(a->type, names))
        return complain(a, "a table of records; store a matrix of numbers", err);
    wz_status status = read_shape(a, err);
    if (status == WZ_OK)
        status = wz_gains_measure(&a->array, coefficients, &count, err);
    if (status == WZ_OK)
        status = check_storage(a, count, err);
    if (status == WZ_OK)
        status = wz_alloc(&values, count * (a->array.is_complex ? 2 : 1), sizeof(double), "an array", err);
    if (status != WZ_OK)
        return status;
    hid_t type = memory_type(a, names);
    if (type < 0 || H5Dread(a->dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = wz_hdf5_fail(err, WZ_ERR_CORRUPT, a->name, "damaged: its numbers cannot be read");
    (void)wz_hdf5_close(H5Tclose, type);
    if (status == WZ_OK)
        status = wz_gains_arrange(&a->array, coefficients, values, out, err);
    free(values);
    return status;
}

/* ---- the file ---- */

static wz_status fail_to_open(const char *path, wz_error *err)
{
    wz_text bytes = {0};
    (void)H5Eclear2(H5E_DEFAULT);
    wz_status status = wz_file_read(path, WZ_GAINS_BYTES_MAX, &bytes, err); /* a missing one says so itself */
    if (status != WZ_OK)
        return status;
    const bool is_old = bytes.length > 10 && memcmp(bytes.data, "MATLAB 5.0", 10) == 0;
    wz_text_clear(&bytes);
    return is_old ? wz_fail(err, WZ_ERR_CORRUPT, "%s: a MATLAB file of an older format: save(..., '-v7.3')",
                            path)
                  : wz_fail(err, WZ_ERR_CORRUPT, "%s: not an HDF5 file, or one that is cut short", path);
}

static wz_status open_file(hdf5_array *a, wz_error *err)
{
    wz_hdf5_prepare();
    a->file = wz_hdf5_open(a->path);
    return a->file >= 0 ? WZ_OK : fail_to_open(a->path, err);
}

wz_status wz_gains_read_hdf5(const char *path, const char *dataset, bool coefficients, wz_gains *out,
                             wz_error *err)
{
    hdf5_array a = {.path = path, .file = -1, .dataset = -1, .type = -1};
    (void)snprintf(a.name, sizeof a.name, "%s", path);
    wz_status status = open_file(&a, err);
    if (status == WZ_OK)
        status = wz_gains_find_dataset(path, a.file, dataset, &a.dataset, a.name, sizeof a.name, err);
    if (status == WZ_OK)
        status = read_array(&a, coefficients, out, err);
    (void)wz_hdf5_close(H5Tclose, a.type);
    (void)wz_hdf5_close(H5Dclose, a.dataset);
    (void)wz_hdf5_close(H5Fclose, a.file);
    return status;
}
