#include "engine/core/hdf5.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file_internal.h"

void wz_hdf5_prepare(void)
{
    (void)H5dont_atexit(); /* counts only before the library's first use; an error after that, of no matter */
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

bool wz_hdf5_close(herr_t (*close)(hid_t), hid_t id)
{
    if (id < 0)
        return true;
    hid_t errors = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : -1;
    bool done = close(id) >= 0;
    if (errors >= 0)
        (void)H5Eset_current_stack(errors);
    return done;
}

hid_t wz_hdf5_create(const char *path)
{
    hid_t file = -1;
    hid_t creation = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    if (creation >= 0 && access >= 0 && H5Pset_obj_track_times(creation, 0) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        file = H5Fcreate(path, H5F_ACC_EXCL, creation, access);
    (void)wz_hdf5_close(H5Pclose, access);
    (void)wz_hdf5_close(H5Pclose, creation);
    return file;
}

hid_t wz_hdf5_create_group(hid_t file, const char *name)
{
    hid_t group = -1;
    hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
    if (properties >= 0 && H5Pset_obj_track_times(properties, 0) >= 0)
        group = H5Gcreate2(file, name, H5P_DEFAULT, properties, H5P_DEFAULT);
    (void)wz_hdf5_close(H5Pclose, properties);
    return group;
}

hid_t wz_hdf5_open(const char *path)
{
    hid_t file = -1;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        file = H5Fopen(path, H5F_ACC_RDONLY, access);
    (void)wz_hdf5_close(H5Pclose, access);
    return file;
}

int wz_hdf5_descriptor(hid_t file)
{
    void *handle = NULL;
    hid_t access = H5Fget_access_plist(file);
    const bool fits =
        access >= 0 && H5Pget_driver(access) == H5FD_SEC2 && H5Fget_vfd_handle(file, access, &handle) >= 0;
    (void)wz_hdf5_close(H5Pclose, access);
    return fits ? *(const int *)handle : -1;
}

typedef struct reason {
    char text[256];
    int number;  /* errno, 0 where the library gives none */
    bool memory; /* an allocation failed */
} reason;

/* The library writes "..., errno = 28, error message = 'No space left on device', buf = 0x...": keep what a
 * reader can use. */
static herr_t note_reason(unsigned level, const H5E_error2_t *error, void *context)
{
    reason *found = context;
    const char *text = error->desc == NULL ? "" : error->desc;
    if (error->maj_num == H5E_RESOURCE && error->min_num == H5E_NOSPACE)
        found->memory = true;
    if (strstr(text, "memory allocation failed") != NULL)
        found->memory = true;
    if (level != 0)
        return 0;
    const char *number = strstr(text, "errno = ");
    const char *message = strstr(text, "error message = '");
    if (number != NULL)
        found->number = (int)strtol(number + strlen("errno = "), NULL, 10);
    if (message != NULL) {
        message += strlen("error message = '");
        (void)snprintf(found->text, sizeof found->text, "%.*s", (int)strcspn(message, "'"), message);
    } else {
        (void)snprintf(found->text, sizeof found->text, "%s", text);
    }
    return 0;
}

static wz_status classify(const reason *found, const char **remedy)
{
    const wz_status status = wz_file_classify(found->number, remedy);
    if (found->number == ENOLCK || found->number == ENOSYS || found->number == EAGAIN)
        *remedy = "; if the file system knows no locks, set HDF5_USE_FILE_LOCKING=FALSE";
    return status == WZ_ERR_RUNTIME && found->memory ? WZ_ERR_RESOURCE : status;
}

wz_status wz_hdf5_fail(wz_error *err, wz_status otherwise, const char *path, const char *format, ...)
{
    reason found = {.text = "", .number = 0, .memory = false};
    char what[700];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_reason, &found);
    (void)H5Eclear2(H5E_DEFAULT);
    const char *remedy = "";
    const wz_status status = classify(&found, &remedy);
    return wz_fail(err, status != WZ_ERR_RUNTIME ? status : otherwise, "%s: %s%s%s%s", path, what,
                   found.text[0] == '\0' ? "" : ": ", found.text, remedy);
}

/* --- attributes --- */

static bool write_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type,
                            const void *value)
{
    bool done = false;
    hid_t space = H5Screate(H5S_SCALAR);
    if (space < 0)
        return false;
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        done = H5Awrite(attribute, memory_type, value) >= 0;
        done = wz_hdf5_close(H5Aclose, attribute) && done;
    }
    (void)wz_hdf5_close(H5Sclose, space);
    return done;
}

bool wz_hdf5_write_string(hid_t object, const char *name, const char *value)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0)
        return false;
    bool done = H5Tset_size(type, strlen(value)) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
                write_attribute(object, name, type, type, value);
    (void)wz_hdf5_close(H5Tclose, type);
    return done;
}

bool wz_hdf5_write_integer(hid_t object, const char *name, int64_t value)
{
    return write_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

bool wz_hdf5_write_number(hid_t object, const char *name, double value)
{
    return write_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

hid_t wz_hdf5_open_scalar(hid_t object, const char *name)
{
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return -1;
    hid_t space = H5Aget_space(attribute);
    bool scalar = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    (void)wz_hdf5_close(H5Sclose, space);
    if (scalar)
        return attribute;
    (void)wz_hdf5_close(H5Aclose, attribute);
    return -1;
}

bool wz_hdf5_read_integer(hid_t object, const char *name, int64_t *value)
{
    bool done = false;
    hid_t attribute = wz_hdf5_open_scalar(object, name);
    if (attribute < 0)
        return false;
    hid_t type = H5Aget_type(attribute);
    if (type >= 0) {
        done = H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == sizeof *value &&
               H5Aread(attribute, H5T_NATIVE_INT64, value) >= 0;
        (void)wz_hdf5_close(H5Tclose, type);
    }
    (void)wz_hdf5_close(H5Aclose, attribute);
    return done;
}

bool wz_hdf5_read_number(hid_t object, const char *name, double *value)
{
    bool done = false;
    hid_t attribute = wz_hdf5_open_scalar(object, name);
    if (attribute < 0)
        return false;
    hid_t type = H5Aget_type(attribute);
    if (type >= 0) {
        const H5T_class_t kind = H5Tget_class(type);
        done =
            (kind == H5T_FLOAT || kind == H5T_INTEGER) && H5Aread(attribute, H5T_NATIVE_DOUBLE, value) >= 0;
        (void)wz_hdf5_close(H5Tclose, type);
    }
    (void)wz_hdf5_close(H5Aclose, attribute);
    return done;
}

bool wz_hdf5_read_string(hid_t object, const char *name, char *value, size_t size)
{
    bool done = false;
    hid_t attribute = wz_hdf5_open_scalar(object, name);
    if (attribute < 0)
        return false;
    memset(value, 0, size);
    hid_t type = H5Aget_type(attribute);
    if (type >= 0) {
        done = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
               H5Tget_size(type) < size && H5Aread(attribute, type, value) >= 0;
        (void)wz_hdf5_close(H5Tclose, type);
    }
    (void)wz_hdf5_close(H5Aclose, attribute);
    return done;
}
