/* Reading checkpoints: every size is checked against the file's before memory is asked for, and every failure
 * names the file and the dataset. */
#include "checkpoints/checkpoint_layout.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/core/file.h"

#define MAX_ENTRIES (1u << 20)

/* --- attributes --- */

/* A string of exactly `length` bytes; value holds length + 1. */
static bool read_string_attribute(hid_t object, const char *name, size_t length, char *value)
{
    return wz_hdf5_read_string(object, name, value, length + 1) && strlen(value) == length;
}

/* --- what a dataset claims to be --- */

wz_status wz_checkpoint_fail_dataset(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                     const char *what, wz_error *err)
{
    char place[WZ_CHECKPOINT_MAX_PLACE];
    wz_checkpoint_entry_place(entry, place);
    return wz_hdf5_fail(err, WZ_ERR_CORRUPT, checkpoint->path, "dataset '%s' %s", place, what);
}

static bool has_type(hid_t type, const wz_checkpoint_entry *entry)
{
    hid_t expected = wz_checkpoint_entry_type(entry);
    const bool same = expected >= 0 && H5Tequal(type, expected) > 0;
    (void)wz_hdf5_close(H5Tclose, expected);
    return same;
}

/* Sets the type of a tensor's numbers. */
static bool read_type(hid_t dataset, wz_checkpoint_entry *entry)
{
    static const wz_number_type types[] = {WZ_NUMBER_F32, WZ_NUMBER_F16, WZ_NUMBER_BF16};
    hid_t type = H5Dget_type(dataset);
    if (type < 0)
        return false;
    bool fits = false;
    for (size_t i = 0; i < sizeof types / sizeof types[0] && !fits; i++) {
        entry->tensor.type = wz_checkpoint_entry_is_text(entry) ? WZ_NUMBER_F32 : types[i];
        fits = has_type(type, entry);
    }
    (void)wz_hdf5_close(H5Tclose, type);
    return fits;
}

/* Only what our writer makes: no compression (a small file could claim terabytes), no data elsewhere. */
static bool storage_fits(hid_t dataset)
{
    hid_t properties = H5Dget_create_plist(dataset);
    if (properties < 0)
        return false;
    H5D_layout_t layout = H5Pget_layout(properties);
    int filters = H5Pget_nfilters(properties);
    bool fits = (layout == H5D_CHUNKED || layout == H5D_CONTIGUOUS) &&
                H5Pget_external_count(properties) == 0 && filters >= 0 && filters <= 1;
    if (fits && filters == 1) {
        unsigned flags = 0, config = 0;
        size_t values = 0;
        fits =
            H5Pget_filter2(properties, 0, &flags, &values, NULL, 0, NULL, &config) == H5Z_FILTER_FLETCHER32;
    }
    (void)wz_hdf5_close(H5Pclose, properties);
    return fits;
}

static bool read_shape(hid_t dataset, wz_checkpoint_entry *entry)
{
    hsize_t shape[WZ_CHECKPOINT_MAX_RANK];
    hid_t space = H5Dget_space(dataset);
    if (space < 0)
        return false;
    int rank = H5Sget_simple_extent_ndims(space);
    bool fits =
        rank >= 1 && rank <= WZ_CHECKPOINT_MAX_RANK && H5Sget_simple_extent_dims(space, shape, NULL) == rank;
    (void)wz_hdf5_close(H5Sclose, space);
    if (!fits || (wz_checkpoint_entry_is_text(entry) && rank != 1))
        return false;
    entry->tensor.rank = (size_t)rank;
    for (int d = 0; d < rank; d++)
        entry->tensor.shape[d] = (size_t)shape[d];
    return wz_checkpoint_entry_measure(entry);
}

static wz_status inspect_dataset(const wz_checkpoint *checkpoint, hid_t dataset, wz_checkpoint_entry *entry,
                                 wz_error *err)
{
    if (!read_type(dataset, entry))
        return wz_checkpoint_fail_dataset(checkpoint, entry, "has another type than a checkpoint's", err);
    if (!read_shape(dataset, entry))
        return wz_checkpoint_fail_dataset(checkpoint, entry, "has an impossible shape", err);
    if (!storage_fits(dataset))
        return wz_checkpoint_fail_dataset(checkpoint, entry, "is stored in a way a checkpoint does not use",
                                          err);
    if (entry->bytes > checkpoint->file_bytes || H5Dget_storage_size(dataset) < entry->bytes)
        return wz_checkpoint_fail_dataset(checkpoint, entry, "is larger than the file", err);
    if (!read_string_attribute(dataset, WZ_CHECKPOINT_DIGEST, WZ_DIGEST_HEX - 1, entry->digest))
        return wz_checkpoint_fail_dataset(checkpoint, entry, "has no digest", err);
    return WZ_OK;
}

hid_t wz_checkpoint_open_dataset(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry)
{
    char place[WZ_CHECKPOINT_MAX_PLACE];
    wz_checkpoint_entry_place(entry, place);
    return H5Dopen2(checkpoint->file, place, H5P_DEFAULT);
}

/* --- the list of datasets --- */

/* What the library hands through while it walks over links. */
typedef struct walk {
    wz_checkpoint *checkpoint;
    const char *group;
    wz_status status;
    wz_error *err;
} walk;

static herr_t stop(walk *state, wz_status status)
{
    state->status = status;
    return -1;
}

static wz_status copy_name(const char *name, const char **out, wz_error *err)
{
    *out = strdup(name);
    return *out != NULL ? WZ_OK : wz_fail(err, WZ_ERR_RESOURCE, "out of memory for the name '%.64s'", name);
}

/* Appends an entry with its names; the rest follows once all are listed. */
static wz_status append_entry(wz_checkpoint *checkpoint, const char *group, const char *name, wz_error *err)
{
    void *array = checkpoint->entries;
    if (checkpoint->count >= MAX_ENTRIES)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: more than %u datasets", checkpoint->path, MAX_ENTRIES);
    wz_status status = wz_grow(&array, &checkpoint->capacity, checkpoint->count + 1,
                               sizeof *checkpoint->entries, "the list of a checkpoint's datasets", err);
    checkpoint->entries = array;
    if (status != WZ_OK)
        return status;
    wz_checkpoint_entry *entry = &checkpoint->entries[checkpoint->count++];
    memset(entry, 0, sizeof *entry);
    status = copy_name(group, &entry->tensor.group, err);
    return status != WZ_OK ? status : copy_name(name, &entry->tensor.name, err);
}

static bool link_fits(const char *name, const H5L_info_t *info)
{
    return info->type == H5L_TYPE_HARD && strlen(name) <= WZ_CHECKPOINT_MAX_NAME;
}

static herr_t visit_dataset(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    walk *state = context;
    (void)group;
    if (!link_fits(name, info))
        return stop(state, wz_fail(state->err, WZ_ERR_CORRUPT, "%s: '%s/%.64s' is no part of a checkpoint",
                                   state->checkpoint->path, state->group, name));
    wz_status status = append_entry(state->checkpoint, state->group, name, state->err);
    return status == WZ_OK ? 0 : stop(state, status);
}

static herr_t visit_group(hid_t file, const char *name, const H5L_info_t *info, void *context)
{
    walk *state = context;
    hid_t group = link_fits(name, info) ? H5Gopen2(file, name, H5P_DEFAULT) : -1;
    if (group < 0)
        return stop(state, wz_hdf5_fail(state->err, WZ_ERR_CORRUPT, state->checkpoint->path,
                                        "group '%.64s' cannot be opened", name));
    state->group = name;
    herr_t result = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_dataset, state);
    if (result < 0 && state->status == WZ_OK)
        state->status = wz_hdf5_fail(state->err, WZ_ERR_CORRUPT, state->checkpoint->path,
                                     "group '%.64s' cannot be listed", name);
    (void)wz_hdf5_close(H5Gclose, group);
    return result < 0 ? -1 : 0;
}

static wz_status list_entries(wz_checkpoint *checkpoint, wz_error *err)
{
    walk state = {.checkpoint = checkpoint, .group = NULL, .status = WZ_OK, .err = err};
    herr_t result = H5Literate(checkpoint->file, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_group, &state);
    if (result < 0 && state.status == WZ_OK)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, checkpoint->path, "the groups cannot be listed");
    (void)H5Eclear2(H5E_DEFAULT);
    return state.status;
}

static wz_status inspect_entries(wz_checkpoint *checkpoint, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < checkpoint->count && status == WZ_OK; i++) {
        wz_checkpoint_entry *entry = &checkpoint->entries[i];
        hid_t dataset = wz_checkpoint_open_dataset(checkpoint, entry);
        if (dataset < 0)
            return wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be opened", err);
        status = inspect_dataset(checkpoint, dataset, entry, err);
        (void)wz_hdf5_close(H5Dclose, dataset);
        if (!wz_checkpoint_entry_is_text(entry))
            checkpoint->tensor_count++;
    }
    wz_checkpoint_entries_sort(checkpoint->entries, checkpoint->count);
    return status;
}

/* --- opening --- */

/* Places count from the file's first byte unless it has a user block. */
static int find_descriptor(hid_t file)
{
    hsize_t user_block = 1;
    hid_t creation = H5Fget_create_plist(file);
    const bool fits = creation >= 0 && H5Pget_userblock(creation, &user_block) >= 0 && user_block == 0;
    (void)wz_hdf5_close(H5Pclose, creation);
    return fits ? wz_hdf5_descriptor(file) : -1;
}

static wz_status open_file(wz_checkpoint *checkpoint, wz_error *err)
{
    struct stat info;
    const char *path = checkpoint->path;
    assert(path != NULL);
    if (stat(path, &info) != 0)
        return wz_fail(err, WZ_ERR_USAGE, "cannot open checkpoint %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return wz_fail(
            err, WZ_ERR_USAGE,
            "%s is no file: name a checkpoint such as step-00000100.h5; of a folder with pretrained weights "
            "`wavezero import` makes one",
            path);
    checkpoint->file_bytes = (uint64_t)info.st_size;
    checkpoint->file = wz_hdf5_open(path);
    if (checkpoint->file < 0)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, path, "is no checkpoint, or is cut short or damaged");
    checkpoint->descriptor = find_descriptor(checkpoint->file);
    return WZ_OK;
}

static wz_status read_header(wz_checkpoint *checkpoint, char manifest[WZ_DIGEST_HEX], wz_error *err)
{
    char format[sizeof WZ_CHECKPOINT_FORMAT];
    int64_t version = 0;
    const char *path = checkpoint->path;
    if (!read_string_attribute(checkpoint->file, "format", sizeof format - 1, format) ||
        strcmp(format, WZ_CHECKPOINT_FORMAT) != 0)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, path, "is an HDF5 file but no wavezero checkpoint");
    if (!wz_hdf5_read_integer(checkpoint->file, "version", &version))
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, path, "attribute 'version' cannot be read");
    if (version != WZ_CHECKPOINT_VERSION)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: checkpoint format %" PRId64 "; this program reads format %d",
                       path, version, WZ_CHECKPOINT_VERSION);
    if (!wz_hdf5_read_integer(checkpoint->file, "step", &checkpoint->step))
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, path, "attribute 'step' cannot be read");
    if (!read_string_attribute(checkpoint->file, "manifest", WZ_DIGEST_HEX - 1, manifest))
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, path, "attribute 'manifest' cannot be read");
    return WZ_OK;
}

static wz_status check_manifest(const wz_checkpoint *checkpoint, const char *manifest, wz_error *err)
{
    char found[WZ_DIGEST_HEX];
    wz_status status =
        wz_checkpoint_manifest(checkpoint->step, checkpoint->entries, checkpoint->count, found, err);
    if (status == WZ_OK && strcmp(found, manifest) != 0)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: the list of datasets differs from the one written (manifest %s, found %s)",
                       checkpoint->path, manifest, found);
    return status;
}

wz_status wz_checkpoint_open_any(const char *path, wz_checkpoint **out, wz_error *err)
{
    char manifest[WZ_DIGEST_HEX];
    void *block = NULL;
    *out = NULL;
    wz_hdf5_prepare();
    wz_status status = wz_alloc(&block, 1, sizeof **out, "a checkpoint", err);
    if (status != WZ_OK)
        return status;
    wz_checkpoint *checkpoint = block;
    checkpoint->file = -1;
    checkpoint->descriptor = -1;
    checkpoint->path = strdup(path);
    if (checkpoint->path == NULL)
        status = wz_fail(err, WZ_ERR_RESOURCE, "out of memory for the path of a checkpoint");
    if (status == WZ_OK)
        status = open_file(checkpoint, err);
    if (status == WZ_OK)
        status = read_header(checkpoint, manifest, err);
    if (status == WZ_OK)
        status = list_entries(checkpoint, err);
    if (status == WZ_OK)
        status = inspect_entries(checkpoint, err);
    if (status == WZ_OK)
        status = check_manifest(checkpoint, manifest, err);
    if (status != WZ_OK) {
        wz_checkpoint_close(checkpoint);
        return status;
    }
    *out = checkpoint;
    return WZ_OK;
}

wz_status wz_checkpoint_open(const char *path, wz_checkpoint **out, wz_error *err)
{
    size_t length = strlen(path);
    *out = NULL;
    if (length >= 4 && strcmp(path + length - 4, ".tmp") == 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s is an unfinished checkpoint: use the newest step-*.h5 beside it", path);
    return wz_checkpoint_open_any(path, out, err);
}

void wz_checkpoint_close(wz_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    (void)wz_hdf5_close(H5Fclose, checkpoint->file);
    (void)H5Eclear2(H5E_DEFAULT);
    for (size_t i = 0; i < checkpoint->count; i++) {
        free((void *)checkpoint->entries[i].tensor.group);
        free((void *)checkpoint->entries[i].tensor.name);
    }
    free(checkpoint->entries);
    free(checkpoint->path);
    free(checkpoint);
}

const char *wz_checkpoint_path(const wz_checkpoint *checkpoint)
{
    return checkpoint->path;
}

int64_t wz_checkpoint_step(const wz_checkpoint *checkpoint)
{
    return checkpoint->step;
}

size_t wz_checkpoint_tensor_count(const wz_checkpoint *checkpoint)
{
    return checkpoint->tensor_count;
}

const wz_checkpoint_tensor *wz_checkpoint_tensor_info(const wz_checkpoint *checkpoint, size_t index)
{
    return index < checkpoint->tensor_count ? &checkpoint->entries[index].tensor : NULL;
}
