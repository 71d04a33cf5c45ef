/* The noise of Gumbel-max sampling, for the host and for devices; PHILOX_FUNCTION as in philox_rounds.h. */
#ifndef WZ_BACKEND_GUMBEL_H
#define WZ_BACKEND_GUMBEL_H

#include <math.h>

#include "engine/core/philox_rounds.h"

/* Gumbel noise of a token: -log(-log(1 - v)), v = min((word + 0.5) 2^-32, 1 - 2^-24). */
PHILOX_FUNCTION double gumbel(const wz_draw_key *key, uint32_t token)
{
    uint32_t words[4];
    philox_draw(key, token / 4, words);
    double v = philox_uniform(words[token % 4]);
    v = v < 1.0 - 0x1p-24 ? v : 1.0 - 0x1p-24;
    return -log(-log1p(-v));
}

#endif
