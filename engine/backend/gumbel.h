/* The noise of Gumbel-max sampling, for the host and for devices; PHILOX_FUNCTION as in philox_rounds.h. */
#ifndef WZ_BACKEND_GUMBEL_H
#define WZ_BACKEND_GUMBEL_H

#include <math.h>
#include <string.h>

#include "engine/core/philox_rounds.h"

#define GUMBEL_WORDS 4 /* tokens 4 n .. 4 n + 3 take one word each of the key's draw n */

/* Gumbel noise of a word: -log(-log(1 - v)), v = min((word + 0.5) 2^-32, 1 - 2^-24). */
PHILOX_FUNCTION double gumbel_of(uint32_t word)
{
    double v = philox_uniform(word);
    v = v < 1.0 - 0x1p-24 ? v : 1.0 - 0x1p-24;
    return -log(-log1p(-v));
}

/* Gumbel noise of a token. */
PHILOX_FUNCTION double gumbel(const wz_draw_key *key, uint32_t token)
{
    uint32_t words[GUMBEL_WORDS];
    philox_draw(key, token / GUMBEL_WORDS, words);
    return gumbel_of(words[token % GUMBEL_WORDS]);
}

/* Never less than gumbel_of(word), without a logarithm, a conversion or a rounding mode; at most 0.06 above where v is from
 * 2^-16 to 2^-5, whose noise wins:
 * - u = floor(2^23 v) 2^-23 <= v <= -log(1 - v), so that the noise is at most -log u. The word's upper bits behind those of
 *   1.0f are 1 + u, and taking 1 away is exact.
 * - A float's bits as an integer, i = 2^23 (127 + e + m) of 2^e (1 + m), are linear in m where log2 is concave and has
 *   the same ends: log2 u >= i 2^-23 - 127. Where u is 0, i is 0, too, and the bound is 88: no noise is above 33 log 2.
 * - i / 256, rounded down, behind the bits of 2^23 is the float 2^23 + i / 256; the difference taken with it is of whole
 *   numbers below 2^24, exact.
 * The 4 is 8.5e-5 of room for the last product, of which rounding takes 1e-6 at most (u > 0), and the logarithms' own. */
PHILOX_FUNCTION float gumbel_bound(uint32_t word)
{
    const float most = 0x1p23f + 127.0f * 0x1p15f + 4.0f, log2_unit = 0x1.62e43p-16f; /* >= 2^-15 log 2 */
    uint32_t bits = 0x3f800000u | word >> 9;
    float u = 0.0f, i = 0.0f;
    memcpy(&u, &bits, sizeof u);
    u -= 1.0f;
    memcpy(&bits, &u, sizeof bits);
    bits = 0x4b000000u | bits >> 8;
    memcpy(&i, &bits, sizeof i);
    return (most - i) * log2_unit;
}

/* Whether logit + noise can be `least` or more, least the float next to a value that has been reached: false only where the
 * sum in double is below that value, or NaN. Rounding to nearest keeps order, and a sum of floats rounded to double and then to
 * float is the sum rounded to float at once (53 >= 2 * 24 + 2). */
PHILOX_FUNCTION bool gumbel_may_reach(float logit, uint32_t word, float least)
{
    return logit + gumbel_bound(word) >= least;
}

#endif
