#include "tasks/max_min_rate.h"

#include <math.h>
#include <string.h>

static size_t poorest_of(size_t users, const int32_t *sum)
{
    size_t poorest = 0;
    for (size_t k = 1; k < users; k++)
        if (sum[k] < sum[poorest])
            poorest = k;
    return poorest;
}

int32_t wz_max_min_greedy(size_t users, size_t blocks, const int32_t *rate, unsigned *owner)
{
    int32_t sum[WZ_MAX_BLOCK_USERS] = {0};
    unsigned char taken[WZ_MAX_BLOCKS] = {0};
    for (size_t round = 0; round < blocks; round++) {
        const size_t user = poorest_of(users, sum);
        size_t best = blocks;
        for (size_t b = 0; b < blocks; b++)
            if (!taken[b] && (best == blocks || rate[b * users + user] > rate[best * users + user]))
                best = b;
        taken[best] = 1;
        owner[best] = (unsigned)user;
        sum[user] += rate[best * users + user];
    }
    return sum[poorest_of(users, sum)];
}

/* A branch of the search: blocks before `block` have owners. */
typedef struct search {
    size_t users, blocks;
    const int32_t *rate;
    int32_t rest[WZ_MAX_BLOCKS + 1][WZ_MAX_BLOCK_USERS]; /* what a user would get from all blocks from b on */
    int32_t sum[WZ_MAX_BLOCK_USERS], best;
    unsigned owner[WZ_MAX_BLOCKS], *best_owner;
} search;

static void visit(search *s, size_t block)
{
    for (size_t k = 0; k < s->users; k++)
        if (s->sum[k] + s->rest[block][k] <= s->best)
            return; /* even with all that is left */
    if (block == s->blocks) {
        s->best = s->sum[poorest_of(s->users, s->sum)];
        memcpy(s->best_owner, s->owner, s->blocks * sizeof *s->owner);
        return;
    }
    for (size_t k = 0; k < s->users; k++) {
        const int32_t gain = s->rate[block * s->users + k];
        s->owner[block] = (unsigned)k;
        s->sum[k] += gain;
        visit(s, block + 1);
        s->sum[k] -= gain;
    }
}

int32_t wz_max_min_rate(size_t users, size_t blocks, const int32_t *rate, unsigned *owner)
{
    const int32_t found = wz_max_min_greedy(users, blocks, rate, owner);
    search s = {.users = users, .blocks = blocks, .rate = rate, .best = found, .best_owner = owner};
    if (pow((double)users, (double)blocks) > WZ_MAX_MIN_LIMIT)
        return found;
    for (size_t b = blocks; b-- > 0;)
        for (size_t k = 0; k < users; k++)
            s.rest[b][k] = s.rest[b + 1][k] + rate[b * users + k];
    visit(&s, 0);
    return s.best;
}
