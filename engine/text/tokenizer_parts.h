/* The parts of a tokenizer, for formats other than tokenizer.json. */
#ifndef WZ_TEXT_TOKENIZER_PARTS_H
#define WZ_TEXT_TOKENIZER_PARTS_H

#include "engine/text/tokenizer.h"

/* Pre-tokenizers that other programs know by name. */
typedef enum wz_pretokenizer_name {
    WZ_PRETOKENIZER_GPT2,   /* GPT-2's pattern: the built-in vocabulary, too */
    WZ_PRETOKENIZER_LLAMA3, /* Llama 3's, numbers in threes; whole pieces win over merges (ignore_merges) */
    WZ_PRETOKENIZER_QWEN2,  /* Qwen2's and Qwen3's, digits one by one, after NFC */
    WZ_PRETOKENIZER_SMOLLM, /* digits one by one, then GPT-2's pattern */
    WZ_PRETOKENIZER_OTHER,
} wz_pretokenizer_name;

wz_pretokenizer_name wz_tokenizer_pretokenizer(const wz_tokenizer *tokenizer);
/* The members "normalizer" and "pre_tokenizer" of a tokenizer.json with such a pre-tokenizer, and "ignore_merges". */
typedef struct wz_pretokenizer_json {
    const char *normalizer, *pre_tokenizer;
    bool ignore_merges;
} wz_pretokenizer_json;
/* name: not OTHER. */
wz_pretokenizer_json wz_pretokenizer_write(wz_pretokenizer_name name);

/* Added to the vocabulary (`<|im_end|>`), special or not: found in a text before it is cut. */
bool wz_tokenizer_is_added(const wz_tokenizer *tokenizer, uint32_t id);
/* Appends a token as vocabularies spell it: an ordinary one in the byte-level alphabet, an added one as it is. Unused ids
 * append nothing. */
wz_status wz_tokenizer_spell(const wz_tokenizer *tokenizer, uint32_t id, wz_text *out, wz_error *err);

size_t wz_tokenizer_merge_count(const wz_tokenizer *tokenizer);
/* The tokens that the merge of this rank joins. */
void wz_tokenizer_merge(const wz_tokenizer *tokenizer, size_t rank, uint32_t *left, uint32_t *right);

/* The token put before every text, or -1; -2: there are more, or some after it. */
int64_t wz_tokenizer_begin_id(const wz_tokenizer *tokenizer);

#endif
