#include "rewards/ofdma.h"

#include <math.h>
#include <string.h>

#include "rewards/solvers/block_assignment.h"
#include "rewards/typical.h"

#define EVALUATION_LIMIT 1048576.0 /* assignments */
#define TRAINING_LIMIT 4096.0
#define MOST_NODES 2000 /* of branch and cut */

/* ---- baselines ---- */

static wz_status decide_repaired(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    wz_block_repair(problem->payload, decision);
    return WZ_OK;
}

static wz_status decide_max_min(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_ofdma *cell = problem->payload;
    (void)err;
    (void)wz_max_min_greedy(cell->users, cell->blocks, cell->rate, decision);
    return WZ_OK;
}

/* Blocks have no order on the air; printed, they have one that helps. */
static wz_status decide_pf_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_ofdma *cell = problem->payload;
    const wz_draw_key key = {.problem = problem->index,
                             .token = (uint32_t)problem->split,
                             .sample = 1, /* not the random baseline's draws */
                             .purpose = WZ_PURPOSE_BASELINE};
    wz_draws draws = wz_draws_from(&key, 0);
    uint8_t order[WZ_MAX_BLOCKS];
    (void)err;
    wz_draws_permutation(&draws, cell->blocks, order);
    wz_block_proportional(cell, order, decision);
    return WZ_OK;
}

static wz_status decide_pf_sorted(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    wz_block_proportional(problem->payload, NULL, decision);
    return WZ_OK;
}

static wz_status decide_max_cqi(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    wz_block_best_user(problem->payload, decision);
    return WZ_OK;
}

static wz_status decide_round_robin(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_ofdma *cell = problem->payload;
    (void)err;
    for (size_t b = 0; b < cell->blocks; b++)
        decision[b] = (unsigned)(b % cell->users);
    return WZ_OK;
}

/* What a user has in a block if the mean SNRs of all lie evenly between the smallest and the largest, in bit/s/Hz. */
static double typical_rate(const wz_problem *problem, size_t user)
{
    const double low = wz_problem_option(problem, "snr_low_db"),
                 high = wz_problem_option(problem, "snr_high_db"),
                 place = (double)(user + 1) / (double)(problem->size + 1);
    return log2(1 + pow(10.0, (high - (high - low) * place) / 10.0));
}

/* To each user, the first first, as many blocks in a row as make typical rates equal; at least one. Where no minimum asks for
 * that, all blocks to the first. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_ofdma *cell = problem->payload;
    const bool equal =
        cell->objective != WZ_OFDMA_SUM_RATE || wz_problem_option(problem, "minimum_share") > 0;
    double sum = 0, reached = 0;
    size_t b = 0;
    (void)err;
    for (size_t k = 0; k < cell->users; k++)
        sum += 1 / typical_rate(problem, k);
    for (size_t k = 0; k < cell->users; k++) {
        const size_t left = cell->users - 1 - k, first = b;
        reached += 1 / typical_rate(problem, k) / sum;
        const double end = equal ? (double)cell->blocks * reached : (double)cell->blocks;
        while (b < cell->blocks &&
               (!equal || left == 0 || b == first || ((double)b + 0.5 < end && b + left < cell->blocks)))
            decision[b++] = (unsigned)k;
    }
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"repaired_max_cqi", WZ_BASELINE_ALGORITHM, decide_repaired, NULL},
    {"max_min", WZ_BASELINE_ALGORITHM, decide_max_min, NULL},
    {"pf_sorted", WZ_BASELINE_ALGORITHM, decide_pf_sorted, NULL},
    {"pf_greedy", WZ_BASELINE_ALGORITHM, decide_pf_greedy, NULL},
    {"max_cqi", WZ_BASELINE_ALGORITHM, decide_max_cqi, NULL},
    {"round_robin", WZ_BASELINE_TRIVIAL, decide_round_robin, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- reference ---- */

/* Takes the candidate over if it lacks less, or as much and is worth more. */
static void consider(const wz_ofdma *cell, const unsigned *candidate, unsigned *best)
{
    int32_t sum[2][WZ_MAX_BLOCK_USERS];
    wz_block_sums(cell, best, sum[0]);
    wz_block_sums(cell, candidate, sum[1]);
    const int32_t lack[] = {wz_block_deficit(cell, sum[0]), wz_block_deficit(cell, sum[1])};
    if (lack[1] < lack[0] ||
        (lack[1] == lack[0] && wz_block_objective(cell, sum[1]) > wz_block_objective(cell, sum[0])))
        memcpy(best, candidate, cell->blocks * sizeof *best);
}

/* The first start meets the minima, which are a share of what it reaches, and local search keeps them. */
static void search(const wz_ofdma *cell, unsigned *best)
{
    unsigned candidate[WZ_MAX_BLOCKS];
    (void)wz_max_min_rate(cell->users, cell->blocks, cell->rate, best);
    wz_block_improve(cell, best);
    wz_block_repair(cell, candidate);
    wz_block_improve(cell, candidate);
    consider(cell, candidate, best);
    wz_block_proportional(cell, NULL, candidate);
    wz_block_improve(cell, candidate);
    consider(cell, candidate, best);
}

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_ofdma *cell = problem->payload;
    const bool evaluation = effort == WZ_EFFORT_EVALUATION;
    if (pow((double)cell->users, (double)cell->blocks) <= (evaluation ? EVALUATION_LIMIT : TRAINING_LIMIT)) {
        out->kind = WZ_REFERENCE_OPTIMUM;
        (void)wz_block_enumerate(cell, decision);
        return WZ_OK;
    }
    out->kind = WZ_REFERENCE_BEST_KNOWN;
    search(cell, decision);
    if (!evaluation || cell->objective != WZ_OFDMA_SUM_RATE)
        return WZ_OK;
    unsigned candidate[WZ_MAX_BLOCKS];
    bool found, proven;
    const wz_status status = wz_block_program(cell, MOST_NODES, candidate, &found, &proven, err);
    if (status == WZ_OK && found)
        consider(cell, candidate, decision);
    if (status == WZ_OK && proven)
        out->kind = WZ_REFERENCE_OPTIMUM;
    return status;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_ofdma *cell = problem->payload;
    int32_t sum[WZ_MAX_BLOCK_USERS];
    size_t poorest = 0;
    (void)err;
    wz_block_sums(cell, decision, sum);
    for (size_t k = 1; k < cell->users; k++)
        if (sum[k] < sum[poorest])
            poorest = k;
    const int32_t lack = cell->minimum - sum[poorest];
    if (lack > 0) {
        char label[3];
        wz_label(poorest, label);
        wz_outcome_violate(out, lack / 10.0,
                           (double)wz_block_deficit(cell, sum) / ((double)cell->users * cell->minimum),
                           "user %s gets %.1f bit/s/Hz, %.1f below the minimum of %.1f", label,
                           sum[poorest] / 10.0, lack / 10.0, cell->minimum / 10.0);
        return WZ_OK;
    }
    out->objective = wz_block_objective(cell, sum);
    return WZ_OK;
}

const wz_verifier wz_verifier_ofdma = {
    .task = "ofdma",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "pf_greedy",
    .judge = judge,
    .solve = solve,
};
