#include "rewards/solvers/block_assignment.h"

#include <math.h>
#include <string.h>

#include "rewards/solvers/integer_program.h"

#define MAX_RATES (WZ_MAX_BLOCKS * WZ_MAX_BLOCK_USERS)

/* ---- what an assignment is worth ---- */

void wz_block_sums(const wz_ofdma *cell, const unsigned *owner, int32_t *sum)
{
    memset(sum, 0, cell->users * sizeof *sum);
    for (size_t b = 0; b < cell->blocks; b++)
        sum[owner[b]] += cell->rate[b * cell->users + owner[b]];
}

static double total_of(const wz_ofdma *cell, const int32_t *sum)
{
    int32_t total = 0;
    for (size_t k = 0; k < cell->users; k++)
        total += sum[k];
    return total;
}

/* Grows with the objective, without the root: at most 8 factors below 2^13. */
static double merit_of(const wz_ofdma *cell, const int32_t *sum)
{
    double product = 1;
    if (cell->objective == WZ_OFDMA_SUM_RATE)
        return total_of(cell, sum);
    for (size_t k = 0; k < cell->users; k++)
        product *= sum[k];
    return product;
}

double wz_block_objective(const wz_ofdma *cell, const int32_t *sum)
{
    const double merit = merit_of(cell, sum);
    return (cell->objective == WZ_OFDMA_SUM_RATE ? merit : pow(merit, 1.0 / (double)cell->users)) / 10;
}

int32_t wz_block_deficit(const wz_ofdma *cell, const int32_t *sum)
{
    int32_t deficit = 0;
    for (size_t k = 0; k < cell->users; k++)
        deficit += sum[k] < cell->minimum ? cell->minimum - sum[k] : 0;
    return deficit;
}

/* ---- all assignments ---- */

/* A branch: blocks before `block` have owners. */
typedef struct search {
    const wz_ofdma *cell;
    int32_t most[WZ_MAX_BLOCKS + 1];                     /* sum of the best rates from block b on */
    int32_t rest[WZ_MAX_BLOCKS + 1][WZ_MAX_BLOCK_USERS]; /* what a user would get from all blocks from b on */
    int32_t sum[WZ_MAX_BLOCK_USERS];
    double best;
    unsigned owner[WZ_MAX_BLOCKS], *best_owner;
} search;

static bool hopeless(const search *s, size_t block)
{
    const wz_ofdma *cell = s->cell;
    for (size_t k = 0; k < cell->users; k++)
        if (s->sum[k] + s->rest[block][k] < cell->minimum)
            return true;
    return cell->objective == WZ_OFDMA_SUM_RATE && total_of(cell, s->sum) + s->most[block] <= s->best;
}

static void visit(search *s, size_t block)
{
    const wz_ofdma *cell = s->cell;
    if (hopeless(s, block))
        return;
    if (block == cell->blocks) {
        const double merit = merit_of(cell, s->sum);
        if (merit <= s->best)
            return;
        s->best = merit;
        memcpy(s->best_owner, s->owner, cell->blocks * sizeof *s->owner);
        return;
    }
    for (size_t k = 0; k < cell->users; k++) {
        const int32_t gain = cell->rate[block * cell->users + k];
        s->owner[block] = (unsigned)k;
        s->sum[k] += gain;
        visit(s, block + 1);
        s->sum[k] -= gain;
    }
}

bool wz_block_enumerate(const wz_ofdma *cell, unsigned *owner)
{
    search s = {.cell = cell, .best = -1, .best_owner = owner};
    for (size_t b = cell->blocks; b-- > 0;) {
        int32_t most = 0;
        for (size_t k = 0; k < cell->users; k++) {
            const int32_t rate = cell->rate[b * cell->users + k];
            s.rest[b][k] = s.rest[b + 1][k] + rate;
            most = rate > most ? rate : most;
        }
        s.most[b] = s.most[b + 1] + most;
    }
    visit(&s, 0);
    return s.best >= 0;
}

/* ---- the integer programme ---- */

wz_status wz_block_program(const wz_ofdma *cell, size_t most_nodes, unsigned *owner, bool *found,
                           bool *proven, wz_error *err)
{
    const size_t users = cell->users, blocks = cell->blocks;
    double cost[MAX_RATES], high[MAX_RATES], x[MAX_RATES], low_row[WZ_MAX_BLOCKS + WZ_MAX_BLOCK_USERS],
        high_row[WZ_MAX_BLOCKS + WZ_MAX_BLOCK_USERS];
    bool whole[MAX_RATES];
    wz_program_entry entry[2 * MAX_RATES];
    wz_program_end end;
    for (size_t b = 0; b < blocks; b++)
        for (size_t k = 0; k < users; k++) {
            const size_t j = b * users + k;
            cost[j] = cell->rate[j];
            high[j] = 1;
            whole[j] = true;
            entry[2 * j] = (wz_program_entry){(int)b, (int)j, 1};
            entry[2 * j + 1] = (wz_program_entry){(int)(blocks + k), (int)j, cell->rate[j]};
        }
    for (size_t i = 0; i < blocks + users; i++) {
        low_row[i] = i < blocks ? 1 : cell->minimum;
        high_row[i] = i < blocks ? 1 : INFINITY;
    }
    const wz_integer_program program = {.rows = blocks + users,
                                        .columns = blocks * users,
                                        .entries = 2 * blocks * users,
                                        .cost = cost,
                                        .high = high,
                                        .whole = whole,
                                        .row_low = low_row,
                                        .row_high = high_row,
                                        .entry = entry};
    const wz_status status = wz_integer_program_solve(&program, most_nodes, x, &end, err);
    *found = status == WZ_OK && end != WZ_PROGRAM_NOTHING;
    *proven = status == WZ_OK && end == WZ_PROGRAM_OPTIMUM;
    for (size_t j = 0; j < blocks * users && *found; j++)
        if (x[j] > 0.5)
            owner[j / users] = (unsigned)(j % users);
    return status;
}

/* ---- simple assignments ---- */

void wz_block_best_user(const wz_ofdma *cell, unsigned *owner)
{
    for (size_t b = 0; b < cell->blocks; b++) {
        const int32_t *rate = cell->rate + b * cell->users;
        owner[b] = 0;
        for (unsigned k = 1; k < cell->users; k++)
            if (rate[k] > rate[owner[b]])
                owner[b] = k;
    }
}

void wz_block_proportional(const wz_ofdma *cell, const uint8_t *order, unsigned *owner)
{
    int32_t sum[WZ_MAX_BLOCK_USERS] = {0};
    for (size_t i = 0; i < cell->blocks; i++) {
        const size_t b = order == NULL ? i : order[i];
        const int32_t *rate = cell->rate + b * cell->users;
        double best = -1;
        for (unsigned k = 0; k < cell->users; k++) {
            const double metric = (double)rate[k] / (sum[k] > 0 ? sum[k] : 1);
            if (metric > best) {
                best = metric;
                owner[b] = k;
            }
        }
        sum[owner[b]] += rate[owner[b]];
    }
}

/* The cheapest change of hands in favour of a user that falls short; false if none is possible. */
static bool repair_once(const wz_ofdma *cell, unsigned *owner, int32_t *sum)
{
    size_t block = cell->blocks, user = 0;
    double least = INFINITY;
    for (size_t b = 0; b < cell->blocks; b++) {
        const int32_t *rate = cell->rate + b * cell->users;
        const int32_t lost = rate[owner[b]];
        if (sum[owner[b]] - lost < cell->minimum)
            continue;
        for (size_t k = 0; k < cell->users; k++) {
            const int32_t missing = cell->minimum - sum[k];
            const double cost = (double)(lost - rate[k]) / (rate[k] < missing ? rate[k] : missing);
            if (missing > 0 && cost < least) {
                least = cost;
                block = b;
                user = k;
            }
        }
    }
    if (block == cell->blocks)
        return false;
    sum[owner[block]] -= cell->rate[block * cell->users + owner[block]];
    sum[user] += cell->rate[block * cell->users + user];
    owner[block] = (unsigned)user;
    return true;
}

void wz_block_repair(const wz_ofdma *cell, unsigned *owner)
{
    int32_t sum[WZ_MAX_BLOCK_USERS];
    wz_block_best_user(cell, owner);
    wz_block_sums(cell, owner, sum);
    while (wz_block_deficit(cell, sum) > 0 && repair_once(cell, owner, sum))
        ; /* each step gives one block to a user that falls short, from one that then does not */
}

/* ---- local search ---- */

typedef struct climb {
    const wz_ofdma *cell;
    unsigned *owner;
    int32_t sum[WZ_MAX_BLOCK_USERS];
    int32_t deficit; /* of the best so far */
    double merit;
    size_t first, second; /* of the best change: blocks; second == blocks: `first` goes to `user` */
    unsigned user;
    bool found;
} climb;

static void move(climb *c, size_t block, unsigned user)
{
    const int32_t *rate = c->cell->rate + block * c->cell->users;
    c->sum[c->owner[block]] -= rate[c->owner[block]];
    c->sum[user] += rate[user];
    c->owner[block] = user;
}

/* Keeps the change that led here if it is the best yet. */
static void weigh(climb *c, size_t first, size_t second, unsigned user)
{
    const int32_t deficit = wz_block_deficit(c->cell, c->sum);
    const double merit = merit_of(c->cell, c->sum);
    if (deficit > c->deficit || (deficit == c->deficit && merit <= c->merit))
        return;
    c->deficit = deficit;
    c->merit = merit;
    c->first = first;
    c->second = second;
    c->user = user;
    c->found = true;
}

static void swap(climb *c, size_t first, size_t second)
{
    const unsigned kept = c->owner[first];
    move(c, first, c->owner[second]);
    move(c, second, kept);
}

static void try_all(climb *c)
{
    const size_t blocks = c->cell->blocks;
    for (size_t b = 0; b < blocks; b++) {
        const unsigned kept = c->owner[b];
        for (unsigned k = 0; k < c->cell->users; k++) {
            move(c, b, k);
            weigh(c, b, blocks, k);
        }
        move(c, b, kept);
        for (size_t other = b + 1; other < blocks; other++) {
            if (c->owner[other] == kept)
                continue;
            swap(c, b, other);
            weigh(c, b, other, 0);
            swap(c, b, other);
        }
    }
}

void wz_block_improve(const wz_ofdma *cell, unsigned *owner)
{
    climb c = {.cell = cell, .owner = owner};
    wz_block_sums(cell, owner, c.sum);
    c.deficit = wz_block_deficit(cell, c.sum);
    c.merit = merit_of(cell, c.sum);
    do {
        c.found = false;
        try_all(&c);
        if (c.found && c.second < cell->blocks)
            swap(&c, c.first, c.second);
        else if (c.found)
            move(&c, c.first, c.user);
    } while (c.found);
}
