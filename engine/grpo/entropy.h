/* The coefficient of the entropy bonus: over the run, over each stage of a curriculum, or by a target. */
#ifndef WZ_GRPO_ENTROPY_H
#define WZ_GRPO_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/grpo/curriculum.h"
#include "engine/grpo/schedule.h"

/* What a schedule's steps are counted in. */
typedef enum wz_entropy_span {
    WZ_ENTROPY_SPAN_RUN,       /* the run's steps, to max_steps */
    WZ_ENTROPY_SPAN_STAGE,     /* those at the curriculum's present size: it begins anew at each */
    WZ_ENTROPY_SPAN_LAST_STAGE /* those at its last size: until then, the first value */
} wz_entropy_span;

typedef struct wz_entropy_options {
    double first, last;
    wz_schedule schedule;
    wz_entropy_span span;
    int64_t stage_steps; /* of a schedule that does not span the run */
    bool adaptive;       /* in place of the schedule: coefficient `first`, then steered towards the target */
    double target;       /* mean entropy per token, in nats */
    double minimum, maximum, delta;
} wz_entropy_options;

/* All there is to save. */
typedef struct wz_entropy_control {
    double coef;
    double measured; /* mean entropy of the last update; DBL_MAX before the first */
} wz_entropy_control;

/* At step `step` of max_steps. Of several parts of a mixture with curricula of their own (sizes: theirs), the largest of the
 * parts' coefficients: one that has not learnt yet must go on exploring. */
double wz_entropy_scheduled(const wz_entropy_options *options, int64_t step, int64_t max_steps, size_t parts,
                            const wz_curriculum *curricula, const wz_curriculum_options *sizes);

/* The controller of Skywork-OR1 (He et al. 2025, eq. 5), as TRL has it: the bonus counts only where the last update's
 * entropy did not pass the target, and the coefficient moves by delta towards where it is wanted, within its bounds. */
void wz_entropy_control_start(wz_entropy_control *control, const wz_entropy_options *options);
double wz_entropy_control_coef(const wz_entropy_control *control, const wz_entropy_options *options);
/* After an update whose tokens had this mean entropy. */
void wz_entropy_control_observe(wz_entropy_control *control, const wz_entropy_options *options,
                                double entropy);

#endif
