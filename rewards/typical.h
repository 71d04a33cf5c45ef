/* What is typical of a generator's problems: for trivial policies that look at a problem's options and at nothing else. */
#ifndef WZ_REWARDS_TYPICAL_H
#define WZ_REWARDS_TYPICAL_H

#include "tasks/task.h"

/* The value of the option of this name, which the problem's family has. */
double wz_problem_option(const wz_problem *problem, const char *name);
/* The mean of the largest but `rank` of `count` independent Exp(1): sum_{j = rank + 1}^{count} 1 / j (Renyi 1953). */
double wz_typical_exponential(size_t rank, size_t count);
/* A table of gains (links, links), row-major, of links numbered by falling direct gain: direct gains `direct` times the
 * typical exponentials, all others `cross`. */
void wz_typical_table(size_t links, double direct, double cross, double *gain);

#endif
