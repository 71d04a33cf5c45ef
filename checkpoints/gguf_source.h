/* A model's tensors, or its adapters', in GGUF: llama.cpp's names and its order of rows. The llama architecture rotates
 * neighbouring elements where Hugging Face (and we) rotate halves, so that q and k have their rows reordered, (heads, 2, half)
 * -> (heads, half, 2); qwen2 and qwen3 rotate halves there, too. */
#ifndef WZ_CHECKPOINTS_GGUF_SOURCE_H
#define WZ_CHECKPOINTS_GGUF_SOURCE_H

#include "checkpoints/gguf.h"

typedef struct wz_gguf_output {
    wz_gguf_writer writer;
    const wz_portable *model;
    wz_number_type type; /* of matrices */
    const wz_byte_count *bytes;
} wz_gguf_output;

/* All tensors of a source: first their names, then their numbers. */
wz_status wz_gguf_add_source(wz_gguf_output *output, const wz_tensor_source *source, wz_error *err);
wz_status wz_gguf_write_source(wz_gguf_output *output, wz_tensor_source *source, wz_error *err);

/* general.architecture as a wz_model_type; WZ_ERR_CORRUPT: another. */
wz_status wz_gguf_get_architecture(const wz_gguf *file, int *out, wz_error *err);
/* The tensors of a file under Hugging Face's and PEFT's names, in their order of rows, of which config gives model_type, heads
 * and head_dim. Takes the file over, unless it fails. */
wz_status wz_gguf_make_source(wz_gguf *file, const wz_model_config *config, wz_tensor_source **out,
                              wz_error *err);

#endif
