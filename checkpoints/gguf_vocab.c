#include "checkpoints/gguf_vocab.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer_parts.h"

/* llama.cpp's numbers of kinds of tokens */
enum { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4, TOKEN_UNUSED = 5 };

static const char *const pre_names[] = {
    [WZ_PRETOKENIZER_GPT2] = "gpt-2",
    [WZ_PRETOKENIZER_LLAMA3] = "llama-bpe",
    [WZ_PRETOKENIZER_QWEN2] = "qwen2",
    [WZ_PRETOKENIZER_SMOLLM] = "smollm",
};
#define PRE_NAMES (sizeof pre_names / sizeof pre_names[0])

/* ---- writing ---- */

static int32_t kind_of(const wz_tokenizer *tokenizer, uint32_t id)
{
    size_t length = 0;
    if (wz_tokenizer_token_bytes(tokenizer, id, &length) == NULL)
        return TOKEN_UNUSED;
    if (!wz_tokenizer_is_added(tokenizer, id))
        return TOKEN_NORMAL;
    return wz_tokenizer_is_special(tokenizer, id) ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
}

static wz_status put_tokens(wz_gguf_writer *w, const wz_tokenizer *tokenizer, uint64_t count, wz_error *err)
{
    wz_text text = {0};
    wz_status status = WZ_OK;
    wz_gguf_begin_array(w, "tokenizer.ggml.tokens", WZ_GGUF_STRING, count);
    for (uint64_t id = 0; status == WZ_OK && id < count; id++) {
        text.length = 0;
        status = wz_tokenizer_spell(tokenizer, (uint32_t)id, &text, err);
        if (status == WZ_OK && kind_of(tokenizer, (uint32_t)id) == TOKEN_UNUSED)
            status = wz_text_printf(&text, err, "[PAD%llu]", (unsigned long long)id);
        if (status == WZ_OK)
            wz_gguf_item_string(w, text.data, text.length);
    }
    wz_gguf_begin_array(w, "tokenizer.ggml.token_type", WZ_GGUF_I32, count);
    for (uint64_t id = 0; id < count; id++)
        wz_gguf_item_i32(w, kind_of(tokenizer, (uint32_t)id));
    wz_text_clear(&text);
    return status;
}

static wz_status put_merges(wz_gguf_writer *w, const wz_tokenizer *tokenizer, wz_error *err)
{
    wz_text text = {0};
    wz_status status = WZ_OK;
    const size_t count = wz_tokenizer_merge_count(tokenizer);
    wz_gguf_begin_array(w, "tokenizer.ggml.merges", WZ_GGUF_STRING, count);
    for (size_t rank = 0; status == WZ_OK && rank < count; rank++) {
        uint32_t left = 0, right = 0;
        wz_tokenizer_merge(tokenizer, rank, &left, &right);
        text.length = 0;
        status = wz_tokenizer_spell(tokenizer, left, &text, err);
        if (status == WZ_OK)
            status = wz_text_append(&text, " ", 1, err);
        if (status == WZ_OK)
            status = wz_tokenizer_spell(tokenizer, right, &text, err);
        if (status == WZ_OK)
            wz_gguf_item_string(w, text.data, text.length);
    }
    wz_text_clear(&text);
    return status;
}

/* llama.cpp ends at eos and at eot; others it finds by their names. The first is what the model was trained to end with. */
static void put_ids(wz_gguf_writer *w, const wz_portable *model)
{
    const int64_t begin = wz_tokenizer_begin_id(model->tokenizer);
    const int64_t bos = begin >= 0 ? begin : model->bos_id;
    if (bos >= 0)
        wz_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)bos);
    wz_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", begin >= 0);
    wz_gguf_put_bool(w, "tokenizer.ggml.add_eos_token", false);
    if (model->end_count > 0)
        wz_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", model->end_ids[0]);
    if (model->end_count > 1)
        wz_gguf_put_u32(w, "tokenizer.ggml.eot_token_id", model->end_ids[1]);
    if (model->end_count > 2)
        wz_gguf_put_u32(w, "tokenizer.ggml.eom_token_id", model->end_ids[2]);
    if (model->pad_id >= 0)
        wz_gguf_put_u32(w, "tokenizer.ggml.padding_token_id", (uint32_t)model->pad_id);
}

wz_status wz_gguf_put_vocab(wz_gguf_writer *w, const wz_portable *model, wz_error *err)
{
    const wz_tokenizer *tokenizer = model->tokenizer;
    const wz_pretokenizer_name pre = wz_tokenizer_pretokenizer(tokenizer);
    if (pre == WZ_PRETOKENIZER_OTHER || wz_tokenizer_begin_id(tokenizer) == -2)
        return wz_fail(err, WZ_ERR_USAGE,
                       "the tokenizer cuts or frames texts in a way that no pre-tokenizer of llama.cpp does "
                       "(gpt-2, llama-bpe, qwen2 and smollm are written): export to onnx, hf or safetensors");
    wz_gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
    wz_gguf_put_string(w, "tokenizer.ggml.pre", pre_names[pre], strlen(pre_names[pre]));
    wz_status status = put_tokens(w, tokenizer, (uint64_t)model->model.vocab_size, err);
    if (status == WZ_OK)
        status = put_merges(w, tokenizer, err);
    if (status != WZ_OK)
        return status;
    put_ids(w, model);
    if (model->chat_template.length > 0)
        wz_gguf_put_string(w, "tokenizer.chat_template", model->chat_template.data,
                           model->chat_template.length);
    return WZ_OK;
}

/* ---- reading ---- */

static wz_status find_pre(const wz_gguf *file, wz_pretokenizer_name *out, wz_error *err)
{
    const char *model = NULL, *pre = NULL;
    size_t length = 0;
    wz_status status = wz_gguf_get_string(file, "tokenizer.ggml.model", NULL, &model, &length, err);
    if (status == WZ_OK && (length != 4 || memcmp(model, "gpt2", 4) != 0))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: tokenizer.ggml.model is '%.*s'; gpt2 is supported",
                       file->path, (int)(length < 40 ? length : 40), model);
    if (status == WZ_OK)
        status = wz_gguf_get_string(file, "tokenizer.ggml.pre", NULL, &pre, &length, err);
    for (size_t i = 0; status == WZ_OK && i < PRE_NAMES; i++)
        if (strlen(pre_names[i]) == length && memcmp(pre_names[i], pre, length) == 0) {
            *out = (wz_pretokenizer_name)i;
            return WZ_OK;
        }
    return status != WZ_OK
               ? status
               : wz_fail(err, WZ_ERR_CORRUPT,
                         "%s: tokenizer.ggml.pre is '%.*s'; gpt-2, llama-bpe, qwen2 and smollm are "
                         "supported",
                         file->path, (int)(length < 40 ? length : 40), pre);
}

typedef struct vocab_reader {
    const wz_gguf *file;
    const wz_gguf_value *tokens, *kinds, *merges;
    wz_text json;
    wz_error *err;
} vocab_reader;

/* A JSON string of a piece of the file, which must be UTF-8. */
static wz_status put_string(vocab_reader *r, const char *text, size_t length)
{
    json_t *value = json_stringn(text, length);
    char *quoted = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    wz_status status = quoted == NULL
                           ? wz_fail(r->err, WZ_ERR_CORRUPT, "%s: a token is no UTF-8", r->file->path)
                           : wz_text_append(&r->json, quoted, strlen(quoted), r->err);
    free(quoted);
    json_decref(value);
    return status;
}

static wz_status put_added(vocab_reader *r)
{
    size_t at = 0, length = 0;
    wz_status status = wz_text_printf(&r->json, r->err, "\"added_tokens\":[");
    bool first = true;
    for (uint64_t id = 0; status == WZ_OK && id < r->tokens->count; id++) {
        const char *text = wz_gguf_next_string(r->file, r->tokens, &at, &length);
        const int64_t kind = wz_gguf_integer_at(r->file, r->kinds, id);
        if (kind != TOKEN_CONTROL && kind != TOKEN_USER_DEFINED)
            continue;
        status = wz_text_printf(&r->json, r->err, "%s{\"id\":%llu,\"content\":", first ? "" : ",",
                                (unsigned long long)id);
        first = false;
        if (status == WZ_OK)
            status = put_string(r, text, length);
        if (status == WZ_OK)
            status = wz_text_printf(&r->json, r->err,
                                    ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":"
                                    "false,\"special\":%s}",
                                    kind == TOKEN_CONTROL ? "true" : "false");
    }
    return status == WZ_OK ? wz_text_printf(&r->json, r->err, "],") : status;
}

/* Added tokens, too: other readers of tokenizer.json give those that are not listed new ids. */
static wz_status put_vocabulary(vocab_reader *r)
{
    size_t at = 0, length = 0;
    wz_status status = wz_text_printf(&r->json, r->err, "\"vocab\":{");
    bool first = true;
    for (uint64_t id = 0; status == WZ_OK && id < r->tokens->count; id++) {
        const char *text = wz_gguf_next_string(r->file, r->tokens, &at, &length);
        const int64_t kind = wz_gguf_integer_at(r->file, r->kinds, id);
        if (kind != TOKEN_NORMAL && kind != TOKEN_CONTROL && kind != TOKEN_USER_DEFINED)
            continue;
        if (!first)
            status = wz_text_append(&r->json, ",", 1, r->err);
        first = false;
        if (status == WZ_OK)
            status = put_string(r, text, length);
        if (status == WZ_OK)
            status = wz_text_printf(&r->json, r->err, ":%llu", (unsigned long long)id);
    }
    return status == WZ_OK ? wz_text_printf(&r->json, r->err, "},") : status;
}

/* Merges as the file has them, "left right": tokenizer.json's older form. */
static wz_status put_pairs(vocab_reader *r)
{
    size_t at = 0, length = 0;
    wz_status status = wz_text_printf(&r->json, r->err, "\"merges\":[");
    for (uint64_t i = 0; status == WZ_OK && i < r->merges->count; i++) {
        const char *text = wz_gguf_next_string(r->file, r->merges, &at, &length);
        if (i > 0)
            status = wz_text_append(&r->json, ",", 1, r->err);
        if (status == WZ_OK)
            status = put_string(r, text, length);
    }
    return status == WZ_OK ? wz_text_printf(&r->json, r->err, "]") : status;
}

/* The token before every text, if there is one, as a template. */
static wz_status put_template(vocab_reader *r, int64_t begin)
{
    size_t at = 0, length = 0;
    const char *text = NULL;
    if (begin < 0)
        return wz_text_printf(&r->json, r->err, "\"post_processor\":null,");
    if ((uint64_t)begin >= r->tokens->count)
        return wz_fail(r->err, WZ_ERR_CORRUPT, "%s: tokenizer.ggml.bos_token_id is outside the vocabulary",
                       r->file->path);
    for (int64_t id = 0; id <= begin; id++)
        text = wz_gguf_next_string(r->file, r->tokens, &at, &length);
    wz_status status = wz_text_printf(
        &r->json, r->err,
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":");
    if (status == WZ_OK)
        status = put_string(r, text, length);
    if (status == WZ_OK)
        status = wz_text_printf(&r->json, r->err,
                                ",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
                                "\"special_tokens\":{");
    if (status == WZ_OK)
        status = put_string(r, text, length);
    if (status == WZ_OK)
        status = wz_text_printf(&r->json, r->err, ":{\"id\":");
    if (status == WZ_OK)
        status = put_string(r, text, length);
    if (status == WZ_OK)
        status = wz_text_printf(&r->json, r->err, ",\"ids\":[%lld],\"tokens\":[", (long long)begin);
    if (status == WZ_OK)
        status = put_string(r, text, length);
    return status == WZ_OK ? wz_text_printf(&r->json, r->err, "]}}},") : status;
}

static wz_status put_file(vocab_reader *r, wz_pretokenizer_name pre, int64_t begin)
{
    const wz_pretokenizer_json parts = wz_pretokenizer_write(pre);
    wz_status status = wz_text_printf(&r->json, r->err, "{\"version\":\"1.0\",");
    if (status == WZ_OK)
        status = put_added(r);
    if (status == WZ_OK)
        status = wz_text_printf(&r->json, r->err, "\"normalizer\":%s,\"pre_tokenizer\":%s,", parts.normalizer,
                                parts.pre_tokenizer);
    if (status == WZ_OK)
        status = put_template(r, begin);
    if (status == WZ_OK)
        status = wz_text_printf(&r->json, r->err,
                                "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                                "\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\","
                                "\"ignore_merges\":%s,",
                                parts.ignore_merges ? "true" : "false");
    if (status == WZ_OK)
        status = put_vocabulary(r);
    if (status == WZ_OK)
        status = put_pairs(r);
    return status == WZ_OK ? wz_text_printf(&r->json, r->err, "}}") : status;
}

static wz_status get_lists(vocab_reader *r)
{
    wz_status status = wz_gguf_get_strings(r->file, "tokenizer.ggml.tokens", &r->tokens, r->err);
    if (status == WZ_OK)
        status = wz_gguf_get_strings(r->file, "tokenizer.ggml.merges", &r->merges, r->err);
    if (status != WZ_OK)
        return status;
    r->kinds = wz_gguf_find(r->file, "tokenizer.ggml.token_type");
    if (r->kinds == NULL || r->kinds->type != WZ_GGUF_ARRAY || r->kinds->count != r->tokens->count ||
        (r->kinds->item_type != WZ_GGUF_I32 && r->kinds->item_type != WZ_GGUF_U32))
        return wz_fail(r->err, WZ_ERR_CORRUPT,
                       "%s: tokenizer.ggml.token_type is no list of as many integers as there are tokens",
                       r->file->path);
    return WZ_OK;
}

static wz_status get_ids(const wz_gguf *file, wz_portable *model, wz_error *err)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    const int64_t none = -1;
    int64_t id = -1;
    wz_status status = wz_gguf_get_integer(file, "tokenizer.ggml.bos_token_id", &none, &model->bos_id, err);
    if (status == WZ_OK)
        status = wz_gguf_get_integer(file, "tokenizer.ggml.padding_token_id", &none, &model->pad_id, err);
    for (size_t i = 0; status == WZ_OK && i < sizeof keys / sizeof keys[0]; i++) {
        status = wz_gguf_get_integer(file, keys[i], &none, &id, err);
        if (status == WZ_OK && id >= 0 && id <= UINT32_MAX)
            model->end_ids[model->end_count++] = (uint32_t)id;
    }
    return status;
}

static bool adds_begin(const wz_gguf *file, wz_pretokenizer_name pre)
{
    const wz_gguf_value *value = wz_gguf_find(file, "tokenizer.ggml.add_bos_token");
    if (value == NULL || value->type != WZ_GGUF_BOOL)
        return pre == WZ_PRETOKENIZER_LLAMA3; /* as llama.cpp does */
    return file->blob.data[value->at] != 0;
}

wz_status wz_gguf_get_vocab(const wz_gguf *file, wz_portable *model, wz_error *err)
{
    vocab_reader r = {.file = file, .err = err};
    wz_pretokenizer_name pre = WZ_PRETOKENIZER_OTHER;
    const char *chat = NULL;
    size_t length = 0;
    wz_status status = find_pre(file, &pre, err);
    if (status == WZ_OK)
        status = get_lists(&r);
    if (status == WZ_OK)
        status = get_ids(file, model, err);
    if (status == WZ_OK)
        status = put_file(&r, pre, adds_begin(file, pre) ? model->bos_id : -1);
    if (status == WZ_OK)
        status = wz_tokenizer_create(r.json.data, r.json.length, &model->tokenizer, err);
    if (status == WZ_OK)
        status = wz_gguf_get_string(file, "tokenizer.chat_template", "", &chat, &length, err);
    if (status == WZ_OK && length > 0)
        status = wz_text_append(&model->chat_template, chat, length, err);
    wz_text_clear(&r.json);
    return status;
}
