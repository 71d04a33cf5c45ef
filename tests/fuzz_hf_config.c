/* libFuzzer: any bytes as config.json, generation_config.json and tokenizer_config.json.
 * None may crash; a failure leaves a message; a config that is accepted has possible sizes and, written, is read back to the
 * same model. */
#include <string.h>

#include "checkpoints/hf_config.h"
#include "tests/fuzz.h"

static wz_status read_text(const char *text, size_t length,
                           wz_status (*take)(const json_t *, const char *, wz_portable *, wz_error *),
                           wz_portable *out)
{
    json_t *json = NULL;
    wz_error err = {.text = ""};
    wz_status status = wz_json_parse("fuzz.json", text, length, &json, &err);
    if (status == WZ_OK)
        status = take(json, "fuzz.json", out, &err);
    json_decref(json);
    require((status == WZ_OK) == (err.text[0] == '\0'));
    return status;
}

static void check_round_trip(const wz_portable *model)
{
    wz_portable back;
    wz_text text = {0};
    wz_error err = {.text = ""};
    const wz_status status = wz_hf_config_write(model, WZ_NUMBER_BF16, &text, &err);
    require(status == WZ_OK || status == WZ_ERR_USAGE); /* heads that do not divide a llama's width */
    if (status == WZ_OK) {
        wz_portable_init(&back);
        require(read_text(text.data, text.length, wz_hf_config_read, &back) == WZ_OK);
        require(memcmp(&back.model, &model->model, sizeof back.model) == 0);
        require(back.bos_id == model->bos_id && back.end_count == model->end_count);
        wz_portable_clear(&back);
    }
    wz_text_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    wz_portable model;
    wz_text out = {0};
    wz_error err = {.text = ""};
    wz_portable_init(&model);
    memset(&model.model, 0, sizeof model.model);
    if (read_text(text, size, wz_hf_config_read, &model) == WZ_OK) {
        require(wz_model_config_check(&model.model, &err) == WZ_OK);
        check_round_trip(&model);
        fuzz_accepted++;
    }
    model.model.vocab_size = 1000;
    if (read_text(text, size, wz_hf_generation_read, &model) == WZ_OK)
        require(wz_hf_generation_write(&model, &out, &err) == WZ_OK);
    (void)read_text(text, size, wz_hf_tokenizer_read, &model);
    wz_text_clear(&out);
    wz_portable_clear(&model);
    return 0;
}
