#include "rewards/shares.h"

bool wz_shares_exceed(const unsigned *share, size_t count, unsigned total, double from, wz_outcome *out)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += share[i];
    if (sum <= total)
        return false;
    wz_outcome_violate(out, sum - total, from + (1 - from) * (1 - (double)total / sum),
                       "the shares sum to %u, which is %u above the total of %u", sum, sum - total, total);
    return true;
}

/* Of total parts and count - 1 bars in a row, each position is a bar with the probability that is left for it. */
void wz_shares_add_random(wz_draws *draws, size_t count, unsigned total, unsigned *share)
{
    unsigned bars = (unsigned)count - 1;
    for (unsigned places = total + bars; places > 0; places--)
        if (wz_draws_below(draws, places) < bars)
            bars--;
        else
            share[count - 1 - bars]++;
}
