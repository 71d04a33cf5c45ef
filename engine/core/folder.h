/* Folders that appear whole: written beside their final name, synced, and renamed. They hold files only. */
#ifndef WZ_CORE_FOLDER_H
#define WZ_CORE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* What tells a folder of ours, and which of its files are: the mark is one, and lists the others, "<digest>  <name>" a line. While
 * the folder is under construction it is empty, and they have some of the `names`, or are their temporaries. */
typedef struct wz_folder_kind {
    const char *mark;
    const char *const *names; /* NULL-terminated */
} wz_folder_kind;

/* A folder under construction, beside its final name (engine/core/output.h), locked (flock) against a second writer of the same
 * path. */
typedef struct wz_folder {
    wz_text path;
    const wz_folder_kind *kind;
    int lock;
} wz_folder;

/* Makes the folder, empty but for its mark, empty, too, which is to be written over last. What a killed writer left there is
 * removed. WZ_ERR_USAGE, and nothing is touched: another process is writing there; `path` exists and not `replace`; it, or what has
 * the temporary's name, is no folder of ours: a link, say, or without a mark, or with folders or files that are none of ours. *kind
 * must live as long as *out. Always to be followed by wz_folder_commit or wz_folder_abandon. */
wz_status wz_folder_begin(const char *path, bool replace, const wz_folder_kind *kind, wz_folder *out,
                          wz_error *err);
/* Syncs every file and the folder and gives it its name; what stood there is removed after that. On failure the folder under
 * construction is removed. */
wz_status wz_folder_commit(wz_folder *folder, const char *path, wz_error *err);
void wz_folder_abandon(wz_folder *folder);
/* Removes a folder and the files in it; one that is not there is fine. WZ_ERR_USAGE where it holds a folder. No link is followed. */
wz_status wz_folder_remove(const char *path, wz_error *err);

/* Names of the files in a folder, sorted; free with wz_names_clear. */
typedef struct wz_names {
    char **items;
    size_t count, capacity;
} wz_names;
wz_status wz_folder_list(const char *path, wz_names *out, wz_error *err);
void wz_names_clear(wz_names *names);

#endif
