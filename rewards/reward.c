#include "rewards/reward.h"

#include <math.h>
#include <string.h>

const char *const wz_reward_names[] = {"ratio", "headroom", "feasible", "optimum", "format", NULL};

int wz_reward_find(const char *name)
{
    for (int i = 0; wz_reward_names[i] != NULL; i++)
        if (strcmp(wz_reward_names[i], name) == 0)
            return i;
    return -1;
}

static double headroom(const wz_verdict *verdict, const wz_reference *reference)
{
    const double room = reference->objective - reference->best_trivial;
    if (room <= 1e-9 * reference->objective) /* a trivial policy is optimal: nothing is to be earned */
        return 0;
    return fmin(fmax((verdict->objective - reference->best_trivial) / room, 0), 1);
}

double wz_reward(wz_reward_func function, const wz_verdict *verdict, const wz_reference *reference)
{
    const bool feasible = verdict->kind == WZ_VERDICT_FEASIBLE;
    switch (function) {
    case WZ_REWARD_RATIO:
        return feasible ? verdict->objective / reference->objective : 0;
    case WZ_REWARD_HEADROOM:
        return feasible ? headroom(verdict, reference) : 0;
    case WZ_REWARD_FEASIBLE:
        return feasible;
    case WZ_REWARD_OPTIMUM:
        return feasible && verdict->is_optimum;
    case WZ_REWARD_FORMAT:
        return feasible || verdict->kind == WZ_VERDICT_INFEASIBLE;
    case WZ_REWARD_FUNCS:
        break;
    }
    return 0;
}

double wz_reward_shaping(const wz_reward_options *options, int64_t step, const wz_verdict *verdict)
{
    if (options->shaping == 0 || step >= options->shaping_steps)
        return 0;
    return options->shaping * (1 - (double)step / (double)options->shaping_steps) * (1 - verdict->shortfall);
}

double wz_reward_overlong(const wz_reward_options *options, int64_t length)
{
    const int64_t buffer = options->overlong_buffer,
                  over = length - (options->max_completion_length - buffer);
    if (buffer <= 0 || over <= 0)
        return 0;
    return options->overlong_penalty * (over < buffer ? -(double)over / (double)buffer : -1);
}

double wz_reward_total(const wz_reward_options *options, int64_t step, const wz_verdict *verdict,
                       const wz_reference *reference, int64_t length)
{
    double sum = wz_reward_shaping(options, step, verdict);
    for (size_t i = 0; i < options->count; i++)
        sum += options->weight[i] * wz_reward(options->function[i], verdict, reference);
    return sum + wz_reward_overlong(options, length);
}
