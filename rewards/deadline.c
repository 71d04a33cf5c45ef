#include "rewards/deadline.h"

#include "rewards/solvers/hungarian.h"
#include "rewards/typical.h"
#include "tasks/deadline.h"

/* ---- slot by slot ---- */

/* Packets as a bit mask: the first is the heaviest. */
static size_t first_of(uint32_t packets)
{
    return (size_t)__builtin_ctz(packets);
}

static size_t earliest_deadline(const wz_deadline *p, uint32_t packets)
{
    size_t best = first_of(packets);
    for (; packets != 0; packets &= packets - 1)
        if (p->deadline[first_of(packets)] < p->deadline[best])
            best = first_of(packets);
    return best;
}

static wz_status decide_edf(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_deadline *p = problem->payload;
    uint32_t sent = 0;
    (void)err;
    for (size_t t = 0; t < p->slots; t++) {
        const uint32_t left = p->sendable[t] & ~sent;
        decision[t] = left == 0 ? 0 : (unsigned)earliest_deadline(p, left) + 1;
        sent |= left == 0 ? 0 : (uint32_t)1 << (decision[t] - 1);
    }
    return WZ_OK;
}

static wz_status decide_max_weight(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_deadline *p = problem->payload;
    uint32_t sent = 0;
    (void)err;
    for (size_t t = 0; t < p->slots; t++) {
        const uint32_t left = p->sendable[t] & ~sent;
        decision[t] = left == 0 ? 0 : (unsigned)first_of(left) + 1;
        sent |= left & (~left + 1);
    }
    return WZ_OK;
}

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    const wz_deadline *p = problem->payload;
    uint32_t sent = 0;
    for (size_t t = 0; t < p->slots; t++) {
        uint32_t left = p->sendable[t] & ~sent;
        decision[t] = 0;
        if (left == 0)
            continue;
        for (unsigned skip = wz_draws_below(draws, (unsigned)__builtin_popcount(left)); skip > 0; skip--)
            left &= left - 1;
        decision[t] = (unsigned)first_of(left) + 1;
        sent |= left & (~left + 1);
    }
}

static wz_status decide_idle(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_deadline *p = problem->payload;
    (void)err;
    for (size_t t = 0; t < p->slots; t++)
        decision[t] = 0;
    return WZ_OK;
}

/* The heaviest m packets in the first m slots, m the number of largest mean weight: packet n of N weighs about 1 - n / (N + 1)
 * of the heaviest possible, and can be sent in slot t of T with probability (1 - (t - 1) / T) on_percent / 100. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_deadline *p = problem->payload;
    const size_t most = p->packets < p->slots ? p->packets : p->slots;
    const double on = wz_problem_option(problem, "on_percent") / 100;
    double weight = 0, chance = 1, best = 0;
    (void)err;
    for (size_t t = 0; t < p->slots; t++)
        decision[t] = 0;
    for (size_t m = 1; m <= most; m++) {
        weight += 1 - (double)m / (double)(p->packets + 1);
        chance *= on * (1 - (double)(m - 1) / (double)p->slots);
        if (weight * chance <= best)
            break;
        best = weight * chance;
        decision[m - 1] = (unsigned)m;
    }
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"edf", WZ_BASELINE_ALGORITHM, decide_edf, NULL},
    {"max_weight", WZ_BASELINE_ALGORITHM, decide_max_weight, NULL},
    {"idle", WZ_BASELINE_TRIVIAL, decide_idle, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

/* Slots are given packets, or one of as many dummies that are worth nothing. */
static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_deadline *p = problem->payload;
    const size_t columns = p->packets + p->slots;
    double value[WZ_MAX_DEADLINE_SLOTS * (WZ_MAX_PACKETS + WZ_MAX_DEADLINE_SLOTS)];
    (void)effort;
    (void)err;
    for (size_t t = 0; t < p->slots; t++)
        for (size_t c = 0; c < columns; c++)
            value[t * columns + c] = c < p->packets && (p->sendable[t] >> c & 1) ? p->weight[c] : 0;
    (void)wz_hungarian(p->slots, columns, value, decision, NULL, NULL);
    for (size_t t = 0; t < p->slots; t++)
        decision[t] = value[t * columns + decision[t]] > 0 ? decision[t] + 1 : 0;
    out->kind = WZ_REFERENCE_OPTIMUM;
    return WZ_OK;
}

enum { AGAIN, LATE, OFF, WAYS };

/* What is wrong with a schedule, and where first. */
typedef struct waste {
    size_t count[WAYS], slot[WAYS];
    size_t slots; /* that waste a transmission */
} waste;

static waste find_waste(const wz_deadline *p, const unsigned *decision)
{
    waste w = {0};
    uint32_t sent = 0;
    for (size_t t = 0; t < p->slots; t++) {
        if (decision[t] == 0)
            continue;
        const size_t packet = decision[t] - 1;
        const bool again = sent >> packet & 1, late = p->deadline[packet] <= (int32_t)t;
        const bool wrong[WAYS] = {again, late, !late && (p->sendable[t] >> packet & 1) == 0};
        for (size_t way = 0; way < WAYS; way++)
            if (wrong[way] && w.count[way]++ == 0)
                w.slot[way] = t;
        w.slots += wrong[AGAIN] || wrong[LATE] || wrong[OFF];
        sent |= (uint32_t)1 << packet;
    }
    return w;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    static const char *const says[WAYS] = {
        "slot %zu sends packet %s again; transmissions of packets sent before: %zu",
        "slot %zu sends packet %s after its deadline; late transmissions: %zu",
        "slot %zu sends packet %s while its channel is off; such transmissions: %zu"};
    const wz_deadline *p = problem->payload;
    const waste w = find_waste(p, decision);
    (void)err;
    for (size_t t = 0; t < p->slots; t++)
        out->objective += decision[t] > 0 ? p->weight[decision[t] - 1] : 0;
    for (size_t way = 0; way < WAYS; way++) {
        char label[3];
        if (w.count[way] == 0)
            continue;
        wz_label(decision[w.slot[way]] - 1, label);
        wz_outcome_violate(out, (double)w.count[way], (double)w.slots / (double)p->slots, says[way],
                           w.slot[way] + 1, label, w.count[way]);
    }
    return WZ_OK;
}

const wz_verifier wz_verifier_deadline = {
    .task = "deadline",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "edf",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
