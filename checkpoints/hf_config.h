/* The JSON files of a Hugging Face folder. `path` is the file's, for messages. Keys that are missing or null have the values
 * that transformers gives them. */
#ifndef WZ_CHECKPOINTS_HF_CONFIG_H
#define WZ_CHECKPOINTS_HF_CONFIG_H

#include "checkpoints/portable.h"
#include "engine/core/json.h"

#define WZ_HF_MAX_JSON ((size_t)16 << 20) /* bytes of config.json and the like */

/* config.json of LlamaForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM: sizes, RoPE (as transformers 4 and 5 write it),
 * special ids, name. What the model would need and this program has not is named: WZ_ERR_CORRUPT. */
wz_status wz_hf_config_read(const json_t *config, const char *path, wz_portable *out, wz_error *err);
/* The same as text, for weights of `type`. WZ_ERR_USAGE where transformers would refuse the model. */
wz_status wz_hf_config_write(const wz_portable *portable, wz_number_type type, wz_text *out, wz_error *err);

/* generation_config.json: end, start and padding ids, and how to sample. */
wz_status wz_hf_generation_read(const json_t *config, const char *path, wz_portable *out, wz_error *err);
wz_status wz_hf_generation_write(const wz_portable *portable, wz_text *out, wz_error *err);

/* tokenizer_config.json: chat template, and, where out has none, the ids of its end, start and padding tokens by
 * out->tokenizer. */
wz_status wz_hf_tokenizer_read(const json_t *config, const char *path, wz_portable *out, wz_error *err);
wz_status wz_hf_tokenizer_write(const wz_portable *portable, wz_text *out, wz_error *err);

/* A file of a folder, read by one of the functions above; where it is not there and not `needed`, nothing is. */
wz_status wz_hf_read_json(const char *folder, const char *name, bool needed,
                          wz_status (*take)(const json_t *, const char *, wz_portable *, wz_error *),
                          wz_portable *out, wz_error *err);
/* tokenizer.json, after config.json, likewise. It may have fewer tokens than the model, whose last rows are padding; not
 * more. */
wz_status wz_hf_read_tokenizer(const char *folder, bool needed, wz_portable *out, wz_error *err);

/* Members of an object that may be missing or null, and then leave *out as it is. Another type is WZ_ERR_CORRUPT. Integers
 * lie within [least, 2^31). */
wz_status wz_hf_get_integer(const json_t *object, const char *path, const char *key, int64_t least,
                            int64_t *out, wz_error *err);
wz_status wz_hf_get_number(const json_t *object, const char *path, const char *key, double *out,
                           wz_error *err);
wz_status wz_hf_get_boolean(const json_t *object, const char *path, const char *key, bool *out,
                            wz_error *err);
/* NULL: leave *out as it is; borrowed. */
wz_status wz_hf_get_string(const json_t *object, const char *path, const char *key, const char **out,
                           wz_error *err);
/* bos_token_id, pad_token_id and eos_token_id (one or a list); those of the second kind replace what was there. */
wz_status wz_hf_get_ids(const json_t *object, const char *path, wz_portable *out, wz_error *err);
/* Writes those three members. */
void wz_hf_put_ids(const wz_portable *portable, wz_json *json);

#endif
