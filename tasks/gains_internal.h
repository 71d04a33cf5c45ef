/* The kinds of file behind gains.h. */
#ifndef WZ_TASKS_GAINS_INTERNAL_H
#define WZ_TASKS_GAINS_INTERNAL_H

#include "tasks/gains.h"

#define WZ_GAINS_RANK_MAX 32 /* dimensions that a message can tell of; 2 or 3 are read */
#define WZ_GAINS_BYTES_MAX (WZ_GAINS_MAX * 16 + (1 << 17))

typedef enum wz_array_order {
    WZ_ROW_MAJOR,    /* [problem][row][column] */
    WZ_COLUMN_MAJOR, /* [column][row][problem]: NumPy's Fortran order */
    WZ_MATLAB_ORDER  /* [problem][column][row] */
} wz_array_order;

/* An array as a file holds it; a complex element is two doubles. */
typedef struct wz_raw_array {
    const char *name;                      /* in messages */
    size_t rank, shape[WZ_GAINS_RANK_MAX]; /* (problems, rows, columns) or (rows, columns), in any order */
    bool is_complex;
    wz_array_order order;
} wz_raw_array;

/* Refuses what is no matrix or stack of them; *count: its elements, at most WZ_GAINS_MAX. */
wz_status wz_gains_measure(const wz_raw_array *array, bool coefficients, size_t *count, wz_error *err);
/* Puts values (count elements in the file's order) in the order of wz_gains, squared where they are coefficients, and
 * checks them. */
wz_status wz_gains_arrange(const wz_raw_array *array, bool coefficients, const double *values, wz_gains *out,
                           wz_error *err);

/* A .npy file in memory (formats 1.0 to 3.0). */
wz_status wz_npy_parse(const char *name, const unsigned char *bytes, size_t length, bool coefficients,
                       wz_gains *out, wz_error *err);
#define WZ_NPY_HEAD 65536u /* bytes that hold every header that is accepted */
/* Bytes of the file whose first ones these are. */
wz_status wz_npy_measure(const char *name, const unsigned char *head, size_t length, bool coefficients,
                         size_t *bytes, wz_error *err);
/* A .npz file in memory; member NULL: its only array. */
wz_status wz_npz_parse(const char *name, const unsigned char *bytes, size_t length, const char *member,
                       bool coefficients, wz_gains *out, wz_error *err);
/* An HDF5 file; dataset NULL: its only numeric one of 2 or 3 dimensions. */
wz_status wz_gains_read_hdf5(const char *path, const char *dataset, bool coefficients, wz_gains *out,
                             wz_error *err);

#endif
