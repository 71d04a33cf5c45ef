#include "engine/grpo/shuffle.h"

void wz_shuffle(uint64_t seed, wz_purpose purpose, uint32_t epoch, uint32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count; i-- > 1;) {
        const wz_draw_key key = {
            .seed = seed, .step = epoch, .problem = (uint32_t)i, .purpose = (uint32_t)purpose};
        uint32_t words[4];
        wz_draw_words(&key, 0, words);
        const size_t j = (size_t)(((uint64_t)words[0] * (i + 1)) >> 32);
        const uint32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}
