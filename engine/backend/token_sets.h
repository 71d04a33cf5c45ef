/* What backends ask of a mask table, of a sampling rule and of requests. */
#ifndef WZ_BACKEND_TOKEN_SETS_H
#define WZ_BACKEND_TOKEN_SETS_H

#include "engine/backend/backend.h"

static inline int64_t set_size(const wz_mask_table *masks, uint32_t set)
{
    return (int64_t)masks->offset[set + 1] - (int64_t)masks->offset[set];
}

/* Place within a set of its first token >= token; the set's size: none. */
static inline int64_t set_first_from(const wz_mask_table *masks, uint32_t set, int64_t token)
{
    const uint32_t *tokens = masks->tokens + masks->offset[set];
    int64_t low = 0, high = set_size(masks, set);
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if ((int64_t)tokens[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Temperature 0 (greedy) reports at temperature 1. */
static inline float inverse_temperature(float temperature)
{
    return temperature > 0.0f ? 1.0f / temperature : 1.0f;
}

/* Whether top-k, top-p or min-p is on; to the greedy choice they are all the same. */
static inline bool sampling_cuts(const wz_sampling *s)
{
    return s->temperature > 0.0f && (s->top_k > 0 || s->top_p < 1.0f || s->min_p > 0.0f);
}

static inline wz_status check_draw_keys(const wz_sample_request *request, int64_t requests, wz_error *err)
{
    for (int64_t i = 0; i < requests; i++)
        if (!wz_draw_key_valid(&request[i].key))
            return wz_fail(err, WZ_ERR_RUNTIME,
                           "sampling: token %u or sample %u is out of the random stream's range",
                           request[i].key.token, request[i].key.sample);
    return WZ_OK;
}

#endif
