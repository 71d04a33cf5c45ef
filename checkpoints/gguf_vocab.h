/* Tokenizers in GGUF's keys. */
#ifndef WZ_CHECKPOINTS_GGUF_VOCAB_H
#define WZ_CHECKPOINTS_GGUF_VOCAB_H

#include "checkpoints/gguf.h"

/* The tokenizer.ggml.* keys and the chat template. Fails where llama.cpp has no pre-tokenizer that cuts texts as this one
 * does. The vocabulary is filled up to model->model.vocab_size with unused tokens, as rows of the embedding without one. */
wz_status wz_gguf_put_vocab(wz_gguf_writer *writer, const wz_portable *model, wz_error *err);

/* The other way: tokenizer, ids and chat template of *model. */
wz_status wz_gguf_get_vocab(const wz_gguf *file, wz_portable *model, wz_error *err);

#endif
