/* libFuzzer: any bytes as a GGUF file, of a model and of adapters.
 * Neither may crash or hang, a failure leaves a message, and every tensor of a file that opens can be read. */
#include <unistd.h>

#include "checkpoints/formats.h"
#include "engine/model/model.h"
#include "tests/fuzz.h"

static void open_as(const wz_model_format *format, const char *path)
{
    wz_portable portable;
    wz_error err = {.text = ""};
    const wz_status status = format->open(path, &portable, &err);
    if (status == WZ_OK) {
        wz_tensor_source *source = format->is_adapters ? portable.adapters : portable.tensors;
        require(source != NULL);
        require(format->is_adapters || wz_model_config_check(&portable.model, &err) == WZ_OK);
        fuzz_read_tensors(source);
        fuzz_accepted++;
        wz_portable_clear(&portable);
    } else {
        require_told(status, &err);
        require(portable.tensors == NULL && portable.adapters == NULL && portable.tokenizer == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int descriptor = fuzz_hold(data, size, path);
    open_as(&wz_format_gguf, path);
    open_as(&wz_format_gguf_lora, path);
    (void)close(descriptor);
    return 0;
}
