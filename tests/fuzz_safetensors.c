/* libFuzzer: any bytes as a safetensors file, by itself or as a model's folder; and any bytes as an index of shards.
 *     tests/tools/fuzz_hf.sh safetensors; seeds: tests/data/fuzz/safetensors
 * Neither may crash, a failure leaves a message, and every tensor of a file that opens can be read, row by row and at once, to
 * the same numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoints/formats.h"
#include "checkpoints/hf_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A file in memory by a name that can be opened. */
static int hold(const uint8_t *data, size_t size, char path[64])
{
    const int descriptor = memfd_create("fuzz", 0);
    require(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
    (void)snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

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
    static char folder[] = "/dev/shm/fuzz-XXXXXX", index[128], file[128];
    wz_tensor_source *source = NULL;
    wz_error err = {.text = ""};
    if (index[0] == '\0') {
        require(mkdtemp(folder) != NULL);
        (void)snprintf(index, sizeof index, "%s/" WZ_HF_INDEX, folder);
        (void)snprintf(file, sizeof file, "%s/a.safetensors", folder);
        FILE *stream = fopen(file, "wb");
        require(stream != NULL && fwrite(shard, 1, sizeof shard - 1, stream) == sizeof shard - 1);
        require(fclose(stream) == 0);
    }
    FILE *stream = fopen(index, "wb");
    require(stream != NULL && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
    if (wz_hf_open_weights(folder, false, &source, &err) == WZ_OK) {
        require(source->count == 1);
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
    const int descriptor = hold(data, size, path);
    if (wz_safetensors_open(path, &file, &err) == WZ_OK) {
        for (size_t i = 0; i < wz_safetensors_count(file); i++)
            read_tensor(file, i);
        wz_safetensors_close(file);
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
