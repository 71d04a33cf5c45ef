/* NumPy's .npz files: zip archives of .npy files. */
#include <stdlib.h>
#include <string.h>

#include "tasks/gains_internal.h"
#include "tasks/zip.h"

/* Whether the member is the array of that name, "name.npy" in the archive. */
static bool is_named(const wz_zip_member *member, const char *name)
{
    const size_t length = strlen(name);
    const bool has_ending =
        member->name_length == length + 4 && memcmp(member->name + length, ".npy", 4) == 0;
    return (member->name_length == length || has_ending) && memcmp(member->name, name, length) == 0;
}

static wz_status list_name(const wz_zip_member *member, wz_text *names, wz_error *err)
{
    const size_t length = member->name_length - (member->name_length > 4 ? 4 : 0);
    if (names->length > 200)
        return WZ_OK;
    return wz_text_printf(names, err, "%s%.*s", names->length > 0 ? ", " : "",
                          (int)(length < 64 ? length : 64), member->name);
}

/* The array of that name, or the only one. */
static wz_status find_member(const wz_zip *zip, const char *name, wz_zip_member *out, wz_error *err)
{
    wz_text names = {0};
    size_t at = 0, found = 0;
    wz_status status = wz_text_append(&names, "", 0, err);
    for (size_t m = 0; status == WZ_OK && m < zip->members; m++) {
        wz_zip_member member;
        status = wz_zip_next(zip, &at, &member, err);
        if (status == WZ_OK)
            status = list_name(&member, &names, err);
        if (status == WZ_OK && (name == NULL || is_named(&member, name))) {
            *out = member;
            found++;
        }
    }
    if (status == WZ_OK && found == 0)
        status = name == NULL ? wz_fail(err, WZ_ERR_CORRUPT, "%s: an archive without arrays", zip->path)
                              : wz_fail(err, WZ_ERR_CORRUPT, "%s: no array '%.64s' in it; there are: %s",
                                        zip->path, name, names.data);
    else if (status == WZ_OK && found > 1)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: several arrays in it: %s; choose one as %s:NAME",
                         zip->path, names.data, zip->path);
    wz_text_clear(&names);
    return status;
}

/* Unpacks the header first: what it promises is what the archive must hold, before memory is asked for all of it. */
static wz_status parse_member(const wz_zip *zip, const wz_zip_member *member, bool coefficients,
                              wz_gains *out, wz_error *err)
{
    void *head = NULL, *bytes = NULL;
    size_t expected = 0;
    const size_t start = member->size < WZ_NPY_HEAD ? member->size : WZ_NPY_HEAD;
    wz_status status = wz_alloc(&head, start, 1, "an array's header", err);
    if (status == WZ_OK)
        status = wz_zip_unpack(zip, member, start, head, err);
    if (status == WZ_OK)
        status = wz_npy_measure(zip->path, head, start, coefficients, &expected, err);
    if (status == WZ_OK && expected != member->size)
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "%s: the archive states %zu bytes where the array's header asks "
                         "for %zu",
                         zip->path, member->size, expected);
    if (status == WZ_OK)
        status = wz_alloc(&bytes, member->size, 1, "an array", err);
    if (status == WZ_OK)
        status = wz_zip_unpack(zip, member, member->size, bytes, err);
    if (status == WZ_OK)
        status = wz_npy_parse(zip->path, bytes, member->size, coefficients, out, err);
    free(head);
    free(bytes);
    return status;
}

wz_status wz_npz_parse(const char *name, const unsigned char *bytes, size_t length, const char *member,
                       bool coefficients, wz_gains *out, wz_error *err)
{
    wz_zip zip;
    wz_zip_member found = {0};
    *out = (wz_gains){0};
    wz_status status = wz_zip_open(name, bytes, length, &zip, err);
    if (status == WZ_OK)
        status = find_member(&zip, member, &found, err);
    return status == WZ_OK ? parse_member(&zip, &found, coefficients, out, err) : status;
}
