#include "rewards/power_control.h"

#include <math.h>

#include "rewards/answer.h"
#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/search.h"
#include "rewards/solvers/wmmse.h"
#include "tasks/power_control.h"

/* The channel of a problem and its decision set. */
typedef struct instance {
    wz_channel channel;
    size_t levels;
} instance;

static wz_status open_instance(const wz_problem *problem, instance *out, wz_error *err)
{
    const wz_power_control *p = wz_power_control_borrow(problem);
    if (p == NULL) {
        (void)wz_fail(err, WZ_ERR_RUNTIME, "power_control: asked to judge a problem of another family");
        return WZ_ERR_RUNTIME; /* in plain sight, for static analysis */
    }
    *out = (instance){{p->links, p->gain, p->noise, p->budget}, p->levels};
    return WZ_OK;
}

/* Random baselines draw from (seed, problem), and the split takes the token's place. */
static wz_draw_key baseline_key(const wz_problem *problem, uint64_t seed)
{
    return (wz_draw_key){.seed = seed,
                         .problem = problem->index,
                         .token = (uint32_t)problem->split,
                         .purpose = WZ_PURPOSE_BASELINE};
}

/* ---- baselines ---- */

typedef double (*policy)(const wz_channel *channel, size_t levels, unsigned *level);

static wz_status apply(policy chosen, const wz_problem *problem, double *objective, wz_error *err)
{
    instance in;
    unsigned level[WZ_MAX_LINKS];
    wz_status status = open_instance(problem, &in, err);
    if (status == WZ_OK)
        *objective = chosen(&in.channel, in.levels, level);
    return status;
}

static wz_status solve_full(const wz_problem *problem, uint64_t seed, double *objective, wz_error *err)
{
    (void)seed;
    return apply(wz_full_power, problem, objective, err);
}

static wz_status solve_strongest(const wz_problem *problem, uint64_t seed, double *objective, wz_error *err)
{
    (void)seed;
    return apply(wz_strongest_only, problem, objective, err);
}

static wz_status solve_greedy(const wz_problem *problem, uint64_t seed, double *objective, wz_error *err)
{
    (void)seed;
    return apply(wz_greedy_adder, problem, objective, err);
}

static double wmmse_rounded(const wz_channel *channel, size_t levels, unsigned *level)
{
    double power[WZ_MAX_LINKS];
    (void)wz_wmmse(channel, NULL, power);
    wz_power_to_levels(channel, levels, power, level);
    return wz_levels_sum_rate(channel, levels, level);
}

static wz_status solve_wmmse_rounded(const wz_problem *problem, uint64_t seed, double *objective,
                                     wz_error *err)
{
    (void)seed;
    return apply(wmmse_rounded, problem, objective, err);
}

static wz_status solve_wmmse(const wz_problem *problem, uint64_t seed, double *objective, wz_error *err)
{
    (void)seed;
    instance in;
    double power[WZ_MAX_LINKS];
    wz_status status = open_instance(problem, &in, err);
    if (status == WZ_OK)
        *objective = wz_wmmse(&in.channel, NULL, power);
    return status;
}

static wz_status random_best(const wz_problem *problem, uint64_t seed, size_t tries, double *objective,
                             wz_error *err)
{
    instance in;
    unsigned level[WZ_MAX_LINKS];
    wz_status status = open_instance(problem, &in, err);
    if (status != WZ_OK)
        return status;
    const size_t limit = (size_t)WZ_DRAW_LIMIT * 4 / in.channel.links;
    if (tries == 0 || tries > limit)
        return wz_fail(err, WZ_ERR_USAGE, "random best of %zu tries: 1 to %zu are possible", tries, limit);
    const wz_draw_key key = baseline_key(problem, seed);
    *objective = 0;
    for (size_t i = 0; i < tries; i++)
        *objective = fmax(*objective, wz_random_levels(&in.channel, in.levels, &key, i, level));
    return WZ_OK;
}

static wz_status solve_random(const wz_problem *problem, uint64_t seed, double *objective, wz_error *err)
{
    return random_best(problem, seed, 1, objective, err);
}

static const wz_baseline baselines[] = {
    {"wmmse", false, solve_wmmse},         {"wmmse_rounded", false, solve_wmmse_rounded},
    {"greedy_adder", false, solve_greedy}, {"full", true, solve_full},
    {"random", true, solve_random},        {"strongest", true, solve_strongest},
};

/* ---- reference and verdict ---- */

static wz_status reference(const wz_problem *problem, wz_reference *out, wz_error *err)
{
    instance in;
    unsigned level[WZ_MAX_LINKS];
    wz_status status = open_instance(problem, &in, err);
    if (status != WZ_OK)
        return status;
    wz_draw_key key = baseline_key(problem, 0);
    key.sample = 1; /* not the random baseline's draws */
    out->is_exact = wz_enumerate_possible(in.channel.links, in.levels);
    out->objective = out->is_exact ? wz_enumerate_levels(&in.channel, in.levels, level)
                                   : wz_search_levels(&in.channel, in.levels, &key, level);
    out->best_trivial =
        fmax(wz_full_power(&in.channel, in.levels, level), wz_strongest_only(&in.channel, in.levels, level));
    return WZ_OK;
}

static bool read_answer(const instance *in, wz_prompt_style style, const wz_answer *answer, unsigned *level,
                        wz_verdict *out)
{
    wz_switch_words words[WZ_MAX_LINKS];
    if (style != WZ_PROMPT_COMPACT || in->levels != 2)
        return wz_answer_read_integers(style, answer, in->channel.links, (unsigned)(in->levels - 1), level,
                                       out);
    for (size_t i = 0; i < in->channel.links; i++) {
        wz_link_label(i, words[i].on);
        wz_link_label_off(i, words[i].off);
    }
    return wz_answer_read_switches(answer, in->channel.links, words, level, out);
}

static wz_status verify(const wz_problem *problem, const wz_reference *known, wz_prompt_style style,
                        const char *completion, size_t length, wz_verdict *out, wz_error *err)
{
    instance in;
    unsigned level[WZ_MAX_LINKS];
    wz_answer answer;
    wz_status status = open_instance(problem, &in, err);
    if (status != WZ_OK)
        return status;
    if (!(known->objective > 0))
        return wz_fail(err, WZ_ERR_RUNTIME, "power_control: problem %u has reference %g; it must be positive",
                       (unsigned)problem->index, known->objective);
    *out = (wz_verdict){.kind = WZ_VERDICT_FEASIBLE, .reference = known->objective};
    if (!wz_answer_find(style, completion, length, &answer, out) ||
        !read_answer(&in, style, &answer, level, out))
        return WZ_OK; /* the verdict says why */
    out->objective = wz_levels_sum_rate(&in.channel, in.levels, level);
    out->ratio = out->objective / known->objective;
    out->is_optimum = known->is_exact && out->objective >= known->objective * (1 - 1e-9);
    return WZ_OK;
}

const wz_verifier wz_verifier_power_control = {
    .task = "power_control",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "wmmse",
    .reference = reference,
    .verify = verify,
    .random_best = random_best,
};
