#include "engine/grpo/tries.h"

#include "rewards/tries.h"

wz_status wz_batch_add_tries(wz_batch *batch, int64_t group, wz_error *err)
{
    wz_text first = {0}, more = {0};
    wz_status status = wz_try_patterns(&batch->problems[group], batch->style, &first, &more, err);
    if (status == WZ_OK)
        status = wz_policy_add_tries(batch->policy, first.data, more.data, batch->insertion,
                                     &batch->bounds[group], &batch->tries[group], err);
    wz_text_clear(&first);
    wz_text_clear(&more);
    return status;
}

wz_status wz_longest_reply(const wz_tokenizer *tokenizer, int64_t *out, wz_error *err)
{
    wz_text text = {0};
    wz_ids ids = {0};
    wz_status status = WZ_OK;
    *out = 0;
    for (int number = -1; status == WZ_OK && number < WZ_TRY_NUMBERS; number++) {
        text.length = ids.length = 0;
        status = wz_try_write(number, true, &text, err);
        if (status == WZ_OK)
            status = wz_tokenizer_encode(tokenizer, text.data, text.length, false, &ids, err);
        *out = (int64_t)ids.length > *out ? (int64_t)ids.length : *out;
    }
    wz_text_clear(&text);
    wz_ids_clear(&ids);
    return status;
}

wz_status wz_batch_reply(void *context, int64_t completion, const char *bytes, size_t length, wz_text *out,
                         bool *preferred, wz_error *err)
{
    const wz_try_context *c = context;
    const int64_t g = c->first_group + completion / c->batch->generations;
    return wz_try_reply(c->batch->verifiers[g], &c->batch->problems[g], &c->batch->references[g],
                        c->batch->style, bytes, length, out, preferred, err);
}
