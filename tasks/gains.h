/* A user's own channels: gain matrices from CSV, NumPy (.npy, .npz), HDF5 and MATLAB v7.3 files, by one interface.
 *
 * A file holds one matrix (rows, columns), or many as (problems, rows, columns). Elements are floating point numbers of 16, 32
 * or 64 bits or integers, of either byte order. The name's ending says the kind of file (.csv .npy .npz .h5 .hdf5 .mat), else
 * its first bytes. Of several arrays in a file one is chosen by "file.npz:name" or "file.h5:/path".
 *
 * MATLAB v7.3 files are HDF5 with the dimensions in reverse: A(i,j,n) lies at [n][j][i]. A dataset with MATLAB's attribute
 * MATLAB_class is read as MATLAB shows it: row i and column j of problem n, the third dimension. Other HDF5 files are read
 * as h5py shows them.
 *
 * Complex numbers are channel coefficients h, not power gains |h|^2, and are refused, unless they are asked for. */
#ifndef WZ_TASKS_GAINS_H
#define WZ_TASKS_GAINS_H

#include <stdbool.h>

#include "tasks/task.h"

#define WZ_GAINS_MAX ((size_t)1 << 26) /* numbers in one array: 512 MiB as doubles */

/* Power gains; free data with free(). */
typedef struct wz_gains {
    double *data; /* (count, rows, columns), finite, >= 0 */
    size_t count, rows, columns;
} wz_gains;

/* coefficients: the array holds channel coefficients, complex or real, and gains are |h|^2. WZ_ERR_CORRUPT names the file,
 * and where there are several the array, for what is no such array: damaged headers, other types or ranks, nan, negative
 * gains, sizes that the file cannot hold (found before memory is asked for), archives that unpack to something else. */
wz_status wz_gains_read(const char *path, bool coefficients, wz_gains *out, wz_error *err);

/* The family's problems of a file's matrices, numbered from 0: an array of *count, from wz_alloc. */
wz_status wz_gains_problems(const wz_task *task, const double *values, const char *path, bool coefficients,
                            wz_problem **out, size_t *count, wz_error *err);

#endif
