/* From a checkpoint to a policy: all weights, adapters on their base, or new adapters on a plain checkpoint's weights. */
#include <stdlib.h>

#include "engine/run/base.h"
#include "engine/run/load.h"

static wz_status make_tokenizer_of(wz_checkpoint *checkpoint, wz_tokenizer **out, wz_error *err)
{
    wz_text json = {0};
    wz_status status = wz_checkpoint_read_text(checkpoint, "tokenizer", &json, err);
    if (status == WZ_OK)
        status = wz_tokenizer_create(json.data, json.length, out, err);
    wz_text_clear(&json);
    return status;
}

/* What is known of an imported model. */
static wz_status read_origin(wz_checkpoint *checkpoint, wz_policy *policy, wz_error *err)
{
    return wz_checkpoint_has_text(checkpoint, "origin")
               ? wz_checkpoint_read_text(checkpoint, "origin", &policy->origin, err)
               : WZ_OK;
}

wz_status wz_config_from_checkpoint(wz_checkpoint *checkpoint, const char *path, bool is_own,
                                    wz_config *config, wz_error *err)
{
    wz_text text = {0};
    wz_config_default(config);
    wz_status status = wz_checkpoint_read_text(checkpoint, "config", &text, err);
    if (status == WZ_OK)
        status = (is_own ? wz_config_read_text : wz_config_read_foreign)(config, path, text.data, text.length,
                                                                         err);
    wz_text_clear(&text);
    return status;
}

wz_status wz_read_tensors(wz_checkpoint *checkpoint, const wz_model *model, const char *group, float *flat,
                          wz_error *err)
{
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, wz_model_largest_param(model), sizeof(float), "reading a checkpoint", err);
    for (size_t i = 0; status == WZ_OK && i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        if (model->adapter_params > 0 && i >= model->adapter_params)
            break;
        status = wz_checkpoint_read(checkpoint, group, param->name, block, (size_t)param->count, err);
        if (status == WZ_OK && flat == model->weights)
            wz_model_set_param(model, param, block);
        else if (status == WZ_OK)
            model->backend->ops->upload(model->backend, flat + param->offset, block,
                                        (size_t)param->count * sizeof(float));
    }
    free(block);
    return status;
}

/* Parameters [first, end) of the table. */
static wz_status read_weights(wz_checkpoint *checkpoint, const wz_model *model, size_t first, size_t end,
                              wz_error *err)
{
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, wz_model_largest_param(model), sizeof(float), "reading a checkpoint", err);
    for (size_t i = first; status == WZ_OK && i < end; i++) {
        const wz_param *param = &model->params[i];
        status = wz_checkpoint_read(checkpoint, "weights", param->name, block, (size_t)param->count, err);
        if (status == WZ_OK)
            wz_model_set_param(model, param, block);
    }
    free(block);
    return status;
}

/* Adapters from their checkpoint, on the base it names; or new ones on a plain checkpoint. */
static wz_status load_adapted(wz_checkpoint *checkpoint, const wz_config *config, wz_policy *policy,
                              wz_error *err)
{
    wz_model *model = policy->model;
    wz_checkpoint *base = NULL;
    const bool is_plain = !wz_checkpoint_has_text(checkpoint, WZ_BASE_TEXT);
    wz_status status = is_plain
                           ? wz_base_set(policy, checkpoint, err)
                           : wz_base_open(checkpoint, &base, policy->base_file, policy->base_digest, err);
    if (status == WZ_OK)
        status =
            read_weights(is_plain ? checkpoint : base, model, model->adapter_params, model->param_count, err);
    if (status == WZ_OK)
        status = is_plain ? wz_model_init_adapters(model, (uint64_t)config->seed, err)
                          : read_weights(checkpoint, model, 0, model->adapter_params, err);
    wz_checkpoint_close(base);
    return status;
}

wz_status wz_policy_from_checkpoint(wz_checkpoint *checkpoint, const wz_config *config, wz_backend *backend,
                                    bool training, wz_policy **out, wz_error *err)
{
    const wz_model_config shape = wz_config_model(config);
    wz_tokenizer *tokenizer = NULL;
    wz_model *model = NULL;
    *out = NULL;
    wz_status status = make_tokenizer_of(checkpoint, &tokenizer, err);
    if (status == WZ_OK)
        status = wz_model_create(&shape, backend, training, &model, err);
    if (status != WZ_OK) {
        wz_tokenizer_destroy(tokenizer);
        return status;
    }
    status = wz_policy_make(config, model, tokenizer, out, err);
    if (status != WZ_OK)
        return status;
    status = model->adapter_params > 0 ? load_adapted(checkpoint, config, *out, err)
                                       : read_weights(checkpoint, model, 0, model->param_count, err);
    if (status == WZ_OK)
        status = read_origin(checkpoint, *out, err);
    if (status == WZ_OK) {
        wz_model_weights_changed(model);
        return WZ_OK;
    }
    wz_policy_destroy(*out);
    *out = NULL;
    return status;
}

/* to = from with its adapters folded in. */
static wz_status copy_merged(const wz_model *from, wz_model *to, wz_error *err)
{
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, wz_model_largest_param(from), sizeof(float), "folding adapters in", err);
    for (size_t i = to->adapter_params; status == WZ_OK && i < to->param_count; i++) {
        const wz_param *param = wz_model_find_param(from, to->params[i].name);
        status = wz_model_get_merged(from, param, 0, param->shape[0], block, err);
        if (status == WZ_OK)
            wz_model_set_param(to, &to->params[i], block);
    }
    free(block);
    return status;
}

wz_status wz_policy_from_adapters(wz_checkpoint *checkpoint, const wz_config *source, const wz_config *config,
                                  wz_backend *backend, wz_policy **out, wz_error *err)
{
    const wz_model_config shape = wz_config_model(config);
    wz_policy *merged = NULL;
    wz_tokenizer *tokenizer = NULL;
    wz_model *model = NULL;
    wz_status status = wz_policy_from_checkpoint(checkpoint, source, backend, false, &merged, err);
    if (status == WZ_OK)
        status = wz_model_create(&shape, backend, true, &model, err);
    if (status == WZ_OK)
        status = copy_merged(merged->model, model, err);
    if (status == WZ_OK)
        status = wz_model_init_adapters(model, (uint64_t)config->seed, err);
    wz_policy_destroy(merged);
    if (status == WZ_OK)
        status = make_tokenizer_of(checkpoint, &tokenizer, err);
    if (status != WZ_OK) {
        wz_model_destroy(model);
        return status;
    }
    status = wz_policy_make(config, model, tokenizer, out, err);
    return status == WZ_OK ? read_origin(checkpoint, *out, err) : status;
}
