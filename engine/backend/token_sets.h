/* What backends ask of a mask table and of a temperature. */
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

#endif
