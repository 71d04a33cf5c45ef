/* Whether an ONNX file is the one that onnx_write.c makes of a model: its weights, RoPE's tables and, byte for byte, its graph. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/onnx_graph.h"
#include "checkpoints/onnx_source.h"
#include "engine/core/file.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const wz_onnx_found *)a)->part.name, ((const wz_onnx_found *)b)->part.name);
}

/* By name, none twice. */
static wz_status sort_parts(wz_onnx_source *s, wz_error *err)
{
    if (s->list_count > 1)
        qsort(s->list, s->list_count, sizeof *s->list, compare_names);
    for (size_t i = 1; i < s->list_count; i++)
        if (compare_names(&s->list[i - 1], &s->list[i]) == 0)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is given twice", s->path,
                           s->list[i].part.name);
    return WZ_OK;
}

static size_t find_part(const wz_onnx_source *s, const char *name)
{
    wz_onnx_found key;
    (void)snprintf(key.part.name, sizeof key.part.name, "%s", name);
    const wz_onnx_found *at =
        s->list_count > 0 ? bsearch(&key, s->list, s->list_count, sizeof key, compare_names) : NULL;
    return at != NULL ? (size_t)(at - s->list) : SIZE_MAX;
}

/* The type of export that stores this weight so. */
static bool type_of(const wz_onnx_part *part, wz_number_type *out)
{
    static const struct {
        int element;
        size_t last;
        wz_number_type type;
    } kinds[] = {{1, 0, WZ_NUMBER_F32},
                 {10, 0, WZ_NUMBER_F16},
                 {16, 0, WZ_NUMBER_BF16},
                 {2, 32, WZ_NUMBER_Q8_0},
                 {2, 16, WZ_NUMBER_Q4_0}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].element == part->element && (kinds[i].last == 0 || part->shape[2] == kinds[i].last)) {
            *out = kinds[i].type;
            return true;
        }
    return false;
}

static wz_status check_part(const wz_onnx_source *s, const wz_onnx_found *f, const wz_onnx_part *expected,
                            wz_error *err)
{
    const int file = f->external ? 1 : 0;
    bool fits = f->part.element == expected->element && f->part.rank == expected->rank &&
                f->part.bytes == expected->bytes && s->files[file] >= 0 && f->at <= s->sizes[file] &&
                f->part.bytes <= s->sizes[file] - f->at;
    for (size_t d = 0; d < expected->rank; d++)
        fits = fits && f->part.shape[d] == expected->shape[d];
    return fits ? WZ_OK
                : wz_fail(err, WZ_ERR_CORRUPT,
                          "%s: initialiser '%s' has another shape or type, or lies outside the file", s->path,
                          f->part.name);
}

static wz_status match_param(wz_onnx_source *s, size_t p, wz_error *err)
{
    const wz_param *param = &s->params[p];
    wz_onnx_part expected[2];
    wz_stored_tensor *tensor = &s->tensors[p];
    *tensor = (wz_stored_tensor){.name = param->name,
                                 .rank = param->rank,
                                 .shape = {(size_t)param->shape[0], (size_t)param->shape[1]}};
    s->places[p][0] = find_part(s, param->name);
    if (s->places[p][0] == SIZE_MAX || !type_of(&s->list[s->places[p][0]].part, &tensor->type))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is missing, or of a type not written here",
                       s->path, param->name);
    const size_t count = wz_onnx_parts(tensor, tensor->type, expected);
    wz_status status = check_part(s, &s->list[s->places[p][0]], &expected[0], err);
    s->matched++;
    if (status != WZ_OK || count == 1)
        return status;
    s->matched++;
    s->places[p][1] = find_part(s, expected[1].name);
    return s->places[p][1] == SIZE_MAX
               ? wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is missing", s->path, expected[1].name)
               : check_part(s, &s->list[s->places[p][1]], &expected[1], err);
}

/* RoPE's tables: this model's, number by number. */
static wz_status match_table(wz_onnx_source *s, const char *name, bool sines, wz_error *err)
{
    const size_t half = (size_t)s->config.head_dim / 2, rows = (size_t)s->config.max_position_embeddings;
    const wz_onnx_part expected = {
        .element = 1, .rank = 2, .shape = {rows, half}, .bytes = (uint64_t)rows * half * 4};
    const size_t place = find_part(s, name);
    void *block = NULL;
    if (place == SIZE_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is missing", s->path, name);
    const wz_onnx_found *f = &s->list[place];
    wz_status status = check_part(s, f, &expected, err);
    s->matched++;
    if (status == WZ_OK)
        status = wz_alloc(&block, 2 * half, sizeof(float), "RoPE's table", err);
    for (size_t p = 0; status == WZ_OK && p < rows; p++) {
        float *read = block, *made = read + half;
        wz_model_rope_angles(&s->config, (int64_t)p, sines ? NULL : made, sines ? made : NULL);
        status = wz_file_read_at(s->files[f->external ? 1 : 0], s->path, f->at + p * half * 4, read, half * 4,
                                 err);
        if (status == WZ_OK && memcmp(read, made, half * sizeof *read) != 0)
            status = wz_onnx_fail(s, "RoPE's tables are another model's", err);
    }
    free(block);
    return status;
}

/* The graph of an export of some type that stores these weights so. */
static wz_status match_graph(const wz_onnx_source *s, wz_error *err)
{
    bool same = false;
    wz_status status = WZ_OK;
    for (int t = 0; status == WZ_OK && !same && t < WZ_NUMBER_TYPES; t++) {
        wz_message graph;
        wz_message_start(&graph, err);
        wz_onnx_write_nodes(&s->config, (wz_number_type)t, &graph);
        wz_message_string(&graph, 2, "wavezero");
        wz_onnx_write_values(&s->config, &graph);
        status = graph.status;
        same = status == WZ_OK && graph.bytes.length == s->rest.length &&
               memcmp(graph.bytes.data, s->rest.data, s->rest.length) == 0;
        wz_message_clear(&graph);
    }
    return status == WZ_OK && !same
               ? wz_onnx_fail(s, "its graph is not the one that Wavezero writes for the model of config.json",
                              err)
               : status;
}

wz_status wz_onnx_match(wz_onnx_source *s, wz_error *err)
{
    size_t count = 0;
    void *block = NULL;
    wz_status status = sort_parts(s, err);
    if (status == WZ_OK)
        status = wz_portable_check_layers(&s->config, s->list_count, s->path, err);
    if (status == WZ_OK)
        status = wz_model_list_params(&s->config, &s->params, &count, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *s->tensors, "an ONNX file's tensors", err);
    s->tensors = block;
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *s->places, "an ONNX file's tensors", err);
    s->places = status == WZ_OK ? block : NULL;
    for (size_t p = 0; status == WZ_OK && p < count; p++)
        status = match_param(s, p, err);
    s->base.tensors = s->tensors;
    s->base.count = count;
    if (status == WZ_OK)
        status = match_table(s, WZ_ONNX_COSINES, false, err);
    if (status == WZ_OK)
        status = match_table(s, WZ_ONNX_SINES, true, err);
    if (status == WZ_OK && s->matched != s->list_count)
        status = wz_onnx_fail(s, "initialisers that no weight is made of", err);
    return status == WZ_OK ? match_graph(s, err) : status;
}
