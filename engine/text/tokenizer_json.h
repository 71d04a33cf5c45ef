/* Parts of reading tokenizer.json. Each takes one member of the file, NULL where it is absent. */
#ifndef WZ_TEXT_TOKENIZER_JSON_H
#define WZ_TEXT_TOKENIZER_JSON_H

#include <jansson.h>

#include "engine/text/tokenizer_internal.h"
#include "engine/text/tokenizer_lists.h"

/* "null", "a string", ...: for messages. */
const char *wz_json_kind(const json_t *value);
/* The string member `type`, or "" when it is absent. */
const char *wz_json_type(const json_t *object);

/* model: but for its vocabulary and merges, which are listed. */
wz_status wz_read_model(wz_tokenizer *tokenizer, const json_t *model, const wz_tokenizer_lists *lists,
                        const json_t *added, wz_error *err);
wz_status wz_read_normalizer(wz_tokenizer *tokenizer, const json_t *normalizer, wz_error *err);
wz_status wz_read_pretokenizer(wz_tokenizer *tokenizer, const json_t *pretokenizer, wz_error *err);
wz_status wz_read_postprocessor(wz_tokenizer *tokenizer, const json_t *postprocessor, wz_error *err);
wz_status wz_read_decoder(const json_t *decoder, wz_error *err);

/* The pattern of GPT-2's pre-tokenizer, which ByteLevel with use_regex stands for. */
extern const char wz_gpt2_pattern[];

#endif
