/* Writing tokenizer.json: the members, in the order and with the fields the `tokenizers` package writes. */
#include "engine/text/tokenizer_json.h"

#include <string.h>

/* Adds a new value to a container, both consumed on failure. Jansson reports only that memory ran out. */
static json_t *with(json_t *object, const char *key, json_t *value)
{
    if (object == NULL || value == NULL || json_object_set_new(object, key, value) != 0) {
        if (object == NULL)
            json_decref(value);
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *plus(json_t *array, json_t *value)
{
    if (array == NULL || value == NULL || json_array_append_new(array, value) != 0) {
        if (array == NULL)
            json_decref(value);
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *object_of_type(const char *type)
{
    return with(json_object(), "type", json_string(type));
}

static json_t *added_tokens(const wz_tokenizer *tokenizer)
{
    json_t *list = json_array();
    for (uint32_t id = 0; id < tokenizer->vocab_size && list != NULL; id++) {
        const wz_token *token = &tokenizer->tokens[id];
        if (!token->added)
            continue;
        bool normalized = false;
        for (size_t i = 0; i < tokenizer->added_count; i++)
            if (tokenizer->added[i].id == id)
                normalized = tokenizer->added[i].normalized;
        json_t *entry = with(json_object(), "id", json_integer(id));
        entry = with(entry, "content", json_stringn(tokenizer->blob.data + token->offset, token->length));
        entry = with(entry, "single_word", json_false());
        entry = with(entry, "lstrip", json_false());
        entry = with(entry, "rstrip", json_false());
        entry = with(entry, "normalized", json_boolean(normalized));
        entry = with(entry, "special", json_boolean(token->special));
        list = plus(list, entry);
    }
    return list;
}

static json_t *byte_level(bool use_regex)
{
    json_t *step = with(object_of_type("ByteLevel"), "add_prefix_space", json_false());
    return with(with(step, "trim_offsets", json_true()), "use_regex", json_boolean(use_regex));
}

static json_t *pre_tokenizer(const wz_tokenizer *tokenizer)
{
    bool regex_in_byte_level = false;
    json_t *list = json_array();
    for (size_t i = 0; i < tokenizer->step_count; i++) {
        const wz_pretokenizer *step = &tokenizer->steps[i];
        json_t *value = NULL;
        if (step->is_byte_level) {
            regex_in_byte_level = true; /* always the last step */
            break;
        }
        if (step->kind == WZ_PRE_DIGITS) {
            value =
                with(object_of_type("Digits"), "individual_digits", json_boolean(step->individual_digits));
        } else {
            value = with(object_of_type("Split"), "pattern",
                         with(json_object(), "Regex", json_string(step->pattern)));
            value = with(with(value, "behavior", json_string("Isolated")), "invert", json_false());
        }
        list = plus(list, value);
    }
    if (json_array_size(list) == 0) {
        json_decref(list);
        return byte_level(regex_in_byte_level);
    }
    return with(object_of_type("Sequence"), "pretokenizers", plus(list, byte_level(regex_in_byte_level)));
}

static json_t *template_items(const wz_tokenizer *tokenizer, const wz_ids *ids, json_t *items,
                              json_t **specials)
{
    for (size_t i = 0; i < ids->length; i++) {
        const wz_token *token = &tokenizer->tokens[ids->data[i]];
        const char *bytes = tokenizer->blob.data + token->offset;
        json_t *name = json_stringn(bytes, token->length);
        json_t *special = with(json_object(), "id", json_incref(name));
        special = with(special, "ids", plus(json_array(), json_integer(ids->data[i])));
        special = with(special, "tokens", plus(json_array(), json_incref(name)));
        *specials = with(*specials, json_string_value(name) == NULL ? "" : json_string_value(name), special);
        json_t *item = with(with(json_object(), "id", name), "type_id", json_integer(0));
        items = plus(items, with(json_object(), "SpecialToken", item));
    }
    return items;
}

static json_t *sequence_item(const char *id, int type)
{
    json_t *item = with(with(json_object(), "id", json_string(id)), "type_id", json_integer(type));
    return with(json_object(), "Sequence", item);
}

static json_t *post_processor(const wz_tokenizer *tokenizer)
{
    if (tokenizer->before.length + tokenizer->after.length == 0)
        return json_null();
    json_t *specials = json_object();
    json_t *single = template_items(tokenizer, &tokenizer->before, json_array(), &specials);
    single = template_items(tokenizer, &tokenizer->after, plus(single, sequence_item("A", 0)), &specials);
    json_t *pair = plus(plus(json_array(), sequence_item("A", 0)), sequence_item("B", 1));
    json_t *value = with(with(object_of_type("TemplateProcessing"), "single", single), "pair", pair);
    return with(value, "special_tokens", specials);
}

/* ---- vocabulary and merges: hundreds of thousands of strings, written without values in between ---- */

/* A string as Jansson writes it. */
static wz_status put_string(const char *bytes, size_t length, wz_text *out, wz_error *err)
{
    static const char named[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    size_t start = 0;
    wz_status status = wz_text_append(out, "\"", 1, err);
    for (size_t i = 0; status == WZ_OK && i < length; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        const char *name = c == '\0' ? NULL : strchr(named, c);
        status = wz_text_append(out, bytes + start, i - start, err);
        if (status == WZ_OK)
            status = name != NULL ? wz_text_printf(out, err, "\\%c", letters[name - named])
                                  : wz_text_printf(out, err, "\\u%04X", (unsigned)c);
        start = i + 1;
    }
    if (status == WZ_OK)
        status = wz_text_append(out, bytes + start, length - start, err);
    return status == WZ_OK ? wz_text_append(out, "\"", 1, err) : status;
}

/* What each byte of a token is in the vocabulary's alphabet, as JSON has it. */
typedef struct spelling {
    char bytes[256][2];
    unsigned char lengths[256];
    wz_text scratch;
} spelling;

static wz_status spell_bytes(spelling *to, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < 256; i++) {
        const char byte = (char)(unsigned char)i;
        to->scratch.length = 0;
        status = wz_byte_level_spell(&byte, 1, &to->scratch, err);
        if (status != WZ_OK)
            break;
        const char *spelled = to->scratch.data;
        const bool escaped = *spelled == '"' || *spelled == '\\';
        to->lengths[i] = (unsigned char)(to->scratch.length + escaped);
        to->bytes[i][0] = escaped ? '\\' : spelled[0];
        to->bytes[i][1] = spelled[!escaped]; /* of one byte, the terminator: not counted */
    }
    return status;
}

static wz_status put_token(const wz_tokenizer *tokenizer, uint32_t id, const spelling *alphabet, wz_text *out,
                           wz_error *err)
{
    const wz_token *token = &tokenizer->tokens[id];
    const unsigned char *bytes = (const unsigned char *)tokenizer->blob.data + token->offset;
    char part[256];
    size_t used = 0;
    wz_status status = WZ_OK;
    if (token->raw_key)
        return put_string((const char *)bytes, token->length, out, err);
    part[used++] = '"';
    for (size_t i = 0; status == WZ_OK && i < token->length; i++) {
        if (used + 3 > sizeof part) {
            status = wz_text_append(out, part, used, err);
            used = 0;
        }
        memcpy(part + used, alphabet->bytes[bytes[i]], 2);
        used += alphabet->lengths[bytes[i]];
    }
    part[used++] = '"';
    return status == WZ_OK ? wz_text_append(out, part, used, err) : status;
}

/* ":id" */
static wz_status put_id(uint32_t id, wz_text *out, wz_error *err)
{
    char digits[16];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + id % 10);
    while ((id /= 10) > 0);
    digits[--at] = ':';
    return wz_text_append(out, digits + at, sizeof digits - at, err);
}

static wz_status put_vocabulary(const wz_tokenizer *tokenizer, const spelling *alphabet, wz_text *out,
                                wz_error *err)
{
    const char *comma = "";
    wz_status status = WZ_OK;
    for (uint32_t id = 0; status == WZ_OK && id < tokenizer->vocab_size; id++) {
        if (!tokenizer->tokens[id].in_vocab)
            continue;
        status = wz_text_append(out, comma, strlen(comma), err);
        if (status == WZ_OK)
            status = put_token(tokenizer, id, alphabet, out, err);
        if (status == WZ_OK)
            status = put_id(id, out, err);
        comma = ",";
    }
    return status;
}

static wz_status put_merges(const wz_tokenizer *tokenizer, const spelling *alphabet, wz_text *out,
                            wz_error *err)
{
    const wz_bpe *bpe = &tokenizer->bpe;
    wz_status status = WZ_OK;
    for (size_t rank = 0; status == WZ_OK && rank < bpe->merge_count; rank++) {
        status = wz_text_append(out, rank == 0 ? "[" : ",[", rank == 0 ? 1 : 2, err);
        if (status == WZ_OK)
            status = put_token(tokenizer, bpe->left[rank], alphabet, out, err);
        if (status == WZ_OK)
            status = wz_text_append(out, ",", 1, err);
        if (status == WZ_OK)
            status = put_token(tokenizer, bpe->right[rank], alphabet, out, err);
        if (status == WZ_OK)
            status = wz_text_append(out, "]", 1, err);
    }
    return status;
}

/* ---- the file ---- */

static int append_chunk(const char *bytes, size_t length, void *out)
{
    return wz_text_append(out, bytes, length, NULL) == WZ_OK ? 0 : -1;
}

/* An object but for its closing bracket; consumes it. */
static wz_status put_open(json_t *object, wz_text *out, wz_error *err)
{
    const bool failed = object == NULL || json_dump_callback(object, append_chunk, out, JSON_COMPACT) != 0;
    json_decref(object);
    if (failed)
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory writing tokenizer.json");
    out->data[--out->length] = '\0';
    return WZ_OK;
}

static wz_status put_model(const wz_tokenizer *tokenizer, wz_text *out, wz_error *err)
{
    static const char vocab[] = ",\"vocab\":{", merges[] = "},\"merges\":[", close[] = "]}";
    spelling bytes = {.scratch = {0}};
    json_t *value = with(with(object_of_type("BPE"), "dropout", json_null()), "unk_token", json_null());
    value = with(with(value, "continuing_subword_prefix", json_null()), "end_of_word_suffix", json_null());
    value = with(with(value, "fuse_unk", json_false()), "byte_fallback", json_false());
    wz_status status =
        put_open(with(value, "ignore_merges", json_boolean(tokenizer->ignore_merges)), out, err);
    if (status == WZ_OK)
        status = wz_text_append(out, vocab, sizeof vocab - 1, err);
    if (status == WZ_OK)
        status = spell_bytes(&bytes, err);
    if (status == WZ_OK)
        status = put_vocabulary(tokenizer, &bytes, out, err);
    if (status == WZ_OK)
        status = wz_text_append(out, merges, sizeof merges - 1, err);
    if (status == WZ_OK)
        status = put_merges(tokenizer, &bytes, out, err);
    wz_text_clear(&bytes.scratch);
    return status == WZ_OK ? wz_text_append(out, close, sizeof close - 1, err) : status;
}

wz_status wz_tokenizer_write_json(const wz_tokenizer *tokenizer, wz_text *out, wz_error *err)
{
    static const char model[] = ",\"model\":", close[] = "}";
    json_t *root = with(with(json_object(), "version", json_string("1.0")), "truncation", json_null());
    root = with(with(root, "padding", json_null()), "added_tokens", added_tokens(tokenizer));
    root = with(root, "normalizer", tokenizer->nfc ? object_of_type("NFC") : json_null());
    root = with(root, "pre_tokenizer", pre_tokenizer(tokenizer));
    root = with(root, "post_processor", post_processor(tokenizer));
    wz_status status = put_open(with(root, "decoder", byte_level(true)), out, err);
    if (status == WZ_OK)
        status = wz_text_append(out, model, sizeof model - 1, err);
    if (status == WZ_OK)
        status = put_model(tokenizer, out, err);
    return status == WZ_OK ? wz_text_append(out, close, sizeof close - 1, err) : status;
}
