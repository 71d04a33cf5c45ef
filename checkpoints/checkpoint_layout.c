#include "checkpoints/checkpoint_layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digests and files hold the bytes as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "checkpoints are written on little-endian machines");

/* --- HDF5 --- */

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

static const char *remedy_of(const reason *found)
{
    switch (found->number) {
    case ENOSPC:
    case EDQUOT:
        return "; free some space or write elsewhere";
    case EFBIG:
        return "; raise the file size limit (ulimit -f) or write elsewhere";
    case ENOLCK:
    case ENOSYS:
    case EAGAIN:
        return "; if the file system knows no locks, set HDF5_USE_FILE_LOCKING=FALSE";
    default:
        return "";
    }
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
    bool resource = found.memory || found.number == ENOSPC || found.number == EDQUOT ||
                    found.number == EFBIG || found.number == ENOMEM;
    return wz_fail(err, resource ? WZ_ERR_RESOURCE : otherwise, "%s: %s%s%s%s", path, what,
                   found.text[0] == '\0' ? "" : ": ", found.text, remedy_of(&found));
}

/* --- entries --- */

bool wz_checkpoint_entry_is_text(const wz_checkpoint_entry *entry)
{
    return strcmp(entry->tensor.group, WZ_CHECKPOINT_TEXTS) == 0;
}

bool wz_checkpoint_entry_measure(wz_checkpoint_entry *entry)
{
    entry->element_size = wz_checkpoint_entry_is_text(entry) ? 1 : sizeof(float);
    entry->bytes = entry->element_size;
    for (size_t d = 0; d < entry->tensor.rank; d++)
        if (!wz_size_multiply(entry->bytes, entry->tensor.shape[d], &entry->bytes))
            return false;
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const wz_checkpoint_entry *left = a, *right = b;
    int order = (int)wz_checkpoint_entry_is_text(left) - (int)wz_checkpoint_entry_is_text(right);
    if (order == 0)
        order = strcmp(left->tensor.group, right->tensor.group);
    return order != 0 ? order : strcmp(left->tensor.name, right->tensor.name);
}

void wz_checkpoint_entries_sort(wz_checkpoint_entry *entries, size_t count)
{
    if (count > 1)
        qsort(entries, count, sizeof *entries, compare_entries);
}

void wz_checkpoint_entry_place(const wz_checkpoint_entry *entry, char place[WZ_CHECKPOINT_MAX_PLACE])
{
    (void)snprintf(place, WZ_CHECKPOINT_MAX_PLACE, "%s/%s", entry->tensor.group, entry->tensor.name);
}

hid_t wz_checkpoint_entry_memory_type(const wz_checkpoint_entry *entry)
{
    return wz_checkpoint_entry_is_text(entry) ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT;
}

size_t wz_checkpoint_block(const wz_checkpoint_entry *entry, size_t block[WZ_CHECKPOINT_MAX_RANK])
{
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    size_t left = WZ_CHECKPOINT_BLOCK_BYTES / entry->element_size; /* elements that still fit */
    size_t elements = 1;
    for (size_t d = tensor->rank; d-- > 0;) {
        block[d] = tensor->shape[d] < left ? tensor->shape[d] : left;
        elements *= block[d];
        left = block[d] == tensor->shape[d] && block[d] > 0 ? left / block[d] : 1;
    }
    return elements;
}

/* --- digests --- */

static void add_name(wz_digest *digest, const char *name)
{
    wz_digest_add_u64(digest, strlen(name));
    wz_digest_add(digest, name, strlen(name));
}

wz_status wz_checkpoint_digest_start(const wz_checkpoint_entry *entry, wz_digest **out, wz_error *err)
{
    wz_status status = wz_digest_create(out, err);
    if (status != WZ_OK)
        return status;
    add_name(*out, entry->tensor.group);
    add_name(*out, entry->tensor.name);
    wz_digest_add_u64(*out, entry->tensor.rank);
    for (size_t d = 0; d < entry->tensor.rank; d++)
        wz_digest_add_u64(*out, entry->tensor.shape[d]);
    return WZ_OK;
}

wz_status wz_checkpoint_digest_entry(wz_checkpoint_entry *entry, wz_error *err)
{
    wz_digest *digest = NULL;
    if (entry->tensor.rank > WZ_CHECKPOINT_MAX_RANK || !wz_checkpoint_entry_measure(entry))
        return wz_fail(err, WZ_ERR_RUNTIME, "tensor '%s/%s' has an impossible shape", entry->tensor.group,
                       entry->tensor.name);
    wz_status status = wz_checkpoint_digest_start(entry, &digest, err);
    if (status != WZ_OK)
        return status;
    wz_digest_add(digest, entry->data, entry->bytes);
    wz_digest_finish(digest, entry->digest);
    wz_digest_destroy(digest);
    return WZ_OK;
}

wz_status wz_checkpoint_manifest(int64_t step, const wz_checkpoint_entry *entries, size_t count,
                                 char hex[WZ_DIGEST_HEX], wz_error *err)
{
    wz_digest *digest = NULL;
    wz_status status = wz_digest_create(&digest, err);
    if (status != WZ_OK)
        return status;
    wz_digest_add_u64(digest, (uint64_t)step);
    wz_digest_add_u64(digest, count);
    for (size_t i = 0; i < count; i++)
        wz_digest_add(digest, entries[i].digest, WZ_DIGEST_HEX - 1);
    wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    return WZ_OK;
}

wz_status wz_checkpoint_combine_weights(const wz_checkpoint_entry *entries, size_t count,
                                        char hex[WZ_DIGEST_HEX], wz_error *err)
{
    wz_digest *digest = NULL;
    wz_status status = wz_digest_create(&digest, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].tensor.group, "weights") == 0)
            wz_digest_add(digest, entries[i].digest, WZ_DIGEST_HEX - 1);
    wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    return WZ_OK;
}
