#include "engine/grpo/ref_model.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grpo/update.h"

size_t wz_ref_model_bytes(const wz_model *policy, int64_t rows)
{
    const size_t optimiser = policy->gradients != NULL ? 3 * (size_t)policy->trained * sizeof(float) : 0;
    return wz_model_bytes(policy) - optimiser + wz_activations_bytes(policy, rows, WZ_KEEP_CACHE);
}

/* Frozen matrices in bf16, which no op copies. */
static wz_status copy_halves(const wz_model *from, const wz_model *to, wz_error *err)
{
    enum { PIECE = 1 << 18 };
    void *host = NULL;
    const wz_status status = wz_alloc(&host, PIECE, sizeof(float), "the reference policy", err);
    for (size_t i = 0; status == WZ_OK && i < from->param_count; i++) {
        const wz_param *param = &from->params[i];
        for (int64_t first = 0; param->type == WZ_BF16 && first < param->count; first += PIECE) {
            const int64_t count = param->count - first < PIECE ? param->count - first : PIECE;
            wz_model_get_numbers(from, param, first, count, host);
            wz_model_set_numbers(to, &to->params[i], first, count, host);
        }
    }
    free(host);
    return status;
}

wz_status wz_ref_model_create(const wz_model *policy, wz_ref_model *out, wz_error *err)
{
    memset(out, 0, sizeof *out);
    wz_status status = wz_model_create(&policy->config, policy->backend, false, &out->model, err);
    if (status == WZ_OK && policy->halves != NULL)
        status = copy_halves(policy, out->model, err);
    if (status != WZ_OK)
        return status;
    out->model->tokens = policy->tokens;
    wz_ref_model_take(out, policy);
    return WZ_OK;
}

void wz_ref_model_take(const wz_ref_model *reference, const wz_model *policy)
{
    policy->backend->ops->blend(policy->backend, reference->model->weights, policy->weights, policy->floats,
                                1.0f);
    wz_model_weights_changed(reference->model);
}

void wz_ref_model_clear(wz_ref_model *reference)
{
    wz_activations_destroy(reference->activations);
    wz_model_destroy(reference->model);
    memset(reference, 0, sizeof *reference);
}

wz_status wz_ref_model_reserve(wz_ref_model *reference, int64_t rows, wz_error *err)
{
    if (reference->activations != NULL && reference->activations->rows >= rows)
        return WZ_OK;
    wz_activations_destroy(reference->activations);
    reference->activations = NULL;
    return wz_activations_create(reference->model, rows, WZ_KEEP_CACHE, &reference->activations, err);
}

wz_status wz_ref_model_score(wz_ref_model *reference, const wz_pack *pack, float temperature, float *logp,
                             wz_error *err)
{
    void *entropy = NULL;
    wz_status status = wz_ref_model_reserve(reference, pack->segments.rows, err);
    if (status == WZ_OK)
        status =
            wz_alloc(&entropy, (size_t)pack->decisions.count, sizeof(float), "the reference's scores", err);
    if (status == WZ_OK)
        status =
            wz_pack_score(reference->model, reference->activations, pack, temperature, logp, entropy, err);
    free(entropy);
    return status;
}

void wz_ref_model_follow(const wz_ref_model *reference, const wz_model *policy,
                         const wz_ref_model_options *options, int64_t updates)
{
    if (reference->model == NULL || options->sync_steps == 0 || updates % options->sync_steps != 0)
        return;
    policy->backend->ops->blend(policy->backend, reference->model->weights, policy->weights, policy->floats,
                                (float)options->mixup_alpha);
    wz_model_weights_changed(reference->model);
}
