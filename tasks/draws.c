#include "tasks/draws.h"

#include <math.h>

const char *wz_split_name(wz_split split)
{
    static const char *const names[] = {"train", "validation", "test"};
    return names[split];
}

static wz_purpose purpose_of(wz_split split)
{
    switch (split) {
    case WZ_SPLIT_VALIDATION:
        return WZ_PURPOSE_VALIDATION;
    case WZ_SPLIT_TEST:
        return WZ_PURPOSE_TEST;
    case WZ_SPLIT_TRAIN:
        break;
    }
    return WZ_PURPOSE_TRAIN;
}

/* The size takes the token's place in the key, so that sizes share no numbers. */
wz_draws wz_draws_of_problem(uint32_t stream, uint64_t seed, wz_split split, uint32_t index, uint32_t size)
{
    const wz_draw_key key = {
        .seed = seed, .problem = index, .token = size, .sample = stream, .purpose = purpose_of(split)};
    return wz_draws_from(&key, 0);
}

wz_draws wz_draws_from(const wz_draw_key *key, uint64_t next)
{
    wz_draws draws = {.key = *key, .next = next};
    if (next % 4 != 0)
        wz_draw_words(key, (uint32_t)(next / 4), draws.words);
    return draws;
}

static uint32_t next_word(wz_draws *draws)
{
    if (draws->next % 4 == 0)
        wz_draw_words(&draws->key, (uint32_t)(draws->next / 4), draws->words);
    return draws->words[draws->next++ % 4];
}

double wz_draws_uniform(wz_draws *draws)
{
    return wz_uniform(next_word(draws));
}

double wz_draws_exponential(wz_draws *draws)
{
    return -log(wz_draws_uniform(draws));
}

double wz_draws_normal(wz_draws *draws)
{
    uint32_t words[4];
    double pair[2];
    for (int i = 0; i < 4; i++)
        words[i] = next_word(draws);
    wz_normal_pair(words, pair);
    return pair[0];
}

unsigned wz_draws_below(wz_draws *draws, unsigned count)
{
    return (unsigned)(((uint64_t)next_word(draws) * count) >> 32);
}

void wz_draws_permutation(wz_draws *draws, size_t count, uint8_t *order)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint8_t)i;
    for (size_t i = count; i > 1; i--) {
        const size_t j = wz_draws_below(draws, (unsigned)i);
        const uint8_t last = order[i - 1];
        order[i - 1] = order[j];
        order[j] = last;
    }
}
