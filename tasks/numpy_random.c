#include "tasks/numpy_random.h"

#include <math.h>

enum { LENGTH = 624, MIDDLE = 397 };

void wz_numpy_random_init(wz_numpy_random *generator, uint32_t seed)
{
    generator->state[0] = seed;
    for (uint32_t i = 1; i < LENGTH; i++) {
        uint32_t last = generator->state[i - 1];
        generator->state[i] = 1812433253u * (last ^ (last >> 30)) + i;
    }
    generator->position = LENGTH;
    generator->has_cached = false;
    generator->cached = 0;
}

static void refill(uint32_t *state)
{
    for (int i = 0; i < LENGTH; i++) {
        uint32_t y = (state[i] & 0x80000000u) | (state[(i + 1) % LENGTH] & 0x7fffffffu);
        state[i] = state[(i + MIDDLE) % LENGTH] ^ (y >> 1) ^ ((y & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
}

uint32_t wz_numpy_random_word(wz_numpy_random *generator)
{
    if (generator->position == LENGTH) {
        refill(generator->state);
        generator->position = 0;
    }
    uint32_t y = generator->state[generator->position++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double wz_numpy_random_uniform(wz_numpy_random *generator)
{
    uint32_t high = wz_numpy_random_word(generator) >> 5;
    uint32_t low = wz_numpy_random_word(generator) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

double wz_numpy_random_normal(wz_numpy_random *generator)
{
    if (generator->has_cached) {
        generator->has_cached = false;
        return generator->cached;
    }
    double x, y, square;
    do {
        x = 2.0 * wz_numpy_random_uniform(generator) - 1.0;
        y = 2.0 * wz_numpy_random_uniform(generator) - 1.0;
        square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    double factor = sqrt(-2.0 * log(square) / square);
    generator->cached = factor * x;
    generator->has_cached = true;
    return factor * y;
}
