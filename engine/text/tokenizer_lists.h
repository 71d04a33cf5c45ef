/* The two long lists of tokenizer.json, model.vocab and model.merges: hundreds of thousands of strings, read without a value of
 * Jansson's for each, which would take most of the time that a tokenizer takes. */
#ifndef WZ_TEXT_TOKENIZER_LISTS_H
#define WZ_TEXT_TOKENIZER_LISTS_H

#include "engine/core/memory.h"

typedef struct wz_listed_token {
    const char *key; /* terminated */
    size_t length;
    int64_t id; /* -1: the value is no integer from 0 on */
} wz_listed_token;

typedef struct wz_listed_merge {
    const char *part[2]; /* terminated; NULL: neither two words in a string nor a pair of strings */
    size_t size[2];
} wz_listed_merge;

typedef struct wz_tokenizer_lists {
    wz_text text; /* the file, its strings decoded where they stand: the lists point into it */
    wz_text rest; /* the file with {} and [] in place of the two lists */
    wz_listed_token *tokens;
    size_t token_count, token_capacity;
    wz_listed_merge *merges;
    size_t merge_count, merge_capacity;
    uint32_t *slots; /* of tokens by their keys, open addressing */
    size_t slot_count;
} wz_tokenizer_lists;

/* Initialise with {0}. WZ_ERR_CORRUPT, without a message: the file is no JSON, or a token is listed twice. The lists are JSON if
 * every id and part is there; `rest` is to be parsed yet. */
wz_status wz_tokenizer_lists_read(wz_tokenizer_lists *lists, const char *json, size_t length, wz_error *err);
/* NULL: not listed. */
const wz_listed_token *wz_tokenizer_lists_find(const wz_tokenizer_lists *lists, const char *key,
                                               size_t length);
void wz_tokenizer_lists_clear(wz_tokenizer_lists *lists);

#endif
