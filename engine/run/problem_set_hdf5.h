/* Problem sets as HDF5: what their writer and their reader share.
 *
 *     /                    attributes: format = "wavezero problem set", version, count, digest
 *     /0000, /0001, ...    problems of one family with the same options; attributes task, text_version
 *     /0000/options        attributes: an option each, a number or a name
 *     /0000/numbers        int32 [problems][numbers], and so on: a dataset for each key of a JSON line, a row a problem
 *     /0000/place          of each problem in the set, from 0
 *
 * Without a seed, seed is -1. Shorter decisions, and rows of generated problems, are filled up with -1. Datasets are
 * little-endian, chunked and carry fletcher32; texts are filled up with zeros. */
#ifndef WZ_RUN_PROBLEM_SET_HDF5_H
#define WZ_RUN_PROBLEM_SET_HDF5_H

#include "engine/core/hdf5.h"
#include "engine/run/problem_set_internal.h"

#define WZ_SET_FORMAT "wavezero problem set"
#define WZ_SET_VERSION 1

typedef enum wz_set_column_id {
    WZ_SET_PLACE,
    WZ_SET_INDEX,
    WZ_SET_SEED,
    WZ_SET_CLIPPED,
    WZ_SET_SPLIT,
    WZ_SET_STYLE,
    WZ_SET_KIND,
    WZ_SET_DIGEST,
    WZ_SET_PROMPT,
    WZ_SET_REFERENCE,
    WZ_SET_DECIDED,
    WZ_SET_TRIVIAL,
    WZ_SET_NUMBERS,
    WZ_SET_ROWS,
    WZ_SET_DECISION,
    WZ_SET_COLUMNS
} wz_set_column_id;

typedef enum wz_set_column_type { WZ_SET_INT64, WZ_SET_INT32, WZ_SET_DOUBLE, WZ_SET_TEXT } wz_set_column_type;

typedef struct wz_set_column {
    const char *name;
    wz_set_column_type type;
    bool is_matrix; /* several numbers a problem */
} wz_set_column;

extern const wz_set_column wz_set_columns[WZ_SET_COLUMNS];

/* The type of one element, in the file and (little-endian machines only, as of checkpoints) in memory; text_bytes: of a
 * text. Close with H5Tclose. */
hid_t wz_set_column_open_type(wz_set_column_type type, size_t text_bytes);
size_t wz_set_column_bytes(wz_set_column_type type, size_t text_bytes);

/* The reader's part of wz_set_hdf5. */
wz_status wz_set_hdf5_open(const char *path, void **state, wz_error *err);
wz_status wz_set_hdf5_next(void *state, wz_set_record *record, wz_text *place, bool *done, wz_error *err);
const char *wz_set_hdf5_digest(const void *state);
void wz_set_hdf5_close(void *state);

#endif
