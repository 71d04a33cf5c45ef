#include "engine/grpo/mixture.h"

#include "engine/core/philox.h"

void wz_mixture_assign(const wz_mixture *mixture, uint64_t seed, uint32_t step, int64_t count, uint8_t *part)
{
    const wz_draw_key key = {.seed = seed, .step = step, .purpose = WZ_PURPOSE_MIXTURE};
    uint32_t words[4];
    double total = 0.0, below = mixture->parts[0].weight;
    size_t at = 0;
    wz_draw_words(&key, 0, words);
    for (size_t p = 0; p < mixture->count; p++)
        total += mixture->parts[p].weight;
    for (int64_t g = 0; g < count; g++) {
        const double point = ((double)g + wz_uniform(words[0])) / (double)count * total;
        while (point >= below && at + 1 < mixture->count)
            below += mixture->parts[++at].weight;
        part[g] = (uint8_t)at;
    }
}
