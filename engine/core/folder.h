/* Folders that appear whole: written beside their final name, synced, and renamed. They hold files only. */
#ifndef WZ_CORE_FOLDER_H
#define WZ_CORE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* Appends to `temporary` the path of a new empty folder beside `path`: path.tmp, what a killed writer left there removed. A
 * path that exists is WZ_ERR_USAGE unless `replace`, and then, too, where it is no folder or holds no file named `mark`: it
 * is not one of ours. */
wz_status wz_folder_begin(const char *path, bool replace, const char *mark, wz_text *temporary,
                          wz_error *err);
/* Syncs every file and the folder and gives it its name; what stood there is removed after that. On failure the temporary
 * folder is removed. */
wz_status wz_folder_commit(const char *temporary, const char *path, wz_error *err);
/* Removes a folder and the files in it; one that is not there is fine. WZ_ERR_USAGE where it holds a folder. */
wz_status wz_folder_remove(const char *path, wz_error *err);

/* Names of the files in a folder, sorted; free with wz_names_clear. */
typedef struct wz_names {
    char **items;
    size_t count, capacity;
} wz_names;
wz_status wz_folder_list(const char *path, wz_names *out, wz_error *err);
void wz_names_clear(wz_names *names);

#endif
