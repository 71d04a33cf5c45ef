/* What a model's folder, which may come from anyone, may make us open. */
#ifndef WZ_CHECKPOINTS_HF_FOLDER_H
#define WZ_CHECKPOINTS_HF_FOLDER_H

#include "engine/core/status.h"

/* Fails (WZ_ERR_CORRUPT) for a file of `folder` that is no regular file (a pipe would be waited for), or a link out of the
 * folder, other than to where the Hugging Face cache keeps a folder's files (../../blobs). One that is not there passes. */
wz_status wz_hf_check_place(const char *folder, const char *path, wz_error *err);

#endif
