/* The weights of a Hugging Face folder: one safetensors file, or shards with an index. */
#ifndef WZ_CHECKPOINTS_HF_WEIGHTS_H
#define WZ_CHECKPOINTS_HF_WEIGHTS_H

#include "checkpoints/safetensors.h"

#define WZ_HF_WEIGHTS "model.safetensors"
#define WZ_HF_INDEX "model.safetensors.index.json"

/* Opens what a folder has of the two. Tensors that models no longer store (rotary_emb.inv_freq), and an lm_head.weight where
 * the head is `tied`, are left out. The index must map every tensor of every shard to that shard, and to nothing else; shards
 * are files of the folder, or links to where the Hugging Face cache keeps a folder's files (../../blobs). Errors:
 * WZ_ERR_CORRUPT, WZ_ERR_RESOURCE. */
wz_status wz_hf_open_weights(const char *folder, bool tied, wz_tensor_source **out, wz_error *err);
/* The same from one file; takes it over, also on failure. */
wz_status wz_hf_weights_of(wz_safetensors *file, bool tied, wz_tensor_source **out, wz_error *err);

#endif
