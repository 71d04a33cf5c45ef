#include "engine/grpo/curriculum.h"

#include "engine/core/philox.h"

void wz_curriculum_start(wz_curriculum *curriculum, const wz_curriculum_options *options)
{
    *curriculum = (wz_curriculum){.size = options->first};
}

int64_t wz_curriculum_size(const wz_curriculum *curriculum, const wz_curriculum_options *options,
                           uint64_t seed, uint32_t step, uint32_t part)
{
    const wz_draw_key key = {.seed = seed, .step = step, .problem = part, .purpose = WZ_PURPOSE_CURRICULUM};
    uint32_t words[4];
    const int64_t smaller = curriculum->size - options->first;
    wz_draw_words(&key, 0, words);
    if (smaller == 0 || wz_uniform(words[0]) >= options->replay)
        return curriculum->size;
    return options->first + (int64_t)(wz_uniform(words[1]) * (double)smaller);
}

double wz_curriculum_score(const wz_curriculum *curriculum)
{
    return curriculum->weight > 0.0 ? curriculum->running / curriculum->weight : 0.0;
}

bool wz_curriculum_update(wz_curriculum *curriculum, const wz_curriculum_options *options, int64_t size,
                          double ratio)
{
    if (size != curriculum->size)
        return false;
    curriculum->steps++;
    curriculum->running = curriculum->running * options->decay + (1.0 - options->decay) * ratio;
    curriculum->weight = curriculum->weight * options->decay + (1.0 - options->decay);
    if (size >= options->last || curriculum->steps < options->min_steps ||
        wz_curriculum_score(curriculum) < options->threshold)
        return false;
    *curriculum = (wz_curriculum){.size = size + 1};
    return true;
}
