/* libFuzzer: any bytes as a safetensors file, by itself or as a model's folder; and any bytes as an index of shards.
 * Neither may crash, a failure leaves a message, and every tensor of a file that opens can be read, row by row and at once, to
 * the same numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoints/formats.h"
#include "checkpoints/hf_weights.h"
#include "tests/fuzz.h"

static void read_tensor(wz_safetensors *file, size_t index)
{
    const wz_stored_tensor *tensor = wz_safetensors_tensor(file, index);
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1, count = wz_tensor_elements(tensor);
    wz_error err = {.text = ""};
    float *all = malloc(count * sizeof *all), *row = malloc(width * sizeof *row);
    require(all != NULL && row != NULL);
    require(wz_safetensors_read(file, index, 0, tensor->shape[0], all, &err) == WZ_OK);
    for (size_t i = 0; i < tensor->shape[0] && i < 16; i++) {
        require(wz_safetensors_read(file, index, i, 1, row, &err) == WZ_OK);
        require(memcmp(row, all + i * width, width * sizeof *row) == 0);
    }
    free(all);
    free(row);
}

/* A folder whose index is the input, beside one good shard. */
static void open_index(const uint8_t *data, size_t size)
{
    static const char shard[] =
        "\x38\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}  \0\0\x80\x3f";
    wz_tensor_source *source = NULL;
    wz_error err = {.text = ""};
    fuzz_write("a.safetensors", (const uint8_t *)shard, sizeof shard - 1);
    fuzz_write(WZ_HF_INDEX, data, size);
    if (wz_hf_open_weights(fuzz_folder(), false, &source, &err) == WZ_OK) {
        require(source->count == 1);
        fuzz_accepted++;
        source->close(source);
    } else {
        require(err.text[0] != '\0' && source == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    wz_safetensors *file = NULL;
    wz_error err = {.text = ""};
    if (size > 0 && data[0] == '{') {
        open_index(data, size);
        return 0;
    }
    const int descriptor = fuzz_hold(data, size, path);
    if (wz_safetensors_open(path, &file, &err) == WZ_OK) {
        for (size_t i = 0; i < wz_safetensors_count(file); i++)
            read_tensor(file, i);
        wz_safetensors_close(file);
        fuzz_accepted++;
        wz_portable portable;
        if (wz_format_safetensors.open(path, &portable, &err) == WZ_OK)
            wz_portable_clear(&portable);
        else
            require(err.text[0] != '\0' && portable.tensors == NULL);
    } else {
        require(err.text[0] != '\0' && file == NULL);
    }
    (void)close(descriptor);
    return 0;
}
