/* What the files of this room that open files share. */
#ifndef WZ_CORE_FILE_INTERNAL_H
#define WZ_CORE_FILE_INTERNAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "engine/core/status.h"

/* "cannot <action> <path>: <the system's reason>", with the status and the remedy that belong to an errno value. */
wz_status wz_file_fail_errno(wz_error *err, int number, const char *action, const char *path);
/* These two: WZ_ERR_RUNTIME and "" where a value has none. */
wz_status wz_file_classify(int number, const char **remedy);
/* open() that goes on after a signal. */
int wz_file_open_retry(const char *path, int flags);
/* Whether both are of one file or folder. */
bool wz_file_is_same(const struct stat *a, const struct stat *b);

#endif
