/* What is written: made beside its final name, which it takes once it is whole, and never in place of what it is made from. */
#ifndef WZ_CORE_OUTPUT_H
#define WZ_CORE_OUTPUT_H

#include <stdbool.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* What an unfinished file or folder is called behind its final name. No other program gives such names, so that a regular file
 * of one is what a killed writer of ours left. */
#define WZ_OUTPUT_SUFFIX ".wavezero.tmp"

/* Appends path's temporary name to *out and makes it free, for the caller to create a file of (O_CREAT | O_EXCL, which follows no
 * link): what a killed writer left there is removed. WZ_ERR_USAGE, and nothing is touched: a link, a folder or anything else has
 * the name; another process holds the file there locked (flock), as writers do; or path itself is there and no regular file. */
wz_status wz_output_temporary(const char *path, wz_text *out, wz_error *err);
/* Whether a name ends as temporaries' do. */
bool wz_output_is_named_temporary(const char *name);
/* Whether a name in an open directory is that of a file which a killed writer left. */
bool wz_output_is_left(int directory, const char *name);
/* WZ_ERR_USAGE: what has the temporary's name is none of ours. */
wz_status wz_output_in_the_way(const char *temporary, wz_error *err);

/* WZ_ERR_USAGE where writing the file or folder `output` would remove `input` (a file or folder, in part or whole): it is the same,
 * under whatever name, or lies in it. */
wz_status wz_output_check_input(const char *output, const char *input, wz_error *err);
/* The same of the files in a folder, without those in its folders; names that end in `own` are of what is written there. */
wz_status wz_output_check_folder(const char *output, const char *folder, const char *own, wz_error *err);

#endif
