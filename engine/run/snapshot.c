#include "engine/run/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/json.h"
#include "engine/run/base.h"
#include "engine/run/snapshot_tensors.h"

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
    wz_json_field_integer(&json, "table_bytes", (int64_t)s->table_bytes);
    wz_json_field_integer(&json, "events_file", s->events.file);
    wz_json_field_integer(&json, "events_bytes", (int64_t)s->events.bytes);
    write_parts(s, mixture, &json);
    if (s->has_entropy) {
        wz_json_key(&json, "entropy");
        wz_json_begin_object(&json);
        wz_json_field_number(&json, "coef", s->entropy.coef);
        wz_json_field_number(&json, "measured", s->entropy.measured);
        wz_json_end_object(&json);
    }
    if (s->pairs_digest[0] != '\0')
        wz_json_field_string(&json, "pairs_digest", s->pairs_digest);
    if (s->set_digest[0] != '\0') {
        wz_json_field_string(&json, "set_digest", s->set_digest);
        wz_json_field_integer(&json, "taken", s->taken);
    }
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

wz_status wz_snapshot_write_state(const wz_snapshot *snapshot, const wz_config *config, wz_text *out,
                                  wz_error *err)
{
    wz_mixture mixture;
    const wz_status status = wz_config_mixture(config, &mixture, err);
    return status == WZ_OK ? write_state(snapshot, &mixture, out, err) : status;
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

static wz_status read_entropy(const json_t *state, const char *path, wz_snapshot *s, wz_error *err)
{
    const json_t *entropy = json_object_get(state, "entropy");
    s->has_entropy = entropy != NULL;
    if (!s->has_entropy)
        return WZ_OK;
    const wz_status status = wz_json_get_number(entropy, path, "coef", &s->entropy.coef, err);
    return status == WZ_OK ? wz_json_get_number(entropy, path, "measured", &s->entropy.measured, err)
                           : status;
}

/* Lengths of logs that runs of earlier builds did not write. */
static wz_status read_later_logs(const json_t *state, const char *path, wz_snapshot *s, wz_error *err)
{
    int64_t table = 0, events = 0;
    struct {
        const char *key;
        int64_t *place;
    } const lengths[] = {
        {"table_bytes", &table}, {"events_file", &s->events.file}, {"events_bytes", &events}};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof lengths / sizeof *lengths; i++)
        if (json_object_get(state, lengths[i].key) != NULL)
            status = wz_json_get_integer(state, path, lengths[i].key, lengths[i].place, err);
    if (status == WZ_OK && (table < 0 || events < 0 || s->events.file < 0))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: the run's state has negative lengths of logs", path);
    s->table_bytes = (uint64_t)table;
    s->events.bytes = (uint64_t)events;
    return status;
}

/* Only runs with such a file have it. */
static wz_status read_digest(const json_t *state, const char *path, const char *key, char out[WZ_DIGEST_HEX],
                             wz_error *err)
{
    const char *digest = "";
    if (json_object_get(state, key) == NULL)
        return WZ_OK;
    const wz_status status = wz_json_get_string(state, path, key, &digest, err);
    if (status == WZ_OK && strlen(digest) != WZ_DIGEST_HEX - 1)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the run's state has a %s that is none", path, key);
    if (status == WZ_OK)
        memcpy(out, digest, WZ_DIGEST_HEX);
    return status;
}

/* Where in a training set's epochs the run is. */
static wz_status read_taken(const json_t *state, const char *path, wz_snapshot *s, wz_error *err)
{
    wz_status status = read_digest(state, path, "set_digest", s->set_digest, err);
    if (status == WZ_OK && s->set_digest[0] != '\0')
        status = wz_json_get_integer(state, path, "taken", &s->taken, err);
    if (status == WZ_OK && s->taken < 0)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: the run's state has a negative place in train_set", path);
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
    if (status == WZ_OK)
        status = read_entropy(state, path, s, err);
    if (status == WZ_OK)
        status = read_later_logs(state, path, s, err);
    if (status == WZ_OK)
        status = read_digest(state, path, "pairs_digest", s->pairs_digest, err);
    if (status == WZ_OK)
        status = read_taken(state, path, s, err);
    json_decref(state);
    if (status == WZ_OK && (s->step < 0 || s->updates < 0 || metrics < 0 || completions < 0))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the run's state has negative counts", path);
    s->metrics_bytes = (uint64_t)metrics;
    s->completions_bytes = (uint64_t)completions;
    return status;
}

/* What a checkpoint keeps of a model. */
static wz_status list_tensors(const wz_snapshot *snapshot, const wz_model *model, bool with_optimiser,
                              wz_snapshot_tensors *list, wz_error *err)
{
    const struct {
        const char *name;
        const float *array;
    } groups[WZ_SNAPSHOT_GROUPS] = {{"weights", model->weights},
                                    {"adam_m", with_optimiser ? model->adam_m : NULL},
                                    {"adam_v", with_optimiser ? model->adam_v : NULL},
                                    {WZ_REFERENCE_GROUP, snapshot->reference},
                                    {WZ_AVERAGE_GROUP, snapshot->average}};
    const wz_status status = wz_snapshot_tensors_init(model, list, err);
    for (int g = 0; status == WZ_OK && g < WZ_SNAPSHOT_GROUPS; g++)
        if (groups[g].array != NULL)
            wz_snapshot_tensors_add(list, model, groups[g].name, groups[g].array);
    return status;
}

wz_status wz_snapshot_write(const char *path, const wz_snapshot *snapshot, const wz_policy *policy,
                            const wz_config *config, const char *environment, bool with_optimiser,
                            wz_error *err)
{
    wz_snapshot_tensors tensors = {0};
    wz_text state = {0}, yaml = {0}, tokenizer = {0}, base = {0}, pool = {0};
    wz_status status = list_tensors(snapshot, policy->model, with_optimiser, &tensors, err);
    if (status == WZ_OK && wz_model_adapter_count(policy->model) > 0)
        status = wz_base_write(policy, &base, err);
    if (status == WZ_OK)
        status = wz_snapshot_write_state(snapshot, config, &state, err);
    if (status == WZ_OK && snapshot->replay != NULL && snapshot->replay->count > 0)
        status = wz_snapshot_write_pool(snapshot->replay, &pool, err);
    if (status == WZ_OK)
        status = wz_config_write(config, &yaml, err);
    if (status == WZ_OK)
        status = wz_tokenizer_write_json(policy->tokenizer, &tokenizer, err);
    if (status == WZ_OK) {
        wz_checkpoint_text kept[7];
        const wz_checkpoint_text texts[7] = {{"config", yaml.data, yaml.length},
                                             {"state", state.data, state.length},
                                             {"tokenizer", tokenizer.data, tokenizer.length},
                                             {"env", environment, strlen(environment)},
                                             {"origin", policy->origin.data, policy->origin.length},
                                             {WZ_BASE_TEXT, base.data, base.length},
                                             {WZ_POOL_TEXT, pool.data, pool.length}};
        wz_checkpoint_content content = {
            .step = snapshot->step, .tensors = tensors.items, .tensor_count = tensors.count, .texts = kept};
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            if (texts[i].length > 0)
                kept[content.text_count++] = texts[i];
        status = wz_checkpoint_write(path, &content, err);
    }
    wz_snapshot_tensors_clear(&tensors);
    wz_text_clear(&state);
    wz_text_clear(&yaml);
    wz_text_clear(&tokenizer);
    wz_text_clear(&base);
    wz_text_clear(&pool);
    return status;
}
