#include "engine/run/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/json.h"

static void write_parts(const wz_snapshot *s, const wz_mixture *mixture, wz_json *json)
{
    wz_json_key(json, "parts");
    wz_json_begin_array(json);
    for (size_t p = 0; p < s->parts; p++) {
        const wz_curriculum *c = &s->curricula[p];
        wz_json_begin_object(json);
        wz_json_field_string(json, "task", mixture->parts[p].task->name);
        wz_json_field_integer(json, "text", mixture->parts[p].task->text_version);
        wz_json_field_integer(json, "size", c->size);
        wz_json_field_integer(json, "steps", c->steps);
        wz_json_field_number(json, "running", c->running);
        wz_json_field_number(json, "weight", c->weight);
        wz_json_end_object(json);
    }
    wz_json_end_array(json);
}

static wz_status write_state(const wz_snapshot *s, const wz_mixture *mixture, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "step", s->step);
    wz_json_field_integer(&json, "updates", s->updates);
    wz_json_field_number(&json, "best_score", s->best_score);
    wz_json_field_number(&json, "tokens", s->tokens);
    wz_json_field_integer(&json, "metrics_bytes", (int64_t)s->metrics_bytes);
    wz_json_field_integer(&json, "completions_bytes", (int64_t)s->completions_bytes);
    write_parts(s, mixture, &json);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

static wz_status read_state(wz_checkpoint *checkpoint, const char *path, json_t **out, wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_checkpoint_read_text(checkpoint, "state", &text, err);
    if (status == WZ_OK)
        status = wz_json_parse(path, text.data, text.length, out, err);
    wz_text_clear(&text);
    return status;
}

wz_status wz_snapshot_check_text(wz_checkpoint *checkpoint, const char *path, const wz_config *config,
                                 wz_error *err)
{
    json_t *state = NULL;
    wz_mixture mixture;
    wz_status status = wz_config_mixture(config, &mixture, err);
    if (status == WZ_OK)
        status = read_state(checkpoint, path, &state, err);
    for (size_t p = 0; status == WZ_OK && p < mixture.count; p++) {
        const wz_task *task = mixture.parts[p].task;
        const json_t *part = json_array_get(json_object_get(state, "parts"), p);
        int64_t version = 1; /* of checkpoints that did not say */
        if (part != NULL)
            status = wz_json_get_integer(part, path, "text", &version, err);
        if (status == WZ_OK && version != task->text_version)
            status = wz_fail(err, WZ_ERR_USAGE,
                             "%s learned version %lld of %s's text, this build prints version %d: use the "
                             "build that trained it, or go on from its weights with init_from",
                             path, (long long)version, task->name, task->text_version);
    }
    json_decref(state);
    return status;
}

static wz_status read_part(const json_t *part, const char *path, wz_curriculum *c, wz_error *err)
{
    wz_status status = wz_json_get_integer(part, path, "size", &c->size, err);
    if (status == WZ_OK)
        status = wz_json_get_integer(part, path, "steps", &c->steps, err);
    if (status == WZ_OK)
        status = wz_json_get_number(part, path, "running", &c->running, err);
    return status == WZ_OK ? wz_json_get_number(part, path, "weight", &c->weight, err) : status;
}

static wz_status read_parts(const json_t *state, const char *path, wz_snapshot *s, wz_error *err)
{
    const json_t *parts = json_object_get(state, "parts");
    wz_status status = WZ_OK;
    s->parts = json_array_size(parts);
    if (s->parts == 0 || s->parts > WZ_MIXTURE_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the run's state lists no parts, or more than %d", path,
                       WZ_MIXTURE_MAX);
    for (size_t p = 0; status == WZ_OK && p < s->parts; p++)
        status = read_part(json_array_get(parts, p), path, &s->curricula[p], err);
    return status;
}

wz_status wz_snapshot_read(wz_checkpoint *checkpoint, const char *path, wz_snapshot *s, wz_error *err)
{
    json_t *state = NULL;
    int64_t metrics = 0, completions = 0;
    memset(s, 0, sizeof *s);
    wz_status status = read_state(checkpoint, path, &state, err);
    struct {
        const char *key;
        int64_t *place;
    } const integers[] = {{"step", &s->step},
                          {"updates", &s->updates},
                          {"metrics_bytes", &metrics},
                          {"completions_bytes", &completions}};
    struct {
        const char *key;
        double *place;
    } const numbers[] = {{"best_score", &s->best_score}, {"tokens", &s->tokens}};
    for (size_t i = 0; status == WZ_OK && i < sizeof integers / sizeof integers[0]; i++)
        status = wz_json_get_integer(state, path, integers[i].key, integers[i].place, err);
    for (size_t i = 0; status == WZ_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        status = wz_json_get_number(state, path, numbers[i].key, numbers[i].place, err);
    if (status == WZ_OK)
        status = read_parts(state, path, s, err);
    json_decref(state);
    if (status == WZ_OK && (s->step < 0 || s->updates < 0 || metrics < 0 || completions < 0))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the run's state has negative counts", path);
    s->metrics_bytes = (uint64_t)metrics;
    s->completions_bytes = (uint64_t)completions;
    return status;
}

typedef struct tensor_list {
    wz_checkpoint_tensor *items;
    size_t count;
    float *host[3];
} tensor_list;

static void clear_tensors(tensor_list *list)
{
    free(list->items);
    for (int i = 0; i < 3; i++)
        free(list->host[i]);
}

/* Views of the flat arrays, downloaded. */
static wz_status list_tensors(const wz_model *model, bool with_optimiser, tensor_list *list, wz_error *err)
{
    static const char *const groups[3] = {"weights", "adam_m", "adam_v"};
    const float *const arrays[3] = {model->weights, model->adam_m, model->adam_v};
    const int group_count = with_optimiser ? 3 : 1;
    void *block = NULL;
    memset(list, 0, sizeof *list);
    wz_status status = wz_alloc(&block, model->param_count * 3, sizeof *list->items, "a checkpoint", err);
    list->items = block;
    for (int g = 0; status == WZ_OK && g < group_count; g++) {
        status = wz_alloc(&block, (size_t)model->floats, sizeof(float), "a checkpoint", err);
        if (status != WZ_OK)
            break;
        list->host[g] = block;
        model->backend->ops->download(model->backend, block, arrays[g],
                                      (size_t)model->floats * sizeof(float));
        for (size_t i = 0; i < model->param_count; i++) {
            const wz_param *param = &model->params[i];
            list->items[list->count++] =
                (wz_checkpoint_tensor){.group = groups[g],
                                       .name = param->name,
                                       .rank = param->rank,
                                       .shape = {(size_t)param->shape[0], (size_t)param->shape[1]},
                                       .data = list->host[g] + param->offset};
        }
    }
    return status;
}

wz_status wz_snapshot_write(const char *path, const wz_snapshot *snapshot, const wz_policy *policy,
                            const wz_config *config, const char *environment, bool with_optimiser,
                            wz_error *err)
{
    tensor_list tensors = {0};
    wz_text state = {0}, yaml = {0}, tokenizer = {0};
    wz_mixture mixture;
    wz_status status = wz_config_mixture(config, &mixture, err);
    if (status == WZ_OK)
        status = list_tensors(policy->model, with_optimiser, &tensors, err);
    if (status == WZ_OK)
        status = write_state(snapshot, &mixture, &state, err);
    if (status == WZ_OK)
        status = wz_config_write(config, &yaml, err);
    if (status == WZ_OK)
        status = wz_tokenizer_write_json(policy->tokenizer, &tokenizer, err);
    if (status == WZ_OK) {
        const wz_checkpoint_text texts[4] = {{"config", yaml.data, yaml.length},
                                             {"state", state.data, state.length},
                                             {"tokenizer", tokenizer.data, tokenizer.length},
                                             {"env", environment, strlen(environment)}};
        const wz_checkpoint_content content = {snapshot->step, tensors.items, tensors.count, texts, 4};
        status = wz_checkpoint_write(path, &content, err);
    }
    clear_tensors(&tensors);
    wz_text_clear(&state);
    wz_text_clear(&yaml);
    wz_text_clear(&tokenizer);
    return status;
}
