#include "tests/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/portable.h"

size_t fuzz_accepted;

void require(bool condition)
{
    if (!condition)
        abort();
}

void require_told(wz_status status, const wz_error *err)
{
    require(status != WZ_OK && status != WZ_ERR_RUNTIME && err->text[0] != '\0');
}

int fuzz_hold(const uint8_t *data, size_t size, char path[64])
{
    const int descriptor = memfd_create("fuzz", 0);
    require(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
    (void)snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

static char folder[] = "/dev/shm/wavezero-fuzz-XXXXXX";

static void remove_folder(void)
{
    static const char *const names[] = {"model.onnx", "model.safetensors.index.json", "a.safetensors",
                                        "adapter_config.json", "adapter_model.safetensors"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

const char *fuzz_folder(void)
{
    static bool made;
    if (!made) {
        require(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
        made = true;
    }
    return folder;
}

void fuzz_write(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *stream = fopen(path, "wb");
    require(stream != NULL && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
}

bool fuzz_cut(const uint8_t *data, size_t size, size_t *first)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    *first = end == NULL ? 0 : (size_t)(end - data);
    return end != NULL;
}

static void read_tensor(wz_tensor_source *source, size_t index)
{
    const wz_stored_tensor *tensor = &source->tensors[index];
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1, count = wz_tensor_elements(tensor);
    const size_t block = tensor->rank == 2 ? 1 : wz_number_block(tensor->type);
    wz_error err = {.text = ""};
    float *all = malloc(count * sizeof *all), *row = malloc(block * width * sizeof *row);
    require(all != NULL && row != NULL);
    require(source->read(source, index, 0, tensor->shape[0], all, &err) == WZ_OK);
    for (size_t i = 0; i + block <= tensor->shape[0] && i < 16 * block; i += block) {
        require(source->read(source, index, i, block, row, &err) == WZ_OK);
        require(memcmp(row, all + i * width, block * width * sizeof *row) == 0);
    }
    free(all);
    free(row);
}

void fuzz_read_tensors(wz_tensor_source *source)
{
    for (size_t i = 0; i < source->count; i++)
        read_tensor(source, i);
}
