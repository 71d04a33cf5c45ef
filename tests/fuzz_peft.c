/* libFuzzer: input is "adapter_config.json NUL adapter_model.safetensors", as PEFT keeps adapters.
 * No crash, a failure leaves a message, and every tensor of a folder that opens can be read. */
#include "checkpoints/formats.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t first = 0;
    wz_portable portable;
    wz_error err = {.text = ""};
    if (!fuzz_cut(data, size, &first))
        return 0;
    fuzz_write("adapter_config.json", data, first);
    fuzz_write("adapter_model.safetensors", data + first + 1, size - first - 1);
    const wz_status status = wz_format_peft.open(fuzz_folder(), &portable, &err);
    if (status == WZ_OK) {
        fuzz_read_tensors(portable.adapters);
        fuzz_accepted++;
    } else {
        require_told(status, &err);
        require(portable.adapters == NULL);
    }
    wz_portable_clear(&portable);
    return 0;
}
