/* Which dataset of an HDF5 file holds the gains. */
#include "tasks/gains_hdf5.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64 /* groups within groups */
#define PATH_BYTES 1024
#define SHARED_MAX 256 /* objects that have several names */

typedef struct search {
    size_t found;
    bool is_too_deep;
    haddr_t shared[SHARED_MAX]; /* of those seen: each is met once, and a circle ends */
    size_t shared_count;
    char name[PATH_BYTES]; /* the first */
    char names[512];       /* all, as far as there is room, as they may be printed */
} search;

/* A dataset of numbers with two or three dimensions. */
static bool is_candidate(hid_t dataset)
{
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    const bool fits = type >= 0 && wz_gains_is_number(type) && (rank == 2 || rank == 3);
    (void)wz_hdf5_close(H5Tclose, type);
    (void)wz_hdf5_close(H5Sclose, space);
    return fits;
}

/* A name as a terminal may show it: control characters of a stranger's file are written "?". */
void wz_gains_show_name(const char *name, char *shown, size_t size)
{
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < size; i++)
        shown[i] = name[i];
    shown[i] = '\0';
    for (char *c = shown; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

static void take_candidate(search *s, const char *path)
{
    char shown[256];
    const size_t used = strlen(s->names);
    wz_gains_show_name(path, shown, sizeof shown);
    if (s->found++ == 0)
        memcpy(s->name, path, strlen(path) + 1); /* < PATH_BYTES */
    (void)snprintf(s->names + used, sizeof s->names - used, "%s%s", used > 0 ? ", " : "", shown);
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *context);

/* The walk through the file: which group it is in, and how deep. */
typedef struct walk {
    search *found;
    const char *path;
    size_t depth;
} walk;

static bool is_seen(search *s, hid_t object)
{
    H5O_info_t info;
    if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0)
        return true;
    if (info.rc <= 1)
        return false;
    for (size_t i = 0; i < s->shared_count; i++)
        if (s->shared[i] == info.addr)
            return true;
    s->is_too_deep |= s->shared_count == SHARED_MAX;
    if (s->shared_count == SHARED_MAX)
        return true;
    s->shared[s->shared_count++] = info.addr;
    return false;
}

static herr_t visit_group(hid_t group, const char *path, size_t depth, search *found)
{
    walk inner = {found, path, depth};
    found->is_too_deep |= depth > DEPTH_MAX;
    if (depth > DEPTH_MAX)
        return 0;
    return H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, &inner);
}

/* Only hard links: those into other files are not followed, and what a soft one leads to is met where it is. */
static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    const walk *w = context;
    char path[PATH_BYTES];
    herr_t result = 0;
    if (info->type != H5L_TYPE_HARD || strcmp(name, "#refs#") == 0) /* MATLAB's store of cells */
        return 0;
    const int length = snprintf(path, sizeof path, "%s/%s", w->path, name);
    hid_t object = length < (int)sizeof path ? H5Oopen(group, name, H5P_DEFAULT) : -1;
    if (object < 0)
        return 0;
    const H5I_type_t type = H5Iget_type(object);
    if (is_seen(w->found, object))
        result = 0;
    else if (type == H5I_GROUP)
        result = visit_group(object, path, w->depth + 1, w->found);
    else if (type == H5I_DATASET && is_candidate(object))
        take_candidate(w->found, path);
    (void)wz_hdf5_close(H5Oclose, object);
    return result;
}

/* H5Pset_elink_cb: no link into another file is followed. */
static herr_t refuse_external(const char *parent_file, const char *parent_group, const char *child_file,
                              const char *child_object, unsigned *flags, hid_t access, void *met)
{
    (void)parent_file;
    (void)parent_group;
    (void)child_file;
    (void)child_object;
    (void)flags;
    (void)access;
    *(bool *)met = true;
    return -1;
}

static hid_t open_dataset(hid_t file, const char *name, bool *is_external)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t dataset = access >= 0 && H5Pset_elink_cb(access, refuse_external, is_external) >= 0
                        ? H5Dopen2(file, name, access)
                        : -1;
    (void)wz_hdf5_close(H5Pclose, access);
    return dataset;
}

static wz_status complain(const char *path, const char *what, wz_error *err)
{
    (void)H5Eclear2(H5E_DEFAULT);
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s", path, what);
}

static wz_status fail_to_find(const char *path, const search *s, const char *wanted, wz_error *err)
{
    char shown[128];
    if (wanted != NULL) {
        wz_gains_show_name(wanted, shown, sizeof shown);
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: no dataset '%s'; there are: %s%s", path, shown,
                       s->found > 0 ? s->names : "none of numbers with two or three dimensions",
                       s->is_too_deep ? ", and more, in groups too deep to search" : "");
    }
    if (s->found > 1)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: several datasets in it: %s; choose one as %s:/NAME", path,
                       s->names, path);
    return wz_fail(err, WZ_ERR_CORRUPT,
                   "%s: no dataset of numbers with two or three dimensions (sparse matrices and cells: store "
                   "full() ones)%s",
                   path, s->is_too_deep ? "; groups are nested too deep to search: say FILE:/NAME" : "");
}

/* A name is opened as it is; without one, or where there is none of it, the file is searched. */
wz_status wz_gains_find_dataset(const char *path, hid_t file, const char *wanted, hid_t *dataset, char *name,
                                size_t size, wz_error *err)
{
    search s = {0};
    *dataset = -1;
    char shown[256];
    bool is_external = false;
    if (wanted != NULL)
        *dataset = open_dataset(file, wanted, &is_external);
    if (is_external)
        return complain(path, "the dataset is a link into another file, which is not read: name that file",
                        err);
    if (*dataset < 0) {
        (void)H5Eclear2(H5E_DEFAULT);
        if (visit_group(file, "", 0, &s) < 0)
            return complain(path, "damaged: its contents cannot be listed", err);
        if (wanted != NULL || s.found != 1)
            return fail_to_find(path, &s, wanted, err);
        *dataset = open_dataset(file, s.name, &is_external);
    }
    wz_gains_show_name(wanted != NULL ? wanted : s.name, shown, sizeof shown);
    (void)snprintf(name, size, "%s:%s", path, shown);
    return *dataset >= 0 ? WZ_OK : complain(path, "damaged: it cannot be opened", err);
}
