/* libFuzzer: input is "config.json NUL model.onnx": a graph for sizes that are as hostile as it is.
 * No crash, no hang, a failure leaves a message, and every tensor of a file that opens can be read. */
#include "checkpoints/hf_config.h"
#include "checkpoints/onnx_file.h"
#include "tests/fuzz.h"

static void open_beside(const wz_portable *portable)
{
    wz_tensor_source *source = NULL;
    wz_error err = {.text = ""};
    const wz_status status = wz_onnx_open(fuzz_folder(), &portable->model, &source, &err);
    if (status == WZ_OK) {
        fuzz_read_tensors(source);
        fuzz_accepted++;
        source->close(source);
    } else {
        require_told(status, &err);
        require(source == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t first = 0;
    json_t *json = NULL;
    wz_portable portable;
    wz_error err = {.text = ""};
    wz_portable_init(&portable);
    if (fuzz_cut(data, size, &first) &&
        wz_json_parse("config.json", (const char *)data, first, &json, &err) == WZ_OK &&
        wz_hf_config_read(json, "config.json", &portable, &err) == WZ_OK) {
        fuzz_write("model.onnx", data + first + 1, size - first - 1);
        open_beside(&portable);
    }
    json_decref(json);
    wz_portable_clear(&portable);
    return 0;
}
