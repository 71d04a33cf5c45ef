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

/* Where a tensor that is read goes. */
typedef struct place {
    const wz_model *model;
    const wz_param *param;
    float *flat; /* NULL: the model's weights, in the parameter's type */
} place;

static void put_numbers(void *user, size_t first, const float *numbers, size_t count)
{
    const place *to = user;
    if (to->flat == NULL)
        wz_model_set_numbers(to->model, to->param, (int64_t)first, (int64_t)count, numbers);
    else
        to->model->backend->ops->upload(to->model->backend, to->flat + to->param->offset + first, numbers,
                                        count * sizeof *numbers);
}

/* Parameters [first, end) of the table, without a second copy of any. */
static wz_status read_params(wz_checkpoint *checkpoint, const wz_model *model, const char *group,
                             size_t first, size_t end, float *flat, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = first; status == WZ_OK && i < end; i++) {
        place to = {model, &model->params[i], flat};
        status = wz_checkpoint_stream(checkpoint, group, to.param->name, (size_t)to.param->count, put_numbers,
                                      &to, err);
    }
    return status;
}

wz_status wz_read_tensors(wz_checkpoint *checkpoint, const wz_model *model, const char *group, float *flat,
                          wz_error *err)
{
    const size_t end = model->adapter_params > 0 ? model->adapter_params : model->param_count;
    return read_params(checkpoint, model, group, 0, end, flat == model->weights ? NULL : flat, err);
}

static wz_status read_weights(wz_checkpoint *checkpoint, const wz_model *model, size_t first, size_t end,
                              wz_error *err)
{
    return read_params(checkpoint, model, "weights", first, end, NULL, err);
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

wz_status wz_policy_without_weights(wz_checkpoint *checkpoint, const wz_config *config, wz_backend *backend,
                                    wz_policy **out, wz_error *err)
{
    const wz_model_config shape = wz_config_model(config);
    wz_tokenizer *tokenizer = NULL;
    wz_model *model = NULL;
    *out = NULL;
    wz_status status = make_tokenizer_of(checkpoint, &tokenizer, err);
    if (status == WZ_OK)
        status = wz_model_describe(&shape, backend, &model, err);
    if (status != WZ_OK) {
        wz_tokenizer_destroy(tokenizer);
        return status;
    }
    status = wz_policy_make(config, model, tokenizer, out, err);
    return status == WZ_OK ? read_origin(checkpoint, *out, err) : status;
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

/* to = from with its adapters folded in, some rows at a time. */
static wz_status copy_merged(const wz_model *from, wz_model *to, wz_error *err)
{
    enum { PIECE = 1 << 18 };
    wz_status status = WZ_OK;
    for (size_t i = to->adapter_params; status == WZ_OK && i < to->param_count; i++) {
        const wz_param *target = &to->params[i], *param = wz_model_find_param(from, target->name);
        const int64_t width = param->rank == 2 ? param->shape[1] : 1, rows = param->shape[0],
                      piece = width < PIECE ? PIECE / width : 1;
        void *block = NULL;
        status = wz_alloc(&block, (size_t)(piece * width), sizeof(float), "folding adapters in", err);
        for (int64_t first = 0; status == WZ_OK && first < rows; first += piece) {
            const int64_t count = rows - first < piece ? rows - first : piece;
            status = wz_model_get_merged(from, param, first, count, block, err);
            if (status == WZ_OK)
                wz_model_set_numbers(to, target, first * width, count * width, block);
        }
        free(block);
    }
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
    const size_t bytes = status == WZ_OK ? wz_model_bytes(merged->model) : 0;
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
    if (status != WZ_OK)
        return status;
    (*out)->bytes_while_made = bytes;
    return read_origin(checkpoint, *out, err);
}

wz_status wz_policy_set_free(wz_config *config, wz_policy *policy, FILE *log, wz_error *err)
{
    if (config->verifier_tries > 0)
        (void)fprintf(log, "without the answer grammar no candidate could be read: none is tried\n");
    config->verifier_tries = 0;
    config->answer_grammar = false;
    return wz_policy_drop_grammar(policy, err);
}
