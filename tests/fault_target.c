/* What the fault sweep runs: one operation on files, its message on stderr, its status as the exit status.
 *
 *     fault_target write PATH STEP    a sample checkpoint
 *     fault_target newest DIRECTORY   the step of the newest checkpoint that verifies, on stdout
 *     fault_target verify PATH        the step of a checkpoint that holds exactly its sample, on stdout
 *     fault_target replace PATH TEXT  a whole file
 *     fault_target log PATH TEXT      one line appended to a log, synced
 *     fault_target import PATH FOLDER a checkpoint of the weights of a Hugging Face folder
 *     fault_target export PATH FOLDER a safetensors file of them */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/safetensors.h"
#include "engine/core/file.h"
#include "tests/checkpoint_sample.h"

static wz_status run_write(const char *path, const char *step, wz_error *err)
{
    static sample made;
    sample_fill(&made, strtoll(step, NULL, 10));
    return wz_checkpoint_write(path, &made.content, err);
}

static wz_status run_verify(const char *path, wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    wz_status status = wz_checkpoint_open(path, &checkpoint, err);
    if (status == WZ_OK)
        status = wz_checkpoint_verify(checkpoint, err);
    if (status == WZ_OK && !sample_equals(checkpoint, &status, err) && status == WZ_OK)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: silently wrong data", path);
    if (status == WZ_OK)
        (void)printf("%" PRId64 "\n", wz_checkpoint_step(checkpoint));
    wz_checkpoint_close(checkpoint);
    return status;
}

static wz_status run_newest(const char *directory, wz_error *err)
{
    wz_text path = {0};
    wz_status status = wz_checkpoint_find_newest(directory, &path, NULL, err);
    if (status == WZ_OK)
        status = run_verify(path.data, err);
    wz_text_clear(&path);
    return status;
}

static wz_status run_log(const char *path, const char *text, wz_error *err)
{
    wz_log log;
    uint64_t length = 0;
    wz_text old = {0};
    wz_status status = wz_path_exists(path) ? wz_file_read(path, 1 << 20, &old, err) : WZ_OK;
    if (status == WZ_OK)
        status = wz_log_open(&log, path, old.length, err);
    wz_text_clear(&old);
    if (status != WZ_OK)
        return status;
    status = wz_log_append(&log, text, strlen(text), err);
    if (status == WZ_OK)
        status = wz_log_sync(&log, &length, err);
    wz_log_close(&log);
    return status;
}

static wz_status write_weights(const char *path, const wz_tensor_source *source, wz_error *err)
{
    wz_checkpoint_tensor tensors[64];
    const wz_checkpoint_content content = {.tensors = tensors, .tensor_count = source->count};
    if (source->count > 64)
        return wz_fail(err, WZ_ERR_USAGE, "%s: too many tensors for this program", path);
    for (size_t i = 0; i < source->count; i++)
        tensors[i] =
            (wz_checkpoint_tensor){.group = "weights",
                                   .name = source->tensors[i].name,
                                   .rank = source->tensors[i].rank,
                                   .shape = {source->tensors[i].shape[0], source->tensors[i].shape[1]},
                                   .type = source->tensors[i].type,
                                   .source = (wz_tensor_source *)source,
                                   .index = i};
    return wz_checkpoint_write(path, &content, err);
}

static wz_status run_convert(bool import, const char *path, const char *folder, wz_error *err)
{
    wz_portable model;
    wz_status status = wz_format_hf.open(folder, &model, err);
    if (status == WZ_OK)
        status = import ? write_weights(path, model.tensors, err)
                        : wz_safetensors_write(path, model.tensors, WZ_NUMBER_F16, NULL, 0, NULL, err);
    wz_portable_clear(&model);
    return status;
}

int main(int count, char **arguments)
{
    wz_error err = {.text = ""};
    const char *verb = count > 2 ? arguments[1] : "";
    wz_status status = WZ_ERR_USAGE;
    if (strcmp(verb, "write") == 0 && count == 4)
        status = run_write(arguments[2], arguments[3], &err);
    else if (strcmp(verb, "verify") == 0 && count == 3)
        status = run_verify(arguments[2], &err);
    else if (strcmp(verb, "newest") == 0 && count == 3)
        status = run_newest(arguments[2], &err);
    else if (strcmp(verb, "replace") == 0 && count == 4)
        status = wz_file_replace(arguments[2], arguments[3], strlen(arguments[3]), &err);
    else if (strcmp(verb, "log") == 0 && count == 4)
        status = run_log(arguments[2], arguments[3], &err);
    else if ((strcmp(verb, "import") == 0 || strcmp(verb, "export") == 0) && count == 4)
        status = run_convert(verb[0] == 'i', arguments[2], arguments[3], &err);
    if (status != WZ_OK)
        (void)fprintf(stderr, "%s\n", err.text[0] == '\0' ? "usage: see fault_target.c" : err.text);
    return (int)status;
}
