#include "rewards/assignment.h"

#include "rewards/solvers/hungarian.h"
#include "rewards/solvers/matching.h"
#include "tasks/assignment.h"

/* ---- baselines ---- */

static wz_status decide_global_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_assignment *p = problem->payload;
    (void)err;
    wz_match_greedy(p->users, p->users, p->rate, decision);
    return WZ_OK;
}

static wz_status decide_regret_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_assignment *p = problem->payload;
    (void)err;
    wz_match_rows(p->users, p->users, p->rate, decision);
    return WZ_OK;
}

static wz_status decide_row_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_assignment *p = problem->payload;
    (void)err;
    wz_match_columns(p->users, p->users, p->rate, decision);
    return WZ_OK;
}

static wz_status decide_diagonal(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    for (size_t i = 0; i < problem->size; i++)
        decision[i] = (unsigned)i;
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"global_greedy", WZ_BASELINE_ALGORITHM, decide_global_greedy, NULL},
    {"regret_greedy", WZ_BASELINE_ALGORITHM, decide_regret_greedy, NULL},
    {"row_greedy", WZ_BASELINE_ALGORITHM, decide_row_greedy, NULL},
    {"diagonal", WZ_BASELINE_TRIVIAL, decide_diagonal, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_assignment *p = problem->payload;
    (void)effort;
    (void)err;
    out->kind = WZ_REFERENCE_OPTIMUM;
    (void)wz_hungarian(p->users, p->users, p->rate, decision, NULL, NULL);
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_assignment *p = problem->payload;
    double tenths = 0;
    size_t user = 0;
    const size_t repeats = wz_match_repeats(p->users, decision, &user);
    (void)err;
    for (size_t i = 0; i < p->users; i++)
        tenths += p->rate[i * p->users + decision[i]];
    out->objective = tenths / 10.0;
    if (repeats > 0) {
        char label[3];
        wz_label(decision[user], label);
        wz_outcome_violate(out, (double)repeats, (double)repeats / (double)(p->users - 1),
                           "block %s goes to user %zu, too; users beyond the first of their block: %zu",
                           label, user + 1, repeats);
    }
    return WZ_OK;
}

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    wz_match_random(problem->size, problem->size, draws, decision);
}

const wz_verifier wz_verifier_assignment = {
    .task = "assignment",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "global_greedy",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
