/* Byte-level BPE, as in Hugging Face `tokenizer.json`: one code path for files of the GPT-2, Qwen,
 * Llama 3 and SmolLM2 kind and for our own built-in vocabulary, which is written as such a file. */
#ifndef WZ_TEXT_TOKENIZER_H
#define WZ_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

typedef struct wz_tokenizer wz_tokenizer;

/* Growable list of token ids. Initialise with {0}; free with wz_ids_clear. */
typedef struct wz_ids {
    uint32_t *data;
    size_t length;
    size_t capacity;
} wz_ids;
wz_status wz_ids_append(wz_ids *ids, const uint32_t *values, size_t count, wz_error *err);
void wz_ids_clear(wz_ids *ids);

/* From the text of a tokenizer.json. What is not supported is named in the message. */
wz_status wz_tokenizer_create(const char *json, size_t length, wz_tokenizer **out, wz_error *err);
/* The built-in vocabulary: 256 bytes, task words, every integer 0..999 with its leading space as one
 * token, special tokens. Token ids are append-only across versions. */
wz_status wz_tokenizer_create_builtin(wz_tokenizer **out, wz_error *err);
void wz_tokenizer_destroy(wz_tokenizer *tokenizer);
/* Appends a tokenizer.json that the `tokenizers` package loads and that wz_tokenizer_create reads back
 * to an equal tokenizer. */
wz_status wz_tokenizer_write_json(const wz_tokenizer *tokenizer, wz_text *out, wz_error *err);

/* Appends the ids of a text. Added/special tokens written in the text are recognised, as the
 * `tokenizers` package does. add_special: apply the post-processor (e.g. Llama 3's leading token). */
wz_status wz_tokenizer_encode(const wz_tokenizer *tokenizer, const char *text, size_t length,
                              bool add_special, wz_ids *out, wz_error *err);
/* A range of a text, in bytes. */
typedef struct wz_text_range {
    size_t start, end;
} wz_text_range;
/* The same of a text of which parts come from elsewhere: special tokens are recognised only outside of these ranges, and are
 * spelled out in them; other added tokens (<think>) are recognised everywhere. */
wz_status wz_tokenizer_encode_quoting(const wz_tokenizer *tokenizer, const char *text, size_t length,
                                      bool add_special, const wz_text_range *quoted, size_t count,
                                      wz_ids *out, wz_error *err);
/* Appends the bytes of ids; special tokens are written as their text unless skip_special. */
wz_status wz_tokenizer_decode(const wz_tokenizer *tokenizer, const uint32_t *ids, size_t count,
                              bool skip_special, wz_text *out, wz_error *err);

size_t wz_tokenizer_vocab_size(const wz_tokenizer *tokenizer); /* 1 + largest id */
/* The bytes a token stands for (borrowed; not terminated); length 0 and NULL for unused ids. */
const char *wz_tokenizer_token_bytes(const wz_tokenizer *tokenizer, uint32_t id, size_t *length);
bool wz_tokenizer_is_special(const wz_tokenizer *tokenizer, uint32_t id);
/* The id whose bytes are exactly these, or -1. */
int64_t wz_tokenizer_find(const wz_tokenizer *tokenizer, const char *bytes, size_t length);
/* The built-in or declared end token, or -1. */
int64_t wz_tokenizer_end_id(const wz_tokenizer *tokenizer);
/* n if the token is an optional leading space and the decimal integer n (no leading zeros) and nothing
 * else, else -1: which embeddings are initialised smoothly. */
int64_t wz_tokenizer_integer_value(const wz_tokenizer *tokenizer, uint32_t id);

#endif
