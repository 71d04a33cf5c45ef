/* Growing the problem size: train at one size until the running score passes a threshold, then at the next; a
 * share of the steps replays smaller sizes. */
#ifndef WZ_GRPO_CURRICULUM_H
#define WZ_GRPO_CURRICULUM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wz_curriculum_options {
    int64_t first, last;     /* sizes */
    double threshold, decay; /* of the running objective ratio */
    int64_t min_steps;
    double replay; /* share of steps at a smaller size */
} wz_curriculum_options;

/* All there is to save. */
typedef struct wz_curriculum {
    int64_t size;           /* the largest so far */
    int64_t steps;          /* trained at that size */
    double running, weight; /* decayed sum of ratios, and of ones */
} wz_curriculum;

void wz_curriculum_start(wz_curriculum *curriculum, const wz_curriculum_options *options);
/* The size that part number `part` of the mixture trains in a step: a function of (seed, step, part, present size). */
int64_t wz_curriculum_size(const wz_curriculum *curriculum, const wz_curriculum_options *options,
                           uint64_t seed, uint32_t step, uint32_t part);
/* Takes in a step's mean objective ratio at `size`; true when the size grew. */
bool wz_curriculum_update(wz_curriculum *curriculum, const wz_curriculum_options *options, int64_t size,
                          double ratio);
/* Running ratio at the present size; 0 before its first step. */
double wz_curriculum_score(const wz_curriculum *curriculum);

#endif
