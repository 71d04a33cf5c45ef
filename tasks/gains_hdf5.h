/* What reading gains from HDF5 files and finding them there share. */
#ifndef WZ_TASKS_GAINS_HDF5_H
#define WZ_TASKS_GAINS_HDF5_H

#include "engine/core/hdf5.h"
#include "tasks/gains_internal.h"

/* Opens the dataset of that name, or if NULL the only one of numbers with two or three dimensions; name (size): its name in
 * messages, "file:/path". Links into other files are not followed. */
wz_status wz_gains_find_dataset(const char *path, hid_t file, const char *wanted, hid_t *dataset, char *name,
                                size_t size, wz_error *err);
/* Whether elements of the type are numbers, or records of them. */
bool wz_gains_is_number(hid_t type);
/* A name as a terminal may show it: control characters of a stranger's file are written "?". */
void wz_gains_show_name(const char *name, char *shown, size_t size);

#endif
