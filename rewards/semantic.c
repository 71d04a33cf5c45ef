#include "rewards/semantic.h"

#include "rewards/solvers/hungarian.h"
#include "rewards/solvers/matching.h"
#include "tasks/semantic.h"

/* ---- baselines ---- */

/* Channels with the best k of each user. */
static void decide_best_symbols(const wz_semantic *p, const unsigned *channel, unsigned *decision)
{
    for (size_t i = 0; i < p->users; i++) {
        decision[2 * i] = channel[i];
        decision[2 * i + 1] = p->symbols[i * p->channels + channel[i]];
    }
}

static wz_status decide_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_semantic *p = problem->payload;
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    (void)err;
    wz_match_greedy(p->users, p->channels, p->rate, channel);
    decide_best_symbols(p, channel, decision);
    return WZ_OK;
}

static wz_status decide_regret_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_semantic *p = problem->payload;
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    (void)err;
    wz_match_rows(p->users, p->channels, p->rate, channel);
    decide_best_symbols(p, channel, decision);
    return WZ_OK;
}

static wz_status decide_snr_assignment(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_semantic *p = problem->payload;
    double snr_db[WZ_MAX_SEMANTIC_PAIRS];
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    (void)err;
    for (size_t entry = 0; entry < problem->number_count; entry++)
        snr_db[entry] = problem->numbers[entry]; /* an offset common to all changes no assignment */
    (void)wz_hungarian(p->users, p->channels, snr_db, channel, NULL, NULL);
    decide_best_symbols(p, channel, decision);
    return WZ_OK;
}

static wz_status decide_diagonal(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_semantic *p = problem->payload;
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    (void)err;
    for (size_t i = 0; i < p->users; i++)
        channel[i] = (unsigned)i;
    decide_best_symbols(p, channel, decision);
    return WZ_OK;
}

static wz_status decide_most_symbols(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_semantic *p = problem->payload;
    (void)err;
    for (size_t i = 0; i < p->users; i++) {
        decision[2 * i] = (unsigned)i;
        decision[2 * i + 1] = p->max_symbols;
    }
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"greedy", WZ_BASELINE_ALGORITHM, decide_greedy, NULL},
    {"regret_greedy", WZ_BASELINE_ALGORITHM, decide_regret_greedy, NULL},
    {"snr_assignment", WZ_BASELINE_ALGORITHM, decide_snr_assignment, NULL},
    {"diagonal", WZ_BASELINE_TRIVIAL, decide_diagonal, NULL},
    {"most_symbols", WZ_BASELINE_TRIVIAL, decide_most_symbols, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_semantic *p = problem->payload;
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    (void)effort;
    (void)err;
    (void)wz_hungarian(p->users, p->channels, p->rate, channel, NULL, NULL);
    decide_best_symbols(p, channel, decision);
    out->kind = WZ_REFERENCE_OPTIMUM;
    return WZ_OK;
}

/* Percentage points that a user lacks; none if it sends nothing. */
static double lacking(const wz_problem *problem, size_t user, const unsigned *decision)
{
    const wz_semantic *p = problem->payload;
    const unsigned channel = decision[2 * user], symbols = decision[2 * user + 1];
    if (symbols == 0)
        return 0;
    const double points =
        p->minimum - 100.0 * wz_semantic_accuracy(symbols, wz_semantic_snr_db(problem, user, channel));
    return points > WZ_ACCURACY_TOLERANCE ? points : 0;
}

static void violate_channels(size_t user, const unsigned *decision, size_t repeats, double share,
                             wz_outcome *out)
{
    char label[3];
    wz_label(decision[2 * user], label);
    wz_outcome_violate(out, (double)repeats, share,
                       "channel %s goes to user %zu, too; users beyond the first of their channel: %zu",
                       label, user + 1, repeats);
}

static void violate_accuracy(const wz_problem *problem, size_t user, const unsigned *decision, double share,
                             wz_outcome *out)
{
    const wz_semantic *p = problem->payload;
    const double points = lacking(problem, user, decision);
    char label[3];
    wz_label(decision[2 * user], label);
    wz_outcome_violate(out, points, share,
                       "user %zu reaches %.2f%% accuracy with %u symbols a word on channel %s; the minimum "
                       "is %g%%",
                       user + 1, p->minimum - points, decision[2 * user + 1], label, p->minimum);
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_semantic *p = problem->payload;
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    bool taken[WZ_MAX_SEMANTIC_CHANNELS] = {false};
    size_t wrong = 0, repeated = 0, worst = 0;
    (void)err;
    for (size_t i = 0; i < p->users; i++) {
        const unsigned symbols = decision[2 * i + 1];
        const double points = lacking(problem, i, decision);
        channel[i] = decision[2 * i];
        wrong += taken[channel[i]] || points > 0;
        taken[channel[i]] = true;
        worst = points > lacking(problem, worst, decision) ? i : worst;
        if (symbols > 0)
            out->objective +=
                wz_semantic_accuracy(symbols, wz_semantic_snr_db(problem, i, channel[i])) / symbols;
    }
    const size_t repeats = wz_match_repeats(p->users, channel, &repeated);
    const double share = (double)wrong / (double)p->users;
    if (repeats > 0)
        violate_channels(repeated, decision, repeats, share, out);
    if (wrong > 0)
        violate_accuracy(problem, worst, decision, share, out);
    return WZ_OK;
}

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    const wz_semantic *p = problem->payload;
    unsigned channel[WZ_MAX_SEMANTIC_USERS];
    wz_match_random(p->users, p->channels, draws, channel);
    for (size_t i = 0; i < p->users; i++) {
        unsigned accurate[WZ_MAX_SYMBOLS + 1], count = 0;
        decision[2 * i] = channel[i];
        for (unsigned k = 1; k <= p->max_symbols; k++) {
            decision[2 * i + 1] = k;
            if (lacking(problem, i, decision) == 0)
                accurate[count++] = k;
        }
        decision[2 * i + 1] = count == 0 ? 0 : accurate[wz_draws_below(draws, count)];
    }
}

const wz_verifier wz_verifier_semantic = {
    .task = "semantic",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "snr_assignment",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
