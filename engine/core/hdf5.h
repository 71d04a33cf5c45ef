/* What all users of the HDF5 library need: errors as ours, closing, attributes. */
#ifndef WZ_CORE_HDF5_H
#define WZ_CORE_HDF5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

/* Before every use of HDF5 on a thread: no clean-up at exit (after a failed close it crashes), no messages on
 * stderr (they go into ours). */
void wz_hdf5_prepare(void);

/* Writes "<path>: <what>: <the library's innermost reason>" and a remedy where one is known, and clears the
 * library's error stack. Returns the status that belongs to the system's reason, if there is one (engine/core/file.h), and
 * WZ_ERR_RESOURCE for lack of memory, else `otherwise`. */
wz_status wz_hdf5_fail(wz_error *err, wz_status otherwise, const char *path, const char *format, ...)
    WZ_PRINTF(4, 5);

/* Closes an id (negative: none) and keeps the errors that are on the library's stack, which any other call
 * would clear: for the way out of a function that failed. Returns whether closing worked. */
bool wz_hdf5_close(herr_t (*close)(hid_t), hid_t id);

/* A new file, which must not be there yet (O_EXCL: no link is followed), without time stamps: same content, same bytes; and an old
 * one for reading. Closing one closes all that is open in it. -1: failed. */
hid_t wz_hdf5_create(const char *path);
hid_t wz_hdf5_open(const char *path);
/* The library's descriptor of an open file; -1: its driver has none. */
int wz_hdf5_descriptor(hid_t file);
/* A new group, without time stamps, too. */
hid_t wz_hdf5_create_group(hid_t where, const char *name);

/* Attributes of one element; false where they cannot be written. */
bool wz_hdf5_write_string(hid_t object, const char *name, const char *value);
bool wz_hdf5_write_integer(hid_t object, const char *name, int64_t value);
bool wz_hdf5_write_number(hid_t object, const char *name, double value);
/* Opens an attribute of one element; -1 where it is missing or has several. */
hid_t wz_hdf5_open_scalar(hid_t object, const char *name);
/* false where it is missing or of another type. A string's bytes: at most size - 1, of a fixed length in the file. */
bool wz_hdf5_read_integer(hid_t object, const char *name, int64_t *value);
bool wz_hdf5_read_number(hid_t object, const char *name, double *value);
bool wz_hdf5_read_string(hid_t object, const char *name, char *value, size_t size);

#endif
