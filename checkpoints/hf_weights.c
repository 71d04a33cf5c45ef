#include "checkpoints/hf_weights.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/hf_config.h"
#include "checkpoints/hf_folder.h"
#include "engine/core/file.h"

#define MAX_SHARDS 512 /* open at once, below the usual limit of 1024 files */

/* Where a tensor of the source lies. */
typedef struct part {
    size_t shard, index;
} part;

typedef struct weights {
    wz_tensor_source base; /* the first: what callers hold */
    wz_safetensors *shards[MAX_SHARDS];
    const char *names[MAX_SHARDS]; /* of the shards' files; the index's */
    size_t shard_count;
    wz_stored_tensor *tensors;
    part *parts;
    size_t tensor_capacity, part_capacity;
    json_t *index; /* NULL: one file, without */
    wz_read_ahead *ahead;
} weights;

static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    const weights *w = (const weights *)(const void *)self;
    const part *at = &w->parts[index];
    return wz_safetensors_read(w->shards[at->shard], at->index, first, rows, out, err);
}

static wz_status read_stored(wz_tensor_source *self, size_t index, size_t first, size_t rows, void *out,
                             wz_error *err)
{
    const weights *w = (const weights *)(const void *)self;
    const part *at = &w->parts[index];
    return wz_safetensors_read_stored(w->shards[at->shard], at->index, first, rows, out, err);
}

static void lend_ahead(weights *w, wz_read_ahead *ahead)
{
    for (size_t i = 0; i < w->shard_count; i++)
        wz_safetensors_borrow_ahead(w->shards[i], ahead);
    wz_read_ahead_stop(w->ahead);
    w->ahead = ahead;
}

static wz_status expect(wz_tensor_source *self, const size_t *order, size_t count, wz_error *err)
{
    weights *w = (weights *)(void *)self;
    void *block = NULL;
    const wz_status status = wz_alloc(&block, count, sizeof(wz_extent), "a list of tensors", err);
    wz_extent *extents = block;
    for (size_t i = 0; status == WZ_OK && i < count; i++) {
        const part *at = &w->parts[order[i]];
        extents[i] = wz_safetensors_extent(w->shards[at->shard], at->index);
    }
    if (status == WZ_OK)
        lend_ahead(w, wz_read_ahead_start(extents, count));
    free(block);
    return status;
}

static void close_weights(wz_tensor_source *self)
{
    weights *w = (weights *)(void *)self;
    lend_ahead(w, NULL);
    for (size_t i = 0; i < w->shard_count; i++)
        wz_safetensors_close(w->shards[i]);
    json_decref(w->index);
    free(w->tensors);
    free(w->parts);
    free(w);
}

static wz_status create_weights(weights **out, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(weights), "a list of tensors", err);
    *out = block;
    if (status == WZ_OK) {
        (*out)->base.read = read_rows;
        (*out)->base.read_stored = read_stored;
        (*out)->base.expect = expect;
        (*out)->base.close = close_weights;
    }
    return status;
}

/* --- the tensors of the shards --- */

static bool is_left_out(const char *name, bool tied)
{
    const char *end = strrchr(name, '.');
    return (tied && strcmp(name, "lm_head.weight") == 0) || (end != NULL && strcmp(end, ".inv_freq") == 0);
}

static wz_status add_tensor(weights *w, const wz_stored_tensor *tensor, part at, wz_error *err)
{
    const size_t count = w->base.count;
    void *tensors = w->tensors, *parts = w->parts;
    wz_status status =
        wz_grow(&tensors, &w->tensor_capacity, count + 1, sizeof *w->tensors, "a list of tensors", err);
    w->tensors = tensors;
    w->base.tensors = tensors;
    if (status == WZ_OK)
        status = wz_grow(&parts, &w->part_capacity, count + 1, sizeof *w->parts, "a list of tensors", err);
    w->parts = parts;
    if (status != WZ_OK)
        return status;
    w->tensors[count] = *tensor;
    w->parts[count] = at;
    w->base.count++;
    return WZ_OK;
}

static wz_status add_shard(weights *w, size_t shard, bool tied, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < wz_safetensors_count(w->shards[shard]); i++) {
        const wz_stored_tensor *tensor = wz_safetensors_tensor(w->shards[shard], i);
        if (!is_left_out(tensor->name, tied))
            status = add_tensor(w, tensor, (part){shard, i}, err);
    }
    return status;
}

wz_status wz_hf_weights_of(wz_safetensors *file, bool tied, wz_tensor_source **out, wz_error *err)
{
    weights *w = NULL;
    *out = NULL;
    wz_status status = create_weights(&w, err);
    if (status != WZ_OK) {
        wz_safetensors_close(file);
        return status;
    }
    w->shards[w->shard_count++] = file;
    status = add_shard(w, 0, tied, err);
    if (status != WZ_OK) {
        close_weights(&w->base);
        return status;
    }
    *out = &w->base;
    return WZ_OK;
}

/* --- the index --- */

static bool ends_in(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

/* A file of the folder and nothing else: "weights/../../x" and "/x" are not; an index that names itself would be read for
 * ever. */
static wz_status check_name(const char *index, const char *name, wz_error *err)
{
    if (strchr(name, '/') != NULL || strchr(name, '\\') != NULL || name[0] == '.' ||
        strlen(name) > NAME_MAX || !ends_in(name, ".safetensors"))
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: weight_map names the file '%.200s'; only names of .safetensors files in the same "
                       "folder are allowed",
                       index, name);
    return WZ_OK;
}

static wz_status open_file(const char *folder, const char *name, wz_safetensors **out, wz_error *err)
{
    wz_text path = {0};
    *out = NULL;
    wz_status status = wz_text_printf(&path, err, "%s/%s", folder, name);
    if (status == WZ_OK && !wz_path_exists(path.data))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s is missing", path.data);
    if (status == WZ_OK)
        status = wz_hf_check_place(folder, path.data, err);
    if (status == WZ_OK)
        status = wz_safetensors_open(path.data, out, err);
    wz_text_clear(&path);
    return status;
}

/* The number of a shard by its file's name; opens it when it is first met. */
static wz_status find_shard(weights *w, const char *folder, const char *index, const char *name, size_t *out,
                            wz_error *err)
{
    for (*out = 0; *out < w->shard_count; ++*out)
        if (strcmp(w->names[*out], name) == 0)
            return WZ_OK;
    wz_status status = check_name(index, name, err);
    if (status == WZ_OK && w->shard_count == MAX_SHARDS)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: more than %d shards", index, MAX_SHARDS);
    if (status == WZ_OK)
        status = open_file(folder, name, &w->shards[w->shard_count], err);
    if (status == WZ_OK)
        w->names[w->shard_count++] = name;
    return status;
}

/* Opens the shards; each has the tensors that the map says. */
static wz_status open_shards(weights *w, const char *folder, const char *index, const json_t *map,
                             wz_error *err)
{
    const char *tensor = NULL;
    json_t *value = NULL;
    size_t shard = 0;
    json_object_foreach((json_t *)map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (name == NULL)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: weight_map of '%.100s' must be a string", index, tensor);
        wz_status status = find_shard(w, folder, index, name, &shard, err);
        if (status != WZ_OK)
            return status;
        if (!wz_safetensors_has(w->shards[shard], tensor))
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: tensor '%.100s' is not in %.200s, where weight_map has it", index, tensor,
                           name);
    }
    return WZ_OK;
}

/* No shard has a tensor that the map does not know, or has elsewhere. */
static wz_status check_shards(const weights *w, const char *index, const json_t *map, wz_error *err)
{
    for (size_t s = 0; s < w->shard_count; s++)
        for (size_t i = 0; i < wz_safetensors_count(w->shards[s]); i++) {
            const char *tensor = wz_safetensors_tensor(w->shards[s], i)->name;
            const char *name = json_string_value(json_object_get(map, tensor));
            if (name == NULL || strcmp(name, w->names[s]) != 0)
                return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' of %.200s is %s%.200s", index,
                               tensor, w->names[s],
                               name == NULL ? "not in weight_map" : "in weight_map as one of ",
                               name == NULL ? "" : name);
        }
    return WZ_OK;
}

static wz_status open_index(const char *folder, const char *index, weights *w, bool tied, wz_error *err)
{
    wz_status status = wz_hf_check_place(folder, index, err);
    if (status == WZ_OK)
        status = wz_json_parse_file(index, WZ_HF_MAX_JSON, &w->index, err);
    if (status != WZ_OK)
        return status;
    const json_t *map = json_object_get(w->index, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: key 'weight_map' must map tensors to files", index);
    status = open_shards(w, folder, index, map, err);
    if (status == WZ_OK)
        status = check_shards(w, index, map, err);
    for (size_t s = 0; status == WZ_OK && s < w->shard_count; s++)
        status = add_shard(w, s, tied, err);
    return status;
}

/* --- the folder --- */

static wz_status fail_no_weights(const char *folder, wz_error *err)
{
    static const char *const others[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                         "consolidated.00.pth", "adapter_model.safetensors"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        wz_text path = {0};
        if (wz_text_printf(&path, NULL, "%s/%s", folder, others[i]) == WZ_OK && wz_path_exists(path.data))
            found = others[i];
        wz_text_clear(&path);
    }
    if (found != NULL)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s holds %s but no " WZ_HF_WEIGHTS ": weights are read from safetensors", folder,
                       found);
    return wz_fail(err, WZ_ERR_CORRUPT, "%s holds neither " WZ_HF_WEIGHTS " nor " WZ_HF_INDEX, folder);
}

wz_status wz_hf_open_weights(const char *folder, bool tied, wz_tensor_source **out, wz_error *err)
{
    wz_text single = {0}, index = {0};
    wz_safetensors *file = NULL;
    weights *w = NULL;
    *out = NULL;
    wz_status status = wz_text_printf(&single, err, "%s/" WZ_HF_WEIGHTS, folder);
    if (status == WZ_OK)
        status = wz_text_printf(&index, err, "%s/" WZ_HF_INDEX, folder);
    if (status != WZ_OK)
        goto done;
    if (wz_path_exists(single.data)) {
        status = open_file(folder, WZ_HF_WEIGHTS, &file, err);
        if (status == WZ_OK)
            status = wz_hf_weights_of(file, tied, out, err);
    } else if (wz_path_exists(index.data)) {
        status = create_weights(&w, err);
        if (status == WZ_OK)
            status = open_index(folder, index.data, w, tied, err);
        if (status == WZ_OK)
            *out = &w->base;
        else if (w != NULL)
            close_weights(&w->base);
    } else {
        status = fail_no_weights(folder, err);
    }
done:
    wz_text_clear(&single);
    wz_text_clear(&index);
    return status;
}
