#include "rewards/typical.h"

#include <assert.h>

double wz_problem_option(const wz_problem *problem, const char *name)
{
    const size_t option = wz_task_find_option(problem->task, name);
    assert(option < problem->task->option_count);
    return problem->values[option];
}

double wz_typical_exponential(size_t rank, size_t count)
{
    double sum = 0;
    for (size_t j = count; j > rank; j--)
        sum += 1.0 / (double)j;
    return sum;
}

void wz_typical_table(size_t links, double direct, double cross, double *gain)
{
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            gain[i * links + j] = i == j ? direct * wz_typical_exponential(i, links) : cross;
}
